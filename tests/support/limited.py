"""limited.py SCRIPT [ARGUMENT...]: runs a test script as `python SCRIPT ARGUMENT...` does. One that hangs is ended before ctest
would kill it, and says at which line."""
import faulthandler
import os
import runpy
import sys

SECONDS = 1200

faulthandler.dump_traceback_later(SECONDS, exit=True)
del sys.argv[0]
sys.path[0] = os.path.dirname(os.path.abspath(sys.argv[0]))
runpy.run_path(sys.argv[0], run_name="__main__")
