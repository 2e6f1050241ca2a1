# %% [markdown]
# # Sentence embeddings on a CPU: what each step buys
#
# This notebook reads the study's result files, which lie beside it, and draws the same conclusions as report.html. It needs
# Python's standard library and matplotlib. Run it again after a new study and every figure follows.

# %%
import csv
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

# %%
class Table:
    """Rows of text as a table, in a notebook and on a terminal."""

    def __init__(self, columns, lines):
        self.lines = [list(columns)] + [[cell if isinstance(cell, str) else f"{cell:,.4g}" if cell is not None else "-"
                                         for cell in line] for line in lines]

    def __repr__(self):
        widths = [max(map(len, column)) for column in zip(*self.lines)]
        return "\n".join("  ".join(cell.ljust(width) for cell, width in zip(line, widths)).rstrip() for line in self.lines)

    def _repr_html_(self):
        def cells(line, tag):
            return "".join(f"<{tag}>{cell.replace('&', '&amp;').replace('<', '&lt;')}</{tag}>" for cell in line)
        body = "".join(f"<tr>{cells(line, 'td')}</tr>" for line in self.lines[1:])
        return f"<table><thead><tr>{cells(self.lines[0], 'th')}</tr></thead><tbody>{body}</tbody></table>"


COLOURS = {"torch fp32": "#E69F00", "onnxruntime fp32": "#56B4E9", "onnxruntime int8": "#0072B2", "senvec fp32": "#009E73",
           "senvec bf16": "#8A8A00", "senvec int8": "#D55E00"}


def colour(row):
    return COLOURS.get(f"{row['runtime']} {row['precision']}", "#CC79A7")


def bars(chosen, values, title, errors=None):
    """A bar for each configuration; batch rows are hatched."""
    _, axes = plt.subplots(figsize=(8, 0.6 + 0.42 * len(chosen)))
    axes.barh([row["name"] for row in chosen], values, xerr=errors, color=[colour(row) for row in chosen], capsize=3,
              hatch=["//" if row["batch"] > 1 else "" for row in chosen], edgecolor="white")
    axes.invert_yaxis()
    axes.set_xlabel(title)
    axes.spines[["top", "right"]].set_visible(False)

# %% [markdown]
# ## Conclusions
#
# A call of a batch row embeds the whole batch. "x baseline" compares texts per second, paired by round.

# %%
Table(["Configuration", "p50 (ms)", "p95 (ms)", "p99 (ms)", "Texts/s", "x baseline", "Cosine, mean", "USD per 1 M texts"],
      [[row["name"], row["latency"]["p50_ms"], row["latency"]["p95_ms"], row["latency"]["p99_ms"],
        row["throughput"]["texts_per_s"]["value"], row["throughput"]["speedup"]["value"],
        "reference" if row["name"] == study["reference"] else f"{row['validation']['cosine_mean']:.6f}"
        if row["validation"]["cosine_mean"] is not None else "-", row["cost"]["usd_per_1m_texts"]] for row in measured])

# %% [markdown]
# ## Latency
#
# Every sample of every configuration, on a logarithmic axis.

# %%
samples = json.loads(Path("latency_data.json").read_text(encoding="utf-8")) if Path("latency_data.json").is_file() else {}
if samples:
    _, axes = plt.subplots(figsize=(8, 0.6 + 0.42 * len(samples)))
    axes.boxplot(list(samples.values()), orientation="horizontal", tick_labels=list(samples), flierprops={"markersize": 2})
    axes.set_xscale("log")
    axes.invert_yaxis()
    axes.set_xlabel("ms a call")
else:
    print("latency_data.json isn't there: latency was not measured")

# %% [markdown]
# ## Throughput
#
# Texts per second with 95 % bootstrap intervals over the blocks.

# %%
paced = [row for row in measured if row["throughput"]["texts_per_s"]["value"] is not None]
rates = [row["throughput"]["texts_per_s"] for row in paced]
if paced:
    bars(paced, [rate["value"] for rate in rates], "texts/s",
         [[max(0, rate["value"] - rate["low"]) for rate in rates], [max(0, rate["high"] - rate["value"]) for rate in rates]])
else:
    print("throughput was not measured")

# %% [markdown]
# ## Batch sizes

# %%
if Path("batch_throughput.csv").is_file():
    with open("batch_throughput.csv", newline="", encoding="utf-8") as file:
        lines = list(csv.DictReader(file))
    keys = [key for key in ("Configuration", "Runtime", "Precision", "Texts", "Text Length") if lines and key in lines[0]]
    _, axes = plt.subplots(figsize=(8, 4))
    for name in dict.fromkeys(tuple(line[key] for key in keys) for line in lines):
        own = [line for line in lines if tuple(line[key] for key in keys) == name and line["throughput_rps"]]
        axes.plot([int(line["batch_size"]) for line in own], [float(line["throughput_rps"]) for line in own], marker="o",
                  label=", ".join(name))
    axes.set_xscale("log", base=2)
    axes.set_yscale("log")
    axes.set_xlabel("batch size")
    axes.set_ylabel("texts/s")
    axes.legend(fontsize=8)
else:
    print("batch_throughput.csv isn't there: the sweep was not measured")

# %% [markdown]
# ## Accuracy
#
# The cosine of each text's vector and the reference's.

# %%
compared = [row for row in measured if row["validation"]["cosines"] and row["name"] != study["reference"]]
Table(["Configuration", "Texts", "Mean", "1st percentile", "Min", "Ten nearest neighbours found"],
      [[row["name"], str(row["validation"]["texts"])] +
       [f"{value:.6f}" if value is not None else "-" for value in
        (row["validation"][key] for key in ("cosine_mean", "cosine_p1", "cosine_min"))] +
       [f"{100 * row['validation']['neighbours']:.2f} %" if row["validation"]["neighbours"] is not None else "-"]
       for row in compared])

# %%
if compared:
    _, axes = plt.subplots(figsize=(8, 3.2))
    for row in compared:
        axes.hist([max(1e-8, 1 - value) for value in row["validation"]["cosines"]], bins=[10 ** (e / 8) for e in range(-64, 1)],
                  histtype="step", color=colour(row), label=row["name"])
    axes.set_xscale("log")
    axes.set_xlabel("1 - cosine to the reference")
    axes.set_ylabel("texts")
    axes.legend(fontsize=8)
else:
    print("no vectors were compared")

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
      [[row["name"], f"{1e6 / row['throughput']['texts_per_s']['value'] / 60:,.1f} min", row["cost"]["usd_per_1m_texts"],
        f"{100 * row['cost']['saving']:.1f} %" if row["cost"]["saving"] is not None else "-"] for row in priced])

# %% [markdown]
# ## How to repeat it

# %%
print(environment.get("repeat", "senvec study"))
for name, file in environment.get("model", {}).get("files", {}).items():
    print(f"{name}: {file['bytes']} bytes, SHA-256 {file['sha256']}")
