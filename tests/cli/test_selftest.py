#!/usr/bin/env python3
"""test_selftest SENVEC: the real model passes its self-test in every precision."""
import subprocess
import sys
from pathlib import Path

sys.path.insert(0, str(Path(__file__).resolve().parent.parent / "support"))
from real_model import find_real_model  # noqa: E402

model = find_real_model()
if not model:
    print("SKIP: no model: run `senvec pull` or set SENVEC_TEST_MODEL")
    sys.exit(77)
for precision in ("fp32", "bf16", "int8"):
    subprocess.run([sys.argv[1], "selftest", "-p", precision, model, "--as", "all-MiniLM-L6-v2"], check=True)
