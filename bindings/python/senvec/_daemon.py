"""A model whose vectors the machine's daemon computes: one `senvec serve --socket` for all processes of a user
(docs/OPERATIONS.md), which the command `senvec embed --daemon` asks as well, and which is started by that command.

A process that uses it has the tokenizer, and the weights only once the daemon can't do what a call asks for or can't be had;
then it computes the vectors itself, and they have the same bits.
"""

from __future__ import annotations

import ctypes
import hashlib
import http.client
import json
import os
import socket
import stat
import struct
import subprocess
import threading
from typing import TYPE_CHECKING, Any

import numpy as np

from ._command import find_command
from ._engine import Engine, open_engine
from ._library import PRECISIONS, TRUNCATION_NAMES, Error, version

if TYPE_CHECKING:
    from collections.abc import Callable

    from ._inputs import Batch

_PATIENCE_S = 600.0  # for an answer
_START_S = 60.0  # for the command that starts a daemon
_MOST_PATH = 107  # bytes of a socket's path, which a NUL follows
_REQUEST_TEXTS = 1024
_REQUEST_BYTES = 1 << 18  # a larger request would hold the GIL for milliseconds while it is written
_HEADERS = {"Content-Type": "application/json", "Accept": "application/octet-stream"}


# ---------------------------------------------------------------------------------------------------------------- socket
# As programs/cli/daemon.c does it, so that the package and the command meet at the same daemon.


def _own_folder() -> str | None:
    """A folder that nobody else can write to."""
    runtime = os.environ.get("XDG_RUNTIME_DIR")
    folder = runtime or f"/tmp/senvec-{os.geteuid()}"
    try:
        if not runtime and not os.path.lexists(folder):
            os.mkdir(folder, 0o700)
        facts = os.lstat(folder)
    except OSError:
        return None
    fine = stat.S_ISDIR(facts.st_mode) and facts.st_uid == os.geteuid() and not facts.st_mode & 0o022
    return folder if fine else None


def _which_file(path: str) -> bytes:
    try:
        facts = os.stat(path)
    except OSError:
        return bytes(40)
    which = (facts.st_dev, facts.st_ino, facts.st_size, *divmod(facts.st_mtime_ns, 10**9))
    return struct.pack("=5Q", *(value % (1 << 64) for value in which))


def socket_path(path: str, precision: str, cpu: str | None, threads: int) -> str | None:
    """Where the daemon for a model and these options listens; None: there can't be one."""
    made = os.environ.get("SENVEC_SOCKET")
    if not made:
        folder = _own_folder()
        if folder is None:
            return None
        model = os.path.realpath(path)
        mask = cpu or os.environ.get("SENVEC_CPU") or ""
        key = hashlib.sha256(f"{version} {PRECISIONS[precision]} {threads} {mask[:100]} ".encode())
        key.update(os.fsencode(model))
        names = ("/config.json", "/modules.json", "/tokenizer.json", "/model.safetensors", "/config_sentence_transformers.json")
        for name in ("", *names) if os.path.isfile(model) else names:
            key.update(_which_file(model + name))
        made = f"{folder}/senvec-{key.hexdigest()[:16]}.sock"
    return made if len(os.fsencode(made)) <= _MOST_PATH else None


class _Connection(http.client.HTTPConnection):
    def __init__(self, path: str):
        super().__init__("senvec", timeout=_PATIENCE_S)
        self._path = path

    def connect(self) -> None:
        self.sock = socket.socket(socket.AF_UNIX)
        self.sock.settimeout(self.timeout)
        self.sock.connect(self._path)


# ---------------------------------------------------------------------------------------------------------------- engine


