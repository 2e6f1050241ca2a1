"""What the model classes share: arguments of the constructor, the engine behind an object, closing, pickling, and the small
interface that programs written for sentence-transformers expect of any model."""

from __future__ import annotations

import os
import warnings
from typing import Any

import numpy as np

from . import _library
from ._engine import Engine, open_engine
from ._inputs import strings, surrogate
from ._names import resolve

_CLASSES = {
    "embedding": "SentenceTransformer",
    "reranker": "CrossEncoder",
    "classifier": "CrossEncoder",
    "sparse": "SparseEncoder",
}
_MOST_TOKENS = 1 << 30  # beyond any model's, which the library checks
_HARMLESS_MODEL_KWARGS = {"torch_dtype", "dtype", "attn_implementation", "low_cpu_mem_usage", "provider", "export"}


def token_ids(engine: Engine, texts: Any, truncation: int) -> list[list[int]]:
    """Ids of texts, cut to max_seq_length on a side, one of the values of TRUNCATIONS. Raises TypeError and ValueError as
    encode() does."""
    rows = []
    for index, text in enumerate(strings(texts)):
        try:
            rows.append(engine.token_ids(text.encode(), truncation))
        except UnicodeEncodeError:
            raise surrogate([text], index) from None
    return rows


class Device(str):
    """The device, always "cpu": a str that also has what programs ask of a torch.device."""

    __slots__ = ()
    index = None

    @property
    def type(self) -> str:
        return "cpu"


CPU = Device("cpu")


def check_choice(label: str, value: Any, choices: Any) -> None:
    """Raises ValueError for what isn't one of the names in `choices`."""
    if not isinstance(value, str) or value not in choices:
        raise ValueError(f"{label}={value!r}: give one of {', '.join(choices)}")


def check_count(label: str, value: Any, least: int, most: int) -> int:
    """An int or numpy integer from `least` to `most`, as int. Raises TypeError or ValueError."""
    if isinstance(value, bool) or not isinstance(value, (int, np.integer)):
        raise TypeError(f"{label} is of type {type(value).__name__}; give an int")
    if not least <= value <= most:
        raise ValueError(f"{label}={value}: give {least} to {most}")
    return int(value)


def check_device(device: Any) -> None:
    """Raises ValueError for a device that isn't the CPU. A list of CPUs, which elsewhere means processes, is fine: the threads
    of this one do the work."""
    if device is None:
        return
    for one in device if isinstance(device, (list, tuple)) else (device,):
        if str(one).partition(":")[0] not in ("cpu", "None"):
            raise ValueError(f"device={one!s}: senvec computes on the CPU; leave device out or give 'cpu'")


def refuse_arguments(where: str, arguments: dict[str, Any], reasons: dict[str, str] | None = None) -> None:
    """Raises TypeError for arguments that would change results and aren't implemented."""
    for name, value in arguments.items():
        if value is None:
            continue
        reason = (reasons or {}).get(name, "senvec doesn't have it")
        raise TypeError(f"{where}: the argument {name} isn't supported: {reason}")


def _take_truncation_side(kind: str, arguments: dict[str, Any]) -> str:
    """The side that the tokenizer's arguments name, a key of TRUNCATIONS; they may name nothing else."""
    side = "auto"
    for name in ("processor_kwargs", "tokenizer_kwargs"):
        given = arguments.get(name)
        if isinstance(given, dict) and set(given) == {"truncation_side"}:
            side = arguments.pop(name)["truncation_side"]
            check_choice(f"{kind}: truncation_side", side, ("left", "right"))
    return side


