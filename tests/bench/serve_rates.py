#!/usr/bin/env python3
"""serve_rates MODEL_DIR [BUILD] [OVERLOAD_SECONDS]: what senvec serve reaches over HTTP, the generator on the same machine.

Percent is of `senvec embed` on texts of the same kind, measured before and after. Run it on a machine that does nothing else.
Takes about two minutes with an overload of 60 s.
"""
import json
import re
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests/server"))
import service  # noqa: E402

SECONDS = "6"


class Bench:
    def __init__(self, folder):
        self.folder = folder
        self.server = None  # once it was started

    def start(self):
        """Seconds until it is ready."""
        begin = time.monotonic()
        self.server = service.Service()
        assert self.server.call("GET", "/health")[0] == 200
        return time.monotonic() - begin

    def load(self, *arguments, seconds=SECONDS):
        """The last run of `senvec load`."""
        path = self.folder / "load.json"
        command = [service.SENVEC, "load", self.server.address, "-q", "-d", str(seconds), "--json", path, *map(str, arguments)]
        subprocess.run(command, stdout=subprocess.DEVNULL, check=False)
        return json.loads(path.read_text())

    def embed(self):
        """Texts a second of the command, without its start."""
        texts = re.findall(r'^    "(.*)",$', (ROOT / "programs/io/default_corpus.c").read_text(), re.M)
        source = self.folder / "texts.txt"
        times = []
        for copies in (50, 1050):
            source.write_text("\n".join(texts * copies) + "\n")
            begin = time.monotonic()
            command = [service.SENVEC, "embed", "-q", "-m", service.MODEL, source, "-o", self.folder / "x.npy"]
            subprocess.run(command, check=True)
            times.append(time.monotonic() - begin)
        return 1000 * len(texts) / (times[1] - times[0])

    def memory(self):
        """MB that the server has in memory."""
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.server.process.pid}/status").read_text())[1]) / 1024


def p99(run):
    return run["latency_ms"]["p99"] or float("nan")


def search(bench, bound, first):
    return bench.load("--p99", bound, "--rate", first, seconds=4)["search"]["best_rate"]


def overload(bench, rate, seconds):
    """Three times `rate` for a while, and what comes in the second after."""
    sizes, going = [], True

    def watch():
        while going:
            sizes.append(bench.memory())
            time.sleep(1)
    thread = threading.Thread(target=watch)
    thread.start()
    run = bench.load("--rate", 3 * rate, "--samples", 1, seconds=seconds)["runs"][-1]
    after = bench.load("--clients", 32, "--warmup", 0, "--samples", 1, seconds=1)["runs"][-1]
    going = False
    thread.join()
    outcomes = run["outcomes"]
    print(f"overload, {3 * rate:.0f}/s for {seconds:g} s: {run['texts_per_s']:.0f} answered a second, p99 {p99(run):.1f} ms; "
          f"{outcomes}")
    thirds = [max(sizes[len(sizes) * i // 3:len(sizes) * (i + 1) // 3]) for i in range(3)]
    print(f"  memory {sizes[0]:.1f} MB before, by thirds of the time at most {', '.join(f'{size:.1f}' for size in thirds)}")
    print(f"  the second after: {after['texts_per_s']:.0f} texts/s of 32 clients, p99 {p99(after):.1f} ms")


def measure(bench, seconds):
    embed = bench.embed()
    print(f"ready after {bench.start():.3f} s")
    batch = bench.load("--clients", 4, "--batch", 32)["runs"][-1]
    single = bench.load("--clients", 32)["runs"][-1]
    embed = (embed + bench.embed()) / 2
    print(f"senvec embed: {embed:.0f} texts/s")
    for what, run in (("4 clients, 32 texts a request", batch), ("32 clients, a text each", single)):
        print(f"{what}: {run['texts_per_s']:.0f} texts/s, {100 * run['texts_per_s'] / embed:.0f} %, p99 {p99(run):.1f} ms")
    rate = search(bench, 50, 0.6 * embed)
    print(f"highest Poisson rate, p99 within 50 ms: {rate:.0f}/s; within 10 ms: {search(bench, 10, 0.4 * embed):.0f}/s")
    print(f"open loop at 70 % of the first: p99 {p99(bench.load('--rate', 0.7 * rate)['runs'][-1]):.1f} ms")
    overload(bench, rate, seconds)
    bench.server.process.kill()
    bench.server.stop()
    print(f"killed (-9) and started again: ready after {bench.start():.3f} s")
    print(f"SIGTERM: exit code {bench.server.stop()}")


def main():
    service.MODEL = sys.argv[1]
    service.SENVEC = Path(sys.argv[2] if len(sys.argv) > 2 else ROOT / "build/release") / "senvec"
    seconds = float(sys.argv[3]) if len(sys.argv) > 3 else 60
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name))
        try:
            measure(bench, seconds)
        finally:
            if bench.server:
                bench.server.process.kill()


if __name__ == "__main__":
    main()
