"""Files of texts to Parquet shards of vectors, exactly once: `python -m senvec.batch IN... -o DIR --column text`.

Reads Parquet, Arrow IPC, CSV and JSON lines with pyarrow (`pip install senvec[arrow]`) in batches, so memory doesn't grow with
the files. Each shard is written under a temporary name, flushed to the disk and renamed; then one line is added to
DIR/manifest.jsonl. The first line of the manifest says what the run is of: model, options, and each input's name, size and a
checksum of its ends. `resume` goes on after whatever ended a run, and refuses where that line would be another one. A shard
without its line is made again; since a vector depends on its text alone, it then has the same bytes.
"""

from __future__ import annotations

import argparse
import glob
import hashlib
import json
import os
import queue
import sys
import threading
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute
import pyarrow.csv
import pyarrow.ipc
import pyarrow.json
import pyarrow.parquet

from . import Error, SentenceTransformer, __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

MANIFEST = "manifest.jsonl"
_READ_ROWS = 4096
_TYPES = {"float32": pa.float32(), "float16": pa.float16(), "int8": pa.int8(), "uint8": pa.uint8(), "binary": pa.int8(),
          "ubinary": pa.uint8()}


def _paths(inputs: list[str]) -> list[str]:
    found: list[str] = []
    for name in inputs:
        matches = sorted(glob.glob(name)) if glob.has_magic(name) and not os.path.exists(name) else [name]
        if not matches:
            raise FileNotFoundError(f"{name}: no file has such a name")
        found += matches
    return found


def _read(path: str) -> Iterator[pa.RecordBatch]:
    """A file's rows, in batches."""
    if path.endswith((".parquet", ".pq")):
        with pa.parquet.ParquetFile(path) as file:
            yield from file.iter_batches(_READ_ROWS)
    elif path.endswith((".arrow", ".ipc", ".feather")):
        with pa.memory_map(path) as source:
            reader = pa.ipc.open_file(source)
            for index in range(reader.num_record_batches):
                yield reader.get_batch(index)
    elif path.endswith((".csv", ".csv.gz")):
        options = pa.csv.ParseOptions(newlines_in_values=True)
        with pa.csv.open_csv(path, parse_options=options) as reader:
            yield from reader
    elif path.endswith((".jsonl", ".ndjson", ".jsonl.gz", ".ndjson.gz")):
        yield from pa.json.read_json(path).to_batches(_READ_ROWS)
    else:
        raise ValueError(f"{path}: give a .parquet, .arrow, .csv or .jsonl file")


def _fingerprint(path: str) -> dict[str, Any]:
    """Name, size, and a checksum of the first and last MiB of a file."""
    size = os.path.getsize(path)
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        digest.update(file.read(1 << 20))
        file.seek(max(0, size - (1 << 20)))
        digest.update(file.read())
    return {"name": os.path.basename(path), "size": size, "sha256_of_ends": digest.hexdigest()}


def _tables(paths: list[str], rows: int) -> Iterator[pa.Table]:
    """Tables of `rows` rows, the last of each schema with fewer; each file's columns as they are."""
    for path in paths:
        kept: list[pa.RecordBatch] = []
        count = 0
        for batch in _read(path):
            while batch.num_rows:
                part = batch.slice(0, rows - count)
                kept.append(part)
                count += part.num_rows
                batch = batch.slice(part.num_rows)
                if count == rows:
                    yield pa.Table.from_batches(kept)
                    kept, count = [], 0
        if kept:
            yield pa.Table.from_batches(kept)


