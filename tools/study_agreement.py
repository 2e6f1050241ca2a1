#!/usr/bin/env python3
"""study_agreement DIR DIR: do two runs of the same study agree within their intervals?

Compares the study.json of both: of every configuration texts/s, the ratio to the baseline and the median latency, of every
batch size and text length texts/s or the median, and the mean cosine. Two estimates agree if their 95 % intervals overlap.
Cosines agree to five digits, as no noise is in them; the highest rate under load, which has no interval, to a tenth. Prints
what doesn't agree and a count of each kind; exit code 1 if anything doesn't.

Of 200 pairs of intervals of the same truth one doesn't overlap by chance, and a machine that was noisy says so in its warnings.
A ratio to the baseline is the steadier measure, since both of its sides had the same minutes.
"""
import json
import sys
from collections import Counter
from pathlib import Path


def estimate(entry, part=0):
    """(value, low, high) of an estimate in study.json; None where it wasn't measured. `part`: of the value, around it."""
    if not entry or entry["value"] is None:
        return None
    return (entry["value"], entry["low"] - part / 2 * entry["value"], entry["high"] + part / 2 * entry["value"])


def median(latency):
    """The same of a median."""
    values = tuple(latency.get(key) for key in ("p50_ms", "p50_low_ms", "p50_high_ms"))
    return None if None in values else values


def figures(study):
    """{(kind, what): (value, low, high)} of everything that has an interval."""
    out = {}
    for row in study["configurations"]:
        if row["state"] != "measured":
            continue
        name = row["name"]
        if row["runtime"] == "batcher":  # latency at another rate can't be compared
            out["texts/s under load", name] = estimate(row["throughput"]["texts_per_s"], 0.1)
            continue
        out["texts/s", name] = estimate(row["throughput"]["texts_per_s"])
        if name != study["baseline"]:
            out["x baseline", name] = estimate(row["throughput"]["speedup"])
        out["p50 (ms)", name] = median(row["latency"])
        for key in ("validation", "validation_wide"):
            cosine = row[key]["cosine_mean"]
            if cosine is not None:
                out["cosine", f"{name}, {key}"] = (cosine, cosine - 5e-6, cosine + 5e-6)
    for entry in study["series"]:
        what = f"{entry['configuration']}, {entry['texts']}, batch {entry['batch']}"
        out[f"{entry['kind']}: texts/s", what] = estimate(entry["throughput"]["texts_per_s"])
        out[f"{entry['kind']}: p50 (ms)", what] = median(entry["latency"])
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
