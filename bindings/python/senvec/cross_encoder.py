"""CrossEncoder, as in sentence_transformers: scores of pairs of texts, by a reranker or a classifier."""

from __future__ import annotations

import ctypes
import os
from typing import TYPE_CHECKING, Any, Literal

import numpy as np

from . import _library
from ._base import Model, check_device
from ._inputs import PairBatch, StringBatch, pairs_of
from ._library import ScoreOptions, library
from ._outputs import as_tensor, torch_module
from ._progress import Progress

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable

    import torch

    Scores = np.ndarray | torch.Tensor | list[torch.Tensor]


class CrossEncoder(Model):
    """A model that scores pairs of texts, e.g. how well a passage answers a query.

    Args:
        model_name_or_path: a name ("cross-encoder/ms-marco-MiniLM-L6-v2") or a folder, as for SentenceTransformer.
        max_length: tokens to keep of a pair; the longer text loses its end first, or its beginning with
            tokenizer_kwargs={"truncation_side": "left"}. Default: the model's.
        num_labels: if given, it must be the model's.
        activation_fn: what is done to the logits: None for the model's own (else a sigmoid of one label, nothing of several);
            "none", "sigmoid", "softmax"; torch.nn.Sigmoid() or another callable that takes a tensor.
        precision, threads, cpu, calibration, share_weights, prompts, default_prompt_name, cache_folder, local_files_only,
            token: as for SentenceTransformer.

    Raises: as SentenceTransformer; ValueError for a model that is no reranker or classifier.
    """

    TASKS = ("reranker", "classifier")

    def __init__(
        self,
        model_name_or_path: str | os.PathLike[str],
        num_labels: int | None = None,
        max_length: int | None = None,
        activation_fn: Any = None,
        *,
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
        arguments.pop("automodel_args", None)
        if activation_fn is None:
            activation_fn = arguments.pop("default_activation_function", None)
        _activation(activation_fn)
        super().__init__(
            model_name_or_path, precision=precision, threads=threads, cpu=cpu, calibration=calibration,
            share_weights=share_weights,
            max_seq_length=max_length or max_seq_length, cache_folder=cache_folder, local_files_only=local_files_only,
            token=token, arguments=arguments,
        )
        if num_labels is not None and num_labels != self.num_labels:
            raise ValueError(f"num_labels={num_labels}: the model has {self.num_labels}")
        self.activation_fn = activation_fn
        self._take_prompts(prompts, default_prompt_name, always=False)

    @property
    def num_labels(self) -> int:
        """Scores of a pair: of a reranker 1."""
        return self._ready().info.labels

    @property
    def labels(self) -> list[str]:
        """Names of the labels, e.g. ["contradiction", "entailment", "neutral"]."""
        handle = self._ready().handle
        names = (library.senvec_label_name(handle, index) for index in range(self.num_labels))
        return [(name or b"").decode("utf-8", "replace") for name in names]

    @property
    def max_length(self) -> int:
        """Tokens that are kept of a pair."""
        return self.max_seq_length

    @max_length.setter
    def max_length(self, value: int) -> None:
        self.max_seq_length = value

    def predict(
        self,
        inputs: Any = None,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        activation_fn: Any = None,
        apply_softmax: bool | None = False,
        convert_to_numpy: bool = True,
        convert_to_tensor: bool = False,
        device: Any = None,
        pool: Any = None,
        chunk_size: int | None = None,
        *,
        sentences: Any = None,
        num_workers: int = 0,
    ) -> Scores:
        """Scores of pairs.

        Args:
            inputs: one pair of str, or pairs: list, tuple, generator or array of two columns.
            prompt_name, prompt: what is put before each pair's first text.
            activation_fn: as in the constructor, for this call.
            apply_softmax: of several labels, turns the scores of each pair to sum 1.
            convert_to_numpy, convert_to_tensor: an array; a tensor; with both False a list of tensors.
            batch_size, device, pool, chunk_size, num_workers: accepted where they mean the CPU.

        Returns:
            float32, (pairs,) for one label, else (pairs, labels); for one pair a number or (labels,).

        Raises:
            TypeError, ValueError: what isn't a pair of str, with its index.
        """
        if sentences is not None:
            if inputs is not None:
                raise TypeError("predict() got both inputs and sentences, which is its old name")
            inputs = sentences
        if inputs is None or isinstance(inputs, str):
            raise TypeError("predict() needs a pair of str or a list of pairs")
        if isinstance(batch_size, bool) or not isinstance(batch_size, (int, np.integer)) or batch_size < 1:
            raise ValueError(f"batch_size must be a positive integer, got {batch_size!r}")
        check_device(device)
        single = _is_single_pair(inputs)
        firsts, seconds = pairs_of([inputs] if single else inputs)
        name, function = _activation(self.activation_fn if activation_fn is None else activation_fn)
        scores = self._score(firsts, seconds, self._prompt(prompt, prompt_name), name, show_progress_bar)
        if function is not None:
            made = function(as_tensor(scores))
            scores = made.detach().cpu().numpy() if hasattr(made, "detach") else np.asarray(made, np.float32)
        if self.num_labels == 1:
            if scores.ndim > 1:
                scores = scores[:, 0]
        elif apply_softmax:
            scores = np.exp(scores - scores.max(1, keepdims=True))
            scores /= scores.sum(1, keepdims=True)
        if convert_to_tensor or not convert_to_numpy:
            tensor = as_tensor(np.ascontiguousarray(scores))
            return tensor[0] if single else tensor if convert_to_tensor else list(tensor)
        return scores[0] if single else scores

    def _score(
        self, firsts: list[str], seconds: list[str], prompt: str | None, activation: str, show: bool | None
    ) -> np.ndarray:
        engine = self._ready()
        labels = engine.info.labels
        scores = np.empty((len(firsts), labels), np.float32)
        address = scores.__array_interface__["data"][0]
        options = ScoreOptions(activation=_library.ACTIVATIONS[activation], truncation=self._truncation)

        def work(session: Any, pairs: int, first: int, count: int) -> int:
            return library.senvec_score_pairs(
                session.handle, pairs, count, ctypes.byref(options), address + first * labels * 4, labels, None,
                session.error_address,
            )

        batch = PairBatch(StringBatch(firsts, prompt), StringBatch(seconds))
        engine.each_piece(batch, work, Progress(batch.count, show) if show else None)
        return scores

    def rank(
        self,
        query: str,
        documents: Iterable[str],
        top_k: int | None = None,
        return_documents: bool = False,
        prompt_name: str | None = None,
        prompt: str | None = None,
        batch_size: int = 32,
        show_progress_bar: bool | None = None,
        activation_fn: Any = None,
        device: Any = None,
        pool: Any = None,
        chunk_size: int | None = None,
        **_: Any,
    ) -> list[dict[str, Any]]:
        """Documents by their score for a query, the best first: [{"corpus_id", "score", "text" if return_documents}].

        Raises: as predict; ValueError for a model of several labels.
        """
        if self.num_labels != 1:
            raise ValueError(f"rank() needs a model of one label; this one has {self.num_labels}: use predict()")
        if not isinstance(query, str):
            raise TypeError(f"query is of type {type(query).__name__}; give a str")
        if isinstance(documents, (str, bytes)):
            raise TypeError("documents is one text; give a list of str")
        documents = list(documents)
        scores = self.predict(
            [(query, document) for document in documents], prompt_name, prompt, batch_size, show_progress_bar, activation_fn,
            device=device,
        )
        order = sorted(range(len(documents)), key=lambda index: -scores[index])[:top_k]
        results: list[dict[str, Any]] = []
        for index in order:
            results.append({"corpus_id": index, "score": float(scores[index])})
            if return_documents:
                results[-1]["text"] = documents[index]
        return results

    async def apredict(self, *arguments: Any, **named: Any) -> Scores:
        """`predict` in another thread, so that the event loop goes on."""
        import asyncio

        return await asyncio.to_thread(self.predict, *arguments, **named)

    async def arank(self, *arguments: Any, **named: Any) -> list[dict[str, Any]]:
        """`rank` in another thread."""
        import asyncio

        return await asyncio.to_thread(self.rank, *arguments, **named)

    __call__ = predict

    def __repr__(self) -> str:
        if self._engine is None:
            return f"CrossEncoder({self._name!r}, closed)"
        facts = self.info
        return (f"CrossEncoder({self._name!r}, precision={facts['precision']!r}, tier={facts['tier']!r}, "
                f"labels={self.num_labels})")


def _is_single_pair(inputs: Any) -> bool:
    if isinstance(inputs, np.ndarray):
        return inputs.ndim == 1 and inputs.size > 0
    return isinstance(inputs, (list, tuple)) and len(inputs) > 0 and isinstance(inputs[0], str)


def _activation(value: Any) -> tuple[str, Callable | None]:
    """The library's activation, and what is to be called on the logits besides."""
    if value is None:
        return "auto", None
    if isinstance(value, str):
        name = {"identity": "none"}.get(value, value)
        if name not in _library.ACTIVATIONS:
            raise ValueError(f"activation_fn={value!r}: give 'none', 'sigmoid', 'softmax' or a callable")
        return name, None
    if not callable(value):
        raise TypeError(f"activation_fn is of type {type(value).__name__}; give a callable, 'none', 'sigmoid' or 'softmax'")
    known = {"Identity": "none", "Sigmoid": "sigmoid"}.get(type(value).__name__)
    if known:
        return known, None
    torch_module()
    return "none", value
