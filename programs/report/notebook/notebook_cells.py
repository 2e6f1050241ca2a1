# %% [markdown]
# # Sentence embeddings on a CPU: what each step buys
#
# This notebook reads the study's result files, which lie beside it, and draws the same conclusions as report.html. It needs
# Python's standard library and matplotlib. Run it again after a new study and every figure follows.

# %%
import json
from pathlib import Path

import matplotlib.pyplot as plt

study = json.loads(Path("study.json").read_text(encoding="utf-8"))
environment, options = study["environment"], study["options"]
rows = study["configurations"]
measured = [row for row in rows if row["state"] == "measured"]
machine = environment.get("machine", {})
print(f"measured {study['created']} on {machine.get('cpu', 'an unknown CPU')}")
print(f"threads: {options['threads']}, seed: {options['seed']}")
print(f"{len(measured)} of {len(rows)} configurations measured; baseline: {study['baseline'] or 'none'}")
for row in rows:
    if row["state"] != "measured":
        print(f"{row['name']}: {row['state']} {row['reason']}")
for warning in study["warnings"]:
    print("warning:", warning)

# %% [common]

# %%
def bars(chosen, values, title, errors=None):
    """A bar for each configuration; batch rows are hatched, the one under load is crossed."""
    _, axes = plt.subplots(figsize=(8, 0.6 + 0.36 * len(chosen)))
    axes.barh([row["name"] for row in chosen], values, xerr=errors, color=[colour(row) for row in chosen], capsize=3,
              hatch=["xx" if row["runtime"] == "batcher" else "//" if row["batch"] > 1 else "" for row in chosen],
              edgecolor="white")
    axes.invert_yaxis()
    axes.set_xlabel(title)
    axes.spines[["top", "right"]].set_visible(False)


def lines(axes, points, x, y):
    """A line for each configuration: `points` are (row, x, y)."""
    for name in dict.fromkeys(row["name"] for row, _, _ in points):
        own = sorted(((a, b, row) for row, a, b in points if row["name"] == name), key=lambda point: point[0])
        axes.plot([a for a, _, _ in own], [b for _, b, _ in own], color=colour(own[0][2]), marker=look(own[0][2])[1],
                  label=family(own[0][2]))
    ticks = sorted({round(a) for _, a, _ in points})
    axes.set_xscale("log")
    axes.set_yscale("log")
    axes.set_xticks(ticks, map(str, ticks))
    axes.minorticks_off()
    axes.yaxis.set_major_locator(plt.matplotlib.ticker.LogLocator(subs=(1, 2, 5)))
    axes.yaxis.set_major_formatter("{x:g}")
    axes.set_xlabel(x)
    axes.set_ylabel(y)
    axes.legend(fontsize=8)


def series(kind):
    """What was measured beside the configurations' own benchmark, with its configuration."""
    return [(row, entry) for entry in study["series"] if entry["kind"] == kind
            for row in rows if row["name"] == entry["configuration"]]

# %% [markdown]
# ## Conclusions
#
# A call of a batch row embeds the whole batch; adaptive batching is of requests under load. "x baseline" compares texts per
# second, paired by round.

# %%
Table(["Configuration", "p50 (ms)", "p95 (ms)", "p99 (ms)", "Texts/s", "x baseline", "Cosine, mean", "USD per 1 M texts"],
      [[row["name"], row["latency"]["p50_ms"], row["latency"]["p95_ms"], row["latency"]["p99_ms"], rate(row),
        row["throughput"]["speedup"]["value"],
        "reference" if row["name"] == study["reference"] else cosine(row["validation"]["cosine_mean"]),
        row["cost"]["usd_per_1m_texts"]] for row in measured])

# %% [markdown]
# ## Latency
#
# Every sample of every configuration, on a logarithmic axis.

