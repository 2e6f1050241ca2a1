"""libsenvec through ctypes: the functions and structures of senvec.h, and its errors as exceptions.

A structure of senvec.h may grow at its end. Those here are followed by spare bytes, zero for options, so that a library newer
than this file reads defaults and writes within bounds; tests/test_library.py compares the fields with the header.
"""

from __future__ import annotations

import ctypes
import os
from ctypes import (
    CFUNCTYPE,
    POINTER,
    Structure,
    byref,
    c_char,
    c_char_p,
    c_double,
    c_int,
    c_size_t,
    c_uint32,
    c_uint64,
    c_void_p,
)

SPARE = 256
SPACE_ID_SIZE = 65

PRECISIONS = {"auto": 0, "fp32": 1, "bf16": 2, "int8": 3}
TASKS = ("embedding", "reranker", "classifier", "sparse")
ACTIVATIONS = {"auto": 0, "none": 1, "sigmoid": 2, "softmax": 3}
TRUNCATIONS = {"auto": 0, "right": 1, "left": 2}
CALIBRATIONS = {"cache": 0, "beside": 1, "memory": 2, "never": 3}
NORMALIZE_ON = 1
PRECISION_NAMES = {value: name for name, value in PRECISIONS.items()}
TRUNCATION_NAMES = {value: name for name, value in TRUNCATIONS.items()}


class ErrorRecord(Structure):
    _fields_ = [("code", c_int), ("offset", c_uint64), ("message", c_char * 1000)]


class Text(Structure):
    _fields_ = [("data", c_char_p), ("length", c_size_t)]


LogFunction = CFUNCTYPE(None, c_void_p, c_int, c_char_p)


class ModelOptions(Structure):
    _fields_ = [
        ("precision", c_int),
        ("cpu", c_char_p),
        ("max_seq_length", c_size_t),
        ("allocator", c_void_p),
        ("log", LogFunction),
        ("log_context", c_void_p),
        ("calibration", c_int),
        ("cache_folder", c_char_p),
        ("tokenizer_only", c_int),
        ("share_weights", c_int),
        ("spare", c_char * SPARE),
    ]


class QuantizeOptions(Structure):
    _fields_ = [
        ("texts", c_void_p),
        ("count", c_size_t),
        ("cpu", c_char_p),
        ("allocator", c_void_p),
        ("log", LogFunction),
        ("log_context", c_void_p),
        ("spare", c_char * SPARE),
    ]


class Prompt(Structure):
    _fields_ = [("name", c_char_p), ("text", c_char_p)]


class ModelInfo(Structure):
    _fields_ = [
        ("directory", c_char_p),
        ("tier", c_char_p),
        ("precision", c_int),
        ("pooling", c_char_p),
        ("normalized", c_int),
        ("dimensions", c_size_t),
        ("max_seq_length", c_size_t),
        ("layers", c_size_t),
        ("heads", c_size_t),
        ("inner", c_size_t),
        ("vocabulary", c_size_t),
        ("parameters", c_uint64),
        ("linear_macs", c_uint64),
        ("memory_bytes", c_uint64),
        ("mapped_bytes", c_uint64),
        ("name", c_char_p),
        ("weights_bytes", c_uint64),
        ("most_dimensions", c_size_t),
        ("prompts", POINTER(Prompt)),
        ("prompt_count", c_size_t),
        ("default_prompt_name", c_char_p),
        ("space_id", c_char_p),
        ("task", c_int),
        ("architecture", c_char_p),
        ("labels", c_size_t),
        ("activation", c_int),
        ("hidden", c_size_t),
        ("wide_layers", c_char_p),
        ("wide_precision", c_int),
        ("wide_macs", c_uint64),
        ("cosine_mean", c_double),
        ("cosine_least", c_double),
        ("truncation", c_int),
        ("spare", c_char * SPARE),
    ]


class SessionOptions(Structure):
    _fields_ = [("threads", c_size_t), ("spare", c_char * SPARE)]


class EmbedStats(Structure):
    _fields_ = [("tokens", c_uint64), ("truncated", c_uint64), ("invalid_utf8", c_uint64), ("spare", c_char * SPARE)]


class EmbedOptions(Structure):
    _fields_ = [
        ("normalize", c_int),
        ("dimensions", c_size_t),
        ("prompt_name", c_char_p),
        ("prompt", c_char_p),
        ("truncation", c_int),
        ("spare", c_char * SPARE),
    ]


class ScoreOptions(Structure):
    _fields_ = [("activation", c_int), ("single", c_int), ("truncation", c_int), ("spare", c_char * SPARE)]


# What the header calls these structures.
STRUCTURES = {
    "senvec_error": ErrorRecord,
    "senvec_text": Text,
    "senvec_model_options": ModelOptions,
    "senvec_quantize_options": QuantizeOptions,
    "senvec_model_info": ModelInfo,
    "senvec_prompt": Prompt,
    "senvec_session_options": SessionOptions,
    "senvec_embed_stats": EmbedStats,
    "senvec_embed_options": EmbedOptions,
    "senvec_score_options": ScoreOptions,
}

# ---------------------------------------------------------------------------------------------------------------- errors


