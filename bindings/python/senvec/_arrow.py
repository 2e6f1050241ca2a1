"""Arrow's strings without copying, by its C data interface
(https://arrow.apache.org/docs/format/CDataInterface.html).

What offers `__arrow_c_array__` or `__arrow_c_stream__` (pyarrow, polars, pandas with Arrow strings, nanoarrow) hands out
structures of C; this module reads them with ctypes and turns offsets and bytes into senvec_text. Layouts: utf8 ("u"),
large_utf8 ("U") and string_view ("vu"); for others the caller falls back to Python strings.
"""

from __future__ import annotations

import ctypes
from ctypes import CFUNCTYPE, POINTER, Structure, c_char_p, c_int, c_int64, c_void_p
from typing import Any

import numpy as np

from ._inputs import ArrowBatch


class _Schema(Structure):
    pass


class _Array(Structure):
    pass


class _Stream(Structure):
    pass


_Schema._fields_ = [
    ("format", c_char_p),
    ("name", c_char_p),
    ("metadata", c_char_p),
    ("flags", c_int64),
    ("n_children", c_int64),
    ("children", c_void_p),
    ("dictionary", c_void_p),
    ("release", CFUNCTYPE(None, POINTER(_Schema))),
    ("private_data", c_void_p),
]
_Array._fields_ = [
    ("length", c_int64),
    ("null_count", c_int64),
    ("offset", c_int64),
    ("n_buffers", c_int64),
    ("n_children", c_int64),
    ("buffers", POINTER(c_void_p)),
    ("children", c_void_p),
    ("dictionary", c_void_p),
    ("release", CFUNCTYPE(None, POINTER(_Array))),
    ("private_data", c_void_p),
]
_Stream._fields_ = [
    ("get_schema", CFUNCTYPE(c_int, POINTER(_Stream), POINTER(_Schema))),
    ("get_next", CFUNCTYPE(c_int, POINTER(_Stream), POINTER(_Array))),
    ("get_last_error", CFUNCTYPE(c_char_p, POINTER(_Stream))),
    ("release", CFUNCTYPE(None, POINTER(_Stream))),
    ("private_data", c_void_p),
]

_LAYOUTS = (b"u", b"U", b"vu")

_pointer = ctypes.pythonapi.PyCapsule_GetPointer
_pointer.restype = c_void_p
_pointer.argtypes = (ctypes.py_object, c_char_p)


class _Owned:
    """A structure that this module received from a stream and has to release."""

    def __init__(self, kind: type):
        self.value = kind()

    def __del__(self):
        if self.value.release:
            self.value.release(ctypes.byref(self.value))


def _view(address: int | None, count: int, kind: Any) -> np.ndarray:
    """`count` numbers at an address, in place."""
    if not count or not address:
        return np.zeros(count, kind)
    size = count * np.dtype(kind).itemsize
    return np.frombuffer((ctypes.c_char * size).from_address(address), kind)


def _check_nulls(array: _Array, first: int) -> None:
    if array.null_count == 0 or not array.length or array.n_buffers < 1 or not array.buffers[0]:
        return
    bits = _view(array.buffers[0], (array.offset + array.length + 7) // 8, np.uint8)
    valid = np.unpackbits(bits, bitorder="little")[array.offset : array.offset + array.length]
    missing = np.flatnonzero(valid == 0)
    if len(missing):
        raise TypeError(f"text {first + int(missing[0])} is null, not a string; fill or drop the {len(missing)} nulls")


def _views(array: _Array) -> np.ndarray:
    """Pairs of a string_view array: 16 bytes each, a length and either the text or where it is."""
    count, start = array.length, array.offset
    base = array.buffers[1] or 0
    words = _view(base, 4 * (start + count), np.int32).reshape(-1, 4)[start:]
    pairs = np.empty((count, 2), np.uint64)
    lengths = words[:, 0].astype(np.uint64)
    inside = np.uint64(base + 16 * start + 4) + np.uint64(16) * np.arange(count, dtype=np.uint64)
    buffers = np.array([array.buffers[2 + i] or 0 for i in range(max(array.n_buffers - 3, 0))] or [0], np.uint64)
    short = lengths <= 12
    which = np.where(short, 0, words[:, 2])
    pairs[:, 0] = np.where(short, inside, buffers[which] + words[:, 3].astype(np.uint64))
    pairs[:, 1] = lengths
    return pairs


def _array_pairs(array: _Array, layout: bytes, first: int) -> np.ndarray:
    """(length, 2) addresses and lengths of an array's strings."""
    _check_nulls(array, first)
    if layout == b"vu":
        return _views(array)
    count, start = array.length, array.offset
    kind = np.int32 if layout == b"u" else np.int64
    offsets = _view(array.buffers[1], start + count + 1, kind)[start : start + count + 1].astype(np.int64)
    pairs = np.empty((count, 2), np.uint64)
    pairs[:, 0] = offsets[:-1].astype(np.uint64) + np.uint64(array.buffers[2] or 0)
    pairs[:, 1] = (offsets[1:] - offsets[:-1]).astype(np.uint64)
    return pairs


def _from_array(inputs: Any) -> ArrowBatch | None:
    schema_capsule, array_capsule = inputs.__arrow_c_array__()
    schema = _Schema.from_address(_pointer(schema_capsule, b"arrow_schema"))
    array = _Array.from_address(_pointer(array_capsule, b"arrow_array"))
    if schema.format not in _LAYOUTS or schema.dictionary:
        return None
    return ArrowBatch(_array_pairs(array, schema.format, 0), array_capsule)


def _from_stream(inputs: Any) -> ArrowBatch | None:
    capsule = inputs.__arrow_c_stream__()
    stream = _Stream.from_address(_pointer(capsule, b"arrow_array_stream"))
    schema = _Owned(_Schema)
    _stream_call(stream, stream.get_schema, schema)
    if schema.value.format not in _LAYOUTS or schema.value.dictionary:
        return None
    pieces, owners, count = [], [capsule], 0
    while True:
        array = _Owned(_Array)
        _stream_call(stream, stream.get_next, array)
        if not array.value.release:
            break
        pieces.append(_array_pairs(array.value, schema.value.format, count))
        owners.append(array)
        count += array.value.length
    pairs = np.concatenate(pieces) if pieces else np.empty((0, 2), np.uint64)
    return ArrowBatch(pairs, owners)


def _stream_call(stream: _Stream, function: Any, out: _Owned) -> None:
    if function(ctypes.byref(stream), ctypes.byref(out.value)) != 0:
        said = stream.get_last_error(ctypes.byref(stream))
        raise ValueError(f"the Arrow stream can't be read: {(said or b'no reason given').decode('utf-8', 'replace')}")


def arrow_batch(inputs: Any) -> ArrowBatch | None:
    """The texts of an Arrow array or stream in place; None where its layout isn't one of strings.

    Raises TypeError for a null, with its row.
    """
    if type(inputs).__name__ in ("DataFrame", "Table", "RecordBatch"):
        raise TypeError(f"the input is a {type(inputs).__name__}; give one of its columns")
    if hasattr(inputs, "__arrow_c_array__"):
        return _from_array(inputs)
    try:
        return _from_stream(inputs)
    except ImportError:  # pandas asks pyarrow to do it, which may not be there
        return None
