"""The folder of a run: Parquet shards that appear whole, and the manifest that says which are there and of what the run is."""

from __future__ import annotations

import errno
import hashlib
import json
import os
import queue
import sys
import threading
from typing import TYPE_CHECKING, Any

import pyarrow as pa
import pyarrow.parquet

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

MANIFEST = "manifest.jsonl"


def _add_line(folder: str, record: dict[str, Any]) -> None:
    path = os.path.join(folder, MANIFEST)
    with open(path, "ab") as file:
        length = file.tell()
        try:
            file.write((json.dumps(record, sort_keys=True) + "\n").encode())
            file.flush()
            os.fsync(file.fileno())
        except OSError:
            os.truncate(path, length)  # a full disk leaves no half of a line
            raise
    descriptor = os.open(folder, os.O_RDONLY)  # the shard's new name, too, is on the disk then
    try:
        os.fsync(descriptor)
    finally:
        os.close(descriptor)


def take_up(folder: str, header: dict[str, Any], resume: bool) -> set[int]:
    """Numbers of the shards that are done; writes the manifest's first line of a new run.

    Raises FileExistsError (a folder in use), ValueError (another run's)."""
    path = os.path.join(folder, MANIFEST)
    os.makedirs(folder, exist_ok=True)
    if not os.path.exists(path):
        if os.listdir(folder):
            raise FileExistsError(f"{folder}: not empty, and without a {MANIFEST}; give a new folder")
        _add_line(folder, header)
        return set()
    if not resume:
        raise FileExistsError(f"{folder}: holds a run; go on with resume (--resume), or give a new folder")
    with open(path, encoding="utf-8") as file:
        text = file.read()
    whole = text[: text.rfind("\n") + 1]  # a line that was cut off by a crash isn't one
    if whole != text:
        os.truncate(path, len(whole.encode()))
    lines = [json.loads(line) for line in whole.splitlines()]
    if not lines:
        _add_line(folder, header)
        return set()
    for name, value in header.items():
        if lines[0].get(name) != value:
            raise ValueError(f"{folder}: that run had another {name} ({lines[0].get(name)!r:.200}, now {value!r:.200}); "
                             "its shards and new ones wouldn't agree: give a new folder")
    return {line["shard"] for line in lines[1:]}


def _sha256(path: str) -> str:
    digest = hashlib.sha256()
    with open(path, "rb") as file:
        while block := file.read(1 << 20):
            digest.update(block)
    return digest.hexdigest()


class _Shard:
    """A shard that is being written, under a temporary name."""

    def __init__(self, folder: str, number: int, schema: pa.Schema):
        self.number, self.rows = number, 0
        self.name = f"part-{number:06d}.parquet"
        self._folder = folder
        self._path = os.path.join(folder, self.name)
        self._file = open(f"{self._path}.tmp", "wb")
        kept = [field.name for field in schema if field.name != "embedding"]
        try:
            self._writer = pa.parquet.ParquetWriter(self._file, schema, compression="zstd", use_dictionary=kept,
                                                    write_statistics=kept)
        except BaseException:
            self.drop()
            raise

    def write(self, batch: pa.RecordBatch) -> None:
        self._writer.write_batch(batch)
        self.rows += batch.num_rows

    def finish(self) -> None:
        """Gives the shard its name and adds its line."""
        self._writer.close()
        self._file.flush()
        os.fsync(self._file.fileno())
        self._file.close()
        digest = _sha256(f"{self._path}.tmp")
        os.replace(f"{self._path}.tmp", self._path)
        _add_line(self._folder, {"shard": self.number, "file": self.name, "rows": self.rows, "sha256": digest})

    def drop(self) -> None:
        """Removes what isn't whole."""
        try:
            self._file.close()
        except OSError:
            pass
        if os.path.exists(f"{self._path}.tmp"):
            os.unlink(f"{self._path}.tmp")


class Shards:
    """Writes shards in a thread of its own, two pieces behind the engine.

    `put` takes a shard's pieces in order, and None after the last; `close` waits until all is written. Both raise what the
    thread met. After leaving the context on an error, what isn't whole is gone."""

    def __init__(self, folder: str, progress: bool):
        self.shards = self.rows = 0
        self._folder, self._progress = folder, progress
        self._queue: queue.Queue = queue.Queue(2)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        shard = None
        try:
            while (item := self._queue.get()) is not None:
                number, batch, then = item
                if batch is not None:
                    shard = shard or _Shard(self._folder, number, batch.schema)
                    shard.write(batch)
                elif shard:
                    shard.finish()
                    self.shards += 1
                    self.rows += shard.rows
                    if self._progress:
                        print(f"{shard.name}: {shard.rows:,} rows; {self.rows:,} so far", file=sys.stderr)
                    shard = None
                if then:
                    then()
        except BaseException as cause:  # handed to the caller
            self._failure = cause
            if isinstance(cause, OSError) and cause.errno == errno.ENOSPC:
                self._failure = OSError(cause.errno, "the disk is full; make room, then go on with resume (--resume)",
                                        self._folder)
            while self._queue.get() is not None:
                pass
        finally:
            if shard:
                shard.drop()

    def put(self, number: int, batch: pa.RecordBatch | None, then: Callable[[], None] | None = None) -> None:
        """`then` is called in the thread when the piece is written."""
        if self._failure:
            raise self._failure
        self._queue.put((number, batch, then))

    def close(self) -> None:
        self._queue.put(None)
        self._thread.join()
        if self._failure:
            raise self._failure

    def __enter__(self) -> Shards:
        return self

    def __exit__(self, kind: Any, *_: Any) -> None:
        if kind is None:
            self.close()
        elif self._thread.is_alive():
            self._queue.put(None)
            self._thread.join()


def ahead(items: Iterable[Any], room: int) -> Iterator[Any]:
    """The items, made in a thread of its own, `room` of them ahead of the caller."""
    made: queue.Queue = queue.Queue(room)
    stop = threading.Event()

    def put(item: Any) -> None:
        while not stop.is_set():
            try:
                return made.put(item, timeout=0.2)
            except queue.Full:
                continue

    def run() -> None:
        try:
            for item in items:
                put((item, None))
                if stop.is_set():
                    return
            put(None)
        except BaseException as cause:  # handed to the caller
            put((None, cause))

    thread = threading.Thread(target=run, daemon=True)
    thread.start()
    try:
        while (pair := made.get()) is not None:
            if pair[1]:
                raise pair[1]
            yield pair[0]
    finally:
        stop.set()
        thread.join()
