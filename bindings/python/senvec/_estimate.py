"""What a run of senvec.batch will take, from a sample of its input that is run.

Up to two million rows are read, of a larger input as many that are spread over it; the lengths of their texts, and of the
distinct ones among them, are counted. Of the distinct ones, as many as take about ten seconds, drawn at random, go through
`senvec.batch.embed` itself. Its time is taken to grow with the tokens that are computed: a text has as many as its bytes and
the sample's bytes a token say, but not more than the model takes. A row whose text came before costs its reading and writing;
a second, shorter run of repeated rows tells how much. The output grows with the rows.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet

from ._batch_files import PIECE_ROWS, count_rows, pieces
from ._column import key_of, texts_of

if TYPE_CHECKING:
    from .sentence_transformers import SentenceTransformer

_READ_ROWS = 2_000_000
_SECONDS = 10.0
_LEAST_TEXTS, _MOST_TEXTS = 512, 50_000
_TOKENIZED = 1000
_LENGTHS = 1 << 18
_COPIES = 8  # of each row, in the run of repeated ones
_SHARD = 65_536  # rows of a part of the input that is read or left out


def _lengths(texts: pa.Array) -> np.ndarray:
    """Bytes of each text, at most _LENGTHS - 1; NaN for null."""
    lengths = pa.compute.binary_length(texts).to_numpy(zero_copy_only=False).astype(np.float64)
    return np.minimum(lengths, _LENGTHS - 1)


def _histogram(texts: Any) -> np.ndarray:
    """How many of the texts, none of which is null, have so many bytes."""
    if isinstance(texts, pa.ChunkedArray):
        texts = texts.combine_chunks()
    return np.bincount(_lengths(texts.cast(pa.large_binary())).astype(np.int64), minlength=_LENGTHS)


class _Cost:
    """Tokens of texts by their bytes: what a run's time grows with."""

    def __init__(self, model: SentenceTransformer, texts: list[str]):
        ids = model.tokenizer(texts)["input_ids"]
        self._special = len(model.tokenizer("")["input_ids"])
        self._most = model.max_seq_length
        inner = sum(len(one) - self._special for one in ids)
        self._tokens_of_byte = inner / max(sum(len(text.encode()) for text in texts), 1)
        self._correct = 1.0
        made = self.of(_histogram(pa.array(texts)))
        self._correct = sum(min(len(one), self._most) for one in ids) / made

    def of(self, lengths: np.ndarray) -> float:
        """Tokens of all texts together, of which lengths[b] have b bytes."""
        each = np.minimum(np.arange(_LENGTHS) * self._tokens_of_byte + self._special, self._most)
        return float(each @ lengths) * self._correct


class _Sample:
    """Rows drawn at random of those that come (one of each text), and what is counted over all of them."""

    def __init__(self) -> None:
        self.rows = 0
        self.lengths = np.zeros(_LENGTHS, np.int64)  # how many texts have so many bytes; the last stands for all longer ones
        self.distinct_lengths = np.zeros(_LENGTHS, np.int64)
        self.rng = random.Random(1)
        self._keys: set[bytes] = set()
        self._kept: list[tuple[float, pa.RecordBatch]] = []
        self._share = 1.0

    def add(self, piece: pa.RecordBatch, column: str) -> None:
        texts = texts_of(piece, column).cast(pa.large_binary())
        new = []
        self.rows += len(texts)
        for row, text in enumerate(texts.to_pylist()):
            if text is None or (key := key_of(text)) in self._keys:
                continue
            self._keys.add(key)
            new.append(row)
            if (drawn := self.rng.random()) < self._share:
                self._kept.append((drawn, piece.take([row])))
        lengths = _lengths(texts)
        self.lengths += np.bincount(lengths[~np.isnan(lengths)].astype(np.int64), minlength=_LENGTHS)
        self.distinct_lengths += np.bincount(lengths[new].astype(np.int64), minlength=_LENGTHS)
        if len(self._kept) > 2 * _MOST_TEXTS:
            self._kept = sorted(self._kept, key=lambda one: one[0])[:_MOST_TEXTS]
            self._share = self._kept[-1][0]

    @property
    def distinct(self) -> int:
        return len(self._keys)

    def table(self, count: int) -> pa.Table:
        kept = sorted(self._kept, key=lambda one: one[0])[:count]
        return pa.Table.from_batches([piece for _, piece in kept])


