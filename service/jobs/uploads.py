"""Data that people sent: files by the hash of their content, apart for each project, whose jobs alone may read them."""

from __future__ import annotations

import os
import shutil
import time
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

from service.settings import Settings

MOST_BYTES = 512 << 20
"""Of one file."""
MOST_OF_PROJECT = 8 << 30
"""Bytes of all files of a project together."""
PARTIAL = ".partial-"


def folder_of(settings: Settings, project: str) -> Path | None:
    """Where the project's files lie, beside the artifacts: on the disk that all machines of the service share. None
    where artifacts lie in no folder."""
    return None if settings.uploads is None else settings.uploads / project


def with_uploads(settings: Settings, project: str) -> Settings:
    """The settings for jobs of a project: its own files are data like those of the data roots."""
    folder = folder_of(settings, project)
    if folder is None or not folder.is_dir():
        return settings
    return settings.model_copy(update={"data_roots": (*settings.data_roots, folder.resolve())})


def taken(folder: Path) -> int:
    """Bytes of all files below a folder."""
    return sum(path.stat().st_size for path in folder.rglob("*") if path.is_file())


def keep(partial: Path, folder: Path, sha256: str, name: str) -> Path:
    """Put a file that has come in whole where its content names it. The same content again is the same file."""
    target = folder / sha256[:32] / name
    target.parent.mkdir(parents=True, exist_ok=True)
    os.replace(partial, target)
    os.utime(target.parent)  # young again, lest it be collected before a job names it
    return target


def collect(root: Path, specs: Iterable[Any], min_age: float) -> tuple[str, ...]:
    """Delete files that no spec names and that are older than `min_age` seconds; the hashes of what went."""
    if not root.is_dir():
        return ()
    used = {text for spec in specs for text in _texts(spec)}
    before, gone = time.time() - min_age, []
    for entry in root.glob("*/*"):
        try:
            if entry.stat().st_mtime > before or any(str(file.resolve()) in used for file in entry.glob("*")):
                continue
            shutil.rmtree(entry) if entry.is_dir() else entry.unlink()
        except FileNotFoundError:  # another conductor was quicker
            continue
        gone.append(entry.name)
    return tuple(gone)


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, dict):
        for inner in value.values():
            yield from _texts(inner)
    elif isinstance(value, list):
        for inner in value:
            yield from _texts(inner)
