"""make_study DIRECTORY [SEED [--whole]]: writes the result files of a study that never ran, for tests of the report.

Every kind of row that the page has to show is there: measured ones of each runtime, one that failed, one that is missing; with
--whole all are measured. The numbers are drawn at random around made-up speeds; they measure nothing.
"""
import json
import math
import random
import sys
from pathlib import Path

# name, runtime, precision, texts/s, 1 - cosine
KINDS = [
    ("PyTorch", "torch", "fp32", 60, 0), ("ONNX Runtime", "onnxruntime", "fp32", 110, 1e-7),
    ("ONNX + INT8", "onnxruntime", "int8", 190, 5e-3), ("OpenVINO INT8", "openvino", "int8", 210, 2e-3),
    ("senvec fp32", "senvec", "fp32", 150, 1e-7), ("senvec bf16", "senvec", "bf16", 200, 3e-5),
    ("senvec int8", "senvec", "int8", 300, 4e-4),
]
ROUNDS = 5
TEXTS, TEXTS_WIDE = 60, 90
TOKENS = 15  # a text of the corpus
MACS = 10616832
LENGTHS = {"query": 5, "80 tokens": 85, "256 tokens": 256}
NO_LATENCY = {"calls": 0, "mean_ms": None, "min_ms": None, "max_ms": None, "deviation_ms": None, "p50_ms": None,
              "p50_low_ms": None, "p50_high_ms": None, "p95_ms": None, "p99_ms": None, "p99_9_ms": None,
              "p50_ms_per_text": None, "block_calls": [], "samples_ms": []}
NO_VECTORS = {"texts": 0, "cosine_mean": None, "cosine_min": None, "cosine_p1": None, "pairwise_error_max": None,
              "pairwise_error_mean": None, "neighbours": None, "cosines": []}


def percentile(values, percent):
    ordered = sorted(values)
    return ordered[max(0, math.ceil(percent / 100 * len(ordered)) - 1)]


def estimate(value, part):
    return {"value": value, "low": value * (1 - part), "high": value * (1 + part)}


def nothing(kind, batch, state, reason):
    name, runtime, precision, _, _ = kind
    empty = {"value": None, "low": None, "high": None}
    return {
        "name": f"{name} (single)" if batch == 1 else f"{name} (batch={batch})", "runtime": runtime, "precision": precision,
        "step": "a step", "batch": batch, "state": state, "reason": reason, "worker": None, "load_seconds": None,
        "model_bytes": 0, "peak_rss_bytes": 0, "corpus_tokens": 0, "latency": NO_LATENCY,
        "throughput": {"blocks": [], "texts_per_s": empty, "tokens_per_s": None, "spread": None, "speedup": empty,
                       "speedup_same_batch": empty, "gmacs_per_s": None, "peak_percent": None},
        "validation": NO_VECTORS, "validation_wide": NO_VECTORS, "sts_spearman": None,
        "cost": {"usd_per_1k_texts": None, "usd_per_1m_texts": None, "usd_per_1m_tokens": None, "saving": None},
        "use_cases": dict.fromkeys(("query_ms", "query_p95_ms", "listing_ms", "listing_p95_ms", "reindex_1m_hours",
                                    "reindex_1m_usd")),
    }


