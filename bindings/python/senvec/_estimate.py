"""What a run of senvec.batch will take, from a sample of its input that is run.

Up to two million rows are read, of a larger input as many that are spread over it: their texts' bytes and how many of them are
distinct are counted. Of the distinct ones, as many as take about ten seconds, drawn at random, go through `senvec.batch.embed`
itself; its time is taken to grow with the bytes of the texts, its output with their number.
"""

from __future__ import annotations

import os
import random
import tempfile
import time
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.compute
import pyarrow.parquet

from ._batch_files import count_rows, pieces
from ._column import key_of, texts_of

if TYPE_CHECKING:
    from .sentence_transformers import SentenceTransformer

_READ_ROWS = 2_000_000
_SECONDS = 10.0
_LEAST_TEXTS, _MOST_TEXTS = 512, 50_000
_TOKENIZED = 1000
_SHARD = 65_536  # rows of a part of the input that is read or left out


class _Sample:
    """Rows drawn at random of those that come (one of each text), and what is counted over all of them."""

    def __init__(self) -> None:
        self.rows = self.bytes = 0
        self.distinct_bytes = 0
        self.rng = random.Random(1)
        self._keys: set[bytes] = set()
        self._kept: list[tuple[float, pa.RecordBatch]] = []
        self._share = 1.0

    def add(self, piece: pa.RecordBatch, column: str) -> None:
        texts = texts_of(piece, column).cast(pa.large_binary())
        lengths = pa.compute.binary_length(texts)
        self.rows += len(texts)
        self.bytes += pa.compute.sum(lengths).as_py() or 0
        for row, (text, length) in enumerate(zip(texts.to_pylist(), lengths.to_pylist())):
            if text is None or (key := key_of(text)) in self._keys:
                continue
            self._keys.add(key)
            self.distinct_bytes += length
            if (drawn := self.rng.random()) < self._share:
                self._kept.append((drawn, piece.take([row])))
        if len(self._kept) > 2 * _MOST_TEXTS:
            self._kept = sorted(self._kept, key=lambda one: one[0])[:_MOST_TEXTS]
            self._share = self._kept[-1][0]

    @property
    def distinct(self) -> int:
        return len(self._keys)

    def table(self, count: int) -> pa.Table:
        kept = sorted(self._kept, key=lambda one: one[0])[:count]
        return pa.Table.from_batches([piece for _, piece in kept])


def estimate(paths: list[str], column: str, keep: list[str] | None, model: SentenceTransformer, precision: str, repeats: bool,
             options: dict[str, Any]) -> dict[str, float]:
    """Of a run over these files: "rows", "read" (rows that were), "distinct" (share of distinct texts among these), "tokens",
    "seconds" on this machine, "bytes" of output, "saved" (seconds that computing repeated texts once saves).

    Raises ValueError (no text in the input), what embed raises."""
    from .batch import embed

    counts = [count_rows(path) for path in paths]
    known = None not in counts
    rows = sum(counts) if known else 0
    every = max(-(-rows // _READ_ROWS), 1)
    sample = _Sample()
    for _, piece in pieces(paths, column, _SHARD, lambda number: number % every == 0):
        if piece is not None:
            sample.add(piece, column)
    if not sample.distinct_bytes:
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
    texts = table.column(column)
    size = pa.compute.sum(pa.compute.binary_length(texts)).as_py()
    with tempfile.TemporaryDirectory() as folder:
        source, out = os.path.join(folder, "sample.parquet"), os.path.join(folder, "out")
        pa.parquet.write_table(table, source)
        begin = time.perf_counter()
        embed(source, out, column=column, keep=keep, model=model, precision=precision, **options)
        seconds = time.perf_counter() - begin
        written = sum(os.path.getsize(os.path.join(out, name)) for name in os.listdir(out))
    tokenized = [text.as_py() for text in texts.slice(0, _TOKENIZED)]
    tokens = sum(map(len, model.tokenizer(tokenized)["input_ids"]))
    tokens_of_bytes = tokens / max(sum(len(text.encode()) for text in tokenized), 1)
    per_byte = seconds / max(size, 1)
    computed = sample.distinct_bytes if repeats else sample.bytes
    return {
        "rows": rows, "read": sample.rows, "distinct": sample.distinct / sample.rows,
        "tokens": round(sample.bytes * scale * tokens_of_bytes),
        "seconds": computed * scale * per_byte,
        "bytes": round(written / len(table) * rows),
        "saved": (sample.bytes - sample.distinct_bytes) * scale * per_byte if repeats else 0.0,
    }


def _time(seconds: float) -> str:
    return f"{seconds:.1f} s" if seconds < 1000 else f"{seconds / 3600:,.2f} hours"


def told(made: dict[str, float], machines: int, price: float | None) -> str:
    """The lines that the command prints."""
    seconds = made["seconds"]
    lines = [
        f"{made['rows']:,} texts, {made['tokens']:,} tokens",
        f"{_time(seconds)} on this machine" + (f", {_time(seconds / machines)} on {machines} like it" if machines > 1 else ""),
        f"{made['bytes'] / 1e9:.3f} GB of output",
        f"{100 * (1 - made['distinct']):.1f} % of {made['read']:,} texts repeat others"
        + (f"; that they aren't computed again saves {_time(made['saved'])}" if made["saved"] else ""),
    ]
    if price is not None:
        lines.insert(2, f"{seconds / 3600 * price:.2f} USD at {price:g} USD an hour")
    return "\n".join(lines)
