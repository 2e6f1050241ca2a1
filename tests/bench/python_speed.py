#!/usr/bin/env python3
"""python_speed MODEL SENVEC [--texts FILE] [--count N] [--peers]: what the Python package costs over the engine, measured in
turn.

- strings to numpy of N texts (default 5,000), against `senvec embed` on the same texts (its own figure of texts a second)
- the same from 8 Python threads, against one
- one short text: encode() against the library's own call, which it makes
- import, and import to first vector, each in a new process
- an event loop that does nothing else while aencode() runs: its longest pause, with all threads and with one CPU left for the
  loop; and the longest without the time that the loop's thread had to wait for a CPU, which is not the GIL's doing
- with --peers: sentence-transformers in fp32, and OpenVINO in int8 with the texts sorted by length in batches of 32, on a part
  of the texts

Imports are timed as they are where a package is installed: with the modules compiled. FILE has one text a line; without it the
texts are made up, of the lengths of news (20 to 200 words)."""

import argparse
import asyncio
import os
import random
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from concurrent.futures import ThreadPoolExecutor

ROUNDS = 3


def make_texts(count: int) -> list[str]:
    chance = random.Random(7)
    words = ("the city said on monday that its new plan for roads and schools will cost more than expected while people who "
             "live near the river asked for a longer debate before any decision of the council").split()
    return [" ".join(chance.choices(words, k=chance.randint(20, 200))) for _ in range(count)]


def seconds(call) -> float:
    begin = time.perf_counter()
    call()
    return time.perf_counter() - begin


def in_process(code: str, *arguments: str) -> float:
    """Milliseconds that a new Python process says it took: the median of several, after one that compiles the modules."""
    line = [sys.executable, "-c", "import time; begin = time.perf_counter()\n" + code +
            "\nprint((time.perf_counter() - begin) * 1e3)", *arguments]
    with tempfile.TemporaryDirectory() as compiled:
        environment = {**os.environ, "PYTHONDONTWRITEBYTECODE": "", "PYTHONPYCACHEPREFIX": compiled}
        times = [float(subprocess.run(line, capture_output=True, text=True, check=True, env=environment).stdout)
                 for _ in range(10)]
    return statistics.median(times[1:])


def command_rate(arguments: argparse.Namespace, path: str) -> float:
    line = [arguments.senvec, "embed", "-m", arguments.model, "-p", "int8", path, "-o", path + ".npy"]
    result = subprocess.run(line, capture_output=True, text=True)
    found = re.search(r"([\d,.]+) texts/s", result.stderr)
    if result.returncode != 0 or not found:
        sys.exit(f"python_speed: {arguments.senvec} embed: {result.stderr}")
    os.unlink(path + ".npy")
    return float(found[1].replace(",", ""))


def short_text(model) -> None:
    from senvec._engine import embed_options

    engine, options = model._engine, embed_options(False, 0, None, 0)
    import numpy as np

    out = np.empty(engine.info.dimensions, np.float32)
    text = "a short query"
    plain, whole = [], []
    for _ in range(2000):
        plain.append(seconds(lambda: engine.embed_one(text.encode(), options, out.ctypes.data, len(out))))
        whole.append(seconds(lambda: model.encode(text)))
    print(f"one short text: encode {statistics.median(whole) * 1e6:.1f} us, "
          f"the library's call {statistics.median(plain) * 1e6:.1f} us (medians)")


def waited_for_cpu() -> float:
    """Seconds for which this thread was ready to run and had no CPU."""
    with open(f"/proc/self/task/{threading.get_native_id()}/schedstat", encoding="ascii") as file:
        return int(file.read().split()[1]) / 1e9


async def longest_pause(model, texts: list[str]) -> tuple[float, float]:
    """Seconds: the longest pause of the event loop, and the longest without the wait for a CPU."""
    longest, held, done = 0.0, 0.0, False

    async def watch() -> None:
        nonlocal longest, held
        last, waited = time.perf_counter(), waited_for_cpu()
        while not done:
            await asyncio.sleep(0.0005)
            now, wait = time.perf_counter(), waited_for_cpu()
            pause = now - last - 0.0005
            longest, held = max(longest, pause), max(held, pause - (wait - waited))
            last, waited = now, wait

    watcher = asyncio.create_task(watch())
    await model.aencode(texts)
    done = True
    await watcher
    return longest, held


