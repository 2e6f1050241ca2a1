"""senvec for LangChain: embeddings, and a document compressor that reranks. Needs langchain-core (`pip install
senvec[langchain]`)."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Optional

from langchain_core.documents import BaseDocumentCompressor
from langchain_core.embeddings import Embeddings
from pydantic import BaseModel, ConfigDict, Field, PrivateAttr

from ._scoring import Scorer
from .sentence_transformers import SentenceTransformer

if TYPE_CHECKING:
    from collections.abc import Sequence

    from langchain_core.documents import Document


class SenvecEmbeddings(BaseModel, Embeddings):
    """Embeddings on the CPU. Documents get the model's "document" prompt and queries its "query" prompt, where it has them.

    model (or model_name): a name, a folder or a native file. model_kwargs go to senvec.SentenceTransformer (precision,
    threads, prompts, truncate_dim, ...), encode_kwargs to its encode (normalize_embeddings, ...).
    """

    model_config = ConfigDict(extra="forbid", populate_by_name=True, protected_namespaces=())

    model: str = Field(default="all-MiniLM-L6-v2", alias="model_name")
    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    encode_kwargs: dict[str, Any] = Field(default_factory=dict)
    _encoder: SentenceTransformer = PrivateAttr()

    def model_post_init(self, context: Any) -> None:
        self._encoder = SentenceTransformer(self.model, **self.model_kwargs)

    def embed_documents(self, texts: list[str]) -> list[list[float]]:
        return self._encoder.encode_document(texts, **self.encode_kwargs).tolist()

    def embed_query(self, text: str) -> list[float]:
        return self._encoder.encode_query(text, **self.encode_kwargs).tolist()

    async def aembed_documents(self, texts: list[str]) -> list[list[float]]:
        return (await self._encoder.aencode_document(texts, **self.encode_kwargs)).tolist()

    async def aembed_query(self, text: str) -> list[float]:
        return (await self._encoder.aencode_query(text, **self.encode_kwargs)).tolist()


class SenvecRerank(BaseDocumentCompressor):
    """Puts documents in the order of their scores for the query and keeps the best `top_n`; each gets metadata
    "relevance_score". model: a reranker, or an embedder, whose cosines are then the scores."""

    model_config = ConfigDict(extra="forbid", protected_namespaces=())

    model: str
    top_n: Optional[int] = 3
    model_kwargs: dict[str, Any] = Field(default_factory=dict)
    _scorer: Scorer = PrivateAttr()

    def model_post_init(self, context: Any) -> None:
        self._scorer = Scorer(self.model, **self.model_kwargs)

    def compress_documents(self, documents: Sequence[Document], query: str, callbacks: Any = None) -> Sequence[Document]:
        best = self._scorer.order(query, [document.page_content for document in documents], self.top_n)
        return [
            documents[index].model_copy(update={"metadata": {**documents[index].metadata, "relevance_score": score}})
            for index, score in best
        ]
