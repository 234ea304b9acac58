"""Where data derived from a task's sources is kept between trials."""

from __future__ import annotations

import os
from pathlib import Path


def cache_folder() -> Path:
    """`PEFTSEARCH_CACHE`, or `peftsearch` in the user's cache folder. Everything in it can be deleted at any time."""
    default = Path(os.environ.get("XDG_CACHE_HOME", Path.home() / ".cache")) / "peftsearch"
    return Path(os.environ.get("PEFTSEARCH_CACHE", default))
