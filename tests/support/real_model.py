"""Where the real model is, for tests in Python: $SENVEC_TEST_MODEL, else what `senvec pull` left in the cache."""

import os
from pathlib import Path


def find_real_model():
    """The model's folder, or None."""
    given = os.environ.get("SENVEC_TEST_MODEL")
    if given:
        return given
    cache = os.environ.get("SENVEC_CACHE") or Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "senvec"
    folder = Path(cache) / "models" / "sentence-transformers--all-MiniLM-L6-v2"
    return str(folder) if (folder / "config.json").is_file() else None
