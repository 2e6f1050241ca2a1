"""senvec for Chroma: an embedding function that a collection keeps by its configuration. Import this module before a collection
that was made with it is opened, so that Chroma knows it. Needs chromadb (`pip install senvec[chroma]`)."""

from __future__ import annotations

from typing import Any, Dict, List

import numpy as np
from chromadb.api.types import Documents, EmbeddingFunction, Embeddings, Space
from chromadb.utils.embedding_functions import register_embedding_function

from .sentence_transformers import SentenceTransformer


@register_embedding_function
class SenvecEmbeddingFunction(EmbeddingFunction[Documents]):
    """Embeds documents with the model's "document" prompt and queries with its "query" prompt, where it has them. `options`
    are senvec.SentenceTransformer's and have to be of JSON's types."""

    def __init__(self, model_name: str = "all-MiniLM-L6-v2", normalize_embeddings: bool = False, **options: Any):
        for name, value in options.items():
            if not isinstance(value, (str, int, float, bool, list, dict, type(None))):
                raise ValueError(f"the option {name} is of type {type(value).__name__}, which Chroma can't keep")
        self.model_name = model_name
        self.normalize_embeddings = normalize_embeddings
        self.options = options
        self._model = SentenceTransformer(model_name, **options)

    def __call__(self, input: Documents) -> Embeddings:
        return self._rows(self._model.encode_document(list(input), normalize_embeddings=self.normalize_embeddings))

    def embed_query(self, input: Documents) -> Embeddings:
        return self._rows(self._model.encode_query(list(input), normalize_embeddings=self.normalize_embeddings))

    @staticmethod
    def _rows(vectors: np.ndarray) -> Embeddings:
        return list(vectors)

    @staticmethod
    def name() -> str:
        return "senvec"

    def default_space(self) -> Space:
        return "cosine"

    def supported_spaces(self) -> List[Space]:
        return ["cosine", "l2", "ip"]

    def max_tokens(self) -> int:
        return self._model.max_seq_length

    @staticmethod
    def build_from_config(config: Dict[str, Any]) -> EmbeddingFunction[Documents]:
        options = config.get("options") or {}
        return SenvecEmbeddingFunction(config["model_name"], bool(config.get("normalize_embeddings")), **options)

    def get_config(self) -> Dict[str, Any]:
        return {"model_name": self.model_name, "normalize_embeddings": self.normalize_embeddings, "options": self.options}

    def validate_config_update(self, old_config: Dict[str, Any], new_config: Dict[str, Any]) -> None:
        """A model's folder may move; what it computes may not change."""

    @staticmethod
    def validate_config(config: Dict[str, Any]) -> None:
        if not isinstance(config.get("model_name"), str):
            raise ValueError("the configuration of a senvec embedding function has no model_name")
