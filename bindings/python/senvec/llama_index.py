"""senvec for LlamaIndex: an embedding, and a node postprocessor that reranks. Needs llama-index-core (`pip install
senvec[llama-index]`)."""

from __future__ import annotations

from typing import Any, List, Optional

from llama_index.core.base.embeddings.base import BaseEmbedding
from llama_index.core.bridge.pydantic import Field, PrivateAttr
from llama_index.core.postprocessor.types import BaseNodePostprocessor
from llama_index.core.schema import MetadataMode, NodeWithScore, QueryBundle

from ._scoring import Scorer
from .sentence_transformers import SentenceTransformer


class SenvecEmbedding(BaseEmbedding):
    """Embeddings on the CPU. Texts get the model's "document" prompt and queries its "query" prompt, where it has them.
    model_kwargs go to senvec.SentenceTransformer, encode_kwargs to its encode."""

    model_name: str = Field(default="all-MiniLM-L6-v2", description="a name, a folder or a native file")
    embed_batch_size: int = Field(default=512, description="texts of a call", gt=0, le=65536)
    model_kwargs: dict = Field(default_factory=dict, description="arguments of senvec.SentenceTransformer")
    encode_kwargs: dict = Field(default_factory=dict, description="arguments of its encode")
    _model: SentenceTransformer = PrivateAttr()

    def __init__(self, model_name: str = "all-MiniLM-L6-v2", **arguments: Any):
        super().__init__(model_name=model_name, **arguments)
        self._model = SentenceTransformer(self.model_name, **self.model_kwargs)

    @classmethod
    def class_name(cls) -> str:
        return "SenvecEmbedding"

    def _get_query_embedding(self, query: str) -> List[float]:
        return self._model.encode_query(query, **self.encode_kwargs).tolist()

    async def _aget_query_embedding(self, query: str) -> List[float]:
        return (await self._model.aencode_query(query, **self.encode_kwargs)).tolist()

    def _get_text_embedding(self, text: str) -> List[float]:
        return self._model.encode_document(text, **self.encode_kwargs).tolist()

    async def _aget_text_embedding(self, text: str) -> List[float]:
        return (await self._model.aencode_document(text, **self.encode_kwargs)).tolist()

    def _get_text_embeddings(self, texts: List[str]) -> List[List[float]]:
        return self._model.encode_document(texts, **self.encode_kwargs).tolist()

    async def _aget_text_embeddings(self, texts: List[str]) -> List[List[float]]:
        return (await self._model.aencode_document(texts, **self.encode_kwargs)).tolist()


class SenvecRerank(BaseNodePostprocessor):
    """Puts nodes in the order of their scores for the query and keeps the best `top_n`. model: a reranker, or an embedder,
    whose cosines are then the scores."""

    model: str = Field(description="a name or a folder")
    top_n: Optional[int] = Field(default=2, description="nodes to keep; None: all")
    model_kwargs: dict = Field(default_factory=dict, description="arguments of the model's class")
    _scorer: Scorer = PrivateAttr()

    def __init__(self, model: str, top_n: Optional[int] = 2, **arguments: Any):
        super().__init__(model=model, top_n=top_n, **arguments)
        self._scorer = Scorer(self.model, **self.model_kwargs)

    @classmethod
    def class_name(cls) -> str:
        return "SenvecRerank"

    def _postprocess_nodes(self, nodes: List[NodeWithScore], query_bundle: Optional[QueryBundle] = None) -> List[NodeWithScore]:
        if query_bundle is None:
            raise ValueError("SenvecRerank needs a query: give query_bundle or query_str")
        texts = [node.node.get_content(metadata_mode=MetadataMode.EMBED) for node in nodes]
        best = self._scorer.order(query_bundle.query_str, texts, self.top_n)
        return [NodeWithScore(node=nodes[index].node, score=score) for index, score in best]