def _check_constructor(kind: str, arguments: dict[str, Any]) -> None:
    check_device(arguments.pop("device", None))
    backend = arguments.pop("backend", "torch")
    if backend not in ("torch", "onnx", "openvino", "senvec"):
        raise ValueError(f"backend={backend!r}: give 'torch', 'onnx' or 'openvino' (which mean nothing here), or leave it out")
    for harmless in ("trust_remote_code", "model_card_data", "use_auth_token"):
        arguments.pop(harmless, None)
    model_kwargs = arguments.pop("model_kwargs", None) or {}
    if not isinstance(model_kwargs, dict):
        raise TypeError(f"{kind}: model_kwargs is of type {type(model_kwargs).__name__}; give a dict")
    unknown = set(model_kwargs) - _HARMLESS_MODEL_KWARGS
    if unknown:
        raise TypeError(f"{kind}: model_kwargs {sorted(map(str, unknown))}: not supported; senvec's own are precision, "
                        "threads, cpu")
    revision = arguments.pop("revision", None)
    if revision not in (None, "main"):
        raise ValueError(f"{kind}: revision={revision!r}: only 'main' is fetched by name; fetch another one into a folder, "
                         "and give that folder")
    for name in ("processor_kwargs", "tokenizer_kwargs", "config_kwargs"):
        if not arguments.get(name):
            arguments.pop(name, None)
    refuse_arguments(kind, arguments, {
        "modules": "a model is opened from its files",
        "processor_kwargs": "the tokenizer is the model's own, except for truncation_side",
        "tokenizer_kwargs": "the tokenizer is the model's own, except for truncation_side",
        "config_kwargs": "the configuration is the model's own",
    })


def read_json(folder: str, name: str) -> dict[str, Any]:
    """A JSON object from a model's folder; {} where there is none. What is broken in it, the library reports."""
    import json

    try:
        with open(os.path.join(folder, name), encoding="utf-8") as file:
            value = json.load(file)
    except (OSError, ValueError):
        return {}
    return value if isinstance(value, dict) else {}


class Tokenizer:
    """What programs ask of a model's tokenizer: ids and tokens of texts."""

    def __init__(self, model: Model):
        self._model = model

    @property
    def model_max_length(self) -> int:
        return self._model.max_seq_length

    @property
    def truncation_side(self) -> str:
        """The side on which a text that is too long is cut, "right" or "left". Setting it sets it for the model."""
        return _library.TRUNCATION_NAMES[self._model._truncation or self._model._ready().info.truncation]

    @truncation_side.setter
    def truncation_side(self, value: str) -> None:
        check_choice("truncation_side", value, ("left", "right"))
        self._model._truncation = _library.TRUNCATIONS[value]

    @property
    def vocab_size(self) -> int:
        return self._model._ready().info.vocabulary

    def __len__(self) -> int:
        return self.vocab_size

    def encode(self, text: str, **_: Any) -> list[int]:
        """Ids of a text, special ones included, cut to max_seq_length."""
        return token_ids(self._model._ready(), [text], self._model._truncation)[0]

    def convert_ids_to_tokens(self, ids: Any) -> Any:
        """The vocabulary's text of an id, or of each of several."""
        engine = self._model._ready()
        if isinstance(ids, (int, np.integer)):
            return engine.token_text(int(ids))
        return [engine.token_text(int(one)) for one in ids]

    def tokenize(self, text: str, **_: Any) -> list[str]:
        """Tokens of a text, without the special ones at its ends."""
        return self.convert_ids_to_tokens(self.encode(text)[1:-1])

    def __call__(self, texts: Any, **_: Any) -> dict[str, Any]:
        """{"input_ids", "attention_mask"}, lists; of one text without the outer list."""
        single = isinstance(texts, str)
        rows = token_ids(self._model._ready(), [texts] if single else texts, self._model._truncation)
        made = {"input_ids": rows, "attention_mask": [[1] * len(row) for row in rows]}
        return {name: value[0] for name, value in made.items()} if single else made