class DaemonEngine(Engine):
    """A model that the daemon computes with. Made by `open_engine` only, which then calls `begin`."""

    def __init__(self, path: str, precision: str, cpu: str | None, threads: int, share_weights: bool):
        self._idle: list[_Connection] = []
        super().__init__(path, PRECISIONS[precision], 0, cpu, threads, "cache", share_weights, tokenizer_only=True)
        self._path = os.path.realpath(path)
        self._precision, self._cpu = precision, cpu
        self._open_own = lambda: open_engine(path, precision, 0, cpu, threads, "cache", share_weights)
        self._own_engine: Engine | None = None
        self._space_id: str | None = None
        self._socket = socket_path(path, precision, cpu, threads)
        self._usable = True

    def begin(self) -> None:
        """Looks for the daemon, so that what is wrong with a model is found when it is opened."""
        if self._usable and not self._idle and not self._reach():
            self._usable = False
        if not self._usable:
            self._own()

    def _forget_sessions(self) -> None:
        super()._forget_sessions()
        self._close_idle()  # after a fork they are the parent's
        self._reaching = threading.Lock()

    def _close_idle(self) -> None:
        while self._idle:
            self._idle.pop().close()

    def __del__(self):
        if getattr(self, "handle", None):
            self._close_idle()
        super().__del__()

    def _own(self) -> Engine:
        """The model in this process."""
        if self._own_engine is None:
            self._own_engine = self._open_own()
        return self._own_engine

    # --------------------------------------------------------------------------------------------------------- daemon

    def _look(self) -> bool:
        """Whether there is a daemon, and of this model; its connection is kept then."""
        connection = _Connection(self._socket or "")
        try:
            connection.request("GET", "/info")
            response = connection.getresponse()
            facts = json.loads(response.read())
            found = (facts["version"], facts["senvec"]["dimensions"], facts["max_input_length"])
        except (OSError, http.client.HTTPException, ValueError, KeyError, TypeError):
            connection.close()
            return False
        if response.status != 200 or found != (version, self.info.dimensions, self.info.max_seq_length):
            connection.close()
            return False
        self._space_id = facts.get("space_id")
        self._idle.append(connection)
        return True

    def _reach(self) -> bool:
        """Connects to the daemon, which is started if there is none. False: it doesn't work."""
        if self._socket is None:
            return False
        with self._reaching:
            if self._look():
                return True
            if os.environ.get("SENVEC_SOCKET"):  # somebody else's to start
                return False
            try:
                line = [find_command(), "embed", "--daemon", "-q", "-m", self._path, "-p", self._precision]
                line += ["-t", str(self._wanted_threads)] if self._wanted_threads else []
                line += ["--cpu", self._cpu] if self._cpu else []
                subprocess.run(line, input=b"a\n", stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL, timeout=_START_S)
            except (OSError, Error, subprocess.SubprocessError):
                return False
            return self._look()

    def _request(self, options: Any) -> dict[str, Any] | None:
        """What a request says of the options; None: there is no way to say it."""
        members: dict[str, Any] = {}
        if options.prompt or self.info.default_prompt_name:
            text = (options.prompt or b"").decode()
            named = [name for name, prompt in self.prompts.items() if prompt == text]
            if not named:
                return None
            members["prompt_name"] = named[0]
        width = self.info.dimensions
        if options.dimensions > width or (options.normalize and options.dimensions < width):
            return None
        if options.normalize:
            members["normalize"] = True
        if options.truncation:
            members["truncation_direction"] = TRUNCATION_NAMES[options.truncation]
        return members

    def _exchange(self, body: bytes, out: np.ndarray) -> bool:
        """One request, whose answer's vectors go to `out`, or as many of their first numbers as it has room for. False: the
        daemon refuses it. Raises OSError or HTTPException where the connection is of no use."""
        width = self.info.dimensions
        try:
            connection = self._idle.pop()
        except IndexError:
            connection = _Connection(self._socket or "")
        try:
            connection.request("POST", "/v1/embeddings", body, _HEADERS)
            response = connection.getresponse()
            if response.status != 200 or response.length != len(out) * width * 4:
                connection.close()
                return False
            whole = out if out.shape[1] == width and out.flags.c_contiguous else np.empty((len(out), width), np.float32)
            room, filled = memoryview(whole).cast("B"), 0
            while filled < len(room):
                got = response.readinto(room[filled:])
                if not got:
                    raise http.client.IncompleteRead(b"")
                filled += got
            response.read()
        except BaseException:
            connection.close()
            raise
        if whole is not out:
            out[:] = whole[:, : out.shape[1]]
        self._idle.append(connection)
        return True

    def _ask(self, texts: list[str], members: dict[str, Any], out: np.ndarray) -> bool:
        """The vectors of some texts to `out`. False: they have to be computed here."""
        body = json.dumps({"input": texts, **members}, ensure_ascii=False).encode()
        for last in (False, True):
            try:
                return self._exchange(body, out)
            except (OSError, http.client.HTTPException):
                self._close_idle()  # it has ended, perhaps because it was idle
            if last or not self._reach():
                self._usable = False
                return False
        return False

    # ------------------------------------------------------------------------------------------------------ computing

    def embed_one(self, text: bytes, options: Any, out: int, dimensions: int) -> None:
        members = self._request(options) if self._usable else None
        if members is not None:
            row = np.ctypeslib.as_array((ctypes.c_float * dimensions).from_address(out)).reshape(1, dimensions)
            if self._ask([text.decode()], members, row):
                return
        self._own().embed_one(text, options, out, dimensions)

    def embed(self, batch: Batch, options: Any, out: np.ndarray, advance: Callable[[int], None] | None = None) -> None:
        members = self._request(options) if self._usable else None
        if members is None or not self._embed_by_requests(batch, members, out, advance):
            self._own().embed(batch, options, out, advance)

    def _embed_by_requests(self, batch: Batch, members: dict[str, Any], out: np.ndarray,
                           advance: Callable[[int], None] | None) -> bool:
        average = max(batch.size / batch.count, 1.0) if batch.count else 1.0
        step = min(max(int(_REQUEST_BYTES / average), 1), _REQUEST_TEXTS)
        for first in range(0, batch.count, step):
            end = min(first + step, batch.count)
            pairs, owner = batch.pointers(first, end)
            try:
                texts = [ctypes.string_at(address, length).decode() for address, length in pairs.tolist()]
            except UnicodeDecodeError:  # in an Arrow array
                return False
            del owner
            if not self._ask(texts, members, out[first:end]):
                return False
            if advance:
                advance(end)
        return True

    def each_piece(self, *arguments: Any, **named: Any) -> None:
        self._own().each_piece(*arguments, **named)

    @property
    def threads(self) -> int:
        return self._own().threads

    def space_id(self) -> str:
        if self._space_id is None and self._usable:
            self._look()
        return self._space_id or self._own().space_id()
