"""Vectors in the forms that encode() offers: cut, normalised, quantized, as numpy arrays or tensors; and similarities."""

from __future__ import annotations

import sys
from typing import Any

import numpy as np

PRECISIONS = ("float32", "int8", "uint8", "binary", "ubinary")

INT8_DEVIATIONS = 8.0
"""int8 and uint8 cover -r to r in 255 steps, r = min(1, INT8_DEVIATIONS / sqrt(dimensions)): an element of a vector of length 1
has a deviation of 1 / sqrt(dimensions). The range is the same for every text, call, machine and shard, and the server's."""


def int8_ranges(dimensions: int) -> np.ndarray:
    """The fixed ranges of int8 and uint8, (2, dimensions): what sentence_transformers.quantize_embeddings takes as `ranges`."""
    edge = np.float32(min(1.0, INT8_DEVIATIONS / np.sqrt(dimensions)))
    return np.stack([np.full(dimensions, -edge, np.float32), np.full(dimensions, edge, np.float32)])


def quantize(vectors: np.ndarray, precision: str, ranges: Any = None) -> np.ndarray:
    """(count, dimensions) float32 as int8, uint8 or packed bits, in the arithmetic of
    sentence_transformers.quantize_embeddings; int8 and uint8 take the fixed ranges unless others are given."""
    if precision == "float32":
        return vectors
    if precision == "ubinary":
        return np.packbits(vectors > 0, axis=-1)
    if precision == "binary":
        return (np.packbits(vectors > 0, axis=-1) ^ np.uint8(128)).view(np.int8)
    dimensions = vectors.shape[1]
    limits = int8_ranges(dimensions) if ranges is None else np.asarray(ranges, np.float32)
    if limits.shape != (2, dimensions):
        raise ValueError(f"ranges has shape {limits.shape}; give (2, {dimensions}): smallest and largest of each dimension")
    if not np.isfinite(limits).all():
        raise ValueError("ranges holds a number that is NaN or infinite")
    starts = limits[0]
    steps = (limits[1] - starts) / 255
    steps = np.where(steps == 0, np.float32(1), steps)
    levels = np.clip(np.floor((vectors - starts) / steps), 0, 255)
    return levels.astype(np.uint8) if precision == "uint8" else (levels - 128).astype(np.int8)


def check_out(out: Any, shape: tuple[int, ...]) -> np.ndarray:
    """`out` as (count, dimensions), once it is found to fit. Raises TypeError or ValueError."""
    if not isinstance(out, np.ndarray):
        raise TypeError(f"out is a {type(out).__name__}; give a numpy array of float32")
    if out.dtype != np.float32:
        raise TypeError(f"out holds {out.dtype}; give an array of float32")
    if out.shape != shape:
        raise ValueError(f"out has shape {out.shape}; these texts need {shape}")
    if not out.flags.writeable:
        raise ValueError("out is read-only")
    rows = out.reshape(1, -1) if out.ndim == 1 and out.strides[0] == 4 else out
    if rows.ndim != 2 or (rows.size and (rows.strides[1] != 4 or rows.strides[0] < 4 * rows.shape[1] or rows.strides[0] % 4)):
        raise ValueError("the rows of out must be contiguous, and each after the one before")
    if rows.size and rows.__array_interface__["data"][0] % 4:
        raise ValueError("out isn't aligned to 4 bytes")
    return rows


# --------------------------------------------------------------------------------------------------------------- tensors


def torch_module() -> Any:
    """PyTorch, for results as tensors. Raises ImportError."""
    try:
        import torch
    except ImportError:
        raise ImportError(
            "tensors were asked for, and PyTorch isn't installed; leave convert_to_tensor and convert_to_numpy as they are, "
            "or install torch"
        ) from None
    return torch


def as_tensor(array: np.ndarray) -> Any:
    return torch_module().from_numpy(array)


def _is_tensor(value: Any) -> bool:
    torch = sys.modules.get("torch")
    return torch is not None and isinstance(value, torch.Tensor)


def _as_float(value: Any) -> np.ndarray:
    """One or more vectors, of any of the forms that sentence-transformers' functions take, as a float array."""
    if _is_tensor(value):
        value = value.detach().cpu().numpy()
    elif isinstance(value, (list, tuple)) and value and _is_tensor(value[0]):
        value = np.stack([item.detach().cpu().numpy() for item in value])
    array = np.asarray(value)
    return array if array.dtype in (np.float32, np.float64) else array.astype(np.float32)


def _unit(array: np.ndarray) -> np.ndarray:
    return array / np.maximum(np.sqrt((array * array).sum(-1, keepdims=True)), 1e-12)


def similarity(name: str, first: Any, second: Any, pairwise: bool) -> Any:
    """All pairs (or row by row) of two sets of vectors by "cosine", "dot", "euclidean" or "manhattan"; the last two are
    negative distances. A tensor where the program works with PyTorch, else a numpy array of float32 or float64."""
    a, b = _as_float(first), _as_float(second)
    if a.ndim not in (1, 2) or b.ndim not in (1, 2) or a.shape[-1] != b.shape[-1]:
        raise ValueError(f"vectors of shapes {a.shape} and {b.shape} can't be compared; give (count, dimensions), with the "
                         "same dimensions")
    tensors = "torch" in sys.modules
    if not pairwise:
        a, b = np.atleast_2d(a), np.atleast_2d(b)
    if name == "cosine":
        a, b = _unit(a), _unit(b)
    if name in ("cosine", "dot"):
        result = (a * b).sum(-1) if pairwise else a @ b.T
    elif pairwise:
        difference = a - b
        result = -np.abs(difference).sum(-1) if name == "manhattan" else -np.sqrt((difference**2).sum(-1))
    elif name == "euclidean":
        squares = (a * a).sum(-1)[:, None] + (b * b).sum(-1)[None, :] - 2 * (a @ b.T)
        result = -np.sqrt(np.maximum(squares, 0))
    else:
        result = np.stack([-np.abs(row - b).sum(-1) for row in a]) if len(a) else np.empty((0, len(b)), a.dtype)
    return sys.modules["torch"].from_numpy(np.array(result, order="C")) if tensors else result
