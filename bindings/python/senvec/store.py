"""A store of vectors by text, so that tomorrow's run computes what is new: a SQLite file.

SQLite, because it comes with Python, is safe against crashes and for several processes at a time (a journal, WAL; one writes,
the others wait or read), and is quick enough: 3 us to find a vector of 384 floats and 8 us to add one, where computing it takes
100 us and more. LMDB would be a package more. The file must be on a local disk, as SQLite's journal asks for.

A vector is found by a 128-bit hash of its text within a space: model, precision, tier, version of senvec, prompt,
normalisation, dimensions. Other spaces may be in the same file. What is kept is float32, from which every output form is made.
"""

from __future__ import annotations

import json
import logging
import os
import sqlite3
from typing import TYPE_CHECKING, Any

import numpy as np

from . import __version__

if TYPE_CHECKING:
    from collections.abc import Iterator

    from .sentence_transformers import SentenceTransformer

_APPLICATION = 0x53564543
_WAIT_SECONDS = 60
_KEYS_AT_ONCE = 900  # older builds of SQLite have room for 999
_SCHEMA = (
    "CREATE TABLE IF NOT EXISTS space (id INTEGER PRIMARY KEY, facts TEXT NOT NULL UNIQUE)",
    # Vectors in the order in which they came, so that the same texts in the same order are read from one page after the other.
    "CREATE TABLE IF NOT EXISTS vector (id INTEGER PRIMARY KEY, value BLOB NOT NULL)",
    "CREATE TABLE IF NOT EXISTS text (space INTEGER NOT NULL, key BLOB NOT NULL, vector INTEGER NOT NULL, "
    "PRIMARY KEY (space, key)) WITHOUT ROWID",
)


def space_of(model: SentenceTransformer, options: dict[str, Any]) -> dict[str, Any]:
    """What a vector depends on besides its text, for encode's options."""
    facts = model.info
    if facts["space_id"] is None:
        raise ValueError(f"{facts['path']}: the model's files have been changed since it was opened; open it anew")
    return {
        "senvec": __version__,
        **{name: facts[name] for name in ("space_id", "precision", "tier", "max_seq_length")},
        **model._other_side(),
        "prompt": model._prompt(options.get("prompt"), options.get("prompt_name")) or "",
        "normalize": bool(options.get("normalize_embeddings")),
        "dimensions": model.encode([], **options).shape[1],
    }


class VectorStore:
    """The vectors of one space in a file. Any number of processes may have it open; `get` is for one thread, `add` for another.

    Raises ValueError for a file that is something else or broken, OSError where it can't be opened or made.
    """

    def __init__(self, path: str | os.PathLike[str], space: dict[str, Any]):
        self.path = os.fspath(path)
        self.dimensions = space["dimensions"]
        self._lost = False
        try:
            self._reader, self._writer = self._open(), self._open()
            self._space = self._take_up(json.dumps(space, sort_keys=True))
        except sqlite3.DatabaseError as cause:
            raise self._error(cause) from None

    def _error(self, cause: sqlite3.Error) -> Exception:
        if isinstance(cause, sqlite3.OperationalError):
            return OSError(f"{self.path}: the store can't be used: {cause}")
        return ValueError(f"{self.path}: no store of vectors, or a broken one ({cause}); delete it, or give another name")

    def _open(self) -> sqlite3.Connection:
        made = sqlite3.connect(self.path, timeout=_WAIT_SECONDS, isolation_level=None, check_same_thread=False)
        for pragma in ("page_size = 16384", "journal_mode = WAL", "synchronous = NORMAL"):
            made.execute(f"PRAGMA {pragma}")
        return made

    def _take_up(self, facts: str) -> int:
        writer = self._writer
        writer.execute("BEGIN IMMEDIATE")
        try:
            application = writer.execute("PRAGMA application_id").fetchone()[0]
            if application != _APPLICATION:
                if application or writer.execute("SELECT count(*) FROM sqlite_schema").fetchone()[0]:
                    raise sqlite3.DatabaseError("another program's file")
                writer.execute(f"PRAGMA application_id = {_APPLICATION}")
            for statement in _SCHEMA:
                writer.execute(statement)
            writer.execute("INSERT OR IGNORE INTO space (facts) VALUES (?)", (facts,))
            number = writer.execute("SELECT id FROM space WHERE facts = ?", (facts,)).fetchone()[0]
            writer.execute("COMMIT")
        except BaseException:
            writer.execute("ROLLBACK")
            raise
        return number

    def _select(self, connection: sqlite3.Connection, query: str, keys: list[bytes]) -> Iterator[Any]:
        """Rows of a query with a place for the condition, of keys in this space."""
        for first in range(0, len(keys), _KEYS_AT_ONCE):
            part = keys[first : first + _KEYS_AT_ONCE]
            condition = f"space = ? AND key IN ({','.join('?' * len(part))})"
            yield from connection.execute(query.format(condition), (self._space, *part))

    def get(self, keys: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
        """Of 16-byte keys: indices of those that are there, and their vectors, (found, dimensions) float32. Raises OSError,
        ValueError."""
        index = {key: at for at, key in enumerate(keys)}
        found: list[int] = []
        values: list[bytes] = []
        try:
            query = "SELECT key, value FROM text JOIN vector ON vector.id = text.vector WHERE {}"
            for key, value in self._select(self._reader, query, keys):
                if len(value) == 4 * self.dimensions:
                    found.append(index[key])
                    values.append(value)
        except sqlite3.DatabaseError as cause:
            raise self._error(cause) from None
        return np.array(found, np.int64), np.frombuffer(b"".join(values), np.float32).reshape(-1, self.dimensions)

    def add(self, keys: list[bytes], vectors: np.ndarray) -> None:
        """Adds vectors, (keys, dimensions) float32. Where the disk is full or another process holds the file for a minute, they
        aren't kept, and a warning says so once."""
        writer = self._writer
        try:
            writer.execute("BEGIN IMMEDIATE")
            try:
                known = {row[0] for row in self._select(writer, "SELECT key FROM text WHERE {}", keys)}
                first = (writer.execute("SELECT max(id) FROM vector").fetchone()[0] or 0) + 1
                new = [(key, row) for key, row in zip(keys, vectors) if key not in known]
                writer.executemany("INSERT INTO vector VALUES (?, ?)",
                                   ((first + at, row.tobytes()) for at, (_, row) in enumerate(new)))
                writer.executemany("INSERT INTO text VALUES (?, ?, ?)",
                                   ((self._space, key, first + at) for at, (key, _) in enumerate(new)))
                writer.execute("COMMIT")
            except BaseException:
                if writer.in_transaction:
                    writer.execute("ROLLBACK")
                raise
        except sqlite3.OperationalError as cause:
            if not self._lost:
                logging.getLogger("senvec").warning("%s: vectors aren't kept: %s", self.path, cause)
            self._lost = True
        except sqlite3.DatabaseError as cause:
            raise self._error(cause) from None

    def __len__(self) -> int:
        """Vectors of this space."""
        return self._reader.execute("SELECT count(*) FROM text WHERE space = ?", (self._space,)).fetchone()[0]

    def close(self) -> None:
        self._reader.close()
        self._writer.close()
