#!/usr/bin/env python3
"""What senvec serve reaches over HTTP with its defaults, the generator on the same CPUs, and whether that is what it should be.

    serve_rates.py MODEL_DIR [--build DIR] [--quick] [--parts grid,many,beside,overload,openai,start,cache]
                   [--overload-texts 1,10,32] [--overload-seconds S] [--second MODEL_DIR] [--json FILE]

grid: closed loops of 1 to 256 clients with 1 to 1,000 texts a request. many: 2,000 clients. beside: single texts beside bulk.
overload: three times the capacity in requests of 1, 10 and 32 texts, with defaults and with --max-wait 50ms; requests of more
than 8 texts may wait 60 times as long. openai: the real client with its defaults, where .venv/clients has it. start: starting,
and starting again after a kill. cache: new texts and half repeated ones, in turn; all other parts run without the cache. With
--second, also models: two models in one server and in two, in turn, and what letting one go gives back.

Percent is of `senvec embed`, which is measured again every few rows; a row is compared with the mean of the runs before and
after it. Run it on a machine that does nothing else: about eighteen minutes, with --quick under four.
"""
import argparse
import concurrent.futures
import json
import os
import re
import statistics
import subprocess
import sys
import tempfile
import threading
import time
from pathlib import Path

ROOT = Path(__file__).parents[2]
sys.path.insert(0, str(ROOT / "tests/server"))
import service  # noqa: E402

CLIENTS, TEXTS = (1, 4, 16, 64, 256), (1, 10, 32, 128, 1000)
QUICK = ((1, 1), (64, 1), (1, 32), (16, 10), (16, 32), (256, 32), (16, 1000))
INTERACTIVE_TEXTS, BULK_PATIENCE = 8, 60  # programs/batcher/request_queue.h
PARTS = ("grid", "many", "beside", "overload", "openai", "start", "cache", "models")
FAILED = ("refused", "timeout", "error_status", "no_connection", "connection_closed", "malformed_answer", "wrong_answer")
OPENAI = """
import asyncio, sys, time, openai
async def main(url, requests, texts):
    client = openai.AsyncOpenAI(base_url=url + "/v1", api_key="none")
    begin = time.monotonic()
    answers = await asyncio.gather(*[client.embeddings.create(model="m", input=["a few words of text"] * texts)
                                     for _ in range(requests)], return_exceptions=True)
    errors = [answer for answer in answers if isinstance(answer, Exception)]
    print(len(errors), time.monotonic() - begin, *{type(error).__name__ for error in errors})
asyncio.run(main(sys.argv[1], int(sys.argv[2]), int(sys.argv[3])))
"""


class Bench:
    def __init__(self, folder, quick):
        self.folder, self.quick = folder, quick
        self.server = self.second = None
        self.rows, self.missed = [], []

    def start(self, *arguments):
        """Seconds until it is ready."""
        self.stop()
        begin = time.monotonic()
        self.server = service.Service(*(arguments if "--cache" in arguments else ("--cache", 0, *arguments)))
        assert self.server.call("GET", "/health")[0] == 200
        return time.monotonic() - begin

    def stop(self):
        if self.server:
            self.server.process.kill()
            self.server.stop()
            self.server = None

    def begin_load(self, name, *arguments):
        command = [service.SENVEC, "load", self.server.address, "-q", "--timeout", "600", "--samples", "1", "--json",
                   self.folder / name, *map(str, arguments)]
        return subprocess.Popen(command, stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL)

    def end_load(self, name, process):
        """The last run of `senvec load`."""
        process.wait()
        return json.loads((self.folder / name).read_text())["runs"][-1]

    def load(self, *arguments):
        return self.end_load("load.json", self.begin_load("load.json", *arguments))

    def embed(self):
        """Texts a second of the command, without its start."""
        texts = re.findall(r'^    "(.*)",$', (ROOT / "programs/io/default_corpus.c").read_text(), re.M)
        source, times = self.folder / "texts.txt", []
        copies = (20, 220) if self.quick else (50, 650)
        for n in copies:
            source.write_text("\n".join(texts * n) + "\n")
            begin = time.monotonic()
            command = [service.SENVEC, "embed", "-q", "-m", service.MODEL, source, "-o", self.folder / "x.npy"]
            subprocess.run(command, check=True)
            times.append(time.monotonic() - begin)
        return (copies[1] - copies[0]) * len(texts) / (times[1] - times[0])

    def memory(self):
        """MB that the server has in memory."""
        return int(re.search(r"VmRSS:\s+(\d+)", Path(f"/proc/{self.server.process.pid}/status").read_text())[1]) / 1024

    def judge(self, part, what, fine):
        """Notes a result; `fine`: it is as it should be."""
        print(f"{'ok  ' if fine else 'MISS'} {what}", flush=True)
        self.rows.append({"part": part, "what": what, "ok": bool(fine)})
        if not fine:
            self.missed.append(what)


