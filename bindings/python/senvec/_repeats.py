"""Vectors of the texts that a run has had, so that a repeated text isn't computed again.

Texts are known by 128 bits of BLAKE2b. The index is some sorted runs of 64 bits with row numbers, merged as they grow, and the
other 64 bits by row: about 20 bytes a text, without an object of Python for each. The vectors lie in a file without a name,
which goes with the process. Both have a limit: when it is reached, or the disk is full, what is known stays known and nothing
is added.
"""

from __future__ import annotations

import os
import tempfile

import numpy as np

MOST = 1_000_000
_MOST_MERGED = 1 << 17


class Repeats:
    """Rows of `size` bytes by 16-byte keys, at most `most` of them. For one thread.

    Attributes:
        hits: rows that `take` found. full: no more are added.
    """

    def __init__(self, folder: str, size: int, most: int = MOST):
        self.hits, self.full = 0, most < 1
        self._size, self._most, self._count = size, most, 0
        self._file = tempfile.TemporaryFile(dir=folder)
        self._runs: list[tuple[np.ndarray, np.ndarray]] = []  # sorted first halves of keys, and their rows
        self._rest = np.empty(max(most, 0), np.uint64)  # by row, the second halves

    @staticmethod
    def _halves(keys: list[bytes]) -> tuple[np.ndarray, np.ndarray]:
        both = np.frombuffer(b"".join(keys), np.uint64).reshape(-1, 2)
        return both[:, 0], both[:, 1]

    def _find(self, keys: list[bytes]) -> np.ndarray:
        """Rows of keys; -1 for those that aren't known."""
        first, second = self._halves(keys)
        rows = np.full(len(keys), -1, np.int64)
        for sorted_keys, row in self._runs:
            at = np.minimum(np.searchsorted(sorted_keys, first), len(sorted_keys) - 1)
            found = (sorted_keys[at] == first) & (self._rest[row[at]] == second)
            rows[found] = row[at[found]]
        return rows

    def take(self, keys: list[bytes], out: np.ndarray) -> np.ndarray:
        """Copies the rows of the keys that are known to `out`, (keys, ...) of `size` bytes each; returns indices of others."""
        rows = self._find(keys)
        known = np.flatnonzero(rows >= 0)
        if len(known):
            descriptor, size = self._file.fileno(), self._size
            read = b"".join([os.pread(descriptor, size, row * size) for row in rows[known].tolist()])
            out[known] = np.frombuffer(read, out.dtype).reshape(len(known), -1)
            self.hits += len(known)
        return np.flatnonzero(rows < 0)

    def add(self, keys: list[bytes], rows: np.ndarray) -> None:
        """Remembers rows, of keys that aren't known."""
        count = min(len(keys), self._most - self._count)
        if self.full or count < 1:
            self.full = True
            return
        data = memoryview(np.ascontiguousarray(rows[:count])).cast("B")
        offset = self._count * self._size
        try:
            while data:
                written = os.pwrite(self._file.fileno(), data, offset)
                data, offset = data[written:], offset + written
        except OSError:  # the disk is full: without it the run goes on, computing more
            self.full = True
            os.ftruncate(self._file.fileno(), self._count * self._size)
            return
        first, second = self._halves(keys[:count])
        self._rest[self._count : self._count + count] = second
        order = np.argsort(first)
        self._runs.append((first[order], (order + self._count).astype(np.uint32)))
        self._count += count
        while len(self._runs) > 1 and len(self._runs[-1][0]) * 2 >= len(self._runs[-2][0]):
            one, other = self._runs[-2:]
            if len(one[0]) + len(other[0]) > max(_MOST_MERGED, self._most // 8):
                break  # merging takes three times the memory of the result; a few runs more are found in nearly as fast
            both = np.concatenate((one[0], other[0]))
            order = np.argsort(both, kind="stable")
            self._runs[-2:] = [(both[order], np.concatenate((one[1], other[1]))[order])]

    def close(self) -> None:
        self._file.close()
