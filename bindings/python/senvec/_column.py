"""A column of texts to a column of vectors, in Arrow: what senvec.batch, senvec.spark and senvec.ray have in common.

A text's vector depends on that text alone, so the vector of a text that came before may be taken in place of computing it: from
this run (repeats.py) and from a store of earlier ones (store.py). The result has the same bits.
"""

from __future__ import annotations

import hashlib
from typing import TYPE_CHECKING, Any

import numpy as np
import pyarrow as pa
import pyarrow.compute

from ._outputs import PRECISIONS, quantize

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._repeats import Repeats
    from .sentence_transformers import SentenceTransformer
    from .store import VectorStore

TYPES = {"float32": pa.float32(), "float16": pa.float16(), "int8": pa.int8(), "uint8": pa.uint8(), "binary": pa.int8(),
         "ubinary": pa.uint8()}


def check_precision(precision: str) -> None:
    """Raises ValueError for what is no form of vectors."""
    if precision not in TYPES:
        raise ValueError(f"precision={precision!r}: give one of {', '.join(TYPES)}")


def texts_of(batch: Any, column: str) -> Any:
    """The strings of a column of a RecordBatch or Table. Raises ValueError where there is none, or where it holds others."""
    names = batch.schema.names
    if column not in names:
        raise ValueError(f"there is no column {column!r}; there are {', '.join(names)}")
    texts = batch.column(column)
    if pa.types.is_dictionary(texts.type):
        texts = texts.cast(texts.type.value_type)
    if pa.types.is_null(texts.type):
        texts = texts.cast(pa.string())
    if not (pa.types.is_string(texts.type) or pa.types.is_large_string(texts.type) or pa.types.is_string_view(texts.type)):
        raise ValueError(f"the column {column!r} holds {texts.type}, not strings")
    return texts


def key_of(text: bytes) -> bytes:
    """By which a text is known."""
    return hashlib.blake2b(text, digest_size=16).digest()


class Vectors:
    """Vectors of columns of texts, by a model with encode's options.

    Attributes:
        rows, computed, stored: texts that came; those whose vectors were computed; those whose vectors came from the store.
    """

    def __init__(self, model: SentenceTransformer, precision: str, options: dict[str, Any], *,
                 repeats: Callable[[int], Repeats | None] | None = None, store: VectorStore | None = None):
        check_precision(precision)
        self._model, self._precision, self._options = model, precision, options
        self._store = store
        form = self._formed(model.encode([], **options))
        self.width, self._dtype = form.shape[1], form.dtype
        self._repeats = repeats(self.width * self._dtype.itemsize) if repeats else None
        self.rows = self.computed = self.stored = 0

    def _formed(self, vectors: np.ndarray) -> np.ndarray:
        if self._precision in PRECISIONS:
            return quantize(vectors, self._precision)
        return vectors.astype(np.float16)

    def _unique(self, texts: pa.Array) -> tuple[np.ndarray, Callable[[], None] | None]:
        """Vectors of texts none of which comes twice; and what puts those that are new into the store."""
        if self._repeats is None and self._store is None:
            self.computed += len(texts)
            return self._formed(self._model.encode(texts, **self._options)), None
        keys = [key_of(text) for text in texts.cast(pa.large_binary()).to_pylist()]
        made = np.empty((len(keys), self.width), self._dtype)
        left = np.arange(len(keys))
        if self._repeats is not None:
            left = self._repeats.take(keys, made)
        known = len(left)
        if self._store is not None and len(left):
            found, vectors = self._store.get([keys[index] for index in left])
            made[left[found]] = self._formed(vectors)
            self.stored += len(found)
            new = np.delete(left, found)
        else:
            new = left
        fresh = None
        if len(new):
            some = len(new) < len(keys)  # where all are new, as mostly, nothing is copied
            vectors = self._model.encode(texts.take(pa.array(new)) if some else texts, **self._options)
            if some:
                made[new] = self._formed(vectors)
            else:
                made = self._formed(vectors)
            self.computed += len(new)
            if self._store is not None:
                fresh = _later(self._store, [keys[index] for index in new], vectors)
        if self._repeats is not None and known:
            self._repeats.add([keys[index] for index in left], made[left] if known < len(keys) else made)
        return made, fresh

    def column(self, texts: Any) -> tuple[pa.Array, Callable[[], None] | None]:
        """The vectors of a column, lists of fixed size, null where the text is; and a function that adds the new ones to the
        store, which may be called in any thread, or None."""
        if isinstance(texts, pa.ChunkedArray):
            texts = texts.combine_chunks()
        if pa.types.is_string_view(texts.type):
            texts = texts.cast(pa.large_string())
        self.rows += len(texts)
        coded = texts.dictionary_encode()
        unique, fresh = self._unique(coded.dictionary)
        indices = coded.indices
        mask = None
        if indices.null_count:
            mask = indices.is_null()
            indices = indices.fill_null(0)
            if not len(unique):
                unique = np.zeros((1, self.width), self._dtype)
        vectors = unique if len(unique) == len(texts) and mask is None else unique[indices.to_numpy()]
        made = pa.FixedSizeListArray.from_arrays(pa.array(vectors.reshape(-1), TYPES[self._precision]), self.width, mask=mask)
        return made, fresh

    def add_to(self, batch: pa.RecordBatch, column: str, keep: list[str] | None, name: str = "embedding"
               ) -> tuple[pa.RecordBatch, Callable[[], None] | None]:
        """A batch with the columns `keep` (None: all) and one of vectors; and what `column` returns besides."""
        made, fresh = self.column(texts_of(batch, column))
        kept = [other for other in (batch.schema.names if keep is None else keep) if other != name]
        for other in kept:
            if other not in batch.schema.names:
                raise ValueError(f"there is no column {other!r}; there are {', '.join(batch.schema.names)}")
        fields = [batch.schema.field(other) for other in kept] + [pa.field(name, made.type)]
        return pa.RecordBatch.from_arrays([batch.column(other) for other in kept] + [made], schema=pa.schema(fields)), fresh


def _later(store: VectorStore, keys: list[bytes], vectors: np.ndarray) -> Callable[[], None]:
    return lambda: store.add(keys, vectors)