def _run(table: pa.Table, column: str, keep: list[str] | None, model: SentenceTransformer, precision: str,
         options: dict[str, Any]) -> tuple[np.ndarray, int]:
    """[seconds, CPU seconds] and bytes of output of a run over the table."""
    from .batch import embed

    with tempfile.TemporaryDirectory() as folder:
        source, out = os.path.join(folder, "sample.parquet"), os.path.join(folder, "out")
        pa.parquet.write_table(table, source)
        begin = np.array([time.perf_counter(), time.process_time()])
        embed(source, out, column=column, keep=keep, model=model, precision=precision, **options)
        took = np.array([time.perf_counter(), time.process_time()]) - begin
        return took, sum(os.path.getsize(os.path.join(out, name)) for name in os.listdir(out))


def estimate(paths: list[str], column: str, keep: list[str] | None, model: SentenceTransformer, precision: str, repeats: bool,
             options: dict[str, Any]) -> dict[str, float]:
    """Of a run over these files: "rows", "read" (rows that were), "distinct" (share of distinct texts among these), "tokens"
    (of all rows, as the model takes them), "seconds" and "cpu_seconds" on this machine without the start of the process,
    "bytes" of output, "saved" (seconds that computing repeated texts once saves).

    Raises ValueError (no text in the input), what embed raises."""
    counts = [count_rows(path) for path in paths]
    known = None not in counts
    rows = sum(counts) if known else 0
    every = max(-(-rows // _READ_ROWS), 1)
    sample = _Sample()
    for _, piece in pieces(paths, column, _SHARD, lambda number: number % every == 0):
        if piece is not None:
            sample.add(piece, column)
    if not sample.distinct_lengths[1:].any():
        raise ValueError(f"the column {column!r} has no text to estimate by")
    scale = rows / sample.rows if known else 1.0
    rows = rows if known else sample.rows

    trial = sample.table(_LEAST_TEXTS)
    trial_texts = trial.column(column)
    model.encode(trial_texts.slice(0, 64), **options)
    begin = time.perf_counter()
    model.encode(trial_texts, **options)
    rate = len(trial) / (time.perf_counter() - begin)
    table = sample.table(min(max(int(rate * _SECONDS), _LEAST_TEXTS), _MOST_TEXTS))
    texts = texts_of(table, column)
    cost = _Cost(model, [text.as_py() for text in texts.slice(0, _TOKENIZED)])
    took, written = _run(table, column, keep, model, precision, options)
    per_token = took / cost.of(_histogram(texts))
    tokens, distinct_tokens = cost.of(sample.lengths), cost.of(sample.distinct_lengths)
    every_one = tokens * per_token
    seconds = every_one
    repeated = sample.rows - sample.distinct
    if repeats and repeated:
        few = table.slice(0, max(len(table) // (2 * _COPIES), min(2 * PIECE_ROWS, len(table))))
        again, _ = _run(pa.concat_tables([few] * (1 + _COPIES)), column, keep, model, precision, options)
        per_row = (again - cost.of(_histogram(texts_of(few, column))) * per_token) / (_COPIES * len(few))
        seconds = distinct_tokens * per_token + repeated * np.maximum(per_row, 0)
    return {
        "rows": rows, "read": sample.rows, "distinct": sample.distinct / sample.rows, "tokens": round(tokens * scale),
        "seconds": seconds[0] * scale, "cpu_seconds": seconds[1] * scale, "bytes": round(written / len(table) * rows),
        "saved": max(every_one[0] - seconds[0], 0.0) * scale,
    }


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 1000 else f"{seconds / 3600:,.2f} hours"


def told(made: dict[str, float], machines: int, price: float | None) -> str:
    """The lines that the command prints."""
    seconds = made["seconds"]
    lines = [
        f"{made['rows']:,} texts, {made['tokens']:,} tokens",
        f"{_time(seconds)} on this machine" + (f", {_time(seconds / machines)} on {machines} like it" if machines > 1 else "")
        + f"; {_time(made['cpu_seconds'])} of CPU time",
        f"{made['bytes'] / 1e9:.3f} GB of output",
        f"{100 * (1 - made['distinct']):.1f} % of {made['read']:,} texts repeat others"
        + (f"; that they aren't computed again saves {_time(made['saved'])}" if made["saved"] else ""),
    ]
    if price is not None:
        usd = seconds / 3600 * price  # as the study's cost of tokens: the price over the tokens that an hour computes
        lines.insert(2, f"{usd:.2f} USD at {price:g} USD an hour, {1e6 * usd / made['tokens']:.3g} USD a million tokens")
    return "\n".join(lines)
