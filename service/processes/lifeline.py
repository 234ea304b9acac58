"""A child that ends with its parent: the parent holds the writing end of a pipe that only its death closes."""

from __future__ import annotations

import os
import subprocess
import sys
import threading
from collections.abc import Mapping, Sequence

VARIABLE = "PEFTSEARCH_LIFELINE"
ORPHANED = 70  # exit status of a child whose parent has gone


def spawn(arguments: Sequence[str], environment: Mapping[str, str]) -> subprocess.Popen[bytes]:
    """Start `python -m <arguments>` with this process's environment plus `environment`, on a lifeline through stdin.

    With `-P` no module of the current folder takes the place of ours. A pipe works on every system, and unlike a
    parent-death signal it does not depend on the thread that spawned.
    """
    return subprocess.Popen(
        [sys.executable, "-P", "-m", *arguments],
        stdin=subprocess.PIPE,
        env={**os.environ, **environment, VARIABLE: "stdin"},
    )


def follow_parent() -> bool:
    """In a child made by `spawn`: leave at once, without cleaning up, when the parent dies. False elsewhere."""
    if os.environ.pop(VARIABLE, None) != "stdin":
        return False
    threading.Thread(target=_wait_for_end, name="lifeline", daemon=True).start()
    return True


def _wait_for_end() -> None:
    while os.read(0, 1):
        pass
    os._exit(ORPHANED)
