"""senvec: sentence vectors on CPUs.

    from senvec import SentenceTransformer

    model = SentenceTransformer("all-MiniLM-L6-v2")
    vectors = model.encode(["a sentence", "another"])  # (2, 384) float32

The classes have the interface of sentence-transformers 6; docs/PYTHON.md says what differs.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from ._library import (
    ArgumentError,
    Error,
    FileError,
    FormatError,
    ModelNotFoundError,
    NetworkError,
    OutOfMemoryError,
    UnsupportedError,
)
from ._library import version as __version__
from ._outputs import int8_ranges
from .sentence_transformers import SentenceTransformer

if TYPE_CHECKING:
    from ._fetch import pull as pull
    from ._study import study as study
    from .cross_encoder import CrossEncoder as CrossEncoder
    from .sparse_encoder import SparseEncoder as SparseEncoder
    from .sparse_encoder import SparseVectors as SparseVectors

_LAZY = {
    "CrossEncoder": "cross_encoder",
    "SparseEncoder": "sparse_encoder",
    "SparseVectors": "sparse_encoder",
    "pull": "_fetch",
    "study": "_study",
}

__all__ = [
    "ArgumentError",
    "CrossEncoder",
    "Error",
    "FileError",
    "FormatError",
    "ModelNotFoundError",
    "NetworkError",
    "OutOfMemoryError",
    "SentenceTransformer",
    "SparseEncoder",
    "SparseVectors",
    "UnsupportedError",
    "__version__",
    "int8_ranges",
    "pull",
    "study",
]


def __getattr__(name: str) -> Any:
    module = _LAZY.get(name)
    if module is None:
        raise AttributeError(f"module 'senvec' has no attribute {name!r}")
    import importlib

    value = getattr(importlib.import_module(f"{__name__}.{module}"), name)
    globals()[name] = value
    return value