def _with_vectors(table: pa.Table, model: SentenceTransformer, column: str, keep: list[str] | None, options: dict[str, Any],
                  precision: str) -> pa.Table:
    if column not in table.column_names:
        raise ValueError(f"there is no column {column!r}; there are {', '.join(table.column_names)}")
    texts = table.column(column)
    if pa.types.is_dictionary(texts.type):
        texts = texts.cast(texts.type.value_type)
    if not (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type) or pa.types.is_string_view(texts.type)):
        raise ValueError(f"the column {column!r} holds {texts.type}, not strings")
    if texts.null_count:
        texts = texts.fill_null("")  # rows stay rows; their vectors become null below
    vectors = model.encode(texts, precision="float32" if precision == "float16" else precision, **options)
    if precision == "float16":
        vectors = vectors.astype(np.float16)
    made: pa.Array = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1), _TYPES[precision]), vectors.shape[1])
    nulls = table.column(column).is_null()
    if table.column(column).null_count:
        made = pa.compute.if_else(nulls, pa.scalar(None, made.type), made)
    kept = table if keep is None else table.select(keep)
    if "embedding" in kept.column_names:
        kept = kept.drop_columns(["embedding"])
    return kept.append_column("embedding", made)


def _write(table: pa.Table, path: str) -> str:
    """Writes a shard whole or not at all; returns its SHA-256."""
    temporary = f"{path}.tmp"
    try:
        with open(temporary, "wb") as file:
            pa.parquet.write_table(table, file, compression="zstd")
            file.flush()
            os.fsync(file.fileno())
        with open(temporary, "rb") as file:
            digest = hashlib.sha256(file.read()).hexdigest()
        os.replace(temporary, path)
    finally:
        if os.path.exists(temporary):
            os.unlink(temporary)
    return digest


def _add_line(folder: str, record: dict[str, Any]) -> None:
    with open(os.path.join(folder, MANIFEST), "a", encoding="utf-8") as file:
        file.write(json.dumps(record, sort_keys=True) + "\n")
        file.flush()
        os.fsync(file.fileno())
    descriptor = os.open(folder, os.O_RDONLY)  # the shard's new name, too, is on the disk then
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def _take_up(folder: str, header: dict[str, Any], resume: bool) -> dict[int, dict[str, Any]]:
    """Shards that are done, by number; writes the manifest's first line of a new run."""
    path = os.path.join(folder, MANIFEST)
    os.makedirs(folder, exist_ok=True)
    if not os.path.exists(path):
        if os.listdir(folder):
            raise FileExistsError(f"{folder}: not empty, and without a {MANIFEST}; give a new folder")
        _add_line(folder, header)
        return {}
    if not resume:
        raise FileExistsError(f"{folder}: holds a run; go on with resume (--resume), or give a new folder")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    whole = text[: text.rfind("\n") + 1]  # a line that was cut off by a crash isn't one
    if whole != text:
        with open(path, "r+", encoding="utf-8") as file:
            file.truncate(len(whole.encode()))
    lines = [json.loads(line) for line in whole.splitlines()]
    if not lines:
        _add_line(folder, header)
        return {}
    for name, value in header.items():
        if lines[0].get(name) != value:
            raise ValueError(f"{folder}: that run had another {name} ({lines[0].get(name)!r:.200}, now {value!r:.200}); "
                             "its shards and new ones wouldn't agree: give a new folder")
    return {line["shard"]: line for line in lines[1:]}


