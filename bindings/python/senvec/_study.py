"""senvec.study: the command `senvec study` on texts of one's own, and its results."""

from __future__ import annotations

import csv
import json
import os
import subprocess
import sys
import tempfile
from typing import Any

from ._command import find_command
from ._inputs import strings
from ._library import Error, ModelNotFoundError

_TABLES = ("benchmark_results", "cost_analysis", "validation", "text_lengths", "use_cases", "batch_throughput")


def _number(text: str) -> Any:
    for kind in (int, float):
        try:
            return kind(text)
        except ValueError:
            pass
    return text


def _table(path: str) -> list[dict[str, Any]]:
    with open(path, newline="", encoding="utf-8") as file:
        return [{name: _number(value) for name, value in row.items()} for row in csv.DictReader(file)]


class StudyResults(dict):
    """The tables of a study by name ("benchmark_results", "cost_analysis", "validation", ...), each a list of dicts;
    `environment` is what was measured on, `folder` where all files are."""

    folder: str
    environment: dict[str, Any]

    def frame(self, name: str = "benchmark_results") -> Any:
        """A table as a pandas DataFrame. Raises ImportError without pandas, KeyError for a table that isn't there."""
        import pandas

        return pandas.DataFrame(self[name])


def study(
    texts: Any = None,
    *,
    model: str = "all-MiniLM-L6-v2",
    out: str | os.PathLike[str] | None = None,
    quick: bool = True,
    peers: str = "none",
    command: str | None = None,
    arguments: tuple[str, ...] | list[str] = (),
) -> StudyResults:
    """Measures this machine by the command `senvec study` and returns its tables.

    Args:
        texts: a list of str or the like, of which line breaks become blanks; None: the command's own texts.
        model: a name or a folder.
        out: folder of the results; default: a new one.
        quick: two minutes instead of many.
        peers: "none", "all", or some of "torch,onnxruntime,openvino"; they run in this Python, which must have their packages.
        command: the program; default: $SENVEC_COMMAND, else the one that came with the wheel, else senvec on the PATH.
        arguments: more arguments of the command, e.g. ["--duration", "5"].

    Raises:
        FileNotFoundError: there is no command. senvec.Error: it failed, with what it said.
    """
    program = find_command(command)
    folder = os.fspath(out) if out is not None else tempfile.mkdtemp(prefix="senvec-study-")
    line = [program, "study", "--out", folder, "--model", model, "--peers", peers, "--python", sys.executable, "--no-report"]
    if quick:
        line.append("--quick")
    with tempfile.TemporaryDirectory() as temporary:
        if texts is not None:
            corpus = os.path.join(temporary, "texts.jsonl")
            with open(corpus, "w", encoding="utf-8") as file:
                for text in strings(texts):
                    file.write(json.dumps({"text": text}) + "\n")
            line += ["--corpus", corpus, "--key", "text"]
        try:
            result = subprocess.run([*line, *arguments], stdin=subprocess.DEVNULL, stdout=subprocess.DEVNULL,
                                    stderr=None if sys.stderr.isatty() else subprocess.PIPE, text=True)
        except FileNotFoundError:
            raise ModelNotFoundError(f"{program}: no such program", "SENVEC_NOT_FOUND") from None
    if result.returncode != 0:
        said = (result.stderr or "").strip().splitlines()
        raise Error(f"{program} study ended with status {result.returncode}" + (f": {said[-1]}" if said else ""))
    made = StudyResults()
    made.folder = folder
    for name in _TABLES:
        path = os.path.join(folder, f"{name}.csv")
        if os.path.exists(path):
            made[name] = _table(path)
    with open(os.path.join(folder, "environment.json"), encoding="utf-8") as file:
        made.environment = json.load(file)
    return made
