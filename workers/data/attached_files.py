"""Rows that are files, images or sounds: in a folder for each class, or named or held by the cells of a table.

Each is read while rows are, and looked through by what its medium knows of broken ones.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Callable, Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from workers.data.columns import Columns, brief
from workers.data.rows import Blob
from workers.errors import InvalidInput


@dataclass(frozen=True)
class Medium:
    """What the files of a column hold.

    Attributes:
        field: of jobs, which refusals name.
        called: one of them, with its article.
        mime: the type of data URIs, for the example in a refusal.
        suffixes: of files in a class's folder, in lower case.
        check: decodes bytes of a file with this name, at this place of the data, and raises `InvalidInput` where they
            cannot be.
    """

    field: str
    called: str
    mime: str
    suffixes: frozenset[str]
    check: Callable[[bytes, str, str], object]


def files_of(parts: Sequence[Columns], name: str, medium: Medium) -> tuple[Blob, ...]:
    """A column of files `[rows]`, each of which was decoded once. Raises `InvalidInput` with the medium's field and the
    place of the first that cannot be."""
    cells = [(value, part, row) for part in parts for row, value in enumerate(part.values[name])]
    with ThreadPoolExecutor() as pool:  # decoders run without the interpreter's lock
        return tuple(pool.map(lambda cell: _file(cell[0], cell[1], cell[1].place(cell[2], name), medium), cells))


def content_of(file: Blob, medium: Medium) -> bytes:
    """The bytes of a row's file. Raises `InvalidInput` with its place where they are gone."""
    return file.source if isinstance(file.source, bytes) else _bytes(file.source, file, file.place, medium)


def class_folders(
    medium: Medium, folder: Path, column: str, label: str, role: str, names: Sequence[str], whole: bool
) -> list[Columns]:
    """Columns `column` and `label` of a folder whose folders are the classes; none where it has no such.

    `names` are folders that a split may lie in; `whole` takes the folder itself where no split does.
    """
    own = next((folder / name for name in names if _classes(folder / name, medium)), None)
    if own is None and whole and not any(_classes(path, medium) for path in _folders(folder)):
        own = folder
    if own is None:
        return []
    files = [(path, kind.name) for kind in _classes(own, medium) for path in _inside(kind, medium)]
    values: dict[str, list[Any]] = {column: [path for path, _ in files], label: [kind for _, kind in files]}
    return [Columns(f"the {role} split, {own}", values, range(1, len(files) + 1), "row", typed=False)] if files else []


def _file(value: Any, part: Columns, place: str, medium: Medium) -> Blob:
    name, source = _source(value, part, place, medium)
    content = source if isinstance(source, bytes) else _bytes(source, name, place, medium)
    medium.check(content, name, place)
    return Blob.of(name, source, place, hashlib.sha256(content).hexdigest())


def _source(value: Any, part: Columns, place: str, medium: Medium) -> tuple[str, Path | bytes]:
    """The name of a cell's file, and where its bytes are."""
    if isinstance(value, dict) and ("bytes" in value or "path" in value):  # as `datasets` stores images and sounds
        path, content = value.get("path"), value.get("bytes")
        if isinstance(content, bytes):
            return str(path or medium.field), content
        value = path
    if isinstance(value, bytes):
        return medium.field, value
    if isinstance(value, Path):
        return str(value), value
    if not isinstance(value, str) or not value.strip():
        allowed = f"a path, or the bytes of {medium.called}, in every row"
        raise InvalidInput(medium.field, f"{brief(value)} in {place}", allowed)
    if value.startswith("data:"):
        return medium.field, _data_uri(value, place, medium)
    return value, _beside(value, part, place, medium)


def _data_uri(value: str, place: str, medium: Medium) -> bytes:
    head, _, body = value.partition(",")
    try:
        if not head.endswith(";base64"):
            raise ValueError("it is not in base64")
        return base64.b64decode(body, validate=True)
    except (ValueError, binascii.Error) as error:
        allowed = f"data:{medium.mime};base64,…"
        raise InvalidInput(medium.field, f"{brief(value)} in {place} ({error})", allowed) from error


def _beside(value: str, part: Columns, place: str, medium: Medium) -> Path:
    """The file that a table names, which lies below the table's own folder: a table leads nowhere else."""
    if not isinstance(part.source, Path):
        raise InvalidInput(medium.field, f"{brief(value)} in {place}", f"the bytes of {medium.called}")
    root = os.path.realpath(part.source.parent)
    try:
        path = Path(os.path.realpath(os.path.join(root, value.strip())))
    except ValueError as error:  # a NUL byte
        raise InvalidInput(medium.field, f"{brief(value)} in {place} ({error})", "a path") from error
    if Path(root) not in path.parents:
        allowed = f"files below {root}, where the table lies"
        raise InvalidInput(medium.field, f"{brief(value)} in {place}, which lies elsewhere", allowed)
    return path


def _bytes(path: Path, name: str, place: str, medium: Medium) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        found = f"{name} in {place} ({error.strerror or error})"
        raise InvalidInput(medium.field, found, "a file in every row") from error


def _classes(folder: Path, medium: Medium) -> list[Path]:
    """The folders that hold files of the medium themselves."""
    return [path for path in _folders(folder) if next(_inside(path, medium), None) is not None]


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _inside(folder: Path, medium: Medium) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in medium.suffixes and path.is_file() and not path.name.startswith("."):
            yield path
