"""SparseEncoder, as in sentence_transformers: texts as weights of the vocabulary's words (SPLADE)."""

from __future__ import annotations

import os
import sys
from typing import TYPE_CHECKING, Any, Literal, NamedTuple

import numpy as np

from ._base import Model, check_device
from ._engine import embed_options
from ._inputs import batch_of, is_single
from ._library import library
from ._outputs import torch_module
from ._progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterable

_PIECE = 256  # texts at a time: room for `capacity` words is taken for each
_WEIGHT = np.dtype([("id", np.uint32), ("value", np.float32)])


class SparseVectors(NamedTuple):
    """Rows of a matrix of `shape` in compressed form: row i has the columns indices[indptr[i]:indptr[i + 1]], ascending, with
    the values beside them."""

    indptr: np.ndarray
    indices: np.ndarray
    values: np.ndarray
    shape: tuple[int, int]

    def row(self, index: int) -> tuple[np.ndarray, np.ndarray]:
        """Columns and values of one row."""
        part = slice(self.indptr[index], self.indptr[index + 1])
        return self.indices[part], self.values[part]

    def toarray(self) -> np.ndarray:
        """The whole matrix, float32."""
        dense = np.zeros(self.shape, np.float32)
        rows = np.repeat(np.arange(self.shape[0]), np.diff(self.indptr))
        dense[rows, self.indices] = self.values
        return dense

    def to_scipy(self) -> Any:
        """A scipy.sparse.csr_array. Raises ImportError where there is no scipy."""
        from scipy.sparse import csr_array

        return csr_array((self.values, self.indices, self.indptr), shape=self.shape)

    def to_tensor(self) -> Any:
        """A sparse COO tensor of PyTorch."""
        torch = torch_module()
        rows = np.repeat(np.arange(self.shape[0]), np.diff(self.indptr))
        places = torch.from_numpy(np.stack([rows, self.indices.astype(np.int64)]))
        return torch.sparse_coo_tensor(places, torch.from_numpy(self.values), self.shape, is_coalesced=True)


