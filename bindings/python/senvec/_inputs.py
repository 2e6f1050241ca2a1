"""Texts from whatever Python program holds them: checked, and as the array of senvec_text that the library reads.

A `Batch` is what a call works on. `pointers(first, end)` gives the address of an array of (address, length) pairs for these
texts and an object that keeps their bytes alive.
"""

from __future__ import annotations

import time
from typing import TYPE_CHECKING, Any

import numpy as np

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

_AT_ONCE = 1 << 14  # items that are looked at before other Python threads get a turn: less than a millisecond


class Batch:
    """`count` texts, of about `size` bytes."""

    count: int
    size: int

    def pointers(self, first: int, end: int) -> tuple[np.ndarray, Any]:
        raise NotImplementedError


def _pairs(address: int, offsets: np.ndarray, lengths: np.ndarray) -> np.ndarray:
    pairs = np.empty((len(lengths), 2), np.uint64)
    pairs[:, 0] = offsets.astype(np.uint64, copy=False)
    pairs[:, 0] += np.uint64(address)
    pairs[:, 1] = lengths
    return pairs


def address_of(block: bytes) -> int:
    """Where the bytes of a bytes object lie."""
    return np.frombuffer(block, np.uint8).__array_interface__["data"][0] if block else 0


class StringBatch(Batch):
    """A list of str, encoded piece by piece, so that a long list isn't held twice."""

    def __init__(self, texts: list[str], prompt: str | None = None):
        self.texts = texts
        self.count = len(texts)
        self.prompt = prompt.encode() if prompt else b""
        self.size = sum(sum(map(len, part)) for part in _in_parts(texts)) + self.count * len(self.prompt)

    def pointers(self, first: int, end: int) -> tuple[np.ndarray, Any]:
        texts = self.texts if first == 0 and end == self.count else self.texts[first:end]
        try:
            encoded = [text.encode() for text in texts]
        except UnicodeEncodeError:
            raise surrogate(texts, first) from None
        lengths = np.fromiter(map(len, encoded), np.int64, len(encoded))
        prompt = self.prompt
        if prompt:
            block = prompt + prompt.join(encoded)
            lengths += len(prompt)
        else:
            block = b"".join(encoded)
        ends = np.cumsum(lengths)
        return _pairs(address_of(block), ends - lengths, lengths), block


class PairBatch(Batch):
    """Pairs of texts: the first ones and the second ones."""

    def __init__(self, first: Batch, second: Batch):
        self.first, self.second = first, second
        self.count = first.count
        self.size = first.size + second.size

    def pointers(self, first: int, end: int) -> tuple[np.ndarray, Any]:
        ones, one_owner = self.first.pointers(first, end)
        others, other_owner = self.second.pointers(first, end)
        return np.hstack((ones, others)), (one_owner, other_owner)


class ArrowBatch(Batch):
    """Strings of Arrow arrays where they lie; see _arrow.py, which makes `pairs` and keeps `owners`."""

    def __init__(self, pairs: np.ndarray, owners: Any):
        self.pairs = pairs
        self.owners = owners
        self.count = len(pairs)
        self.size = int(pairs[:, 1].sum())

    def pointers(self, first: int, end: int) -> tuple[np.ndarray, Any]:
        return self.pairs[first:end], self.owners


def _in_parts(items: list) -> Iterator[list]:
    """The items of a list in parts, between which another thread may take the GIL: an event loop above all, which would
    otherwise wait while a long list is gone through."""
    if len(items) <= _AT_ONCE:
        yield items
        return
    for first in range(0, len(items), _AT_ONCE):
        yield items[first : first + _AT_ONCE]
        time.sleep(0)


def surrogate(texts: Sequence[str], first: int) -> ValueError:
    """The error for texts from index `first` on, one of which isn't Unicode."""
    for index, text in enumerate(texts):
        try:
            text.encode()
        except UnicodeEncodeError as cause:
            return ValueError(
                f"text {first + index} has a lone surrogate (U+{ord(text[cause.start]):04X}) at character {cause.start}, "
                "which is no character; replace it, e.g. by text.encode('utf-8', 'replace').decode()"
            )
    return ValueError("a text can't be encoded as UTF-8")


