"""The append-only file of finished trials: one JSON object a line, written whole or not at all.

A line that a killed process left half-written is cut off when the file is next opened for recording.
"""

from __future__ import annotations

import fcntl
import json
import os
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import IO, Any

Line = dict[str, Any]


def read_lines(path: Path) -> list[Line]:
    """Every finished trial of a recording; an unfinished last line is left out."""
    if not path.is_file():
        return []
    whole = path.read_bytes().rpartition(b"\n")[0]
    return [json.loads(line) for line in whole.splitlines()]


class Recording:
    """A recording that is being written. Get one from `recording`."""

    def __init__(self, file: IO[bytes], keys: set[str]) -> None:
        self._file = file
        self.keys = keys

    def append(self, line: Line) -> None:
        """Add a finished trial; it has reached the disk on return."""
        self._file.write(json.dumps(line).encode() + b"\n")
        self._file.flush()
        os.fsync(self._file.fileno())
        self.keys.add(line["key"])


@contextmanager
def recording(path: Path) -> Iterator[Recording]:
    """Open (or begin) a recording for appending.

    Raises:
        BlockingIOError: another process is recording into it.
    """
    path.parent.mkdir(parents=True, exist_ok=True)
    with path.open("a+b") as file:
        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        file.seek(0)
        file.truncate(file.read().rfind(b"\n") + 1)
        yield Recording(file, {line["key"] for line in read_lines(path)})
