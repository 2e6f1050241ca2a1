#!/usr/bin/env python3
"""run_cluster_tests LIBRARY COMMAND TINY_MODEL [TEST...]: the tests of this folder, with libsenvec.so LIBRARY and the command
senvec. A library that isn't installed has its tests skipped."""

import os
import sys
import unittest

HERE = os.path.dirname(os.path.abspath(__file__))


def main() -> int:
    names = ("SENVEC_LIBRARY", "SENVEC_COMMAND", "SENVEC_TEST_TINY")
    for name, path in zip(names, sys.argv[1:]):
        os.environ[name] = os.path.abspath(path)
    paths = [os.path.join(os.path.dirname(os.path.dirname(HERE)), "bindings", "python"), HERE]
    os.environ["PYTHONPATH"] = os.pathsep.join(paths)  # of the processes that Spark and Ray start
    os.environ["PYTHONDONTWRITEBYTECODE"] = "1"
    os.environ["PYSPARK_PYTHON"] = os.environ["PYSPARK_DRIVER_PYTHON"] = sys.executable
    sys.dont_write_bytecode = True
    sys.path[:0] = paths
    loader = unittest.defaultTestLoader
    wanted = sys.argv[4:]
    suite = loader.loadTestsFromNames(wanted) if wanted else loader.discover(HERE, pattern="test_*.py")
    result = unittest.TextTestRunner(verbosity=2).run(suite)
    return 0 if result.wasSuccessful() and result.testsRun else 1


if __name__ == "__main__":
    sys.exit(main())
