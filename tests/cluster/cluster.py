"""What the tests of this folder share: texts, and what `senvec embed` makes of them."""

import json
import os
import random
import subprocess
import sys

import numpy as np

HERE = os.path.dirname(os.path.abspath(__file__))
ROOT = os.path.dirname(os.path.dirname(HERE))
COMMAND = os.environ["SENVEC_COMMAND"]
TINY = os.environ["SENVEC_TEST_TINY"]
sys.path.insert(0, os.path.join(ROOT, "examples", "dataframes"))

_WORDS = "the of and river system window light market small green paper music train number history water science".split()


def make_texts(count: int) -> list[str]:
    rng = random.Random(3)
    return [" ".join(rng.choices(_WORDS, k=rng.randrange(1, 40))) + f" {row}" for row in range(count)]


def embedded(texts: list[str], folder: str) -> np.ndarray:
    """The command's vectors, (texts, dimensions) float32."""
    source, made = os.path.join(folder, "texts.jsonl"), os.path.join(folder, "vectors.npy")
    with open(source, "w", encoding="utf-8") as file:
        file.writelines(json.dumps({"text": text}) + "\n" for text in texts)
    subprocess.run([COMMAND, "embed", "-q", "-m", TINY, "-p", "fp32", "--key", "text", source, "-o", made], check=True)
    return np.load(made)
