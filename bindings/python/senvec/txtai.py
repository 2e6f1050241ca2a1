"""senvec for txtai: a function for Embeddings of the method "external".

    from txtai import Embeddings
    from senvec.txtai import vectors

    embeddings = Embeddings(method="external", transform=vectors("all-MiniLM-L6-v2"), content=True)
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from .sentence_transformers import SentenceTransformer

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np


def vectors(model: str = "all-MiniLM-L6-v2", encode_kwargs: dict[str, Any] | None = None, **options: Any) -> Callable:
    """A function from a list of str to their vectors, (texts, dimensions) float32. `options` are
    senvec.SentenceTransformer's, encode_kwargs its encode's."""
    opened = SentenceTransformer(model, **options)

    def transform(texts: list[str]) -> np.ndarray:
        return opened.encode(texts, **(encode_kwargs or {}))

    return transform
