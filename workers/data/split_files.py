"""Which files of a folder hold a split."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Sequence
from pathlib import Path

from workers.data.files import SUFFIXES
from workers.errors import InvalidInput

SPLIT_NAMES = {
    "train": ("train",),
    "validation": ("validation", "valid", "dev", "val"),
    "test": ("test",),
    "trusted": ("trusted",),
    "unlabelled": ("unlabelled", "unlabeled", "unsupervised"),
}
_SHARD = re.compile(r"-(\d+)-of-(\d+)(?:-[0-9a-f]+)?$")


def find_split(folder: Path, role: str, field: str) -> list[Path]:
    """Files of a split in a folder: `train.csv`, `validation-00000-of-00002.parquet`, `data/test.jsonl`, or the arrow
    files of a data set saved with `save_to_disk`. Empty when the folder has no such split.

    Raises `InvalidInput` where they may hold the same rows more than once, or where a shard is missing.
    """
    for name in SPLIT_NAMES[role]:
        try:
            files = sorted(_named(folder, name))
        except OSError as error:
            raise InvalidInput(
                field, str(folder), "a readable folder", f"{field}: cannot read {folder}: {error}"
            ) from error
        saved = folder / name / "state.json"
        if saved.is_file():
            _check_one_copy([saved, *files], name, role, field)
            return _saved_files(saved, field)
        if files:
            _check_one_copy(files, name, role, field)
            _check_shards(files, role, field)
            return files
    if role == "train" and (folder / "state.json").is_file():
        return _saved_files(folder / "state.json", field)
    return []


def _named(folder: Path, name: str) -> Iterator[Path]:
    """The tables in the places for a split whose name is `name`, before a dash or a dot, in any case."""
    for parent in (folder, folder / "data", folder / name):
        for path in parent.iterdir() if parent.is_dir() else ():
            if path.suffix.lower() in SUFFIXES and re.split("[-.]", path.name, maxsplit=1)[0].lower() == name:
                yield path


def _check_one_copy(files: Sequence[Path], name: str, role: str, field: str) -> None:
    """Refuse files of two formats or folders, and a whole file beside others: they would be the same rows twice."""
    kinds = {_kind(path, name): path for path in reversed(files)}
    if len(kinds) > 1:
        two = " and ".join(map(str, sorted(kinds.values())[:2]))
        remedy = "rows would count twice; name one of them as the source, or move the others away"
        message = f"{field}: {two} both hold the {role} split: {remedy}"
        raise InvalidInput(field, two, f"one file, or the parts of one, for the {role} split", message)


def _kind(path: Path, name: str) -> tuple[object, ...]:
    """Equal for files that may be parts of one table."""
    if path.stem.lower() == name:
        return ("whole", path)
    return (path.parent, path.suffix.lower(), "shard" if _SHARD.search(path.stem) else "part")


def _check_shards(files: Sequence[Path], role: str, field: str) -> None:
    """Refuse a set of `-00000-of-00003` that has a gap, or a shard twice."""
    found = [(int(match[1]), int(match[2])) for path in files if (match := _SHARD.search(path.stem))]
    expected = {number for _, total in found for number in range(total)}
    numbers = [number for number, _ in found]
    missing = sorted(expected - set(numbers))
    twice = sorted(number for number in expected if numbers.count(number) > 1)
    if missing or twice:
        fault = f"lacks shard {missing[0]}" if missing else f"has shard {twice[0]} twice"
        message = f"{field}: {files[0].parent} {fault} of the {role} split ({files[0].name} and {len(files) - 1} more)"
        raise InvalidInput(field, f"{files[0].parent}: {fault}", "each shard of one set once", message)


def _saved_files(state: Path, field: str) -> list[Path]:
    try:
        written = json.loads(state.read_text(encoding="utf-8"))
        names = [entry["filename"] for entry in written["_data_files"]]
        if written.get("_indices_data_files") or any(Path(name).name != name for name in names):
            raise ValueError("rows picked by an index, or files of another folder")
        return [state.parent / name for name in names]
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        message = f"{field}: cannot read {state}: {error}"
        raise InvalidInput(field, str(state), "a folder written by datasets' save_to_disk", message) from error
