"""SentenceTransformer, as in sentence_transformers: change the import, keep the program."""

from __future__ import annotations

import os
import sys
from contextlib import contextmanager
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from ._base import Model, check_device, read_json, token_ids
from ._engine import embed_options
from ._inputs import batch_of, is_single, surrogate
from ._library import library
from ._outputs import PRECISIONS, as_tensor, check_out, quantize, similarity, torch_module
from ._progress import Progress

if TYPE_CHECKING:
    from collections.abc import Iterable, Iterator

    import torch

    Texts = str | Iterable[str]
    Vectors = np.ndarray | torch.Tensor | list[torch.Tensor]

_TOKEN_PIECE = 64  # texts whose tokens' vectors are made at a time: room for the longest is taken for each
SIMILARITIES = ("cosine", "dot", "euclidean", "manhattan")


class SentenceTransformer(Model):
    """A model that turns texts into vectors, on the CPU.

    Args:
        model_name_or_path: a name ("all-MiniLM-L6-v2", "BAAI/bge-small-en-v1.5"), which is looked up in senvec's cache and in
            Hugging Face's and fetched if it is in neither; a folder as sentence-transformers saves it; or a native file, which
            `senvec quantize` writes.
        precision: what to compute in: "fp32", "bf16", "int8", or "auto", the fastest that this CPU has and that keeps the
            vectors' accuracy (docs/CALIBRATION.md).
        threads: threads of a call, 1 to 256; default: what the CPU quota and the affinity mask allow.
        cpu: instruction sets to use at most, e.g. "avx2"; default: $SENVEC_CPU, else all that there are.
        calibration: what int8 takes the seconds of calibration for, once for each model: "cache" keeps the result in senvec's
            cache folder, "beside" beside the model, "memory" nowhere, "never" raises FileNotFoundError where there is none.
        share_weights: True puts the weights of int8, packed, into a file of senvec's cache folder that is mapped, so that
            processes which open the same model have them in memory once.
        daemon: True lets this user's daemon compute, which the command `senvec` starts where there is none, so that a process
            has no weights of its own. Where it can't be had, and for what it doesn't do (token embeddings, vectors that are
            normalised after a cut, a prompt that isn't one of the model's, another max_seq_length or calibration), this process
            opens the model and computes; the vectors have the same bits.
        max_seq_length: tokens to keep of a text; default: the model's.
        prompts, default_prompt_name, similarity_fn_name, truncate_dim, cache_folder, local_files_only, token: as in
            sentence-transformers.

    tokenizer_kwargs={"truncation_side": "left"} cuts texts that are too long at their beginning, a prompt first, and "right"
    at their end; default: the side that the model's tokenizer names. It may name nothing else.

    device (other than "cpu"), modules, revision (other than "main") and config_kwargs raise; backend, trust_remote_code and
    model_kwargs' dtype mean nothing here and are accepted.

    Objects of the same model and options share its memory. All methods may be called from any number of threads; a process
    that was forked goes on with the same model. Pickles hold the path and the options.

    Raises:
        FileNotFoundError: no such folder, or no such model on the hub.
        NotImplementedError: an architecture that senvec doesn't have; the message names it.
        ValueError: a broken file or a wrong argument.
        MemoryError, OSError, senvec.Error: as they say.
    """

    TASKS = ("embedding",)

    def __init__(
        self,
        model_name_or_path: str | os.PathLike[str],
        *,
        precision: Literal["auto", "fp32", "bf16", "int8"] = "auto",
        threads: int | None = None,
        cpu: str | None = None,
        calibration: Literal["cache", "beside", "memory", "never"] = "cache",
        share_weights: bool = False,
        daemon: bool = False,
        max_seq_length: int | None = None,
        prompts: dict[str, str] | None = None,
        default_prompt_name: str | None = None,
        similarity_fn_name: str | None = None,
        truncate_dim: int | None = None,
        cache_folder: str | None = None,
        local_files_only: bool = False,
        token: str | bool | None = None,
        **arguments: Any,
    ):
        super().__init__(
            model_name_or_path, precision=precision, threads=threads, cpu=cpu, calibration=calibration,
            share_weights=share_weights, daemon=daemon,
            max_seq_length=max_seq_length, cache_folder=cache_folder, local_files_only=local_files_only, token=token,
            arguments=arguments,
        )
        engine = self._ready()
        self._take_prompts(prompts, default_prompt_name, always=True)
        saved = read_json(self._path, "config_sentence_transformers.json").get("similarity_fn_name")
        self.similarity_fn_name = similarity_fn_name or (saved if saved in SIMILARITIES else "cosine")
        if truncate_dim is None and engine.info.dimensions < engine.dimensions:
            truncate_dim = engine.info.dimensions  # the model's own
        self.truncate_dim = self._dimensions(truncate_dim)

    # --------------------------------------------------------------------------------------------------------- encode

    def encode(
        self,
        inputs: Texts | None = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        output_value: Literal["sentence_embedding", "token_embeddings"] | None = "sentence_embedding",
        precision: Literal["float32", "int8", "uint8", "binary", "ubinary"] = "float32",
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        device: Any = None,
        normalize_embeddings: bool = False,
        truncate_dim: int | None = None,
        pool: Any = None,
        chunk_size: int | None = None,
        *,
        out: np.ndarray | None = None,
        ranges: np.ndarray | None = None,
        sentences: Texts | None = None,
        task: str | None = None,
    ) -> Vectors:
        """Vectors of texts.

        A text's vector has the same bits alone or among others, whatever batch_size, threads and order.

        Args:
            inputs: a str, or texts: list, tuple, generator, numpy array, pandas or polars Series, Arrow array (read in place).
            prompt_name, prompt: the prompt that is put before every text, by its name in `prompts` or as it is.
            batch_size: accepted; what is computed together is decided by the texts' lengths.
            show_progress_bar: draws one on standard error, if that is a terminal.
            output_value: "sentence_embedding"; "token_embeddings" for a list with the vectors of each text's tokens, (tokens,
                dimensions); None for a list of dicts with both.
            precision: what to return: float32; int8 or uint8, in 255 steps over fixed ranges (senvec.int8_ranges) or over
                `ranges`; binary or ubinary, one bit for each dimension, 1 where it is above 0.
            convert_to_numpy, convert_to_tensor: an array; a tensor; with both False a list of tensors.
            normalize_embeddings: gives every vector length 1, after a cut.
            truncate_dim: keeps that many dimensions, the first.
            out: where to write float32 vectors: (texts, dimensions), or (dimensions,) for one str. It is also returned.
            ranges: smallest and largest of each dimension, (2, dimensions), for int8 and uint8.
            device, pool, chunk_size, task: accepted where they mean the CPU.

        Returns:
            (texts, dimensions); for one str (dimensions,). int8 and uint8 have their own type, binary is int8 and ubinary
            uint8 with a byte for each 8 dimensions.

        Raises:
            TypeError: something that isn't a str, with its index. ValueError: an argument out of its range, a lone surrogate.
        """
        if sentences is not None:
            if inputs is not None:
                raise TypeError("encode() got both inputs and sentences, which is its old name")
            inputs = sentences
        single = is_single(inputs)
        if inputs is None:
            raise TypeError("encode() needs a str or a list of str, not None")
        if batch_size != 32:
            _check_batch_size(batch_size)
        if device is not None:
            check_device(device)
        if precision != "float32" and precision not in PRECISIONS:
            raise ValueError(f"precision={precision!r}: give one of {', '.join(PRECISIONS)}")
        if output_value not in ("sentence_embedding", "token_embeddings", None):
            raise ValueError(f"output_value={output_value!r}: give 'sentence_embedding', 'token_embeddings' or None")
        if out is not None and (precision != "float32" or convert_to_tensor or not convert_to_numpy):
            raise ValueError("out takes float32 vectors as a numpy array; leave precision and convert_to_* as they are")
        prompt = self._prompt(prompt, prompt_name)
        engine = self._ready()
        kept = self._dimensions(truncate_dim) or self.truncate_dim or engine.dimensions
        if output_value != "sentence_embedding":
            if out is not None or precision != "float32":
                raise ValueError(f"output_value={output_value!r} gives float32 of varying length; leave out and precision")
            made = self._tokens(engine, [str(inputs)] if single else inputs, prompt, output_value is None)
            return made[0] if single else made

        before = ""
        if prompt and "\0" in prompt:  # the library's prompts end at a NUL
            prompt, before = None, prompt
        try:
            options = embed_options(normalize_embeddings, kept, prompt.encode() if prompt else b"", self._truncation)
        except UnicodeEncodeError:
            raise ValueError("the prompt has a lone surrogate, which is no character") from None
        if single:
            vectors = np.empty((1, kept), np.float32) if out is None else check_out(out, (kept,))
            try:
                data = (before + inputs if before else str(inputs)).encode()
            except UnicodeEncodeError:
                raise surrogate([str(inputs)], 0) from None
            engine.embed_one(data, options, vectors.__array_interface__["data"][0], kept)
        else:
            batch = batch_of(inputs, before)
            vectors = np.empty((batch.count, kept), np.float32) if out is None else check_out(out, (batch.count, kept))
            engine.embed(batch, options, vectors, Progress(batch.count, show_progress_bar) if show_progress_bar else None)
        if out is not None:
            return out
        if precision != "float32":
            vectors = quantize(vectors, precision, ranges)
        if single:
            vectors = vectors[0]
        if convert_to_tensor:
            return as_tensor(vectors)
        if convert_to_numpy:
            return vectors
        return as_tensor(vectors) if single else list(as_tensor(vectors))

    def _tokens(self, engine: Any, inputs: Any, prompt: str | None, everything: bool) -> list[Any]:
        """For each text its tokens' vectors, (tokens, dimensions), or a dict of all that is known of it. Tensors where the
        program has imported PyTorch, else numpy arrays."""
        batch = batch_of(inputs, prompt)
        longest = engine.info.max_seq_length
        options = embed_options(False, 0, b"", self._truncation)  # the prompt is part of the texts
        made: list[Any] = []

        def work(session: Any, texts: int, first: int, count: int) -> int:
            counts = np.empty(count, np.uintp)
            room = np.empty((count * longest, engine.info.hidden), np.float32)
            status = library.senvec_embed_tokens_with(
                session.handle, texts, count, options, room.__array_interface__["data"][0], count * longest,
                counts.__array_interface__["data"][0], None, session.error_address,
            )
            if status == 0:
                made.extend(part.copy() for part in np.split(room[: int(counts.sum())], np.cumsum(counts[:-1]).astype(int)))
            return status

        engine.each_piece(batch, work, pieces_of=_TOKEN_PIECE)
        wrap = as_tensor if "torch" in sys.modules else (lambda value: value)
        if not everything:
            return [wrap(part) for part in made]
        vectors = np.empty((batch.count, engine.dimensions), np.float32)
        engine.embed(batch, embed_options(False, engine.dimensions, b"", self._truncation), vectors)
        return [
            {"token_embeddings": wrap(part), "sentence_embedding": wrap(row), "attention_mask": wrap(np.ones(len(part), int))}
            for part, row in zip(made, vectors)
        ]

    def encode_query(self, inputs: Texts | None = None, prompt_name: str | None = None, prompt: str | None = None,
                     *rest: Any, **arguments: Any) -> Vectors:
        """`encode` with the prompt named "query", unless one is given."""
        if prompt_name is None and prompt is None:
            prompt_name = "query"
        return self.encode(inputs, prompt_name, prompt, *rest, **arguments)

    def encode_document(self, inputs: Texts | None = None, prompt_name: str | None = None, prompt: str | None = None,
                        *rest: Any, **arguments: Any) -> Vectors:
        """`encode` with the prompt named "document", unless one is given. As in sentence-transformers, every model has one,
        which is empty unless it says otherwise: a prompt named "passage" is taken by its name."""
        if prompt_name is None and prompt is None:
            prompt_name = "document"
        return self.encode(inputs, prompt_name, prompt, *rest, **arguments)

    async def aencode(self, *arguments: Any, **named: Any) -> Vectors:
        """`encode` in another thread, so that the event loop goes on."""
        import asyncio

        return await asyncio.to_thread(self.encode, *arguments, **named)

    async def aencode_query(self, *arguments: Any, **named: Any) -> Vectors:
        """`encode_query` in another thread."""
        import asyncio

        return await asyncio.to_thread(self.encode_query, *arguments, **named)

    async def aencode_document(self, *arguments: Any, **named: Any) -> Vectors:
        """`encode_document` in another thread."""
        import asyncio

        return await asyncio.to_thread(self.encode_document, *arguments, **named)

    def encode_multi_process(self, sentences: Texts, pool: Any = None, *rest: Any, **arguments: Any) -> Vectors:
        """`encode`, under its old name for several processes."""
        return self.encode(sentences, *rest, **arguments)

    __call__ = encode

    # ------------------------------------------------------------------------------------------------------ arguments

    def _dimensions(self, value: Any) -> int | None:
        if value is None:
            return None
        if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
            raise TypeError(f"truncate_dim is of type {type(value).__name__}; give an int")
        if value < 1:
            raise ValueError(f"truncate_dim={value}: give at least 1")
        return min(int(value), self._ready().dimensions)

    # -------------------------------------------------------------------------------------------------------- similarity

    @property
    def similarity_fn_name(self) -> str:
        """What `similarity` computes: "cosine", "dot", "euclidean" or "manhattan"."""
        return self._similarity_name

    @similarity_fn_name.setter
    def similarity_fn_name(self, value: Any) -> None:
        value = getattr(value, "value", value) or "cosine"
        if value not in SIMILARITIES:
            raise ValueError(f"similarity_fn_name={value!r}: give one of {', '.join(SIMILARITIES)}")
        self._similarity_name = value

    def similarity(self, embeddings1: Any, embeddings2: Any) -> Any:
        """All similarities of two sets of vectors, (count1, count2). A tensor where the program has imported PyTorch, else a
        numpy array."""
        return similarity(self._similarity_name, embeddings1, embeddings2, pairwise=False)

    def similarity_pairwise(self, embeddings1: Any, embeddings2: Any) -> Any:
        """Similarities of vector i with vector i, (count,)."""
        return similarity(self._similarity_name, embeddings1, embeddings2, pairwise=True)

    # ------------------------------------------------------------------------------------------------------------ facts

    def get_embedding_dimension(self) -> int:
        """Dimensions of what `encode` returns."""
        return self.truncate_dim or self._ready().dimensions

    get_sentence_embedding_dimension = get_embedding_dimension

    @contextmanager
    def truncate_embeddings(self, truncate_dim: int | None) -> Iterator[None]:
        """In this context, `encode` keeps that many dimensions."""
        before, self.truncate_dim = self.truncate_dim, self._dimensions(truncate_dim)
        try:
            yield
        finally:
            self.truncate_dim = before

    truncate_sentence_embeddings = truncate_embeddings

    def tokenize(self, texts: list[str], **_: Any) -> dict[str, Any]:
        """Token ids of texts, cut to max_seq_length and padded: {"input_ids", "token_type_ids", "attention_mask"}, each
        (texts, longest) int64; tensors where the program has imported PyTorch, else numpy arrays."""
        rows = token_ids(self._ready(), [texts] if isinstance(texts, str) else texts, self._truncation)
        longest = max(map(len, rows), default=0)
        ids = np.zeros((len(rows), longest), np.int64)
        mask = np.zeros_like(ids)
        for index, row in enumerate(rows):
            ids[index, : len(row)] = row
            mask[index, : len(row)] = 1
        made = {"input_ids": ids, "token_type_ids": np.zeros_like(ids), "attention_mask": mask}
        if "torch" in sys.modules:
            torch = torch_module()
            return {name: torch.from_numpy(value) for name, value in made.items()}
        return made

    preprocess = tokenize

    def __len__(self) -> int:
        """Modules, as sentence-transformers counts them: encoder, pooling, and normalisation where there is one."""
        return 3 if self._ready().info.normalized else 2

    def __bool__(self) -> bool:
        return True

    def __repr__(self) -> str:
        if self._engine is None:
            return f"SentenceTransformer({self._name!r}, closed)"
        facts = self.info
        return (f"SentenceTransformer({self._name!r}, precision={facts['precision']!r}, tier={facts['tier']!r}, "
                f"dimensions={self.get_embedding_dimension()})")


def _check_batch_size(value: Any) -> None:
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"batch_size is of type {type(value).__name__}; give an int")
    if value < 1:
        raise ValueError(f"batch_size must be a positive integer, got {value}")
