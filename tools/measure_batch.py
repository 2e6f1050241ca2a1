#!/usr/bin/env python3
"""measure_batch COMMAND: figures of senvec.batch for docs/SCALE.md, on this machine; it should have nothing else to do.

    rate      rows per second and peak memory of senvec.batch from Parquet, beside `senvec embed` on the same texts, in turn
    repeats   what remembering texts saves where 60 % of them are repeats
    store     a second run that finds 99 % of its texts in a store
    estimate  what --estimate says of the files of --inputs, each once, beside the time that the run then takes
    kills     a run killed at random moments and resumed, beside one that wasn't; add --full-disk DIR, a small file system, for
              one that has no room

PYTHONPATH has to find the package, SENVEC_LIBRARY a library. --model takes a name or a folder; --texts how many texts.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import os
import random
import resource
import shutil
import signal
import subprocess
import sys
import tempfile
import time

import pyarrow as pa
import pyarrow.parquet

cpu_time = False
WORDS = ("the of and a to in is was for on with as by at from system river window light market open small green paper music "
         "train number city history water science people house garden method result value temperature pressure engine").split()


def text(rng: random.Random) -> str:
    """Mixed lengths: a median of about 12 words, some of hundreds."""
    return " ".join(rng.choices(WORDS, k=min(max(int(rng.lognormvariate(2.5, 0.9)), 1), 400)))


def corpus(path: str, count: int, distinct: int | None = None, seed: int = 1) -> None:
    """A Parquet file of `count` texts; with `distinct`, of so many different ones, in random order."""
    rng = random.Random(seed)
    pool = [f"{text(rng)} {index}" for index in range(distinct)] if distinct else None
    order = None
    if pool:
        order = list(range(distinct)) + [rng.randrange(distinct) for _ in range(count - distinct)]
        rng.shuffle(order)
    with pa.parquet.ParquetWriter(path, pa.schema([("id", pa.int64()), ("text", pa.string())]), compression="zstd") as writer:
        for first in range(0, count, 20_000):
            numbers = range(first, min(first + 20_000, count))
            made = [pool[order[row]] if pool else f"{text(rng)} {row}" for row in numbers]
            writer.write_table(pa.table({"id": list(numbers), "text": made}))


def batch_command(arguments: argparse.Namespace, source: str, out: str, *more: str) -> list[str]:
    return [sys.executable, "-m", "senvec.batch", source, "-o", out, "-m", arguments.model, "-p", arguments.precision,
            "--rows", str(arguments.rows), "--format", arguments.format, *more]


def run(line: list[str]) -> tuple[float, int, str]:
    """Seconds, peak resident bytes and last line of a process; with --cpu-time seconds of CPU, for a machine that is busy."""
    begin = time.monotonic()
    process = subprocess.Popen(line, stderr=subprocess.PIPE, stdout=subprocess.DEVNULL, text=True)
    said = process.stderr.read()
    _, status, usage = os.wait4(process.pid, 0)
    process.returncode = os.waitstatus_to_exitcode(status)
    if process.returncode:
        sys.exit(f"{' '.join(line)}: exit {process.returncode}: {said}")
    seconds = usage.ru_utime + usage.ru_stime if cpu_time else time.monotonic() - begin
    return seconds, usage.ru_maxrss * 1024, (said.strip().splitlines() or [""])[-1]


def digests(folder: str) -> dict[str, str]:
    found = {}
    for name in sorted(os.listdir(folder)):
        if name.endswith((".parquet", ".npy")):
            with open(os.path.join(folder, name), "rb") as file:
                found[name] = hashlib.file_digest(file, "sha256").hexdigest()
    return found


def measure_rate(arguments: argparse.Namespace, folder: str) -> None:
    source, lines = os.path.join(folder, "in.parquet"), os.path.join(folder, "in.jsonl")
    corpus(source, arguments.texts)
    reference = min(arguments.reference or arguments.texts, arguments.texts)
    left = reference
    with open(lines, "w", encoding="utf-8") as file:
        for piece in pa.parquet.ParquetFile(source).iter_batches(10_000, columns=["text"]):
            texts = piece.column(0).to_pylist()[:left]
            left -= len(texts)
            file.writelines(json.dumps({"text": one}) + "\n" for one in texts)
    best: dict[str, float] = {}
    for _ in range(arguments.rounds):
        for name, texts, line in (
            ("embed", reference, [arguments.command, "embed", "-q", "-m", arguments.model, "-p", arguments.precision,
                                  "--key", "text", lines, "-o", os.path.join(folder, "v.npy")]),
            ("batch", arguments.texts, batch_command(arguments, source, os.path.join(folder, "out"))),
        ):
            shutil.rmtree(os.path.join(folder, "out"), ignore_errors=True)
            seconds, peak, said = run(line)
            best[name] = max(best.get(name, 0), texts / seconds)
            print(f"{name}: {seconds:.1f} s, {texts / seconds:,.0f} texts/s, {peak / 1e6:.0f} MB at most; {said}",
                  flush=True)
    print(f"batch has {100 * best['batch'] / best['embed']:.1f} % of embed's rate, best of {arguments.rounds}")


def measure_repeats(arguments: argparse.Namespace, folder: str) -> None:
    source = os.path.join(folder, "in.parquet")
    corpus(source, arguments.texts, arguments.texts * 4 // 10)
    outs = [os.path.join(folder, name) for name in ("without", "with")]
    without, _, _ = run(batch_command(arguments, source, outs[0], "--repeats", "0"))
    with_them, _, said = run(batch_command(arguments, source, outs[1]))
    same = digests(outs[0]) == digests(outs[1])
    print(f"without {without:.1f} s, with {with_them:.1f} s: {100 - 100 * with_them / without:.1f} % less; "
          f"{'identical' if same else 'DIFFERENT'} files; {said}")


def measure_store(arguments: argparse.Namespace, folder: str) -> None:
    first, second, store = (os.path.join(folder, name) for name in ("first.parquet", "second.parquet", "store"))
    corpus(first, arguments.texts)
    table = pa.parquet.read_table(first)
    new = [f"{one} new" if row % 100 == 0 else one for row, one in enumerate(table.column("text").to_pylist())]
    pa.parquet.write_table(pa.table({"id": table.column("id"), "text": new}), second, row_group_size=20_000)
    outs = [os.path.join(folder, name) for name in ("a", "b", "c")]
    took = [run(batch_command(arguments, first, outs[0], "--store", store))]
    took.append(run(batch_command(arguments, second, outs[1], "--store", store)))
    took.append(run(batch_command(arguments, second, outs[2], "--repeats", "0")))
    start = run(batch_command(arguments, empty(folder), os.path.join(folder, "d")))[0]
    for name, (seconds, peak, said) in zip(("first", "second", "second without it"), took):
        print(f"{name}: {seconds:.1f} s, {peak / 1e6:.0f} MB at most; {said}")
    print(f"{took[2][0] / took[1][0]:.1f} times as fast, {(took[2][0] - start) / (took[1][0] - start):.1f} times without the "
          f"{start:.1f} s of starting; {'identical' if digests(outs[1]) == digests(outs[2]) else 'DIFFERENT'} files; "
          f"{os.path.getsize(store) / 1e6:.0f} MB of store")


def measure_estimate(arguments: argparse.Namespace, folder: str) -> None:
    start = run(batch_command(arguments, empty(folder), os.path.join(folder, "start")))[0]
    for index, given in enumerate(arguments.inputs):
        source, _, column = given.partition(":")
        column = column or "text"
        line = batch_command(arguments, source, os.path.join(folder, f"out{index}"), "--column", column)
        said = subprocess.run([*line, "--estimate"], capture_output=True, text=True, check=True).stdout
        parts = said.split("\n")[1].split("; ")
        value, unit = parts[1 if cpu_time else 0].split()[:2]
        seconds = float(value.replace(",", "")) * (3600 if unit == "hours" else 1)
        actual, _, last = run(line)
        print(f"{source}:{column}: estimate {seconds:.1f} s, actual {actual - start:.1f} s without the start of {start:.1f} s "
              f"({100 * seconds / (actual - start) - 100:+.1f} %), {last}\n{said}")


def empty(folder: str) -> str:
    path = os.path.join(folder, "empty.parquet")
    pa.parquet.write_table(pa.table({"id": pa.array([], pa.int64()), "text": pa.array([], pa.string())}), path)
    return path


def measure_kills(arguments: argparse.Namespace, folder: str) -> None:
    rng = random.Random(arguments.seed)
    source, whole = os.path.join(folder, "in.parquet"), os.path.join(folder, "whole")
    corpus(source, arguments.texts)
    seconds, _, _ = run(batch_command(arguments, source, whole))
    out = os.path.join(arguments.full_disk or folder, "killed")
    shutil.rmtree(out, ignore_errors=True)
    line = batch_command(arguments, source, out, "--resume")
    kills = 0
    while kills < arguments.kills:
        process = subprocess.Popen(line, stderr=subprocess.DEVNULL)
        try:
            process.wait(rng.uniform(0.3, 0.3 + 1.5 * seconds / arguments.kills + 1.0))
            if process.returncode == 0:  # done before its time: once more from the start, keeping the count
                print(f"done after {kills} kills; {'identical' if digests(out) == digests(whole) else 'DIFFERENT'}")
                shutil.rmtree(out)
        except subprocess.TimeoutExpired:
            process.send_signal(signal.SIGKILL)
            process.wait()
            kills += 1
    if arguments.full_disk:
        fill(arguments, line)
    _, _, said = run(line)
    same = digests(out) == digests(whole)
    left = sorted(name for name in os.listdir(out) if name not in digests(out))
    print(f"{kills} kills, then resumed: {'identical' if same else 'DIFFERENT'}, {len(digests(whole))} shards; besides: {left}")
    print(said)
    shutil.rmtree(out)
    if not same:
        sys.exit(1)


def fill(arguments: argparse.Namespace, line: list[str]) -> None:
    """Leaves little room on the disk and lets the run fail, again and again with more room."""
    ballast = os.path.join(arguments.full_disk, "ballast")
    for spare in (0, 100_000, 1_000_000, 3_000_000):
        facts = os.statvfs(arguments.full_disk)
        with open(ballast, "wb") as file:
            os.posix_fallocate(file.fileno(), 0, max(facts.f_bavail * facts.f_frsize - spare, 1))
        result = subprocess.run(line, capture_output=True, text=True)
        print(f"{spare:,} bytes left: exit {result.returncode}: {result.stderr.strip().splitlines()[-1:]}")
        os.unlink(ballast)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("what", choices=("rate", "repeats", "store", "estimate", "kills"))
    parser.add_argument("--model", required=True)
    parser.add_argument("--precision", default="int8", help="computed in [int8]")
    parser.add_argument("--texts", type=int, default=20_000)
    parser.add_argument("--reference", type=int, help="texts of `senvec embed`, for rate [all]")
    parser.add_argument("--rows", type=int, default=50_000, help="of a shard [50000]")
    parser.add_argument("--format", default="parquet", choices=("parquet", "npy"), help="of the shards [parquet]")
    parser.add_argument("--rounds", type=int, default=2)
    parser.add_argument("--kills", type=int, default=20)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--full-disk", metavar="DIR")
    parser.add_argument("--inputs", nargs="+", metavar="FILE:COLUMN")
    parser.add_argument("--command", default="senvec", help="the command, for rate")
    parser.add_argument("--cpu-time", action="store_true", help="compare seconds of CPU, not of the clock")
    parser.add_argument("--folder", help="for the files in between [a new one below the system's temporary one]")
    arguments = parser.parse_args()
    global cpu_time
    cpu_time = arguments.cpu_time
    resource.setrlimit(resource.RLIMIT_CORE, (0, 0))
    with tempfile.TemporaryDirectory(dir=arguments.folder) as folder:
        globals()[f"measure_{arguments.what}"](arguments, folder)


if __name__ == "__main__":
    main()