def failures(run):
    return {name: run["outcomes"][name] for name in FAILED if run["outcomes"].get(name)}


def p99(run):
    return run["latency_ms"]["p99"] or run["latency_ms"]["max"] or float("nan")


# ------------------------------------------------------------------------------------------------------------ closed loops

def seconds_for(bench, clients, texts):
    """Long enough that all clients get an answer, and for a rate."""
    round_s = clients * texts / bench.offline
    return max(1.2 if bench.quick else 4.0, (1.2 if bench.quick else 1.5) * round_s)


def closed_loops(bench, part, cells, memory=False):
    """Each cell between two runs of `senvec embed`, which neighbours share."""
    done, group = [], []

    def judge(before, after):
        offline = (before + after) / 2
        for clients, texts, run, size in group:
            percent = 100 * run["texts_per_s"] / offline
            least = 70 if texts == 1 else 90
            judged = clients * texts >= 2 and clients > 1 or texts >= 32  # a client alone with a text uses one CPU
            failed = failures(run)
            bench.judge(part, f"{clients:5} clients x {texts:4} texts: {run['texts_per_s']:6.0f} texts/s, {percent:5.1f} % of "
                        f"{offline:.0f} (least {least if judged else '-'}), p99 {p99(run):8.1f} ms"
                        f"{f', {size:.0f} MB' if memory else ''}{f', {failed}' if failed else ''}",
                        not failed and (not judged or percent >= least))
            done.append(percent)
        group.clear()

    before = bench.offline
    spent = 0.0
    for clients, texts in cells:
        seconds = seconds_for(bench, clients, texts)
        run = bench.load("--clients", clients, "--batch", texts, "--connections", max(1024, clients), "--warmup",
                         min(2.0, seconds / 4), "-d", seconds)
        group.append((clients, texts, run, bench.memory()))
        spent += seconds
        if spent > (4 if bench.quick else 15):
            bench.offline = bench.embed()
            judge(before, bench.offline)
            before, spent = bench.offline, 0.0
    if group:
        bench.offline = bench.embed()
        judge(before, bench.offline)
    return done


def grid(bench):
    cells = QUICK if bench.quick else [(c, t) for t in TEXTS for c in CLIENTS]
    bench.start()
    closed_loops(bench, "grid", cells)
    refused = {k: v for k, v in bench.server.metrics().items() if k.startswith("senvec_refused_total") and v}
    bench.judge("grid", f"refused in all: {refused or 0}", not refused)


def many(bench):
    bench.start()
    closed_loops(bench, "many", [(2000, 1)] if bench.quick else [(2000, 1), (2000, 32)], memory=True)


