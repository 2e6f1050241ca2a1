#!/usr/bin/env python3
"""simulate_scale: a job of many shards on many machines, some slow, some taken away: when it ends, and what is computed twice.

Two ways to give out work: `fixed`, in which machine i does every n-th shard (senvec.batch --shard i/n, no coordinator), and
`queue`, in which each takes the next one (Spark, Ray, or a list of shards in a queue). A machine that is taken away comes
back, or another in its place, after a while; the shard that it had in hand is begun again, what it had finished stays
(--resume). The times are drawn with a fixed seed; figures of docs/SCALE.md are from here.
"""

from __future__ import annotations

import argparse
import heapq
import random


def shard_hours(arguments: argparse.Namespace, rows: int, rng: random.Random) -> list[float]:
    """Hours of each shard on a machine of normal speed: equal on average, with the spread of its texts' lengths. Files of
    one kind stand together, so a shard's texts are alike to a degree: `skew` is the deviation of a shard's mean length."""
    count = -(-arguments.texts // rows)
    hours = [rng.lognormvariate(-arguments.skew**2 / 2, arguments.skew) * rows / arguments.rate / 3600 for _ in range(count)]
    return hours


def simulate(arguments: argparse.Namespace, rows: int, way: str, seed: int) -> tuple[float, float]:
    """Hours until the last shard is done, and machine hours that were lost, as a share of those that were of use."""
    rng = random.Random(seed)
    work = shard_hours(arguments, rows, rng)
    machines = arguments.machines
    speed = [arguments.slow if rng.random() < arguments.slow_share else 1.0 for _ in range(machines)]
    mine = [list(range(machine, len(work), machines))[::-1] for machine in range(machines)]
    shared = list(range(len(work)))[::-1]
    lost = 0.0
    events = [(0.0, machine) for machine in range(machines)]
    gone = [rng.expovariate(arguments.preempted) if arguments.preempted else float("inf") for _ in range(machines)]
    heapq.heapify(events)
    end = 0.0
    while events:
        now, machine = heapq.heappop(events)
        pool = shared if way == "queue" else mine[machine]
        if not pool:
            continue
        shard = pool.pop()
        done = now + work[shard] / speed[machine]
        if done > gone[machine]:
            lost += gone[machine] - now
            pool.append(shard)
            back = max(gone[machine], now) + arguments.away
            gone[machine] = back + rng.expovariate(arguments.preempted)
            heapq.heappush(events, (back, machine))
            continue
        end = max(end, done)
        heapq.heappush(events, (done, machine))
    return end, lost / sum(work)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--texts", type=int, default=10**9)
    parser.add_argument("--rate", type=float, default=3600, help="texts a second of a machine [3600: two cores, 22 tokens]")
    parser.add_argument("--machines", type=int, default=100)
    parser.add_argument("--slow-share", type=float, default=0.05, help="of machines [0.05]")
    parser.add_argument("--slow", type=float, default=0.5, help="their speed [0.5]")
    parser.add_argument("--preempted", type=float, default=0.2, help="times that a machine is taken away, an hour [0.2]")
    parser.add_argument("--away", type=float, default=0.1, help="hours until it is back [0.1]")
    parser.add_argument("--skew", type=float, default=0.5, help="deviation of the logarithm of a shard's mean length [0.5]")
    parser.add_argument("--runs", type=int, default=5)
    arguments = parser.parse_args()
    ideal = arguments.texts / arguments.rate / 3600 / arguments.machines
    print(f"{ideal:.2f} hours if all machines were quick and stayed, median of {arguments.runs}")
    print("| rows of a shard | way | hours | of the ideal | computed twice |\n|---|---|---|---|---|")
    for rows in (10_000, 50_000, 500_000, 5_000_000):
        for way in ("fixed", "queue"):
            made = sorted(simulate(arguments, rows, way, seed) for seed in range(arguments.runs))
            hours, lost = made[len(made) // 2]
            print(f"| {rows:,} | {way} | {hours:.2f} | {hours / ideal:.2f} | {100 * lost:.2f} % |")


if __name__ == "__main__":
    main()