class Model:
    """Base of SentenceTransformer, CrossEncoder and SparseEncoder."""

    TASKS: tuple[str, ...] = ()  # what its models are for

    def __init__(
        self,
        name: str | os.PathLike[str],
        *,
        precision: str,
        threads: int | None,
        cpu: str | None,
        calibration: str,
        share_weights: bool,
        daemon: bool = False,
        max_seq_length: int | None,
        cache_folder: str | None,
        local_files_only: bool,
        token: Any,
        arguments: dict[str, Any],
    ):
        self._engine: Engine | None = None
        kind = type(self).__name__
        if name is None:
            raise TypeError(f"{kind}: give a model: a name, a folder or a native file")
        if not isinstance(name, (str, os.PathLike)):
            raise TypeError(f"{kind}: the model is of type {type(name).__name__}; give a name, a folder or a native file")
        name = os.fspath(name)
        if not isinstance(name, str):
            raise TypeError(f"{kind}: the model's path is bytes; give a str")
        check_choice("precision", precision, _library.PRECISIONS)
        check_choice("calibration", calibration, _library.CALIBRATIONS)
        if threads is not None:
            threads = check_count("threads", threads, 1, 256)
        if max_seq_length is not None:
            max_seq_length = check_count("max_seq_length", max_seq_length, 2, _MOST_TOKENS)
        if cpu is not None and not isinstance(cpu, str):
            raise TypeError(f"cpu is of type {type(cpu).__name__}; give a str such as 'avx2'")
        if cpu and (not cpu.isascii() or "\0" in cpu):
            raise ValueError(f"cpu={cpu!a}: give names of instruction sets, such as 'avx2'")
        self._truncation = _library.TRUNCATIONS[_take_truncation_side(kind, arguments)]
        _check_constructor(kind, arguments)
        if token is not None and not isinstance(token, (str, bool)):
            raise TypeError(f"token is of type {type(token).__name__}; give a str")
        path = resolve(name, os.fspath(cache_folder) if cache_folder else None, bool(local_files_only),
                       token if isinstance(token, str) else None, progress=True)
        self._name = name
        self._path = path
        self._precision = precision
        self._threads = threads
        self._cpu = cpu
        self._calibration = calibration
        self._share_weights = bool(share_weights)
        self._daemon = bool(daemon)
        self._max_seq_length = max_seq_length
        engine = self._open()
        task = _library.TASKS[engine.info.task]
        if task not in self.TASKS:
            raise ValueError(f"{name}: a model for the task '{task}'; open it with {_CLASSES[task]}, not {kind}")
        self._engine = engine

    def _open(self) -> Engine:
        return open_engine(
            self._path, self._precision, self._max_seq_length or 0, self._cpu, self._threads or 0, self._calibration,
            self._share_weights, self._daemon,
        )

    def _take_prompts(self, given: Any, default_name: str | None, always: bool) -> None:
        """Sets `prompts` and `default_prompt_name` from the model's and the constructor's."""
        engine = self._ready()
        if given is not None and not isinstance(given, dict):
            raise TypeError(f"prompts is of type {type(given).__name__}; give a dict of name and text")
        self.prompts: dict[str, str] = {"query": "", "document": ""} if always else {}
        self.prompts.update(engine.prompts)
        for name, text in (given or {}).items():
            if not isinstance(name, str) or not isinstance(text, (str, type(None))):
                raise TypeError("prompts holds something else than str; give a dict of name and text")
            self.prompts[name] = text or ""
        model_default = engine.info.default_prompt_name
        self.default_prompt_name = default_name or (model_default.decode("utf-8", "replace") if model_default else None)
        if self.default_prompt_name is not None and self.default_prompt_name not in list(self.prompts):
            raise ValueError(f"default_prompt_name={self.default_prompt_name!r}: the prompts are {sorted(self.prompts)}")

    def _prompt(self, prompt: str | None, prompt_name: str | None) -> str | None:
        """The prompt of a call."""
        if prompt is not None:
            if not isinstance(prompt, str):
                raise TypeError(f"prompt is of type {type(prompt).__name__}; give a str")
            return prompt
        if prompt_name is None:
            prompt_name = self.default_prompt_name
            if prompt_name is None:
                return None
        try:
            return self.prompts[prompt_name]
        except (KeyError, TypeError):
            raise ValueError(f"prompt_name={prompt_name!r}: the model's prompts are {sorted(self.prompts)}") from None

    def _other_side(self) -> dict[str, str]:
        """{"truncation_side": ...} if texts are cut on another side than the one that the tokenizer names, else {}: for what is
        kept of vectors."""
        own = self._truncation in (_library.TRUNCATIONS["auto"], self._ready().info.truncation)
        return {} if own else {"truncation_side": self.tokenizer.truncation_side}

    def _ready(self) -> Engine:
        engine = self._engine
        if engine is None:
            raise ValueError(f"this {type(self).__name__} is closed")
        return engine

    # ----------------------------------------------------------------------------------------------------- life cycle

    def close(self) -> None:
        """Lets go of the model; its memory is freed once no other object and no running call uses it. Safe to call twice."""
        self._engine = None

    def __enter__(self):
        self._ready()
        return self

    def __exit__(self, *_):
        self.close()

    def __getstate__(self) -> dict[str, Any]:
        state = self.__dict__.copy()
        state["_engine"] = self._engine is not None
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.__dict__.update(state)
        self._engine = self._open() if state["_engine"] else None

    # ---------------------------------------------------------------------------------------------------------- facts

    @property
    def info(self) -> dict[str, Any]:
        """Facts about the model, by the names of senvec.h: its name, space_id, tier, precision, pooling, dimensions, ..., and
        its path."""
        raw = self._ready().info
        facts: dict[str, Any] = {"path": self._path}
        for name in ("tier", "precision", "pooling", "normalized", "dimensions", "max_seq_length", "layers", "heads", "inner",
                     "vocabulary", "parameters", "memory_bytes", "mapped_bytes", "weights_bytes", "name", "space_id",
                     "architecture", "labels"):
            value = getattr(raw, name)
            facts[name] = value.decode() if isinstance(value, bytes) else value
        try:
            facts["space_id"] = self._ready().space_id()
        except _library.Error:  # the files are others by now
            facts["space_id"] = None
        facts["precision"] = _library.PRECISION_NAMES.get(raw.precision, "unknown")
        facts["normalized"] = bool(raw.normalized)
        facts["task"] = _library.TASKS[raw.task]
        return facts

    @property
    def max_seq_length(self) -> int:
        """Tokens that are kept of a text, [CLS] and [SEP] included. Setting it opens the model anew with that limit."""
        return self._ready().info.max_seq_length

    @max_seq_length.setter
    def max_seq_length(self, value: int) -> None:
        value = check_count("max_seq_length", value, 2, _MOST_TOKENS)
        if value == self.max_seq_length:
            return
        before, self._max_seq_length = self._max_seq_length, value
        try:
            self._engine = self._open()
        except BaseException:
            self._max_seq_length = before
            raise

    def get_max_seq_length(self) -> int:
        """As the property."""
        return self.max_seq_length

    @property
    def tokenizer(self) -> Tokenizer:
        """Ids and tokens of texts: a small part of what transformers' tokenizers do."""
        return Tokenizer(self)

    @property
    def device(self) -> Device:
        """Always "cpu"."""
        return CPU

    _target_device = device

    # ------------------------------------------------------------------------------------- what programs call on a model

    def to(self, device: Any = None, *_: Any, **__: Any):
        """Returns the model; raises ValueError for a device that isn't the CPU."""
        if isinstance(device, (str, list, tuple)) or hasattr(device, "type"):
            check_device(device)
        return self

    def cpu(self):
        return self

    def cuda(self, device: Any = None):
        raise ValueError("senvec computes on the CPU")

    def eval(self):
        return self

    def train(self, mode: bool = True):
        """Returns the model for mode=False; raises NotImplementedError otherwise."""
        if mode:
            raise NotImplementedError("senvec doesn't train; train with sentence-transformers, save, and open the folder here")
        return self

    def float(self):
        return self

    half = bfloat16 = compile = float

    def parameters(self, recurse: bool = True):
        return iter(())

    def start_multi_process_pool(self, target_devices: Any = None) -> dict[str, Any]:
        """A pool that encode accepts; the threads of this process do the work."""
        check_device(target_devices)
        return {"input": None, "output": None, "processes": []}

    @staticmethod
    def stop_multi_process_pool(pool: Any) -> None:
        """Does nothing: there are no processes."""

    def fit(self, *_: Any, **__: Any):
        self.train()

    def _warn_once(self, text: str) -> None:
        warnings.warn(text, stacklevel=3)
