#!/usr/bin/env python3
"""load_accuracy [BUILD]: how far `senvec load` is from the truth: percentiles that it reports against the delays that a stub
server really drew, what a second's stall does, and the CPU time that a request costs it. On a machine that does nothing else.
"""
import json
import math
import subprocess
import sys
import tempfile
from pathlib import Path

SECONDS, RATE = 5, 2000


def measure(build, options, arguments, folder):
    """(delays in ms without the probe's, the run of the JSON result)."""
    log, result = folder / "delays", folder / "load.json"
    server = subprocess.Popen([build / "stub_server", *options, "--log", log], stdin=subprocess.PIPE, stdout=subprocess.PIPE,
                              text=True)
    url = f"http://127.0.0.1:{int(server.stdout.readline())}"
    subprocess.run([build / "senvec", "load", url, "-q", "--json", result, "-d", str(SECONDS), "--warmup", "0", *arguments],
                   stdout=subprocess.DEVNULL, check=False)
    server.stdin.close()
    server.wait()
    return [float(line) for line in log.read_text().splitlines()[1:]], json.loads(result.read_text())["runs"][0]


def percentile(samples, percent):
    ordered = sorted(samples)
    return ordered[max(1, math.ceil(percent / 100 * len(ordered) - 1e-9)) - 1]


def main():
    build = Path(sys.argv[1] if len(sys.argv) > 1 else "build/release").resolve()
    worst = 0
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        print(f"{RATE} requests/s, Poisson, {SECONDS} s each\ndelay             percentile    drawn     reported  difference")
        for delay in ("fixed:20", "uniform:5:50", "exponential:20"):
            drawn, run = measure(build, ["--delay", delay], ["--rate", str(RATE)], folder)
            for percent in ("p50", "p95", "p99", "p99.9"):
                true, reported = percentile(drawn, float(percent[1:])), run["latency_ms"][percent]
                worst = max(worst, reported / true - 1) if percent != "p99.9" else worst
                print(f"{delay:17} {percent:10} {true:8.2f} ms {reported:8.2f} ms {100 * (reported / true - 1):8.2f} %")
            cost = 1e6 * run["generator_cpu_s"] / run["requests"]
            print(f"  {'VALID' if run['valid'] else 'INVALID: ' + '; '.join(run['reasons'])}; sent late by "
                  f"{run['generator']['late_p99_ms']:.2f} ms at p99; {cost:.0f} us of CPU time a request")
        print("\na stall of 1 s in 5 s, 1 ms delay otherwise: a fifth of the requests is due in it, evenly")
        for loop in (["--rate", "1000", "--constant"], ["--clients", "4"]):
            _, run = measure(build, ["--delay", "fixed:1", "--stall", "2000:1"], loop, folder)
            latency = run["latency_ms"]
            figures = ", ".join(f"{name} {latency[name]:.1f}" for name in ("p50", "p95", "p99", "max"))
            print(f"  {' '.join(loop):24} {figures} ms")
    print(f"\nlargest difference of p50, p95 and p99: {100 * worst:.2f} %")
    return worst > 0.02


if __name__ == "__main__":
    sys.exit(main())