class Error(Exception):
    """Anything that libsenvec reports. The built-in exception that fits the cause is a base class, too, so that
    ``except FileNotFoundError`` and ``except ValueError`` work.

    Attributes:
        status: the name of the library's status, e.g. ``"SENVEC_NOT_FOUND"``.
        offset: the byte in a file, or the index of a text, that the message is about; 0 where unknown.
    """

    status = "SENVEC_UNKNOWN"
    offset = 0

    def __init__(self, message: str, status: str | None = None, offset: int = 0):
        super().__init__(message)
        if status is not None:
            self.status = status
        self.offset = offset

    def __str__(self) -> str:
        return str(self.args[0]) if self.args else ""

    def __reduce__(self):
        return type(self), (self.args[0] if self.args else "", self.status, self.offset)


class ArgumentError(Error, ValueError):
    """An argument that the library refuses."""


class ModelNotFoundError(Error, FileNotFoundError):
    """No such model, folder or file."""


class FormatError(Error, ValueError):
    """A broken file."""


class UnsupportedError(Error, NotImplementedError):
    """Something that this version of senvec doesn't do; the message names it."""


class OutOfMemoryError(Error, MemoryError):
    """The memory that the call needs isn't there."""


class FileError(Error, OSError):
    """Reading, writing or a call of the operating system failed."""


class NetworkError(Error, ConnectionError):
    """A model couldn't be fetched."""


_STATUS = {
    -1: ("SENVEC_INVALID_ARGUMENT", ArgumentError),
    -2: ("SENVEC_OUT_OF_MEMORY", OutOfMemoryError),
    -3: ("SENVEC_NOT_FOUND", ModelNotFoundError),
    -4: ("SENVEC_IO", FileError),
    -5: ("SENVEC_FORMAT", FormatError),
    -6: ("SENVEC_UNSUPPORTED", UnsupportedError),
    -7: ("SENVEC_TOO_LARGE", ArgumentError),
    -8: ("SENVEC_INTEGRITY", Error),
    -9: ("SENVEC_NETWORK", NetworkError),
    -10: ("SENVEC_CANCELLED", Error),
    -11: ("SENVEC_SYSTEM", FileError),
}


def failure(record: ErrorRecord, status: int) -> Error:
    """The exception for a call that returned `status` and filled `record`."""
    name, kind = _STATUS.get(status, ("SENVEC_UNKNOWN", Error))
    return kind(record.message.decode("utf-8", "replace"), name, record.offset)


# --------------------------------------------------------------------------------------------------------------- library


def _find() -> str:
    """The library of the package; $SENVEC_LIBRARY names another one."""
    return os.environ.get("SENVEC_LIBRARY") or os.path.join(os.path.dirname(os.path.abspath(__file__)), "libsenvec.so")


def _load():
    path = _find()
    try:
        loaded = ctypes.CDLL(path)
    except OSError as cause:
        raise ImportError(
            f"senvec: the library {path} can't be loaded ({cause}); install the package anew ('pip install "
            "--force-reinstall senvec'), or name a libsenvec.so in SENVEC_LIBRARY"
        ) from None
    for name, result, arguments in (
        ("senvec_version", c_char_p, ()),
        ("senvec_model_open", c_int, (c_char_p, POINTER(ModelOptions), POINTER(c_void_p), POINTER(ErrorRecord))),
        ("senvec_model_free", None, (c_void_p,)),
        ("senvec_model_describe", None, (c_void_p, POINTER(ModelInfo))),
        ("senvec_model_space_id", c_int, (c_void_p, c_char_p, POINTER(ErrorRecord))),
        ("senvec_quantize", c_int, (c_char_p, c_char_p, POINTER(QuantizeOptions), POINTER(ErrorRecord))),
        ("senvec_session_open", c_int, (c_void_p, POINTER(SessionOptions), POINTER(c_void_p), POINTER(ErrorRecord))),
        ("senvec_session_free", None, (c_void_p,)),
        ("senvec_session_threads", c_size_t, (c_void_p,)),
        (
            "senvec_embed_with",
            c_int,
            (c_void_p, c_void_p, c_size_t, POINTER(EmbedOptions), c_void_p, c_size_t, c_void_p, c_void_p),
        ),
        (
            "senvec_score_pairs",
            c_int,
            (c_void_p, c_void_p, c_size_t, POINTER(ScoreOptions), c_void_p, c_size_t, c_void_p, c_void_p),
        ),
        (
            "senvec_embed_sparse_with",
            c_int,
            (c_void_p, c_void_p, c_size_t, POINTER(EmbedOptions), c_void_p, c_size_t, c_void_p, c_void_p, c_void_p),
        ),
        (
            "senvec_embed_tokens_with",
            c_int,
            (c_void_p, c_void_p, c_size_t, POINTER(EmbedOptions), c_void_p, c_size_t, c_void_p, c_void_p, c_void_p),
        ),
        ("senvec_label_name", c_char_p, (c_void_p, c_size_t)),
        ("senvec_token_text", c_void_p, (c_void_p, c_uint32, POINTER(c_size_t))),
        (
            "senvec_tokenize_with",
            c_int,
            (c_void_p, Text, c_int, POINTER(c_uint32), c_size_t, POINTER(c_size_t), c_void_p, POINTER(ErrorRecord)),
        ),
    ):
        function = getattr(loaded, name)
        function.restype = result
        function.argtypes = arguments
    return loaded


library = _load()
version = library.senvec_version().decode()

__all__ = ["library", "version", "byref", "Error"]