def event_loop(arguments: argparse.Namespace, model, texts: list[str]) -> None:
    from senvec import SentenceTransformer

    rest = SentenceTransformer(arguments.model, precision="int8", threads=max(len(os.sched_getaffinity(0)) - 1, 1))
    rest.encode(texts[:200])
    for name, one in (("all threads", model), ("a CPU left", rest)):
        pauses = [asyncio.run(longest_pause(one, texts)) for _ in range(ROUNDS)]
        print(f"event loop, {name}: longest pause " + ", ".join(f"{longest * 1e3:.1f}" for longest, _ in pauses) +
              " ms, without the wait for a CPU " + ", ".join(f"{held * 1e3:.1f}" for _, held in pauses) + " ms")


def compare_peers(arguments: argparse.Namespace, model, texts: list[str]) -> None:
    import sentence_transformers

    from encoder_speed import CALIBRATION_TEXTS, open_openvino

    part = texts[:256]
    torch = sentence_transformers.SentenceTransformer(arguments.model, device="cpu")
    with tempfile.TemporaryDirectory() as folder:
        openvino = open_openvino(arguments.senvec, arguments.model, len(os.sched_getaffinity(0)), folder,
                                 texts[-CALIBRATION_TEXTS:])
        ordered = sorted(part, key=openvino.tokens)

        def in_batches() -> None:
            for first in range(0, len(ordered), 32):
                openvino.encode(ordered[first : first + 32])

        work = {"senvec int8": lambda: model.encode(part), "sentence-transformers fp32": lambda: torch.encode(part),
                "OpenVINO int8, sorted": in_batches}
        rates = {name: 0.0 for name in work}
        for call in work.values():
            call()
        for _ in range(ROUNDS):  # in turn
            for name, call in work.items():
                rates[name] = max(rates[name], len(part) / seconds(call))
    own = rates.pop("senvec int8")
    for name, rate in rates.items():
        print(f"{name}: {rate:.0f} texts/s of {len(part)}; senvec int8 {own:.0f}: {own / rate:.1f}x")


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("model")
    parser.add_argument("senvec")
    parser.add_argument("--texts")
    parser.add_argument("--count", type=int, default=5000)
    parser.add_argument("--peers", action="store_true")
    arguments = parser.parse_args()
    texts = make_texts(arguments.count)
    if arguments.texts:
        with open(arguments.texts, encoding="utf-8") as file:
            texts = [line.rstrip("\n") for line in file if line.strip()][: arguments.count]
    from senvec import SentenceTransformer

    model = SentenceTransformer(arguments.model, precision="int8")
    model.encode(texts[:200])
    with tempfile.NamedTemporaryFile("w", suffix=".txt", encoding="utf-8") as file:
        file.write("".join(text + "\n" for text in texts))
        file.flush()
        ours, command, threaded = [], [], []
        for _ in range(ROUNDS):
            ours.append(len(texts) / seconds(lambda: model.encode(texts)))
            command.append(command_rate(arguments, file.name))
            parts = [texts[i::8] for i in range(8)]
            with ThreadPoolExecutor(8) as pool:
                threaded.append(len(texts) / seconds(lambda: list(pool.map(model.encode, parts))))
    best = max(ours)
    print(f"{len(texts)} texts: encode {best:.0f} texts/s, senvec embed {max(command):.0f}: {best / max(command):.1%}"
          f" (median of pairs {statistics.median(a / b for a, b in zip(ours, command)):.1%}); best of {ROUNDS}")
    print(f"8 Python threads: {max(threaded):.0f} texts/s: {max(threaded) / best:.1%}")
    short_text(model)
    print(f"import: {in_process('import senvec'):.0f} ms; numpy alone {in_process('import numpy'):.0f} ms")
    first = "import sys; from senvec import SentenceTransformer; SentenceTransformer(sys.argv[1], precision='int8').encode('a')"
    print(f"import to first vector: {in_process(first, arguments.model):.0f} ms")
    event_loop(arguments, model, texts)
    if arguments.peers:
        compare_peers(arguments, model, texts)


if __name__ == "__main__":
    main()
