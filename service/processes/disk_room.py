"""Whether there is room for what the service writes."""

from __future__ import annotations

import shutil
from collections.abc import Iterator
from pathlib import Path

from sqlalchemy.engine import make_url

from service.settings import Settings

LEAST_FREE = 64 << 20
"""Bytes below which a disk counts as full: an adapter and the database's log no longer fit for sure."""


def full_disk(settings: Settings) -> str | None:
    """Which of the service's own folders lies on a full disk, in words; None while there is room."""
    for folder in _folders(settings):
        free = shutil.disk_usage(nearest_folder(folder)).free
        if free < LEAST_FREE:
            return f"the disk of {folder} is full: {free >> 20} MiB are free, {LEAST_FREE >> 20} are needed"
    return None


def nearest_folder(folder: Path) -> Path:
    """The folder, or the nearest one above it that is there already."""
    return next(path for path in (folder, *folder.parents) if path.exists())


def _folders(settings: Settings) -> Iterator[Path]:
    yield settings.home
    database = make_url(settings.database)
    if database.get_backend_name() == "sqlite" and database.database:
        yield Path(database.database).absolute().parent
    if "://" not in settings.artifacts:
        yield Path(settings.artifacts).absolute()
