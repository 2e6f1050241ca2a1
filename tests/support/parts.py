"""A script's unittest cases in parts, so that ctest can run several parts at once: most of these cases wait for processes."""
import sys
import unittest


def flatten(suite):
    for test in suite:
        if isinstance(test, unittest.TestSuite):
            yield from flatten(test)
        else:
            yield test


def run_part(part):
    """Runs the cases of the main script, of which `part` is "K/N": every N-th from the K-th on; "1/1" is all. Exits."""
    first, step = map(int, part.split("/"))
    tests = list(flatten(unittest.defaultTestLoader.loadTestsFromModule(sys.modules["__main__"])))[first - 1::step]
    result = unittest.TextTestRunner().run(unittest.TestSuite(tests))
    sys.exit(not (tests and result.wasSuccessful()))
