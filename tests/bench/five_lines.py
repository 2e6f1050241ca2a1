#!/usr/bin/env python3
"""five_lines MODEL [--texts N] [--rounds N]: the program of docs/PYTHON.md that changes one import, before and after, each time
in a new process and in turn. Prints the medians of what each takes, in seconds by the clock and in seconds of CPU time (which a
busy machine changes less): from the start of Python to the first vector, and for N texts of 20 to 200 words (default 1,000).
Prints the most memory, too, and the cosines between the vectors of the two.

Needs sentence-transformers in this Python. The imports are timed as they are where the packages are installed: compiled."""

import argparse
import json
import os
import statistics
import subprocess
import sys
import tempfile
import time

import numpy as np
from python_speed import make_texts

PROGRAM = """
import json, resource, sys, time
def spent():
    return time.time() - float(sys.argv[4]), time.process_time()
from {package} import SentenceTransformer
model = SentenceTransformer(sys.argv[1])
model.encode("a sentence")
first = spent()
texts = json.load(open(sys.argv[2]))
begin = spent()
vectors = model.encode(texts)
end = spent()
import numpy
numpy.save(sys.argv[3], vectors)
print(json.dumps([*first, end[0] - begin[0], end[1] - begin[1], resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / 1024]))
"""
WHAT = ("first vector, s", "the same, CPU s", "texts, s", "the same, CPU s", "memory, MB")


def run(package: str, model: str, folder: str) -> list[float]:
    environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": os.path.join(folder, "compiled")}
    line = [sys.executable, "-c", PROGRAM.format(package=package), model, os.path.join(folder, "texts.json"),
            os.path.join(folder, package + ".npy"), str(time.time())]
    result = subprocess.run(line, stdout=subprocess.PIPE, stderr=subprocess.PIPE, text=True, env=environment)
    if result.returncode != 0:
        sys.exit(f"five_lines: {package}: {result.stderr}")
    return json.loads(result.stdout)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("--texts", type=int, default=1000)
    parser.add_argument("--rounds", type=int, default=3)
    arguments = parser.parse_args()
    packages = ("sentence_transformers", "senvec")
    with tempfile.TemporaryDirectory() as folder:
        with open(os.path.join(folder, "texts.json"), "w", encoding="utf-8") as file:
            json.dump(make_texts(arguments.texts), file)
        for package in packages:  # compiles the modules and calibrates the model
            run(package, arguments.model, folder)
        measured: dict[str, list[list[float]]] = {package: [] for package in packages}
        for _ in range(arguments.rounds):
            for package in packages:
                measured[package].append(run(package, arguments.model, folder))
        before, after = (np.load(os.path.join(folder, package + ".npy")) for package in packages)
    print(f"{'':18}{'before':>12}{'after':>12}{'ratio':>10}")
    for name, old, new in zip(WHAT, zip(*measured[packages[0]]), zip(*measured[packages[1]])):
        a, b = statistics.median(old), statistics.median(new)
        print(f"{name:18}{a:12.3f}{b:12.3f}{a / b:9.1f}x")
    cosines = (before * after).sum(-1) / np.linalg.norm(before, axis=-1) / np.linalg.norm(after, axis=-1)
    print(f"{len(before)} texts, cosines of before and after: mean {cosines.mean():.6f}, least {cosines.min():.6f}")


if __name__ == "__main__":
    main()