# %%
timed = [row for row in measured if row["latency"]["samples_ms"]]
if timed:
    _, axes = plt.subplots(figsize=(8, 0.6 + 0.36 * len(timed)))
    boxes = axes.boxplot([row["latency"]["samples_ms"] for row in timed], orientation="horizontal", patch_artist=True,
                         tick_labels=[row["name"] for row in timed], flierprops={"markersize": 2},
                         medianprops={"color": "black"})
    for box, row in zip(boxes["boxes"], timed):
        box.set_facecolor(colour(row))
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_xlabel("ms a call")
else:
    print("latency was not measured: run senvec study bench")

# %% [markdown]
# ## Throughput
#
# Texts per second with 95 % bootstrap intervals over the rounds. They hold what happened between rounds that were spread over
# the run, not what differs between machines or days.

# %%
paced = [row for row in measured if rate(row) is not None]
rates = [row["throughput"]["texts_per_s"] for row in paced]
if paced:
    bars(paced, [entry["value"] for entry in rates], "texts/s",
         [[max(0, entry["value"] - entry["low"]) for entry in rates],
          [max(0, entry["high"] - entry["value"]) for entry in rates]])
else:
    print("throughput was not measured")

# %% [markdown]
# ## Batch sizes

# %%
swept = [(row, entry["batch"], rate(entry)) for row, entry in series("sweep") if rate(entry)]
if swept:
    lines(plt.subplots(figsize=(8, 4))[1], swept, "batch size", "texts/s")
else:
    print("batch sizes were not measured: run senvec study sweep")

# %% [markdown]
# ## Short and long texts
#
# Left: the median time of one text, alone. Right: tokens a second in batches. The corpus is among the lengths.

# %%
tokens = next((row["corpus_tokens"] / environment["texts"]["used"] for row in measured if row["corpus_tokens"]), None)
ours = series("length")
alone = [(row, entry["tokens_per_text"], entry["latency"]["p50_ms"]) for row, entry in ours if entry["latency"]["p50_ms"]]
together = [(row, entry["tokens_per_text"], entry["throughput"]["tokens_per_s"]) for row, entry in ours if rate(entry)]
for points, value in ((alone, lambda row: row["latency"]["p50_ms"]), (together, lambda row: row["throughput"]["tokens_per_s"])):
    if tokens:
        points += [(row, tokens, value(row)) for row in measured if any(row is other for other, _, _ in points)]
if alone or together:
    _, axes = plt.subplots(1, 2, figsize=(11, 4))
    lines(axes[0], alone, "tokens a text", "ms, median")
    lines(axes[1], together, "tokens a text", "tokens/s")
else:
    print("texts of other lengths were not measured: run senvec study bench")

# %% [markdown]
# ## Many callers, single texts: adaptive batching
#
# Requests of one text arrive at random (Poisson). Left: the 99th percentile of latency by rate, for each policy. Right: the
# highest rate at which it stays within the bound.

# %%
load = study.get("batching")
policies = {"slo": ("#b53a00", "h"), "greedy": ("#7a4fc0", "s"), "fixed": ("#6f7780", "o")}
best = [run for run in load["best"] if run["rate"] > 0] if load else []
if load:
    runs = [run for run in load["runs"] if run["set"] == "corpus" and run["latency_ms"]["p99"] is not None]
    _, axes = plt.subplots(1, 2, figsize=(11, 4))
    for policy, (own_colour, mark) in policies.items():
        own = sorted((run["rate"], run["latency_ms"]["p99"]) for run in runs if run["policy"] == policy)
        axes[0].plot([a for a, _ in own], [b for _, b in own], color=own_colour, marker=mark, label=policy)
    axes[0].axhline(load["bound_ms"], color="grey", linestyle="--")
    axes[0].set_yscale("log")
    axes[0].yaxis.set_major_formatter("{x:g}")
    axes[0].set_xlabel("requests/s")
    axes[0].set_ylabel("ms, p99")
    axes[0].legend(fontsize=8)
    axes[1].barh([run["policy"] for run in best], [run["rate"] for run in best],
                 color=[policies[run["policy"]][0] for run in best])
    axes[1].invert_yaxis()
    axes[1].set_xlabel(f"requests/s with p99 within {load['bound_ms']:g} ms")
else:
    print("requests under load were not measured: run senvec study batching")

