"""senvec for Haystack 3: embedders of texts and documents, and a ranker. Needs haystack-ai (`pip install senvec[haystack]`)."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Dict, List, Optional

from haystack import Document, component, default_from_dict, default_to_dict

from ._scoring import Scorer
from .sentence_transformers import SentenceTransformer


class _Embedder:
    def __init__(self, model: str, model_kwargs: Optional[Dict[str, Any]], encode_kwargs: Optional[Dict[str, Any]]):
        self.model = model
        self.model_kwargs = dict(model_kwargs or {})
        self.encode_kwargs = dict(encode_kwargs or {})
        self._encoder: Optional[SentenceTransformer] = None

    def warm_up(self) -> None:
        """Opens the model; run() does so if need be."""
        self._opened()

    def _opened(self) -> SentenceTransformer:
        if self._encoder is None:
            self._encoder = SentenceTransformer(self.model, **self.model_kwargs)
        return self._encoder


@component
class SenvecTextEmbedder(_Embedder):
    """Embeds a query, with the model's "query" prompt where it has one. model_kwargs go to senvec.SentenceTransformer,
    encode_kwargs to its encode."""

    def __init__(self, model: str = "all-MiniLM-L6-v2", model_kwargs: Optional[Dict[str, Any]] = None,
                 encode_kwargs: Optional[Dict[str, Any]] = None):
        _Embedder.__init__(self, model, model_kwargs, encode_kwargs)  # @component makes the class anew: no super()

    @component.output_types(embedding=List[float])
    def run(self, text: str) -> Dict[str, Any]:
        if not isinstance(text, str):
            raise TypeError("SenvecTextEmbedder takes a str; for documents there is SenvecDocumentEmbedder")
        return {"embedding": self._opened().encode_query(text, **self.encode_kwargs).tolist()}

    def to_dict(self) -> Dict[str, Any]:
        return default_to_dict(self, model=self.model, model_kwargs=self.model_kwargs, encode_kwargs=self.encode_kwargs)

    @classmethod
    def from_dict(cls, data: Dict[str, Any]) -> SenvecTextEmbedder:
        return default_from_dict(cls, data)


@component
class SenvecDocumentEmbedder(_Embedder):
    """Embeds documents, with the model's "document" prompt where it has one. meta_fields_to_embed are put before the content,
    with embedding_separator between."""

    def __init__(self, model: str = "all-MiniLM-L6-v2", model_kwargs: Optional[Dict[str, Any]] = None,
                 encode_kwargs: Optional[Dict[str, Any]] = None, meta_fields_to_embed: Optional[List[str]] = None,
                 embedding_separator: str = "\n"):
        _Embedder.__init__(self, model, model_kwargs, encode_kwargs)
        self.meta_fields_to_embed = list(meta_fields_to_embed or [])
        self.embedding_separator = embedding_separator

    @component.output_types(documents=List[Document])
    def run(self, documents: List[Document]) -> Dict[str, Any]:
        if not isinstance(documents, list) or any(not isinstance(document, Document) for document in documents):
            raise TypeError("SenvecDocumentEmbedder takes a list of Document; for a str there is SenvecTextEmbedder")
        texts = []
        for document in documents:
            fields = [str(document.meta[name]) for name in self.meta_fields_to_embed if document.meta.get(name) is not None]
            texts.append(self.embedding_separator.join([*fields, document.content or ""]))
        vectors = self._opened().encode_document(texts, **self.encode_kwargs).tolist()
        return {"documents": [replace(document, embedding=vector) for document, vector in zip(documents, vectors)]}

    def to_dict(self) -> Dict[str, Any]:
        return default_to_dict(
            self, model=self.model, model_kwargs=self.model_kwargs, encode_kwargs=self.encode_kwargs,
            meta_fields_to_embed=self.meta_fields_to_embed, embedding_separator=self.embedding_separator,
        )

    @classmethod
    def from_dict(cls, data: Dict[str, Any]) -> SenvecDocumentEmbedder:
        return default_from_dict(cls, data)


@component
class SenvecRanker:
    """Puts documents in the order of their scores for the query and keeps the best `top_k`. model: a reranker, or an embedder,
    whose cosines are then the scores."""

    def __init__(self, model: str, top_k: Optional[int] = 10, model_kwargs: Optional[Dict[str, Any]] = None):
        self.model = model
        self.top_k = top_k
        self.model_kwargs = dict(model_kwargs or {})
        self._scorer: Optional[Scorer] = None

    def warm_up(self) -> None:
        """Opens the model; run() does so if need be."""
        if self._scorer is None:
            self._scorer = Scorer(self.model, **self.model_kwargs)

    @component.output_types(documents=List[Document])
    def run(self, query: str, documents: List[Document], top_k: Optional[int] = None) -> Dict[str, Any]:
        self.warm_up()
        texts = [document.content or "" for document in documents]
        best = self._scorer.order(query, texts, top_k if top_k is not None else self.top_k)
        return {"documents": [replace(documents[index], score=score) for index, score in best]}

    def to_dict(self) -> Dict[str, Any]:
        return default_to_dict(self, model=self.model, top_k=self.top_k, model_kwargs=self.model_kwargs)

    @classmethod
    def from_dict(cls, data: Dict[str, Any]) -> SenvecRanker:
        return default_from_dict(cls, data)
