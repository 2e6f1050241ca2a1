# %% [markdown]
# # Studies side by side
#
# This notebook reads the study.json of several studies and sets them side by side, as report.html does. It needs Python's
# standard library and matplotlib. Ratios between studies are no paired measurement: other machines, other days, perhaps other
# texts.

# %%
import json
from pathlib import Path

import matplotlib.pyplot as plt

FOLDERS = []
studies = {folder: json.loads((Path(folder) / "study.json").read_text(encoding="utf-8")) for folder in FOLDERS}
found = {folder: {row["name"]: row for row in study["configurations"] if row["state"] == "measured"}
         for folder, study in studies.items()}
labels = {folder: Path(folder).resolve().name for folder in FOLDERS}
planned = dict.fromkeys(row["name"] for study in studies.values() for row in study["configurations"])
configurations = [name for name in planned if any(name in rows for rows in found.values())]
for folder, study in studies.items():
    print(f"{labels[folder]}: {study['environment'].get('machine', {}).get('cpu', 'an unknown CPU')}, "
          f"{study['options']['threads']} threads, measured {study['created']}, {study['options']['usd_per_hour']} USD an hour")
    for row in study["configurations"]:
        if row["state"] != "measured":
            print(f"  {row['name']}: {row['state']} {row['reason']}")

# %% [common]

# %%
PATTERNS = ["", "//", "xx", "..", "--", "||", "++", "\\\\"]
first = FOLDERS[0]


def compare(value, title):
    """A table and a bar for each configuration and study: colours are configurations, patterns are studies."""
    _, axes = plt.subplots(figsize=(8, 0.8 + 0.2 * len(configurations) * (len(FOLDERS) + 1)))
    height = 0.8 / len(FOLDERS)
    for place, folder in enumerate(FOLDERS):
        rows = [(index, found[folder][name]) for index, name in enumerate(configurations) if name in found[folder]]
        rows = [(index, row) for index, row in rows if value(row) is not None]
        axes.barh([index + (place - (len(FOLDERS) - 1) / 2) * height for index, _ in rows], [value(row) for _, row in rows],
                  height, color=[colour(row) for _, row in rows], hatch=PATTERNS[place % len(PATTERNS)], edgecolor="white")
        axes.barh([0], [0], color="#7f7f7f", hatch=PATTERNS[place % len(PATTERNS)], edgecolor="white", label=labels[folder])
    axes.set_yticks(range(len(configurations)), configurations)
    axes.invert_yaxis()
    axes.set_xlabel(title)
    axes.legend(fontsize=8)
    axes.spines[["top", "right"]].set_visible(False)

    def ratio(folder, name):
        one, other = found[first].get(name), found[folder].get(name)
        return value(other) / value(one) if one and other and value(one) and value(other) else None

    return Table(["Configuration"] + list(labels.values()) + [f"{labels[folder]} / {labels[first]}" for folder in FOLDERS[1:]],
                 [[name] + [value(found[folder][name]) if name in found[folder] else None for folder in FOLDERS] +
                  [ratio(folder, name) for folder in FOLDERS[1:]] for name in configurations])

# %% [markdown]
# ## Texts a second

# %%
compare(rate, "texts/s")

# %% [markdown]
# ## Latency
#
# The median time of a call; a call of a batch row embeds the whole batch.

# %%
compare(lambda row: row["latency"]["p50_ms"], "ms a call")

# %% [markdown]
# ## Cost
#
# Each study at its own price of an hour.

# %%
compare(lambda row: row["cost"]["usd_per_1m_texts"], "USD per 1 M texts")

# %% [markdown]
# ## Accuracy
#
# Mean cosine of the corpus's vectors and the reference's.

# %%
Table(["Configuration"] + list(labels.values()),
      [[name] + [cosine(found[folder][name]["validation"]["cosine_mean"]) if name in found[folder] else None
                 for folder in FOLDERS] for name in configurations])