def beside(bench):
    seconds = 5 if bench.quick else 20
    bench.start()
    bulk = ("--clients", 4, "--batch", 32, "-d", seconds)
    before = bench.load(*bulk)["texts_per_s"]
    loader = bench.begin_load("bulk.json", *bulk)
    single = bench.load("--rate", 50, "--seed", 2, "-d", seconds - 1)
    with_singles = bench.end_load("bulk.json", loader)
    alone = (before + bench.load(*bulk)["texts_per_s"]) / 2
    share = 100 * with_singles["texts_per_s"] / alone
    failed = {**failures(single), **failures(with_singles)}
    bench.judge("beside", f"50 single texts a second beside 4 clients x 32: p50 {single['latency_ms']['p50']:.1f}, "
                f"p99 {p99(single):.1f} ms (most 50){f', {failed}' if failed else ''}", p99(single) <= 50 and not failed)
    bench.judge("beside", f"bulk meanwhile {with_singles['texts_per_s']:.0f} texts/s, {share:.1f} % of {alone:.0f} (least 85)",
                share >= 85)


# ---------------------------------------------------------------------------------------------------------------- overload

class Prober(threading.Thread):
    """Single texts from another address; one that is refused comes back as it was told."""

    def __init__(self, server):
        super().__init__()
        self.server, self.going = server, True
        self.told, self.served, self.again, self.wrong = [], 0, 0, []

    def ask(self, tries):
        status, headers, data = self.server.call("POST", "/v1/embeddings", {"input": "a few words"})
        if status == 200:
            self.served += tries > 0
            return
        if status != 429:
            self.wrong.append(f"status {status}")
            return
        seconds, ms = int(headers["retry-after"]), int(headers["retry-after-ms"])
        if not (seconds - 1) * 1000 < ms <= seconds * 1000 or f"{ms / 1000:.3f} s" not in json.loads(data)["error"]["message"]:
            self.wrong.append(f"{seconds} s, {ms} ms, {data}")
        if tries > 0:
            self.again += 1
        else:
            self.told.append(ms / 1000)
            time.sleep(ms / 1000)
            self.ask(1)

    def run(self):
        with concurrent.futures.ThreadPoolExecutor(32) as pool:
            while self.going:
                pool.submit(self.ask, 0)
                time.sleep(0.5)


