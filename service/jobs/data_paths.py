"""Paths in job files: found under the data roots, and never outside of them."""

from __future__ import annotations

import os
from collections.abc import Iterator, Sequence
from pathlib import Path

from service.errors import BadInput
from service.jobs.did_you_mean import did_you_mean
from service.jobs.hub import how_to_write


def locate(field: str, value: str, roots: Sequence[Path], what: str = "the data roots") -> Path:
    """The absolute path of a file or folder that a job names, under `roots`, which messages call `what`.

    A relative path is looked for under each root in turn. `..` and symbolic links are followed first, so neither
    leads out of the roots; of what lies outside, not even its existence is told.

    Raises:
        BadInput: it lies outside the data roots, or is not there.
    """
    allowed = f"a path under {what}: " + ", ".join(map(str, roots))
    try:
        written = Path(value).expanduser()
        candidates = [written] if written.is_absolute() else [root / written for root in roots]
        resolved = [Path(os.path.realpath(candidate)) for candidate in candidates]
    except (RuntimeError, ValueError) as error:  # `~nobody`, a NUL byte
        raise BadInput(field, value, allowed, f"found {value!r}, which is no path ({error})") from None
    inside = [path for path in resolved if is_under(path, roots)]
    if not inside:
        raise BadInput(field, value, allowed, f"found {value!r}, which is outside {what}; allowed: {allowed}")
    existing = next((path for path in inside if path.exists()), None)
    if existing is None:
        raise BadInput(field, value, allowed, _missing(field, value, inside, roots))
    for stray in _strays(existing, roots):
        raise BadInput(field, value, allowed, f"{value!r} holds {stray.name!r}, a link that leads outside {what}")
    return existing


def is_under(path: Path, roots: Sequence[Path]) -> bool:
    """Whether a resolved path lies in one of the roots."""
    return any(path == root or root in path.parents for root in roots)


def _strays(folder: Path, roots: Sequence[Path]) -> Iterator[Path]:
    """Links inside a folder that lead out of the roots."""
    if folder.is_dir():
        for path in folder.rglob("*"):
            if path.is_symlink() and not is_under(Path(os.path.realpath(path)), roots):
                yield path


def _missing(field: str, value: str, inside: Sequence[Path], roots: Sequence[Path]) -> str:
    beside = [entry.name for path in inside if path.parent.is_dir() for entry in path.parent.iterdir()]
    near = did_you_mean(inside[0].name, beside)
    looked = f"looked under {', '.join(map(str, roots))}"
    return f"found {value!r}, which does not exist{near}; {looked}{how_to_write(field, value)}"
