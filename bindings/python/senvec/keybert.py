"""senvec for KeyBERT: KeyBERT(model=SenvecBackend("all-MiniLM-L6-v2")). Needs keybert."""

from __future__ import annotations

from typing import Any

import numpy as np
from keybert.backend import BaseEmbedder

from .sentence_transformers import SentenceTransformer


class SenvecBackend(BaseEmbedder):
    """model: a name, a folder, a native file or a senvec.SentenceTransformer. `options` are its class's."""

    def __init__(self, model: Any = "all-MiniLM-L6-v2", **options: Any):
        super().__init__()
        self.embedding_model = model if isinstance(model, SentenceTransformer) else SentenceTransformer(model, **options)

    def embed(self, documents: list[str], verbose: bool = False) -> np.ndarray:
        return self.embedding_model.encode(documents, show_progress_bar=verbose)
