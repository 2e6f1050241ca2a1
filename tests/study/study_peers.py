"""study_peers SENVEC [OPTION...]: a short study with the real peers on the real model: every configuration runs, counts the
same tokens and agrees with PyTorch as far as its precision lets it. The options are the study's, such as --quick."""
import importlib.util
import json
import subprocess
import sys
import tempfile
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parents[1] / "support"))
from real_model import find_real_model  # noqa: E402

# Least mean cosine by precision.
LEAST = {"fp32": 1 - 1e-6, "bf16": 0.9998, "int8": 0.95}


def main():
    model = find_real_model()
    if not model:
        print("SKIP: the real model isn't in the cache; senvec pull fetches it")
        return 77
    if not importlib.util.find_spec("torch"):
        print("SKIP: the peers aren't installed; ./run test without --no-peers installs them")
        return 77
    with tempfile.TemporaryDirectory() as folder:
        command = [sys.argv[1], "study", "-m", model, "--python", sys.executable, "--out", folder, "--rounds", "2", "--calls",
                   "4", "--duration", "0.2", "--no-report", "-q", *sys.argv[2:]]
        result = subprocess.run(command, capture_output=True, text=True, timeout=900)
        print(result.stdout, result.stderr)
        study = json.loads((Path(folder) / "study.json").read_text())
    problems = [] if result.returncode == 0 else [f"exit code {result.returncode}"]
    tokens = study["configurations"][0]["corpus_tokens"]
    for row in study["configurations"]:
        if row["state"] == "missing" and row["runtime"] == "senvec":
            continue  # a precision that this CPU has no kernels for
        if row["state"] == "missing" and row["reason"].startswith("no rate was found"):
            continue  # p99 under load, on a machine that is too slow or too busy for its bound
        if row["state"] != "measured":
            problems.append(f"{row['name']}: {row['state']}: {row['reason']}")
        elif row["name"].endswith("adaptive batching"):
            continue  # a row under load has no corpus and no vectors of its own
        elif row["corpus_tokens"] != tokens:
            problems.append(f"{row['name']}: {row['corpus_tokens']} tokens, PyTorch {tokens}")
        elif min(row[key]["cosine_mean"] for key in ("validation", "validation_wide")) < LEAST[row["precision"]]:
            problems.append(f"{row['name']}: {row['validation']['cosine_mean']}, {row['validation_wide']['cosine_mean']}")
        elif not (row["peak_rss_bytes"] > 0 and row["model_bytes"] > 0):
            problems.append(f"{row['name']}: no memory or model size")
    for problem in problems:
        print("problem:", problem)
    return 1 if problems else 0


if __name__ == "__main__":
    sys.exit(main())