def latency(random, milliseconds, batch, calls=200):
    samples = [milliseconds * random.lognormvariate(0, 0.1) for _ in range(calls)]
    middle = percentile(samples, 50)
    return {"calls": calls, "mean_ms": sum(samples) / calls, "min_ms": min(samples), "max_ms": max(samples),
            "deviation_ms": 1.0, "p99_9_ms": None, **{f"p{p}_ms": percentile(samples, p) for p in (50, 95, 99)},
            "p50_low_ms": 0.97 * middle, "p50_high_ms": 1.03 * middle, "p50_ms_per_text": middle / batch,
            "block_calls": [calls // ROUNDS] * ROUNDS, "samples_ms": samples}


def validation(random, distance, texts):
    cosines = [1 - min(0.5, distance * random.lognormvariate(0, 0.6)) for _ in range(texts)]
    return {"texts": texts, "cosine_mean": sum(cosines) / texts, "cosine_min": min(cosines),
            "cosine_p1": percentile(cosines, 1), "pairwise_error_max": distance, "pairwise_error_mean": distance / 3,
            "neighbours": 1 - 10 * distance,
            "recall_at_10": {"float16": 1.0, "int8": 0.99, "binary": 0.71, "half": 0.83, "quarter": 0.68},
            "cosines": cosines}


def row(kind, batch, random, baseline):
    _, runtime, precision, rate, distance = kind
    rate *= 1 if batch == 1 else 2.5
    out = nothing(kind, batch, "measured", "")
    out.update(worker={"versions": {runtime: "1.2.3"}, "threads": 2}, load_seconds=0.5, model_bytes=90868376,
               corpus_tokens=TOKENS * TEXTS, peak_rss_bytes=int(random.uniform(150, 900)) << 20,
               latency=latency(random, 1000 * batch / rate, batch), sts_spearman=0.8 - distance)
    blocks = []
    for number in range(ROUNDS):
        texts = int(rate)
        blocks.append({"round": number, "position": 0, "calls": texts // batch, "texts": texts, "tokens": TOKENS * texts,
                       "seconds": texts / rate * random.uniform(0.95, 1.05), "steal": 0.0, "idle_cpu": 0.0})
    out["throughput"].update(blocks=blocks, texts_per_s=estimate(rate, 0.03), tokens_per_s=TOKENS * rate, spread=0.03,
                             speedup=estimate(rate / baseline, 0.02), speedup_same_batch=estimate(rate / baseline, 0.02),
                             gmacs_per_s=TOKENS * rate * MACS / 1e9)
    peak = {"fp32": 60, "bf16": 110, "int8": 200}[precision]
    out["throughput"]["peak_percent"] = 100 * out["throughput"]["gmacs_per_s"] / peak
    out.update(validation=validation(random, distance, TEXTS), validation_wide=validation(random, 1.5 * distance, TEXTS_WIDE))
    usd = 0.05 / 3600 * 1e6 / rate
    out["cost"] = {"usd_per_1k_texts": usd / 1000, "usd_per_1m_texts": usd, "usd_per_1m_tokens": usd / TOKENS,
                   "saving": 1 - baseline / rate}
    out["use_cases"].update(reindex_1m_hours=1e6 / rate / 3600, reindex_1m_usd=usd)
    if batch == 1:
        for name, tokens in (("query", 5), ("listing", 85)):
            wait = 1000 / rate * tokens / TOKENS
            out["use_cases"].update({f"{name}_ms": wait, f"{name}_p95_ms": 1.3 * wait})
    return out


def series(random, rows):
    """Batch sizes of the rows that are swept, texts of other lengths of all."""
    out = []
    for row in (row for row in rows if row["state"] == "measured" and row["runtime"] != "batcher"):
        rate = row["throughput"]["texts_per_s"]["value"]
        common = {"configuration": row["name"], "latency": NO_LATENCY}
        for batch in (1, 4, 8, 16, 32, 64) if row["batch"] > 1 and row["runtime"] in ("torch", "senvec") else ():
            speed = rate * (0.4 + math.log2(batch) / 8)
            out.append({"kind": "sweep", "texts": "corpus", "batch": batch, "tokens_per_text": TOKENS, **common,
                        "throughput": {"blocks": [], "texts_per_s": estimate(speed, 0.04), "tokens_per_s": speed * TOKENS}})
        for name, tokens in LENGTHS.items():
            entry = {"kind": "length", "texts": name, "batch": row["batch"], "tokens_per_text": tokens, **common}
            speed = rate * TOKENS / tokens
            if row["batch"] == 1:
                entry["latency"] = latency(random, 1000 / speed, 1, 100)
                nothing = {"value": None, "low": None, "high": None}
                entry["throughput"] = {"blocks": [], "texts_per_s": nothing, "tokens_per_s": None}
            else:
                entry["throughput"] = {"blocks": [], "texts_per_s": estimate(speed, 0.04), "tokens_per_s": speed * tokens}
            out.append(entry)
    return out


POLICIES = ("slo", "greedy", "fixed")


def load_run(random, policy, texts, part, capacity, p99):
    """A run of the batcher under load."""
    requests = 1000
    refused = 200 if policy == "slo" and part > 1 else 0
    figures = {"count": requests - refused, "mean": p99 / 3, "min": p99 / 20, "p50": p99 / 4, "p95": p99 / 1.5, "p99": p99,
               "p99.9": None, "max": 1.1 * p99}
    invalid = policy == "greedy" and (part > 1 or texts == "mixed")
    lengths = (4, 60, 190) if texts == "mixed" else (0,)
    return {"policy": policy, "set": texts, "part": part, "rate": part * capacity, "valid": not invalid,
            "reasons": ["no steady state: it grew & <grew>"] if invalid else [], "seconds": 3.0, "requests": requests,
            "offered_per_s": part * capacity, "answered_per_s": part * capacity, "texts_per_s": part * capacity,
            "outcomes": {"answered": requests - refused, "refused": refused}, "latency_ms": figures,
            "kinds": [{"texts": 1, "words": words, "requests": 300, "answered": 300,
                       "latency_ms": {**figures, "p99": p99 * random.uniform(0.5, 1)}} for words in lengths]}


def batching(random, row):
    """What the engine behind the batcher did under load: a curve for each policy, and the row at the best rate."""
    capacity = row["throughput"]["texts_per_s"]["value"] / 0.9
    curve = [load_run(random, policy, "corpus", part, capacity, (5, 8, 45)[place] * (1 + (9 if part > 1 else part)))
             for part in (0.2, 0.5, 0.9, 1.2) for place, policy in enumerate(POLICIES)]
    curve += [load_run(random, policy, "mixed", 0.7, capacity / 4, 30 + place) for place, policy in enumerate(POLICIES)]
    best = [load_run(random, "slo", "corpus", 0.9, capacity, 42), load_run(random, "greedy", "corpus", 0.85, capacity, 44),
            {"policy": "fixed", "rate": 0.0}]
    return {"name": row["name"], "precision": "int8", "tier": "avx2", "threads": 2, "bound_ms": 50.0, "callers": 64,
            "fixed_texts": 32, "fixed_wait_ms": 50.0, "capacity_per_s": capacity, "mixed_capacity_per_s": capacity / 4,
            "seconds": 3.0, "samples": 1000, "runs": curve, "best": best}


def row_under_load(random, baseline):
    out = row(("senvec int8 + adaptive batching", "batcher", "int8", 540, 0), 1, random, baseline)
    rate = 540
    only = {"value": rate, "low": rate, "high": rate}
    out.update(name="senvec int8 + adaptive batching", validation=NO_VECTORS, validation_wide=NO_VECTORS, sts_spearman=None,
               latency={**latency(random, 12, 1, 1000), "p50_low_ms": None, "p50_high_ms": None, "block_calls": []},
               use_cases=dict.fromkeys(out["use_cases"]))
    out["throughput"].update(blocks=[{"round": ROUNDS, "position": 0, "calls": 5400, "texts": 5400, "tokens": TOKENS * 5400,
                                      "seconds": 10.0, "steal": 0.0, "idle_cpu": 0.0}], texts_per_s=only, spread=None,
                             speedup=estimate(rate / baseline, 0), speedup_same_batch=estimate(rate / baseline, 0))
    return out


def services(random):
    """senvec serve, another service and one that is down, over HTTP."""
    def run(name, rate, p99):
        return {**load_run(random, "slo", "corpus", 1, rate, p99), "service": name, "load": "curve", "rate": rate}

    def one(name, kind, speed, error):
        rate = {"value": speed, "low": 0.97 * speed, "high": 1.03 * speed}
        load = {"texts_per_s": rate, "p50_ms": 1000 / speed, "p95_ms": 2000 / speed, "p99_ms": None}
        return {"name": name, "kind": kind, "url": "", "dialect": "openai", "model": "model", "state": "measured", "reason": "",
                "dimensions": 384, "texts": 64, "cosine_mean": 1 - error, "cosine_min": 1 - 2 * error, "neighbours": 0.99,
                "cold_start_s": 300 / speed, "peak_rss_bytes": 200 << 20, "pss_bytes": 180 << 20, "pss_2_bytes": 260 << 20,
                "loads": {"single": load, "together": load, "bulk": load},
                "best": {**run(name, speed / 2, 40), "rate": speed / 2} if kind == "senvec" else {"rate": 0.0}}

    names = ("senvec serve", "ONNX & <others>")
    runs = [run(name, rate, (5, 60)[place] * (1 + rate / 500)) for place, name in enumerate(names) for rate in (50, 200, 800)]
    down = {"name": "mine", "kind": "given", "url": "http://127.0.0.1:9", "dialect": "tei", "model": "", "state": "missing",
            "reason": "127.0.0.1:9: nobody listens there; start it first"}
    return {"bound_ms": 50.0, "threads": 2, "clients": 32, "bulk_texts": 32, "bulk_clients": 4, "rounds": ROUNDS,
            "seconds": 1.0, "samples": 1000, "reference": "senvec fp32", "rates": [50, 200, 800], "runs": runs,
            "rows": [one(names[0], "senvec", 2000, 0.0003), one(names[1], "onnx", 150, 0.004), down]}


METRICS = [("pairs", "Spearman", 0.85), ("search", "nDCG@10", 0.6), ("search", "recall@10", 0.7), ("search", "MRR", 0.65),
           ("classes", "5-NN accuracy", 0.8), ("classes", "probe accuracy", 0.9)]
FORMS = [("float32", 384, 1536, 0), ("int8", 384, 384, 0.001), ("binary", 384, 48, 0.03), ("half", 192, 768, 0.02)]


def labels(random, rows):
    """Scores at the reader's own tasks, of every row that has vectors."""
    scores = []
    for row in rows:
        if row["state"] != "measured" or row["runtime"] == "batcher":
            continue
        distance = 1 - row["validation"]["cosine_mean"]
        for form, dimensions, size, loss in FORMS:
            for task, metric, value in METRICS:
                difference = 0 if row is rows[0] and form == "float32" else -(3 * distance + loss) * random.uniform(0.5, 1)
                scores.append({"configuration": row["name"], "form": form, "dimensions": dimensions, "bytes": size,
                               "task": task, "metric": metric, "main": metric not in ("recall@10", "MRR"),
                               "value": value + difference, "difference": difference, "low": 1.5 * difference,
                               "high": 0.5 * difference})
    return {"baseline": rows[0]["name"], "tolerance": 0.01, "scores": scores,
            "tasks": [{"task": "pairs", "items": 40, "files": ["/some/where/pairs.csv"]},
                      {"task": "search", "items": 30, "documents": 500, "files": ["queries.jsonl", "corpus.jsonl"]},
                      {"task": "classes", "items": 50, "training": 200, "classes": 4, "files": ["classes <b>.csv"]}],
            "recommendation": {"configuration": "senvec int8 (batch=32)", "form": "int8",
                               "reason": "It is cheap. Nothing that was measured is cheaper."}}


def main():
    directory, seed = Path(sys.argv[1]), int(sys.argv[2]) if len(sys.argv) > 2 else 1
    numbers = random.Random(seed)
    rows = [row(kind, batch, numbers, KINDS[0][3]) for kind in KINDS for batch in (1, 32)]
    rows.append(row_under_load(numbers, KINDS[0][3]))
    whole = "--whole" in sys.argv
    if not whole:
        rows[7] = nothing(KINDS[3], 32, "failed", "the worker died: RuntimeError: <script>alert(1)</script> & so on")
        rows[11] = nothing(KINDS[5], 32, "missing", "this CPU has no bf16 instructions")
    machine = {"cpu": f"Example CPU {seed}", "isa_tiers": ["ref", "avx2"], "online_cpus": 4, "physical_cores": 2,
               "affinity_cpus": 4, "quota_cpus": 2.0, "usable_threads": 2, "l1d_bytes": 32768, "l2_bytes": 524288,
               "l3_bytes": 33554432, "memory_bytes": 8 << 30, "kernel": "6.1", "hypervisor": "", "governor": ""}
    study = {
        "schema_version": 1, "senvec_version": "0.1.0", "created": "2026-01-02T03:04:05Z", "drift": 0.004,
        "options": {"seed": seed, "threads": 2, "rounds": ROUNDS, "latency_calls": 200, "warmups": 10, "rewarm_s": 0.04,
                    "duration_s": 10.0, "quick": False, "usd_per_hour": 0.05},
        "peak": {"linear_macs_per_token": MACS, "fp32_gmacs_per_s": 60.0, "bf16_gmacs_per_s": 110.0 if whole else None,
                 "int8_gmacs_per_s": 200.0, "read_gb_per_s": 20.0},
        "baseline": rows[0]["name"], "reference": rows[0]["name"], "sts_pairs": 40, "warnings": ["an example of a warning"],
        "environment": {"machine": machine, "senvec": {"version": "0.1.0", "compiler": "a compiler", "build": "with asserts"},
                        "model": {"name": "all-MiniLM-L6-v2", "directory": "model",
                                  "files": {"model.safetensors": {"bytes": 90868376, "sha256": "53aa" * 16}}},
                        "texts": {"source": "built in", "in_file": TEXTS, "used": TEXTS, "distinct": TEXTS, "bytes": 4000,
                                  "with_invalid_utf8": 0},
                        "repeat": f"senvec study --seed {seed}", "runtimes": {r["name"]: r["worker"] for r in rows}},
        "validation_texts": [f"example text {i} with </script> in it" for i in range(TEXTS)],
        "validation_texts_wide": [f"wide text {i}" for i in range(TEXTS_WIDE)],
        "configurations": rows, "series": series(numbers, rows), "batching": batching(numbers, rows[-1]),
        "labels": labels(numbers, rows), "services": services(numbers),
    }
    directory.mkdir(parents=True, exist_ok=True)
    (directory / "study.json").write_text(json.dumps(study))
    (directory / "latency_data.json").write_text(json.dumps({r["name"]: r["latency"]["samples_ms"] for r in rows
                                                             if r["state"] == "measured"}))


main()