# %%
Table(["Policy", "Requests/s", "p50 (ms)", "p95 (ms)", "p99 (ms)", "USD per 1 M texts"],
      [[run["policy"], run["rate"]] + [run["latency_ms"][key] for key in ("p50", "p95", "p99")]
       + [options["usd_per_hour"] / 3600 / run["rate"] * 1e6] for run in best])

# %% [markdown]
# ## Three uses
#
# One search query and one new listing, alone; a million texts like the corpus, at each configuration's own batch size.

# %%
Table(["Configuration", "Query, p50 (ms)", "p95 (ms)", "Listing, p50 (ms)", "p95 (ms)", "1 M texts take (h)", "USD"],
      [[row["name"]] + [row["use_cases"][key] for key in ("query_ms", "query_p95_ms", "listing_ms", "listing_p95_ms",
                                                          "reindex_1m_hours", "reindex_1m_usd")] for row in measured])

# %% [markdown]
# ## Accuracy
#
# The cosine of each text's vector and the reference's: of the corpus, and of a wide set of texts of our own.

# %%
sets = [("corpus", "validation"), ("wide set", "validation_wide")]
compared = [(row, name, row[key]) for row in measured if row["name"] != study["reference"]
            for name, key in sets if row[key]["cosines"]]
Table(["Configuration", "Texts from", "Texts", "Mean", "1st percentile", "Min", "Error of a pair, max",
       "Ten nearest neighbours kept"],
      [[row["name"], name, str(found["texts"]), cosine(found["cosine_mean"]), cosine(found["cosine_p1"]),
        cosine(found["cosine_min"]), cosine(found["pairwise_error_max"]), percent(found["neighbours"])]
       for row, name, found in compared])

# %%
if compared:
    _, axes = plt.subplots(1, 2, figsize=(11, 3.4), sharey=True)
    for axis, (name, _) in zip(axes, sets):
        for row, where, found in compared:
            if where == name and row["batch"] == 1:
                axis.hist([max(1e-8, 1 - value) for value in found["cosines"]], bins=[10 ** (e / 8) for e in range(-64, 1)],
                          weights=[100 / found["texts"]] * found["texts"], histtype="step", color=colour(row),
                          label=family(row))
        axis.set_xscale("log")
        axis.set_title(name, fontsize=10)
        axis.set_xlabel("1 - cosine to the reference")
    axes[0].set_ylabel("% of the texts")
    axes[1].legend(fontsize=8)
else:
    print("no vectors were compared: run senvec study validate")

# %%
scored = [row for row in measured if row["sts_spearman"] is not None]
if scored:
    print(f"Spearman's correlation with {study['sts_pairs']} labelled pairs:")
    for row in scored:
        print(f"  {row['name']}: {row['sts_spearman']:.4f}")
else:
    print("no labelled pairs were given")

# %% [markdown]
# ## Cost
#
# The price of an hour over the texts of an hour.

# %%
priced = [row for row in measured if row["cost"]["usd_per_1m_texts"] is not None]
if priced:
    bars(priced, [row["cost"]["usd_per_1m_texts"] for row in priced],
         f"USD per 1 M texts at {options['usd_per_hour']:g} USD an hour")
Table(["Configuration", "A million texts take", "USD", "Saved"],
      [[row["name"], f"{1e6 / rate(row) / 60:,.1f} min", row["cost"]["usd_per_1m_texts"], percent(row["cost"]["saving"])]
       for row in priced])

# %% [markdown]
# ## How much of the machine is used
#
# Percent of the measured peak of the row's own precision that the linear layers reach.

# %%
peaked = [row for row in measured if row["throughput"]["peak_percent"] is not None]
if peaked:
    bars(peaked, [row["throughput"]["peak_percent"] for row in peaked], "% of the measured peak")
else:
    print("no peak was measured")

# %% [markdown]
# ## How to repeat it

# %%
print(environment.get("repeat", "senvec study"))
for name, file in environment.get("model", {}).get("files", {}).items():
    print(f"{name}: {file['bytes']} bytes, SHA-256 {file['sha256']}")
