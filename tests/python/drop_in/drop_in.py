#!/usr/bin/env python3
"""drop_in MODEL RERANKER [--int8]: runs typical_uses.py as it is, for sentence-transformers, and with its import changed to
senvec's, and compares the results call by call: in fp32 numbers agree to 1e-5 and all else is the same; with --int8 each vector
has a cosine of .999 with sentence-transformers', and the rest isn't compared. Uses of libraries that aren't installed are
skipped.
"""

import argparse
import json
import os
import shutil
import sys
import tempfile
import types

os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("ANONYMIZED_TELEMETRY", "False")

try:
    import numpy as np
    import sentence_transformers  # noqa: F401
except ImportError as cause:
    print(f"SKIP: {cause}")
    sys.exit(77)

HERE = os.path.dirname(os.path.abspath(__file__))
IMPORT = "from sentence_transformers import CrossEncoder, SentenceTransformer\n"


def load(package: str) -> types.ModuleType:
    """The script with the import from `package`."""
    with open(os.path.join(HERE, "typical_uses.py"), encoding="utf-8") as file:
        source = file.read()
    assert source.count(IMPORT) == 1
    module = types.ModuleType(f"uses_of_{package}")
    exec(compile(source.replace(IMPORT, IMPORT.replace("sentence_transformers", package)), "typical_uses.py", "exec"),
         module.__dict__)
    return module


def cosine(left: np.ndarray, right: np.ndarray) -> float:
    left, right = np.atleast_2d(left).astype(np.float64), np.atleast_2d(right).astype(np.float64)
    return float(((left * right).sum(1) / np.linalg.norm(left, axis=1) / np.linalg.norm(right, axis=1)).min())


def compare(name: str, expected: object, made: object, int8: bool) -> str:
    """What is wrong, or ""."""
    try:
        left, right = np.asarray(expected), np.asarray(made)
    except ValueError:
        left = right = None
    if left is None or left.dtype.kind != "f":
        return "" if int8 or expected == made else f"{made!r} in place of {expected!r}"
    if left.shape != right.shape:
        return f"shape {right.shape} in place of {left.shape}"
    if int8:
        return "" if name != "vectors" or cosine(left, right) >= 0.999 else f"cosine {cosine(left, right):.5f}"
    scale = max(float(np.abs(left).max()), 1.0)
    difference = float(np.abs(left - right).max()) / scale
    return "" if difference <= 1e-5 else f"differs by {difference:.1e}"


def name_padding(path: str) -> None:
    """transformers wants a name for the padding, which the tests' models don't give."""
    try:
        with open(path, encoding="utf-8") as file:
            config = json.load(file)
    except FileNotFoundError:
        config = {}
    if "pad_token" not in config:
        with open(path, "w", encoding="utf-8") as file:
            json.dump({**config, "pad_token": "[PAD]"}, file)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("reranker")
    parser.add_argument("--int8", action="store_true")
    arguments = parser.parse_args()
    import senvec

    precision = "int8" if arguments.int8 else "fp32"
    theirs, ours = load("sentence_transformers"), load("senvec")
    folder = tempfile.TemporaryDirectory()
    reranker = os.path.join(folder.name, "reranker")
    # A tiny model of the tests is an embedder and a reranker in one; without its modules it is the latter.
    shutil.copytree(arguments.reranker, reranker, ignore=shutil.ignore_patterns("modules.json", "1_Pooling"))
    name_padding(os.path.join(reranker, "tokenizer_config.json"))
    kind = {"model_kwargs": {"dtype": "float32"}, "device": "cpu"}
    models = [(theirs.SentenceTransformer(arguments.model, **kind), theirs.CrossEncoder(reranker, **kind)),
              (senvec.SentenceTransformer(arguments.model, precision=precision),
               senvec.CrossEncoder(reranker, precision=precision))]
    failed = compared = 0
    worst: list[float] = []
    for left, right in zip(theirs.USES, ours.USES):
        try:
            expected = left(*models[0])
        except ImportError as cause:
            print(f"skip   {left.__name__}: {cause}")
            continue
        made = right(*models[1])
        assert expected.keys() == made.keys()
        found = {name: compare(name, expected[name], made[name], arguments.int8) for name in expected}
        faults = [f"{name}: {fault}" for name, fault in found.items() if fault]
        if arguments.int8 and "vectors" in expected:
            worst.append(cosine(np.asarray(expected["vectors"]), np.asarray(made["vectors"])))
        print(f"{'FAILED' if faults else 'ok    '} {left.__name__}{''.join(f'; {fault}' for fault in faults)}")
        failed += bool(faults)
        compared += 1
    print(f"{compared} uses compared, {failed} failed" + (f"; worst cosine {min(worst):.5f}" if worst else ""))
    return 1 if failed or compared < 15 else 0


if __name__ == "__main__":
    sys.exit(main())
