"""senvec for scikit-learn: a transformer from texts to vectors, for pipelines and grid searches. Needs scikit-learn (`pip
install senvec[sklearn]`)."""

from __future__ import annotations

from typing import Any

import numpy as np
from sklearn.base import BaseEstimator, TransformerMixin

from .sentence_transformers import SentenceTransformer


class SenvecVectorizer(TransformerMixin, BaseEstimator):
    """Texts to vectors, (texts, dimensions) float32. It learns nothing: fit opens the model. Its parameters can be searched,
    and clones share one model in memory.

    Parameters: model (a name, a folder or a native file), precision, threads, prompt, prompt_name, truncate_dim, normalize.
    """

    def __init__(self, model="all-MiniLM-L6-v2", *, precision="auto", threads=None, prompt=None, prompt_name=None,
                 truncate_dim=None, normalize=False):
        self.model = model
        self.precision = precision
        self.threads = threads
        self.prompt = prompt
        self.prompt_name = prompt_name
        self.truncate_dim = truncate_dim
        self.normalize = normalize

    def _opened(self) -> SentenceTransformer:
        wanted = (self.model, self.precision, self.threads)
        if getattr(self, "_opened_as", None) != wanted:
            self._encoder = SentenceTransformer(self.model, precision=self.precision, threads=self.threads)
            self._opened_as = wanted
        return self._encoder

    def fit(self, X: Any = None, y: Any = None) -> SenvecVectorizer:
        self.n_features_out_ = self._opened().get_embedding_dimension()
        return self

    def transform(self, X: Any) -> np.ndarray:
        return self._opened().encode(
            X, prompt=self.prompt, prompt_name=self.prompt_name, truncate_dim=self.truncate_dim,
            normalize_embeddings=self.normalize,
        )

    def get_feature_names_out(self, input_features: Any = None) -> np.ndarray:
        count = min(self.truncate_dim or 1 << 30, self._opened().get_embedding_dimension())
        return np.array([f"senvec{index}" for index in range(count)], object)

    def __sklearn_tags__(self):
        tags = super().__sklearn_tags__()
        tags.requires_fit = False
        tags.input_tags.string = True
        tags.input_tags.two_d_array = False
        return tags
