#!/usr/bin/env python3
"""python_memory MODEL [--processes N] [--precision P]: what N processes that open the same model with the Python package take
together, against one: the proportional set size (PSS) of each after some calls, with and without share_weights. Prints the sums
and their ratio. Linux only."""

import argparse
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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("model")
    parser.add_argument("--processes", type=int, default=4)
    parser.add_argument("--precision", default="int8")
    arguments = parser.parse_args()
    for kind in ("own", "shared"):
        measure(arguments, 1, kind)  # makes the files
        one, many = measure(arguments, 1, kind), measure(arguments, arguments.processes, kind)
        print(f"{kind:6}  1 process: {one[0]:.1f} MB PSS, {one[1]:.1f} MB RSS; {arguments.processes}: {many[0]:.1f} MB PSS; "
              f"ratio {many[0] / one[0]:.2f}")


if __name__ == "__main__":
    main()
