"""What the package's tests share: the tiny model, its texts, and vectors that PyTorch computed."""

import importlib
import json
import os
import shutil
import subprocess
import sys
import tempfile
import unittest

TINY = os.environ["SENVEC_TEST_TINY"]

with open(os.path.join(TINY, "golden.json"), encoding="utf-8") as _file:
    GOLDEN = json.load(_file)

TEXTS = GOLDEN["texts"]


def needs(*names: str) -> list:
    """Modules of other packages, which take their time; where they aren't installed, or the run is to be quick, the test is
    skipped."""
    if os.environ.get("SENVEC_TEST_QUICK"):
        raise unittest.SkipTest(f"quick: without {names[0]}")
    try:
        return [importlib.import_module(name) for name in names]
    except ImportError as cause:
        raise unittest.SkipTest(str(cause)) from None


def copy_of(folder: str, **config: object) -> str:
    """A copy of the tiny model in a new folder below `folder`, with a config_sentence_transformers.json of these members."""
    made = os.path.join(tempfile.mkdtemp(dir=folder), "model")
    shutil.copytree(TINY, made)
    if config:
        with open(os.path.join(made, "config_sentence_transformers.json"), "w", encoding="utf-8") as file:
            json.dump(config, file)
    return made


def python(code: str, **environment: str) -> str:
    """Runs Python code in a process of its own and returns what it printed; raises if it fails."""
    result = subprocess.run(
        [sys.executable, "-c", code], env={**os.environ, **environment}, capture_output=True, text=True, timeout=600
    )
    if result.returncode != 0:
        raise AssertionError(f"exit {result.returncode}: {result.stdout}{result.stderr}")
    return result.stdout