def overload_by(bench, texts, arguments, bound):
    """Requests of `texts` texts that come three times as fast as they can be computed. `bound`: of p99 in ms, or None."""
    seconds = bench.overload_seconds or (10 if bench.quick else 60)
    bench.start(*arguments)
    closed = ("--clients", 64 if texts == 1 and not bound else 16, "--batch", texts, "-d", 2 if bench.quick else 5)
    before = bench.load(*closed)["texts_per_s"]
    rate, name = 3 * before / texts, " ".join(("overload", *arguments))
    sizes, prober = [bench.memory()], Prober(bench.server)
    prober.start()
    loader = bench.begin_load("over.json", "--rate", rate, "--batch", texts, "--connections", 8000, "--warmup", 3, "-d",
                              seconds)
    while loader.poll() is None:
        sizes.append(bench.memory())
        time.sleep(0.5)
    run = bench.end_load("over.json", loader)
    prober.going = False
    prober.join()
    after = bench.load(*closed)["texts_per_s"]
    capacity, outcomes = (before + after) / 2, run["outcomes"]
    percent = 100 * run["texts_per_s"] / capacity
    failed = {k: v for k, v in failures(run).items() if k != "refused"}
    bench.judge("overload", f"{name}, {rate:.0f} x {texts} texts/s for {seconds:g} s: {run['texts_per_s']:.0f} texts answered "
                f"a second, {percent:.1f} % of {capacity:.0f} (least 95), p99 {p99(run):.0f} ms"
                f"{f' (most {bound})' if bound else ''}, refused {outcomes.get('refused', 0)} of {run['requests']}"
                f"{f', {failed}' if failed else ''}",
                percent >= 95 and not failed and (not bound or p99(run) <= bound))
    settled = sizes[len(sizes) // 3:]
    if texts == 1:  # a queue of large requests takes longer to fill
        bench.judge("overload",
                    f"{name}: memory {sizes[0]:.0f} MB before, then {min(settled):.0f} to {max(settled):.0f} MB (within 5 %)",
                    max(settled) <= 1.05 * min(settled) + 1)
    told = f"{min(prober.told):.2f} to {max(prober.told):.2f} s" if prober.told else "never"
    bench.judge("overload", f"{name}: single texts beside it were told to come back in {told}; then {prober.served} of "
                f"{prober.served + prober.again} answered{f'; {prober.wrong[:2]}' if prober.wrong else ''}", not prober.wrong)


def overload(bench):
    for texts in bench.overload_texts:
        overload_by(bench, texts, (), None)
        overload_by(bench, texts, ("--max-wait", "50ms"), 50 if texts <= INTERACTIVE_TEXTS else 50 * BULK_PATIENCE)


# ------------------------------------------------------------------------------------------------------------------ others

def openai(bench):
    python = ROOT / ".venv/clients/bin/python"
    there = ["test", "-x", python], [python, "-c", "import openai"]
    if any(subprocess.run(command, stderr=subprocess.DEVNULL, check=False).returncode for command in there):
        print("SKIP openai: .venv/clients hasn't got it")
        return
    bench.start()
    for requests, texts in ((16, 32), (64, 32)) if bench.quick else ((16, 32), (64, 1), (256, 1), (100, 100), (64, 1000)):
        done = subprocess.run([python, "-c", OPENAI, bench.server.address, str(requests), str(texts)], capture_output=True,
                              text=True, check=True)
        errors, seconds, *kinds = done.stdout.split()
        bench.judge("openai", f"openai-python {requests} x {texts} at once: {errors} exceptions{' '.join(['', *kinds])} in "
                    f"{float(seconds):.1f} s", errors == "0")


def start(bench):
    times = [bench.start() for _ in range(3)]  # each but the first after a kill -9
    code = bench.server.stop()
    bench.server = None
    bench.judge("start", f"ready after {statistics.median(times):.3f} s; SIGTERM: exit code {code}", code == 0)


def cache(bench):
    """Throughput with half of the texts repeated over that with none, of the same server."""
    bench.start("--cache", 64)
    for clients, texts in ((4, 32), (32, 1)):
        common = ("--clients", clients, "--batch", texts, "--dialect", "openai-base64", "-d", 3 if bench.quick else 8)
        bench.load(*common, "--repeat", 1)  # the repeated texts are there
        ratios = []
        for _ in range(3):
            new, half = (bench.load(*common, "--repeat", part)["texts_per_s"] for part in (0, 0.5))
            ratios.append(half / new)
        ratio = statistics.median(ratios)
        bench.judge("cache", f"{clients} clients x {texts} texts, half of them repeated: {ratio:.2f} times {new:.0f} texts/s "
                    f"(least 1.8), all: {', '.join(f'{r:.2f}' for r in ratios)}", ratio >= 1.8)
    values = bench.server.metrics()
    bench.judge("cache", f"memory of the cache {values['senvec_cache_bytes'] / 1e6:.1f} MB",
                values["senvec_cache_bytes"] <= values["senvec_cache_limit_bytes"])


def cpu_seconds(servers):
    ticks = 0
    for server in servers:
        fields = Path(f"/proc/{server.process.pid}/stat").read_text().rsplit(")", 1)[1].split()
        ticks += int(fields[11]) + int(fields[12])
    return ticks / os.sysconf("SC_CLK_TCK")


def models(bench):
    """Two models under load at once: of one server, and of two that share the machine; then both idle.

    How the two share the time differs between one queue and two processes, so texts a second of a slow and a fast model can't
    be added. Each is counted in parts of what its model does alone, by the clock and by CPU time."""
    seconds = 3 if bench.quick else 10

    def loads(*servers):
        """Texts of each model, and the CPU time of the servers, a second."""
        processes, own = [], {server for server, _ in servers}
        begin = cpu_seconds(own)
        for i, (server, name) in enumerate(servers):
            command = [service.SENVEC, "load", server.address, "-q", "--clients", 4, "--batch", 32, "-d", seconds, "-m", name,
                       "--samples", 1, "--json", bench.folder / f"{i}.json"]
            processes.append(subprocess.Popen([*map(str, command)], stdout=subprocess.DEVNULL))
        for process in processes:
            process.wait()
        return [json.loads((bench.folder / f"{i}.json").read_text())["runs"][-1]["texts_per_s"]
                for i in range(len(servers))], (cpu_seconds(own) - begin) / seconds

    ratios, cpu_ratios = [], []
    for _ in range(3):
        bench.start("-m", f"second={bench.second}")
        first = bench.server.json("GET", "/info")[1]["model_id"]
        one, one_cpu = loads((bench.server, first), (bench.server, "second"))
        bench.start()
        with service.Service("--cache", 0, model=bench.second) as other:
            two, two_cpu = loads((bench.server, "any"), (other, "any"))
            alone = [loads((server, "any")) for server in (bench.server, other)]
        done = [sum(texts / rate[0] for texts, (rate, _) in zip(both, alone)) for both in (one, two)]
        used = [sum(texts / rate[0] * cpu for texts, (rate, cpu) in zip(both, alone)) / own_cpu
                for both, own_cpu in ((one, one_cpu), (two, two_cpu))]
        ratios.append(done[0] / done[1])
        cpu_ratios.append(used[0] / used[1])
    bench.judge("models", f"two models in one server: {statistics.median(ratios):.2f} times the work of two servers (least 1), "
                f"{statistics.median(cpu_ratios):.2f} times for each CPU second; all: "
                f"{', '.join(f'{r:.2f}' for r in ratios)}; {', '.join(f'{r:.2f}' for r in cpu_ratios)}",
                statistics.median(ratios) >= 1)
    bench.start("-m", f"second={bench.second}", "--idle-unload", "1s")
    for name in (None, "second"):
        bench.server.json("POST", "/v1/embeddings", {"input": ["a few words"] * 100, **({"model": name} if name else {})})
    there = bench.memory()
    bench.server.wait_for(lambda values: not any(v for k, v in values.items() if k.startswith("senvec_model_loaded")))
    time.sleep(1)
    gone = bench.memory()
    bench.judge("models", f"memory with both {there:.0f} MB, with none {gone:.0f} MB (most four tenths)", gone <= 0.4 * there)


def main():
    parser = argparse.ArgumentParser()
    parser.add_argument("model")
    parser.add_argument("--build", type=Path, default=ROOT / "build/release")
    parser.add_argument("--quick", action="store_true")
    parser.add_argument("--parts", default=",".join(PARTS[:-1]))
    parser.add_argument("--overload-texts", default="1,10,32", help="texts a request")
    parser.add_argument("--overload-seconds", type=float, help="of each of the runs; default: 60, with --quick 10")
    parser.add_argument("--second")
    parser.add_argument("--json", type=Path)
    options = parser.parse_args()
    service.MODEL, service.SENVEC = options.model, options.build / "senvec"
    parts = [*options.parts.split(","), *(["models"] if options.second and "models" not in options.parts else [])]
    assert set(parts) <= set(PARTS), f"parts are {','.join(PARTS)}"
    with tempfile.TemporaryDirectory() as name:
        bench = Bench(Path(name), options.quick)
        bench.second = options.second
        bench.overload_texts = [int(texts) for texts in options.overload_texts.split(",")]
        bench.overload_seconds = options.overload_seconds
        try:
            bench.offline = bench.embed()
            print(f"senvec embed: {bench.offline:.0f} texts/s", flush=True)
            for part in parts:
                globals()[part](bench)
        finally:
            bench.stop()
    if options.json:
        options.json.write_text(json.dumps(bench.rows, indent=1))
    print(f"{len(bench.rows) - len(bench.missed)} of {len(bench.rows)} as they should be")
    return bool(bench.missed)


if __name__ == "__main__":
    sys.exit(main())
