#!/usr/bin/env python3
"""study_agreement DIR DIR: do two runs of the same study agree within their intervals?

Compares the study.json of both: of every configuration texts/s, the ratio to the baseline and the median latency, of every
batch size and text length texts/s or the median, and the mean cosine. Two estimates agree if their 95 % intervals overlap; a
median's interval is a bootstrap over the rounds that its calls were spread over, as the one of texts/s is. Cosines agree to
five digits, as no noise is in them. Prints what doesn't agree and a count of each kind; exit code 1 if anything doesn't.

With so many comparisons of noisy numbers a few misses are chance on a steady machine, and one that was noisy says so in its
warnings. A ratio to the baseline is the steadier measure, since both of its sides had the same minutes.
"""
import json
import random
import sys
from collections import Counter
from pathlib import Path

RESAMPLES = 500


def median_interval(samples, rounds, seed):
    """(value, low, high) of the median, by resampling whole rounds."""
    if len(samples) < 20:
        return None
    rounds = max(2, min(rounds, len(samples)))
    parts = [samples[len(samples) * i // rounds:len(samples) * (i + 1) // rounds] for i in range(rounds)]
    numbers = random.Random(seed)

    def median(values):
        return sorted(values)[(len(values) - 1) // 2]
    found = sorted(median([x for part in numbers.choices(parts, k=rounds) for x in part]) for _ in range(RESAMPLES))
    return median(samples), found[round(0.025 * RESAMPLES)], found[round(0.975 * RESAMPLES) - 1]


def estimate(entry):
    """(value, low, high) of an estimate in study.json; None where it wasn't measured."""
    return (entry["value"], entry["low"], entry["high"]) if entry and entry["value"] is not None else None


def figures(study):
    """{(kind, what): (value, low, high)} of everything that has an interval."""
    options = study["options"]
    out = {}
    for row in study["configurations"]:
        if row["state"] != "measured":
            continue
        name = row["name"]
        out["texts/s", name] = estimate(row["throughput"]["texts_per_s"])
        if name != study["baseline"]:
            out["x baseline", name] = estimate(row["throughput"]["speedup"])
        out["p50 (ms)", name] = median_interval(row["latency"]["samples_ms"], options["rounds"], options["seed"])
        for key in ("validation", "validation_wide"):
            cosine = row[key]["cosine_mean"]
            if cosine is not None:
                out["cosine", f"{name}, {key}"] = (cosine, cosine - 5e-6, cosine + 5e-6)
    for entry in study["series"]:
        what = f"{entry['configuration']}, {entry['texts']}, batch {entry['batch']}"
        out[f"{entry['kind']}: texts/s", what] = estimate(entry["throughput"]["texts_per_s"])
        out[f"{entry['kind']}: p50 (ms)", what] = median_interval(entry["latency"]["samples_ms"], 4, options["seed"])
    return {key: value for key, value in out.items() if value}


def differences(one, other):
    """Why the two may not be runs of the same study."""
    for name, key in (("CPU", lambda s: s["environment"]["machine"]["cpu"]),
                      ("number of threads", lambda s: s["options"]["threads"]),
                      ("model", lambda s: s["environment"]["model"]["files"]),
                      ("set of texts", lambda s: s["environment"]["texts"]),
                      ("version of senvec", lambda s: s["senvec_version"])):
        if key(one) != key(other):
            yield f"not the same study: another {name}"


def main():
    if len(sys.argv) != 3:
        sys.exit(__doc__.partition("\n")[0])
    studies = []
    for folder in sys.argv[1:]:
        try:
            studies.append(json.loads((Path(folder) / "study.json").read_text(encoding="utf-8")))
        except (OSError, ValueError) as error:
            print(f"study_agreement: {folder}: {error}", file=sys.stderr)
            sys.exit(2)
    for line in differences(*studies):
        print(line)
    one, other = map(figures, studies)
    compared, missed = Counter(), Counter()
    for key in one:
        if key not in other:
            continue
        (a, a_low, a_high), (b, b_low, b_high) = one[key], other[key]
        compared[key[0]] += 1
        if a_low > b_high or b_low > a_high:
            missed[key[0]] += 1
            digits = ".6f" if key[0] == "cosine" else ".4g"
            print(f"{key[0]}, {key[1]}: {a:{digits}} ({a_low:{digits}} to {a_high:{digits}}) and "
                  f"{b:{digits}} ({b_low:{digits}} to {b_high:{digits}}), {100 * (b / a - 1):+.1f} %")
    for kind, what in sorted(one.keys() ^ other.keys()):
        print(f"{kind}, {what}: in one of them only")
    for kind, count in compared.items():
        print(f"{kind}: {count - missed[kind]} of {count} agree")
    if not compared:
        print("nothing to compare")
    sys.exit(1 if missed or not compared or one.keys() ^ other.keys() else 0)


if __name__ == "__main__":
    main()
