"""Which state of the project is measured."""

from __future__ import annotations

import os
import subprocess
from pathlib import Path

VARIABLE = "PEFTSEARCH_COMMIT"
"""Says it where the project was copied without its history."""


def commit() -> str:
    """The commit, with a mark where files differ from it; `unknown` where nothing tells."""
    if (given := os.environ.get(VARIABLE)) is not None:
        return given
    try:
        found = subprocess.run(
            ["git", "describe", "--always", "--dirty"],
            cwd=Path(__file__).parent, capture_output=True, text=True, check=True, timeout=10,
        )  # fmt: skip
    except (OSError, subprocess.SubprocessError):
        return "unknown"
    return found.stdout.strip() or "unknown"
