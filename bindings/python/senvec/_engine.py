"""A model that is open, and the sessions that compute with it.

Objects of the same model and options share one `Engine`, and so its weights. Its sessions: one wide, with all threads, which
one call at a time has; and narrow ones of one thread, for calls of few texts that find the wide one taken, so that many Python
threads that each embed a query don't wait for each other. Long calls go to the library in pieces of about half a second:
between two, a signal (Ctrl-C) is heard and the next caller gets its turn.

After a fork the child keeps the model (immutable memory, shared with its parent) and forgets the sessions, whose threads exist
in the parent only; new ones are made when needed.
"""

from __future__ import annotations

import ctypes
import os
import threading
import time
import weakref
from collections import deque
from typing import TYPE_CHECKING, Any

from . import _library
from ._library import (
    NORMALIZE_ON,
    EmbedOptions,
    ErrorRecord,
    LogFunction,
    ModelInfo,
    ModelOptions,
    SessionOptions,
    Text,
    byref,
    failure,
    library,
)

if TYPE_CHECKING:
    from collections.abc import Callable

    import numpy as np

    from ._inputs import Batch

_WINDOW = 512  # texts that the engine plans at a time: pieces are multiples of it where they can be
_PIECE_SECONDS = 0.5
_FIRST_PIECE_BYTES = 1 << 16
_LEAST_PIECE_BYTES = 1 << 14  # smaller pieces would leave threads idle at their ends, on a busy machine above all
_MOST_PIECE_BYTES = 1 << 21  # and larger ones would hold the GIL for milliseconds while their texts are encoded
_MOST_PIECE_TEXTS = 1 << 14
_NARROW_TEXTS = 8  # a call of so few texts takes a narrow session rather than wait


def embed_options(normalize: bool, dimensions: int, prompt: bytes, truncation: int) -> EmbedOptions:
    """`truncation`: one of the values of TRUNCATIONS."""
    return EmbedOptions(
        normalize=NORMALIZE_ON if normalize else 0, dimensions=dimensions, prompt=prompt, truncation=truncation
    )


_FILES = (
    "config.json",
    "modules.json",
    "model.safetensors",
    "tokenizer.json",
    "vocab.txt",
    "sentence_bert_config.json",
    "config_sentence_transformers.json",
    "1_Pooling/config.json",
    "0_Transformer/model.safetensors",
)


class _Turn:
    """A lock that is handed on in the order in which it was asked for."""

    def __init__(self):
        self._mutex = threading.Lock()
        self._held = False
        self._waiting: deque = deque()

    def acquire(self, wait: bool = True) -> bool:
        with self._mutex:
            if not self._held:
                self._held = True
                return True
            if not wait:
                return False
            mine = threading.Lock()
            mine.acquire()
            self._waiting.append(mine)
        try:
            mine.acquire()
        except BaseException:  # Ctrl-C while waiting
            with self._mutex:
                handed = mine not in self._waiting
                if not handed:
                    self._waiting.remove(mine)
            if handed:
                self.release()
            raise
        return True

    def release(self) -> None:
        with self._mutex:
            if self._waiting:
                self._waiting.popleft().release()
            else:
                self._held = False


class _Session:
    """A session of the library, with the record that its errors go to."""

    _free = library.senvec_session_free  # of the class: an object may outlive this module's names when Python ends

    def __init__(self, engine: Engine, threads: int):
        self.handle = None
        self.error = ErrorRecord()
        self.error_address = ctypes.addressof(self.error)
        handle = ctypes.c_void_p()
        status = library.senvec_session_open(engine.handle, byref(SessionOptions(threads=threads)), byref(handle), self.error)
        if status:
            raise failure(self.error, status)
        self.handle = handle.value
        self.threads = library.senvec_session_threads(handle)

    def free(self) -> None:
        handle, self.handle = self.handle, None
        if handle:
            self._free(handle)


def _log_line(context: Any, level: int, line: bytes) -> None:
    import logging

    logging.getLogger("senvec").log((logging.ERROR, logging.WARNING, logging.INFO)[level], line.decode("utf-8", "replace"))


_log = LogFunction(_log_line)