def _kind(value: Any) -> str:
    if value is None:
        return "None"
    if isinstance(value, float) and value != value:
        return "NaN (a missing value?)"
    return f"of type {type(value).__name__}"


def refuse(texts: Sequence[Any]) -> None:
    """Raises the error for the first item that is no str, if there is one."""
    for index, text in enumerate(texts):
        if not isinstance(text, str):
            hint = "; decode it first" if isinstance(text, (bytes, bytearray, memoryview)) else ""
            raise TypeError(f"text {index} is {_kind(text)}, not str{hint}")


def strings(inputs: Any) -> list[str]:
    """A list of str from a list, tuple, generator, numpy array, pandas or polars Series, datasets column or any other iterable.

    Raises TypeError for what holds something else than str, naming the first such item.
    """
    if type(inputs) is not list:
        inputs = _materialize(inputs)
    for part in _in_parts(inputs):
        if set(map(type, part)) - {str}:
            refuse(inputs)  # a subclass of str is fine, and this returns
            return [str(text) for text in inputs]
    return inputs


def _materialize(inputs: Any) -> list:
    if isinstance(inputs, (bytes, bytearray, memoryview)):
        raise TypeError("the input is bytes, not str; decode it first")
    if isinstance(inputs, (dict, set, frozenset)):
        raise TypeError(f"the input is a {type(inputs).__name__}, which has no order of texts; give a list of str")
    if isinstance(inputs, np.ndarray) and inputs.ndim != 1:
        raise TypeError(f"the input is an array of {inputs.ndim} dimensions; give one of one dimension")
    if type(inputs).__name__ == "DataFrame":
        raise TypeError("the input is a DataFrame; give one of its columns")
    for name in ("tolist", "to_list", "to_pylist"):
        method = getattr(inputs, name, None)
        if callable(method):
            made = method()
            if isinstance(made, list):
                return made
            break
    try:
        return list(inputs)
    except TypeError:
        raise TypeError(f"the input is {_kind(inputs)}; give a str or a list of str") from None


def pairs_of(inputs: Any) -> tuple[list[str], list[str]]:
    """The first and the second texts of pairs. Raises TypeError or ValueError with the index of what isn't one."""
    if isinstance(inputs, np.ndarray):
        inputs = inputs.tolist()
    elif not isinstance(inputs, (list, tuple)):
        inputs = _materialize(inputs)
    firsts, seconds = [], []
    for index, pair in enumerate(inputs):
        if isinstance(pair, np.ndarray):
            pair = pair.tolist()
        if not isinstance(pair, (list, tuple)):
            raise TypeError(f"pair {index} is {_kind(pair)}; give a list or tuple of two str")
        if len(pair) != 2:
            raise ValueError(f"pair {index} has {len(pair)} items; give two str")
        for text in pair:
            if not isinstance(text, str):
                raise TypeError(f"pair {index} holds an item that is {_kind(text)}, not str")
        firsts.append(str(pair[0]))
        seconds.append(str(pair[1]))
    return firsts, seconds


def is_single(inputs: Any) -> bool:
    """Whether the input is one text."""
    return isinstance(inputs, str) or (isinstance(inputs, np.ndarray) and inputs.ndim == 0 and inputs.dtype.kind == "U")


def batch_of(inputs: Any, prompt: str | None = None) -> Batch:
    """What a call of many texts works on."""
    if type(inputs) is not list and not prompt and (
        hasattr(inputs, "__arrow_c_array__") or hasattr(inputs, "__arrow_c_stream__")
    ):
        from ._arrow import arrow_batch

        batch = arrow_batch(inputs)
        if batch is not None:
            return batch
    return StringBatch(strings(inputs), prompt)