def embed(
    inputs: str | list[str],
    folder: str,
    *,
    column: str = "text",
    keep: list[str] | None = None,
    model: str | SentenceTransformer = "all-MiniLM-L6-v2",
    precision: str = "float32",
    rows: int = 50_000,
    resume: bool = False,
    shard: tuple[int, int] = (0, 1),
    progress: bool = False,
    **options: Any,
) -> dict[str, int]:
    """Vectors of a column's texts, as Parquet shards in `folder` with the input's columns and `embedding`.

    Args:
        inputs: files or patterns: .parquet, .arrow, .csv, .jsonl (the latter is read whole).
        column: the texts; a null one has a null vector. keep: the columns to carry through; None: all.
        precision: float32, float16, int8, uint8, binary, ubinary. rows: of a shard.
        resume: goes on with a run that was ended. shard: (i, n) does every n-th shard, from the i-th on.
        options: encode's: prompt_name, prompt, normalize_embeddings, truncate_dim.

    Returns: {"shards", "rows"} that this call wrote.

    Raises: FileExistsError (a folder in use), ValueError (another run's folder, no such column), what encode raises.
    """
    if precision not in _TYPES:
        raise ValueError(f"precision={precision!r}: give one of {', '.join(_TYPES)}")
    part, parts = shard
    if rows < 1 or not 0 <= part < parts:
        raise ValueError(f"rows={rows}, shard={shard}: give at least one row, and (i, n) with 0 <= i < n")
    paths = _paths([inputs] if isinstance(inputs, str) else list(inputs))
    opened = model if isinstance(model, SentenceTransformer) else SentenceTransformer(model)
    facts = opened.info
    header = {
        "senvec": __version__,
        "model": {name: facts[name] for name in ("name", "space_id", "precision", "tier", "max_seq_length", "dimensions")},
        "options": {"column": column, "keep": keep, "precision": precision, "rows": rows, "shard": list(shard), **options},
        "inputs": [_fingerprint(path) for path in paths],
    }
    done = _take_up(folder, header, resume)
    ahead: queue.Queue = queue.Queue(2)
    stop = threading.Event()

    def read() -> None:
        """Tables ahead of the engine, in a thread of its own."""
        try:
            for number, table in enumerate(_tables(paths, rows)):
                if number % parts != part or number in done:
                    continue
                while not stop.is_set():
                    try:
                        ahead.put((number, table), timeout=0.2)
                        break
                    except queue.Full:
                        continue
                if stop.is_set():
                    return
            ahead.put(None)
        except BaseException as cause:  # handed to the caller
            ahead.put(cause)

    reader = threading.Thread(target=read, daemon=True)
    reader.start()
    written = {"shards": 0, "rows": 0}
    try:
        while (item := ahead.get()) is not None:
            if isinstance(item, BaseException):
                raise item
            number, table = item
            made = _with_vectors(table, opened, column, keep, options, precision)
            name = f"part-{number:06d}.parquet"
            digest = _write(made, os.path.join(folder, name))
            _add_line(folder, {"shard": number, "file": name, "rows": made.num_rows, "sha256": digest})
            written["shards"] += 1
            written["rows"] += made.num_rows
            if progress:
                print(f"{name}: {made.num_rows:,} rows; {written['rows']:,} so far", file=sys.stderr)
    finally:
        stop.set()
        reader.join()
    return written


def main() -> int:
    parser = argparse.ArgumentParser(prog="python -m senvec.batch", description="Files of texts to Parquet shards of vectors.")
    parser.add_argument("inputs", nargs="+", metavar="IN", help=".parquet, .arrow, .csv, .jsonl files, or patterns")
    parser.add_argument("-o", "--out", required=True, help="folder of the shards")
    parser.add_argument("--column", default="text", help="the texts [text]")
    parser.add_argument("--keep", help="columns to carry through, with commas between; default: all")
    parser.add_argument("-m", "--model", default="all-MiniLM-L6-v2")
    parser.add_argument("-p", "--compute", default="auto", choices=("auto", "fp32", "bf16", "int8"), help="what to compute in")
    parser.add_argument("--precision", default="float32", choices=tuple(_TYPES), help="of the vectors [float32]")
    parser.add_argument("--rows", type=int, default=50_000, help="of a shard [50000]")
    parser.add_argument("--shard", default="0/1", help="I/N: every N-th shard from the I-th on, for several machines")
    parser.add_argument("--normalize", action="store_true", help="vectors of length 1")
    parser.add_argument("--resume", action="store_true", help="go on with a run that was ended")
    arguments = parser.parse_args()
    try:
        part, _, parts = arguments.shard.partition("/")
        model = SentenceTransformer(arguments.model, precision=arguments.compute)
        written = embed(
            arguments.inputs, arguments.out, column=arguments.column,
            keep=arguments.keep.split(",") if arguments.keep is not None else None, model=model, precision=arguments.precision,
            rows=arguments.rows, resume=arguments.resume, shard=(int(part), int(parts)), progress=sys.stderr.isatty(),
            normalize_embeddings=arguments.normalize,
        )
        print(f"{written['rows']} rows in {written['shards']} shards", file=sys.stderr)
    except (Error, OSError, ValueError, TypeError) as cause:
        print(f"senvec.batch: {cause}", file=sys.stderr)
        return 1
    except KeyboardInterrupt:
        return 130
    return 0


if __name__ == "__main__":
    sys.exit(main())