class Engine:
    """An open model. Made by `open_engine` only."""

    _free = library.senvec_model_free

    def __init__(
        self, path: str, precision: int, max_seq_length: int, cpu: str | None, threads: int, calibration: str,
        share_weights: bool, tokenizer_only: bool = False,
    ):
        self.handle = None
        error = ErrorRecord()
        options = ModelOptions(
            precision=precision, cpu=cpu.encode() if cpu else None, max_seq_length=max_seq_length, log=_log,
            calibration=_library.CALIBRATIONS[calibration], share_weights=share_weights, tokenizer_only=tokenizer_only,
        )
        handle = ctypes.c_void_p()
        status = library.senvec_model_open(os.fsencode(path), byref(options), byref(handle), byref(error))
        if status:
            raise failure(error, status)
        self.handle = handle.value
        info = ModelInfo()
        library.senvec_model_describe(handle, byref(info))
        self.info = info
        self.dimensions: int = info.most_dimensions or info.dimensions  # that a call may ask for
        self.prompts = {
            info.prompts[i].name.decode("utf-8", "replace"): info.prompts[i].text.decode("utf-8", "replace")
            for i in range(info.prompt_count)
        }
        self._wanted_threads = threads
        self._rate = 0.0  # bytes of text a second, once known
        self._forget_sessions()

    def begin(self) -> None:
        """What is left to do, once, after the model has been opened or found."""

    def _forget_sessions(self) -> None:
        self._wide: _Session | None = None
        self._turn = _Turn()
        self._narrow: list[_Session] = []
        self._narrow_count = 0
        self._narrow_lock = threading.Lock()

    def __del__(self):
        handle, self.handle = getattr(self, "handle", None), None
        if handle:
            for session in (self._wide, *self._narrow):
                if session:
                    session.free()
            self._free(handle)

    # ------------------------------------------------------------------------------------------------------- sessions

    def _narrow_session(self) -> _Session | None:
        with self._narrow_lock:
            if self._narrow:
                return self._narrow.pop()
            wide = self._wide
            if wide is None or wide.threads == 1 or self._narrow_count >= wide.threads:
                return None
            self._narrow_count += 1
        try:
            return _Session(self, 1)
        except BaseException:
            with self._narrow_lock:
                self._narrow_count -= 1
            raise

    def take(self, texts: int) -> _Session:
        """A session for a call of so many texts; `give` it back."""
        if not self._turn.acquire(wait=texts > _NARROW_TEXTS):
            session = self._narrow_session()
            if session:
                return session
            self._turn.acquire()
        session = self._wide
        if session is None:
            try:
                session = self._wide = _Session(self, self._wanted_threads)
            except BaseException:
                self._turn.release()
                raise
        return session

    def give(self, session: _Session) -> None:
        if session is self._wide:
            self._turn.release()
        else:
            with self._narrow_lock:
                self._narrow.append(session)

    @property
    def threads(self) -> int:
        """Threads of the wide session."""
        session = self.take(_NARROW_TEXTS + 1)
        self.give(session)
        return session.threads

    # ------------------------------------------------------------------------------------------------------ computing

    def embed_one(self, text: bytes, options: Any, out: int, dimensions: int) -> None:
        """One text's vector to the address `out`."""
        record = Text(text, len(text))
        session = self.take(1)
        try:
            status = library.senvec_embed_with(
                session.handle, byref(record), 1, options, out, dimensions, None, session.error_address
            )
            if status:
                raise failure(session.error, status)
        finally:
            self.give(session)

    def each_piece(
        self,
        batch: Batch,
        work: Callable[[_Session, int, int, int], int],
        advance: Callable[[int], None] | None = None,
        pieces_of: int | None = None,
    ) -> None:
        """Calls work(session, address, first, count) for pieces of a batch, `address` being that of the piece's array for the
        library; it returns a status. `advance` gets the number of texts that are done, after each piece; a piece has at
        most `pieces_of` texts."""
        first, count = 0, batch.count
        average = max(batch.size / count, 1.0) if count else 1.0
        while first < count:
            budget = max(self._rate * _PIECE_SECONDS, _LEAST_PIECE_BYTES) if self._rate else _FIRST_PIECE_BYTES
            piece = min(max(int(min(budget, _MOST_PIECE_BYTES) / average), 1), _MOST_PIECE_TEXTS)
            if piece > _WINDOW:
                piece -= piece % _WINDOW
            end = min(first + min(piece, pieces_of or piece), count)
            pairs, owner = batch.pointers(first, end)
            session = self.take(end - first)
            try:
                begin = time.perf_counter()
                status = work(session, pairs.__array_interface__["data"][0], first, end - first)
                seconds = time.perf_counter() - begin
                if status:
                    raise failure(session.error, status)
            finally:
                self.give(session)
            del owner
            if seconds > 1e-3 and session is self._wide:
                self._rate = average * (end - first) / seconds
            first = end
            if advance:
                advance(first)

    def embed(self, batch: Batch, options: Any, out: np.ndarray, advance: Callable[[int], None] | None = None) -> None:
        """All vectors of a batch to `out`, (count, dimensions that the options ask for) float32, whose rows are whole."""
        address, row = out.__array_interface__["data"][0], out.strides[0]

        def work(session: _Session, texts: int, first: int, count: int) -> int:
            return library.senvec_embed_with(
                session.handle, texts, count, options, address + first * row, row // 4, None, session.error_address
            )

        self.each_piece(batch, work, advance)

    def space_id(self) -> str:
        """Which vectors can be compared with this model's. A model's first call reads its weights. Raises senvec.Error."""
        made = ctypes.create_string_buffer(_library.SPACE_ID_SIZE)
        error = ErrorRecord()
        status = library.senvec_model_space_id(self.handle, made, byref(error))
        if status:
            raise failure(error, status)
        return made.value.decode()

    def token_ids(self, text: bytes, truncation: int) -> list[int]:
        """Ids of a text, cut to max_seq_length on a side, one of the values of TRUNCATIONS."""
        capacity = self.info.max_seq_length
        ids = (ctypes.c_uint32 * capacity)()
        count = ctypes.c_size_t()
        error = ErrorRecord()
        status = library.senvec_tokenize_with(
            self.handle, Text(text, len(text)), truncation, ids, capacity, byref(count), None, byref(error)
        )
        if status:
            raise failure(error, status)
        return ids[: count.value]

    def token_text(self, index: int) -> str | None:
        """The text of a token as the vocabulary has it; None if there is no such token."""
        length = ctypes.c_size_t()
        if not 0 <= index < 1 << 32:
            return None
        address = library.senvec_token_text(self.handle, index, byref(length))
        return ctypes.string_at(address, length.value).decode("utf-8", "replace") if address else None


