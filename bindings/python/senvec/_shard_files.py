"""A shard's files, written under temporary names: a Parquet file of the kept columns and the vectors, or an .npy file that
memory-maps, with a Parquet file of the kept columns beside it."""

from __future__ import annotations

import hashlib
import os
from typing import IO, Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet

FORMATS = ("parquet", "npy")

_HEADER = 128  # bytes of an .npy header, which numpy wants to be a multiple of 64


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class _File:
    """A file of the folder that gets its name when it is whole."""

    def __init__(self, folder: str, name: str):
        self.name = name
        self._path = os.path.join(folder, name)
        self.stream: IO[bytes] = open(f"{self._path}.tmp", "wb")

    def complete(self) -> dict[str, str]:
        """Flushes the file to the disk; returns what the manifest says of it."""
        self.stream.flush()
        os.fsync(self.stream.fileno())
        self.stream.close()
        return {"file": self.name, "sha256": _sha256(f"{self._path}.tmp")}

    def publish(self) -> None:
        """Gives the file its name."""
        os.replace(f"{self._path}.tmp", self._path)

    def drop(self) -> None:
        """Removes what isn't whole."""
        try:
            self.stream.close()
        except OSError:
            pass
        if os.path.exists(f"{self._path}.tmp"):
            os.unlink(f"{self._path}.tmp")


class ParquetShard:
    """Writes batches to NAME.parquet; a column "embedding" is the vectors."""

    def __init__(self, folder: str, name: str, schema: pa.Schema):
        self._file = _File(folder, f"{name}.parquet")
        kept = [field.name for field in schema if field.name != "embedding"]
        try:
            self._writer = pa.parquet.ParquetWriter(self._file.stream, schema, compression="zstd", use_dictionary=kept,
                                                    write_statistics=kept)
        except BaseException:
            self.drop()
            raise

    def write(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(batch)

    def complete(self) -> dict[str, Any]:
        """Flushes the file to the disk; returns what the manifest says of it."""
        self._writer.close()
        return self._file.complete()

    def publish(self) -> None:
        """Gives the file its name."""
        self._file.publish()

    def drop(self) -> None:
        self._file.drop()


class NpyShard:
    """Writes the vectors of batches to NAME.npy, (rows, numbers), and other columns, if there are any, to NAME.parquet.

    A null text's vector is NaN. Raises ValueError where its form has no NaN."""

    def __init__(self, folder: str, name: str, schema: pa.Schema):
        vectors = schema.field("embedding").type
        self._width = vectors.list_size
        self._dtype = np.dtype(vectors.value_type.to_pandas_dtype())
        self._rows = 0
        self._file = _File(folder, f"{name}.npy")
        others = [field for field in schema if field.name != "embedding"]
        self._columns: ParquetShard | None = None
        try:
            self._file.stream.write(self._header())
            if others:
                self._columns = ParquetShard(folder, name, pa.schema(others))
        except BaseException:
            self.drop()
            raise

    def _header(self) -> bytes:
        """Always of the same length, so that it can be written again when the number of rows is known."""
        kind = self._dtype.newbyteorder("<").str
        facts = f"{{'descr': {kind!r}, 'fortran_order': False, 'shape': ({self._rows}, {self._width}), }}"
        return b"\x93NUMPY\x01\x00" + (_HEADER - 10).to_bytes(2, "little") + facts.encode().ljust(_HEADER - 11) + b"\n"

    def write(self, batch: pa.RecordBatch) -> None:
        at = batch.schema.get_field_index("embedding")
        column = batch.column(at)
        vectors = column.values.to_numpy(zero_copy_only=False).reshape(-1, self._width)[column.offset :][: len(column)]
        if column.null_count:
            missing = column.is_null().to_numpy(zero_copy_only=False)
            if self._dtype.kind != "f":
                raise ValueError(f"{self._file.name}: the text of row {self._rows + int(missing.argmax())} is null, and an "
                                 f".npy of {self._dtype} has no value for that; choose float32, float16 or Parquet, or leave "
                                 "out null texts")
            vectors = np.where(missing[:, None], np.array(np.nan, self._dtype), vectors)
        self._file.stream.write(memoryview(np.ascontiguousarray(vectors)).cast("B"))
        self._rows += len(column)
        if self._columns:
            self._columns.write(batch.remove_column(at))

    def complete(self) -> dict[str, Any]:
        """Flushes the files to the disk; returns what the manifest says of them."""
        self._file.stream.seek(0)
        self._file.stream.write(self._header())
        return {**self._file.complete(), **({"columns": self._columns.complete()} if self._columns else {})}

    def publish(self) -> None:
        """Gives the files their names."""
        if self._columns:
            self._columns.publish()
        self._file.publish()

    def drop(self) -> None:
        self._file.drop()
        if self._columns:
            self._columns.drop()


def shard_writer(form: str, folder: str, name: str, schema: pa.Schema) -> ParquetShard | NpyShard:
    """What writes the shard NAME in one of FORMATS, for batches of the schema."""
    return (NpyShard if form == "npy" else ParquetShard)(folder, name, schema)
