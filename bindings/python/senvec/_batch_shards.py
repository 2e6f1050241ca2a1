"""The folder of a run: shards that appear whole, and the manifest that says which are there and of what the run is."""

from __future__ import annotations

import errno
import json
import os
import queue
import sys
import threading
from typing import TYPE_CHECKING, Any

from ._shard_files import shard_writer

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Iterator

    import pyarrow as pa

MANIFEST = "manifest.jsonl"


def _add_line(folder: str, record: dict[str, Any]) -> None:
    path = os.path.join(folder, MANIFEST)
    line = memoryview((json.dumps(record, sort_keys=True) + "\n").encode())
    with open(path, "ab", buffering=0) as file:  # a buffer would write its rest when it is closed
        length = file.tell()
        try:
            while line:
                line = line[file.write(line) :]
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


class Shards:
    """Writes shards in a thread of its own, two pieces behind the engine.

    `put` takes a shard's pieces in order, and None after the last; `close` waits until all is written. Both raise what the
    thread met. After leaving the context on an error, what isn't whole is gone."""

    def __init__(self, folder: str, form: str, progress: bool):
        self.shards = self.rows = 0
        self._folder, self._form, self._progress = folder, form, progress
        self._queue: queue.Queue = queue.Queue(2)
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, daemon=True)
        self._thread.start()

    def _run(self) -> None:
        shard = None
        name, rows = "", 0
        try:
            while (item := self._queue.get()) is not None:
                number, batch, then = item
                if batch is not None:
                    if not shard:
                        name, rows = f"part-{number:06d}", 0
                        shard = shard_writer(self._form, self._folder, name, batch.schema)
                    shard.write(batch)
                    rows += batch.num_rows
                elif shard:
                    line = {"shard": number, "rows": rows, **shard.complete()}
                    shard.publish()
                    shard = None
                    _add_line(self._folder, line)
                    self.shards += 1
                    self.rows += rows
                    if self._progress:
                        print(f"{name}: {rows:,} rows; {self.rows:,} so far", file=sys.stderr)
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
