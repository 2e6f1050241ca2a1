"""Documents' scores for a query, by whatever model there is: a reranker's own, or the cosine of an embedder's vectors."""

from __future__ import annotations

from typing import Any

import numpy as np

from ._base import Model
from ._library import TASKS
from .sentence_transformers import SentenceTransformer


class _AnyModel(Model):
    TASKS = TASKS

    def __init__(self, name: str, **options: Any):
        given = dict.fromkeys(("threads", "cpu", "max_seq_length", "cache_folder", "token"))
        given.update(precision="auto", calibration="cache", share_weights=False, local_files_only=False)
        super().__init__(name, arguments={}, **{**given, **options})


class Scorer:
    """Opens a reranker or an embedder by name. `options` are SentenceTransformer's: precision, threads, cpu, ..."""

    def __init__(self, name: str, **options: Any):
        probe = _AnyModel(name, **options)
        if probe.info["task"] == "embedding":
            self.model: Any = SentenceTransformer(name, **options)
        else:
            from .cross_encoder import CrossEncoder

            self.model = CrossEncoder(name, **options)

    def scores(self, query: str, documents: list[str]) -> np.ndarray:
        """(documents,) float32, more for a better answer."""
        if not documents:
            return np.empty(0, np.float32)
        if not isinstance(self.model, SentenceTransformer):
            return self.model.predict([(query, document) for document in documents])
        vectors = self.model.encode_document(documents, normalize_embeddings=True)
        return vectors @ self.model.encode_query(query, normalize_embeddings=True)

    def order(self, query: str, documents: list[str], top: int | None) -> list[tuple[int, float]]:
        """(index, score) of the `top` best documents, the best first."""
        scores = self.scores(query, documents)
        return [(int(index), float(scores[index])) for index in np.argsort(-scores, kind="stable")[:top]]
