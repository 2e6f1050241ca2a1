#!/usr/bin/env python3
"""python_memory MODEL [--processes N] [--precision P]: what N processes that open the same model with the Python package take
together, against one: the proportional set size (PSS) of each after some calls, with and without share_weights. Prints the sums
and their ratio.

python_memory MODEL --leaks [--calls N] [--openings N] [--precision P]: whether the resident memory of one process stays flat
over calls of mixed sizes and kinds, and over openings of the model, each with a call. Prints it at the start, after each fifth,
and at the end how many bytes a call and an opening have cost since the first fifth, in which the buffers grow to their size.

Linux only."""

import argparse
import gc
import os
import subprocess
import sys

WORKER = """
import sys
from senvec import SentenceTransformer
model = SentenceTransformer(sys.argv[1], precision=sys.argv[2], share_weights=sys.argv[3] == "shared", threads=1)
model.encode(["a text of some words that is embedded, number %d" % i for i in range(200)])
print("ready", flush=True)
for line in sys.stdin:
    kinds = dict(line.split()[:2] for line in open("/proc/self/smaps_rollup") if "kB" in line)
    print(kinds["Pss:"], kinds["Rss:"], flush=True)
"""


def measure(arguments: argparse.Namespace, count: int, kind: str) -> tuple[float, float]:
    """PSS and RSS in MB, summed over `count` processes."""
    line = [sys.executable, "-c", WORKER, arguments.model, arguments.precision, kind]
    workers = [subprocess.Popen(line, stdin=subprocess.PIPE, stdout=subprocess.PIPE, text=True) for _ in range(count)]
    try:
        for worker in workers:
            if worker.stdout.readline() != "ready\n":
                sys.exit("python_memory: a process failed")
        sums = [0, 0]
        for worker in workers:
            worker.stdin.write("\n")
            worker.stdin.flush()
            sums = [old + int(new) for old, new in zip(sums, worker.stdout.readline().split())]
    finally:
        for worker in workers:
            worker.stdin.close()
            worker.wait()
    return sums[0] / 1024, sums[1] / 1024


def resident() -> int:
    """Bytes of this process in memory."""
    gc.collect()
    with open("/proc/self/statm", encoding="ascii") as file:
        return int(file.read().split()[1]) * os.sysconf("SC_PAGESIZE")


def mixed_call(model, index: int) -> None:
    """One of eight kinds of call, of 0 to 64 texts of 1 to 300 words."""
    kind, words = index % 8, "some words of a text that is embedded ".split() * 40
    texts = [" ".join(words[: 1 + (index * 7 + i * 13) % (300 if index % 97 == 0 else 20)]) for i in range(index % 6)]
    if kind == 0 and index % 400 == 0:
        texts = texts * 12 + ["a"] * 4
    try:
        if kind in (0, 1):
            model.encode(texts)
        elif kind in (2, 3):
            model.encode(texts[0] if texts else "a", normalize_embeddings=True)
        elif kind == 4:
            model.encode(texts, precision=("int8", "uint8", "binary", "ubinary")[index % 4])
        elif kind == 5:
            model.encode(texts[:2], output_value="token_embeddings")
        elif kind == 6:
            model.tokenize(texts)
        else:
            model.encode([*texts, None if index % 16 == 7 else "\ud800"])
    except (TypeError, ValueError):
        if kind != 7:
            raise


def flat(what: str, count: int, work) -> None:
    """Does work(index) `count` times and prints the resident memory at the start and after each fifth."""
    if count < 1:
        return
    sizes = [resident()]
    for index in range(count):
        work(index)
        if (index + 1) % max(count // 5, 1) == 0:
            sizes.append(resident())
    grown = sizes[-1] - sizes[1]
    print(f"{count} {what}: " + ", ".join(f"{size / 1e6:.2f}" for size in sizes) + f" MB; "
          f"since the first fifth {grown / 1e6:+.2f} MB, "
          f"{grown / (count * 0.8):+.2f} bytes each", flush=True)


def leaks(arguments: argparse.Namespace) -> None:
    from senvec import SentenceTransformer

    def opened(index: int) -> None:
        with SentenceTransformer(arguments.model, precision=arguments.precision, threads=1 + index % 2) as model:
            model.encode("a")

    with SentenceTransformer(arguments.model, precision=arguments.precision) as model:
        flat("calls", arguments.calls, lambda index: mixed_call(model, index))
    flat("openings", arguments.openings, opened)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--precision", default="int8")
    parser.add_argument("--leaks", action="store_true")
    parser.add_argument("--calls", type=int, default=100000)
    parser.add_argument("--openings", type=int, default=1000)
    arguments = parser.parse_args()
    if arguments.leaks:
        leaks(arguments)
        return
    for kind in ("own", "shared"):
        measure(arguments, 1, kind)  # makes the files
        one, many = measure(arguments, 1, kind), measure(arguments, arguments.processes, kind)
        print(f"{kind:6}  1 process: {one[0]:.1f} MB PSS, {one[1]:.1f} MB RSS; {arguments.processes}: {many[0]:.1f} MB PSS; "
              f"ratio {many[0] / one[0]:.2f}")


if __name__ == "__main__":
    main()
