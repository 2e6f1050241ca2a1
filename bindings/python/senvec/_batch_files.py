"""Files of texts, read in pieces of some thousand rows, so that memory doesn't grow with them; pyarrow reads the formats."""

from __future__ import annotations

import glob
import hashlib
import os
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.csv
import pyarrow.ipc
import pyarrow.json
import pyarrow.parquet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator

PIECE_ROWS = 2048
_PIECE_BYTES = 16 << 20
_SAMPLES, _SAMPLE_BYTES = 64, 64 << 10


def paths_of(inputs: list[str]) -> list[str]:
    """Files by name or pattern. Raises FileNotFoundError for a pattern without any."""
    found: list[str] = []
    for name in inputs:
        matches = sorted(glob.glob(name)) if glob.has_magic(name) and not os.path.exists(name) else [name]
        if not matches:
            raise FileNotFoundError(f"{name}: no file has such a name")
        found += matches
    return found


def fingerprint(path: str) -> dict[str, Any]:
    """Name, size, and a checksum of 64 parts of a file, the first and the last among them: all of it up to 4 MiB."""
    size = os.path.getsize(path)
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        for index in range(_SAMPLES):
            file.seek(max(size - _SAMPLE_BYTES, 0) * index // (_SAMPLES - 1) if size > _SAMPLES * _SAMPLE_BYTES
                      else index * _SAMPLE_BYTES)
            digest.update(file.read(_SAMPLE_BYTES))
    return {"name": os.path.basename(path), "size": size, "sha256_of_samples": digest.hexdigest()}


def _read_parquet(path: str, needed: Callable[[int, int], bool]) -> Iterator[tuple[int, pa.RecordBatch]]:
    with pa.parquet.ParquetFile(path) as file:
        start = 0
        for index in range(file.num_row_groups):
            facts = file.metadata.row_group(index)
            end = start + facts.num_rows
            if facts.num_rows and needed(start, end):
                row_bytes = max(facts.total_byte_size // facts.num_rows, 1)
                count = min(max(_PIECE_BYTES // row_bytes, 64), PIECE_ROWS)
                for batch in file.iter_batches(count, row_groups=[index]):
                    yield start, batch
                    start += batch.num_rows
            start = end


def _read_ipc(path: str) -> Iterator[tuple[int, pa.RecordBatch]]:
    with pa.memory_map(path) as source:
        reader = pa.ipc.open_file(source)
        start = 0
        for index in range(reader.num_record_batches):
            batch = reader.get_batch(index)
            yield start, batch
            start += batch.num_rows


def _counted(reader: Any) -> Iterator[tuple[int, pa.RecordBatch]]:
    start = 0
    for batch in reader:
        yield start, batch
        start += batch.num_rows


def _read(path: str, column: str, needed: Callable[[int, int], bool]) -> Iterator[tuple[int, pa.RecordBatch]]:
    """A file's batches, each with the number of its first row; those without a row that is needed may be left out."""
    plain = path
    for suffix in (".gz", ".zst"):
        plain = plain.removesuffix(suffix)
    if path.endswith((".parquet", ".pq")):
        yield from _read_parquet(path, needed)
    elif path.endswith((".arrow", ".ipc", ".feather")):
        yield from _read_ipc(path)
    elif plain.endswith(".csv"):
        parse = pa.csv.ParseOptions(newlines_in_values=True)
        with pa.csv.open_csv(path, parse_options=parse,
                             convert_options=pa.csv.ConvertOptions(column_types={column: pa.string()})) as reader:
            yield from _counted(reader)
    elif plain.endswith((".jsonl", ".ndjson")):
        parse = pa.json.ParseOptions(explicit_schema=pa.schema({column: pa.string()}), newlines_in_values=False)
        with pa.input_stream(path) as source, pa.json.open_json(source, parse_options=parse) as reader:
            yield from _counted(reader)
    else:
        raise ValueError(f"{path}: give a .parquet, .arrow, .csv or .jsonl file, the latter two also as .gz or .zst")


def pieces(paths: list[str], column: str, rows: int, wanted: Callable[[int], bool]
           ) -> Iterator[tuple[int, pa.RecordBatch | None]]:
    """The files' rows in shards of `rows`, the last of each file with fewer: pairs of a shard's number and a piece of it, and
    after its last one the number and None. `wanted` says which shards; row groups of Parquet without one aren't read."""
    number = 0  # of the file's first shard
    for path in paths:
        def needed(start: int, end: int, base: int = number) -> bool:
            return any(wanted(base + index) for index in range(start // rows, (end - 1) // rows + 1))

        total = 0
        begun = None
        for start, batch in _read(path, column, needed):
            while batch.num_rows:
                shard = number + start // rows
                part = batch.slice(0, min(rows - start % rows, PIECE_ROWS))
                start += part.num_rows
                batch = batch.slice(part.num_rows)
                if wanted(shard):
                    begun = shard
                    yield shard, part
                    if start % rows == 0:
                        begun = None
                        yield shard, None
            total = start
        if begun is not None:
            yield begun, None
        if path.endswith((".parquet", ".pq")):
            total = pa.parquet.read_metadata(path).num_rows
        number += -(-total // rows)


def count_rows(path: str) -> int | None:
    """A file's rows where its footer says it, else None."""
    return pa.parquet.read_metadata(path).num_rows if path.endswith((".parquet", ".pq")) else None
