#!/usr/bin/env python3
"""run_package_tests [--quick] TINY_MODEL [LIBRARY COMMAND]: the tests of the Python package in this folder. With LIBRARY, a
libsenvec.so, and COMMAND, a senvec, they are of the package in these sources with these two; without, of the package that is
installed. numpy is needed; tests that take more are skipped where it isn't there, and with --quick those of libraries that are
slow to load."""

import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))


def main() -> int:
    if sys.argv[1] == "--quick":
        del sys.argv[1]
        os.environ["SENVEC_TEST_QUICK"] = "1"
    os.environ["SENVEC_TEST_TINY"] = os.path.abspath(sys.argv[1])
    sys.dont_write_bytecode = True
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    if len(sys.argv) > 2:
        source = os.path.join(os.path.dirname(os.path.dirname(HERE)), "bindings", "python")
        os.environ["SENVEC_LIBRARY"] = os.path.abspath(sys.argv[2])
        os.environ["SENVEC_COMMAND"] = os.path.abspath(sys.argv[3])
        os.environ["PYTHONPATH"] = source  # of processes that tests start
        sys.path.insert(0, source)
    try:
        import numpy  # noqa: F401
    except ImportError as cause:
        print(f"SKIP: {cause}: the Python package needs numpy")
        return 77
    sys.path.insert(0, HERE)
    suite = unittest.defaultTestLoader.discover(HERE, pattern="test_*.py")
    result = unittest.TextTestRunner(verbosity=1).run(suite)
    return 0 if result.wasSuccessful() and result.testsRun else 1


if __name__ == "__main__":
    sys.exit(main())