# -------------------------------------------------------------------------------------------------------------- registry

_engines: weakref.WeakValueDictionary = weakref.WeakValueDictionary()
_lock = threading.Lock()


def _signature(path: str) -> tuple:
    """What tells that a model's files are still the same ones."""
    found = []
    for name in _FILES if os.path.isdir(path) else ("",):
        try:
            facts = os.stat(os.path.join(path, name) if name else path)
        except OSError:
            continue
        found.append((name, facts.st_ino, facts.st_size, facts.st_mtime_ns))
    return tuple(found)


def open_engine(
    path: str, precision: str, max_seq_length: int, cpu: str | None, threads: int, calibration: str, share_weights: bool,
    daemon: bool = False,
) -> Engine:
    """The engine of a model and options: the one that this process has already, else a new one. With `daemon` it is one that
    lets the machine's daemon compute, unless the options are such as a daemon doesn't take."""
    real = os.path.realpath(path)
    daemon = daemon and calibration == "cache" and not max_seq_length
    key = (real, _signature(real), precision, max_seq_length, cpu, threads, share_weights, daemon)
    with _lock:
        engine = _engines.get(key)
        if engine is None:
            if daemon:
                from ._daemon import DaemonEngine

                engine = DaemonEngine(path, precision, cpu, threads, share_weights)
            else:
                engine = Engine(path, _library.PRECISIONS[precision], max_seq_length, cpu, threads, calibration, share_weights)
            _engines[key] = engine
    engine.begin()
    return engine


def _after_fork() -> None:
    global _lock
    _lock = threading.Lock()
    for engine in list(_engines.values()):
        engine._forget_sessions()


os.register_at_fork(after_in_child=_after_fork)