class SparseEncoder(Model):
    """A model that turns texts into weights of the vocabulary's words.

    The arguments are those of SentenceTransformer; max_active_dims keeps that many words of a text, the heaviest.
    """

    TASKS = ("sparse",)

    def __init__(
        self,
        model_name_or_path: str | os.PathLike[str],
        *,
        max_active_dims: int | None = None,
        precision: Literal["auto", "fp32", "bf16", "int8"] = "auto",
        threads: int | None = None,
        cpu: str | None = None,
        calibration: Literal["cache", "beside", "memory", "never"] = "cache",
        share_weights: bool = False,
        max_seq_length: int | None = None,
        prompts: dict[str, str] | None = None,
        default_prompt_name: str | None = None,
        cache_folder: str | None = None,
        local_files_only: bool = False,
        token: str | bool | None = None,
        **arguments: Any,
    ):
        arguments.pop("similarity_fn_name", None)
        super().__init__(
            model_name_or_path, precision=precision, threads=threads, cpu=cpu, calibration=calibration,
            share_weights=share_weights,
            max_seq_length=max_seq_length, cache_folder=cache_folder, local_files_only=local_files_only, token=token,
            arguments=arguments,
        )
        self._take_prompts(prompts, default_prompt_name, always=True)
        self.max_active_dims = _active(max_active_dims)

    def encode(
        self,
        inputs: str | Iterable[str],
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        convert_to_tensor: bool | None = None,
        convert_to_sparse_tensor: bool = True,
        save_to_cpu: bool = False,
        device: Any = None,
        max_active_dims: int | None = None,
        pool: Any = None,
        chunk_size: int | None = None,
        *,
        task: str | None = None,
    ) -> Any:
        """Weights of the vocabulary's words for each text, (texts, vocabulary); for one str (vocabulary,).

        A sparse tensor with convert_to_tensor=True, or where the program has imported PyTorch; a SparseVectors otherwise. With
        convert_to_sparse_tensor=False a dense tensor or array. Raises as SentenceTransformer.encode does.
        """
        check_device(device)
        prompt = self._prompt(prompt, prompt_name)
        single = is_single(inputs)
        made = self.encode_rows(inputs, prompt, max_active_dims, show_progress_bar)
        tensors = convert_to_tensor or (convert_to_tensor is None and "torch" in sys.modules)
        if not convert_to_sparse_tensor:
            dense = made.toarray()
            dense = torch_module().from_numpy(dense) if tensors else dense
            return dense[0] if single else dense
        if tensors:
            tensor = made.to_tensor()
            return tensor[0] if single else tensor
        return made

    def encode_rows(
        self, inputs: Any, prompt: str | None = None, max_active_dims: int | None = None, show_progress_bar: bool | None = None
    ) -> SparseVectors:
        """`encode` to compressed rows, with PyTorch or without; one str gives one row."""
        if inputs is None:
            raise TypeError("a str or a list of str is needed, not None")
        engine = self._ready()
        batch = batch_of([str(inputs)] if is_single(inputs) else inputs, prompt)
        active, show = _active(max_active_dims) or self.max_active_dims, show_progress_bar
        vocabulary = engine.info.vocabulary
        capacity = min(active or vocabulary, vocabulary)
        ids, values, lengths = [], [], []
        options = embed_options(False, 0, b"", self._truncation)  # the prompt is part of the texts

        def work(session: Any, texts: int, first: int, count: int) -> int:
            room = np.empty((count, capacity), _WEIGHT)
            counts = np.empty(count, np.uintp)
            status = library.senvec_embed_sparse_with(
                session.handle, texts, count, options, room.__array_interface__["data"][0], capacity,
                counts.__array_interface__["data"][0], None, session.error_address,
            )
            if status == 0:
                used = np.arange(capacity) < counts[:, None]
                kept = room[used]
                ids.append(kept["id"].astype(np.int64))
                values.append(np.ascontiguousarray(kept["value"]))
                lengths.append(counts.astype(np.int64))
            return status

        engine.each_piece(batch, work, Progress(batch.count, show) if show else None, pieces_of=_PIECE)
        join = lambda parts, kind: np.concatenate(parts) if parts else np.empty(0, kind)  # noqa: E731
        indptr = np.concatenate(([0], np.cumsum(join(lengths, np.int64))))
        return SparseVectors(indptr, join(ids, np.int64), join(values, np.float32), (batch.count, vocabulary))

    def encode_query(self, inputs: Any, prompt_name: str | None = None, prompt: str | None = None, **arguments: Any) -> Any:
        """`encode` with the prompt named "query", unless one is given."""
        name = "query" if prompt_name is None and prompt is None else prompt_name
        return self.encode(inputs, name, prompt, **arguments)

    def encode_document(self, inputs: Any, prompt_name: str | None = None, prompt: str | None = None, **arguments: Any) -> Any:
        """`encode` with the prompt named "document", unless one is given."""
        name = "document" if prompt_name is None and prompt is None else prompt_name
        return self.encode(inputs, name, prompt, **arguments)

    def decode(self, embeddings: Any, top_k: int | None = None) -> list[Any]:
        """Each text's words and weights, the heaviest first: [(word, weight)] for one, a list of such for several."""
        if top_k is not None and top_k < 1:
            raise ValueError(f"top_k={top_k}: give at least 1")
        engine = self._ready()
        flat = getattr(embeddings, "ndim", 2) == 1
        if isinstance(embeddings, SparseVectors):
            rows = [embeddings.row(index) for index in range(embeddings.shape[0])]
        else:
            dense = embeddings.to_dense().numpy() if hasattr(embeddings, "to_dense") else np.asarray(embeddings)
            rows = [(np.flatnonzero(row), row[np.flatnonzero(row)]) for row in np.atleast_2d(dense)]
        made = []
        for ids, values in rows:
            order = np.argsort(-values, kind="stable")[:top_k]
            made.append([(engine.token_text(int(ids[index])) or f"<{ids[index]}>", float(values[index])) for index in order])
        return made[0] if flat else made

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Dot products of all pairs, (count1, count2)."""
        if not isinstance(embeddings1, SparseVectors):
            torch = torch_module()
            first, second = (value if value.ndim == 2 else value.unsqueeze(0) for value in (embeddings1, embeddings2))
            made = torch.mm(first, second.t())
            return made.to_dense() if made.is_sparse else made
        second = embeddings2.toarray()
        made = np.empty((embeddings1.shape[0], len(second)), np.float32)
        for index in range(len(made)):
            ids, values = embeddings1.row(index)
            made[index] = second[:, ids] @ values
        return made

    def get_embedding_dimension(self) -> int:
        """The size of the vocabulary."""
        return self._ready().info.vocabulary

    get_sentence_embedding_dimension = get_embedding_dimension
    __call__ = encode


def _active(value: Any) -> int | None:
    if value is None:
        return None
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"max_active_dims is of type {type(value).__name__}; give an int")
    if value < 1:
        raise ValueError(f"max_active_dims={value}: give at least 1")
    return int(value)
