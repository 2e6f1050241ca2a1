"""fastembed's classes on senvec: TextEmbedding, SparseTextEmbedding and TextCrossEncoder, with its generators and names."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np

from .cross_encoder import CrossEncoder
from .sentence_transformers import SentenceTransformer
from .sparse_encoder import SparseEncoder

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator


def _pieces(documents: str | Iterable[str], size: int) -> Iterator[list[str]]:
    """Lists of at most `size` texts, as they come."""
    if size < 1:
        raise ValueError(f"batch_size={size}: give at least 1")
    piece: list[str] = []
    for text in [documents] if isinstance(documents, str) else documents:
        piece.append(text)
        if len(piece) == size:
            yield piece
            piece = []
    if piece:
        yield piece


def _options(cache_dir: str | None, threads: int | None, options: dict[str, Any]) -> dict[str, Any]:
    for harmless in ("providers", "cuda", "device_ids", "lazy_load"):
        if options.pop(harmless, None) and harmless == "cuda":
            raise ValueError("cuda=True: senvec computes on the CPU")
    return {"cache_folder": cache_dir, "threads": threads, **options}


class TextEmbedding:
    """fastembed.TextEmbedding. Vectors have length 1, as fastembed's have; `parallel` means nothing: the threads work."""

    def __init__(self, model_name: str = "BAAI/bge-small-en-v1.5", cache_dir: str | None = None, threads: int | None = None,
                 **options: Any):
        self.model_name = model_name
        self.model = SentenceTransformer(model_name, **_options(cache_dir, threads, options))

    @property
    def embedding_size(self) -> int:
        return self.model.get_embedding_dimension()

    def embed(self, documents: str | Iterable[str], batch_size: int = 256, parallel: int | None = None,
              **_: Any) -> Iterator[np.ndarray]:
        """Vectors one by one, (dimensions,) float32; the texts may be a generator without end."""
        for piece in _pieces(documents, batch_size):
            yield from self.model.encode(piece, prompt="", normalize_embeddings=True)

    def query_embed(self, query: str | Iterable[str], **_: Any) -> Iterator[np.ndarray]:
        """The same with the model's "query" prompt."""
        for piece in _pieces(query, 256):
            yield from self.model.encode_query(piece, normalize_embeddings=True)

    def passage_embed(self, texts: Iterable[str], **_: Any) -> Iterator[np.ndarray]:
        """The same with the model's "document" prompt."""
        for piece in _pieces(texts, 256):
            yield from self.model.encode_document(piece, normalize_embeddings=True)

    def token_count(self, texts: str | Iterable[str], **_: Any) -> int:
        """Tokens of all texts, each cut to max_seq_length."""
        return sum(len(self.model.tokenizer.encode(text)) for text in ([texts] if isinstance(texts, str) else texts))


class SparseEmbedding(NamedTuple):
    """Words of the vocabulary and their weights."""

    values: np.ndarray
    indices: np.ndarray

    def as_dict(self) -> dict[int, float]:
        return dict(zip(self.indices.tolist(), self.values.tolist()))


class SparseTextEmbedding:
    """fastembed.SparseTextEmbedding."""

    def __init__(self, model_name: str, cache_dir: str | None = None, threads: int | None = None, **options: Any):
        self.model_name = model_name
        self.model = SparseEncoder(model_name, **_options(cache_dir, threads, options))

    def embed(self, documents: str | Iterable[str], batch_size: int = 256, parallel: int | None = None,
              **_: Any) -> Iterator[SparseEmbedding]:
        """Sparse vectors one by one."""
        for piece in _pieces(documents, batch_size):
            made = self.model.encode_rows(piece)
            for index in range(len(piece)):
                indices, values = made.row(index)
                yield SparseEmbedding(values, indices)

    query_embed = passage_embed = embed


class TextCrossEncoder:
    """fastembed's TextCrossEncoder: logits of a reranker."""

    def __init__(self, model_name: str, cache_dir: str | None = None, threads: int | None = None, **options: Any):
        self.model_name = model_name
        self.model = CrossEncoder(model_name, **_options(cache_dir, threads, options))

    def rerank(self, query: str, documents: Iterable[str], batch_size: int = 64, **_: Any) -> Iterator[float]:
        """Scores of documents for a query, in the documents' order."""
        for piece in _pieces(documents, batch_size):
            yield from map(float, self.model.predict([(query, text) for text in piece], activation_fn="none"))

    def rerank_pairs(self, pairs: Iterable[tuple[str, str]], batch_size: int = 64, **_: Any) -> Iterator[float]:
        """Scores of pairs of query and document."""
        for piece in _pieces(pairs, batch_size):
            yield from map(float, self.model.predict(piece, activation_fn="none"))
