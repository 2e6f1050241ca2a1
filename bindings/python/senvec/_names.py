"""Models by name, as the command `senvec` finds them: in its own cache ($SENVEC_CACHE, else $XDG_CACHE_HOME/senvec, else
~/.cache/senvec; below it models/ORG--NAME), then in Hugging Face's, and else fetched (_fetch.py)."""

from __future__ import annotations

import os
import re

from ._library import ModelNotFoundError

DEFAULT_ORG = "sentence-transformers"
_PART = re.compile(r"[A-Za-z0-9_-][A-Za-z0-9._-]{0,126}")


def parse(name: str) -> tuple[str, str]:
    """NAME or ORG/NAME as (org, name). Raises ValueError for what is neither."""
    org, _, repo = name.partition("/") if "/" in name else (DEFAULT_ORG, "", name)
    if not _PART.fullmatch(org) or not _PART.fullmatch(repo):
        raise ValueError(f"{name[:200]!r} is no model's name; give NAME, ORG/NAME, a folder or a native file")
    return org, repo


def is_path(name: str) -> bool:
    """Whether it names a folder or a file rather than a model."""
    return (
        name.startswith(("/", ".", "~"))
        or os.path.isfile(name)
        or os.path.isfile(os.path.join(name, "config.json"))
        or os.path.isfile(os.path.join(name, "modules.json"))
    )


def elsewhere(model: str | os.PathLike[str]) -> str:
    """A model's name as another process, with another current folder, understands it."""
    name = os.fspath(model)
    return os.path.abspath(os.path.expanduser(name)) if is_path(name) else name


def models_folder() -> str:
    """Where senvec keeps models."""
    for variable, below in (("SENVEC_CACHE", "models"), ("XDG_CACHE_HOME", "senvec/models"), ("HOME", ".cache/senvec/models")):
        value = os.environ.get(variable)
        if value:
            return os.path.join(value, below)
    raise ValueError("no place for models: set HOME or SENVEC_CACHE")


def _hugging_face_folder() -> str | None:
    for variable, below in (
        ("HF_HUB_CACHE", ""),
        ("HF_HOME", "hub"),
        ("XDG_CACHE_HOME", "huggingface/hub"),
        ("HOME", ".cache/huggingface/hub"),
    ):
        value = os.environ.get(variable)
        if value:
            return os.path.join(value, below)
    return None


def _is_model(folder: str) -> bool:
    return os.path.isfile(os.path.join(folder, "config.json")) and os.path.isfile(os.path.join(folder, "model.safetensors"))


def _in_hub_cache(cache: str, org: str, repo: str) -> str | None:
    """The folder of main's snapshot in a cache laid out as Hugging Face's is."""
    base = os.path.join(cache, f"models--{org}--{repo}")
    try:
        with open(os.path.join(base, "refs", "main"), encoding="ascii") as file:
            commit = file.read().strip()
    except (OSError, UnicodeDecodeError):
        return None
    if not re.fullmatch(r"[0-9a-f]{1,64}", commit):
        return None
    folder = os.path.join(base, "snapshots", commit)
    return folder if _is_model(folder) else None


def find(name: str, cache_folder: str | None = None) -> str | None:
    """The folder of a model that is on this machine, or None."""
    org, repo = parse(name)
    own = os.path.join(models_folder(), f"{org}--{repo}")
    if cache_folder:
        found = _in_hub_cache(cache_folder, org, repo)
        if found:
            return found
    if _is_model(own):
        return own
    hub = _hugging_face_folder()
    return _in_hub_cache(hub, org, repo) if hub else None


def resolve(
    name: str, cache_folder: str | None = None, local_only: bool = False, token: str | None = None, progress: bool = False
) -> str:
    """NAME, ORG/NAME, a folder or a native file, as the path of a folder or file; fetched if it is nowhere.

    Raises FileNotFoundError (nowhere, and not to be fetched), ValueError (not a name), senvec.NetworkError.
    """
    if "\0" in name:
        raise ValueError("the model's name holds a NUL character")
    if not name:
        raise ValueError("an empty model name; give NAME, ORG/NAME, a folder or a native file")
    if is_path(name):
        path = os.path.expanduser(name)
        if not os.path.exists(path):
            raise ModelNotFoundError(f"{name}: no such folder or file", "SENVEC_NOT_FOUND")
        return path
    found = find(name, cache_folder)
    if found:
        return found
    from ._fetch import offline, pull

    if local_only or offline():
        why = "local_files_only" if local_only else "HF_HUB_OFFLINE"
        raise ModelNotFoundError(
            f"model {name}: not in {models_folder()} and not in Hugging Face's cache, and {why} forbids fetching it; "
            f"fetch it with 'python -m senvec pull {name}' where there is a network, and copy the folder",
            "SENVEC_NOT_FOUND",
        )
    return pull(name, token=token, progress=progress)
