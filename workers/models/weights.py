"""What a model folder stores, read from the headers of its safetensors files. Imports no torch."""

from __future__ import annotations

import json
from collections.abc import Mapping
from dataclasses import dataclass
from math import prod
from pathlib import Path
from typing import Any

from workers.errors import InvalidInput

SINGLE, INDEX = "model.safetensors", "model.safetensors.index.json"
_LONGEST_HEADER = 100_000_000  # bytes; the format allows no more
_POINTER = b"version https://git-lfs.github.com/spec/"


@dataclass(frozen=True)
class StoredTensor:
    """One entry of a header. `dtype` is safetensors' name, such as `F32` or `BF16`."""

    dtype: str
    shape: tuple[int, ...]

    @property
    def size(self) -> int:
        """Numbers in it."""
        return prod(self.shape)


def weight_files(folder: Path) -> list[Path]:
    """The files that hold a model's weights: one, or the shards that an index names.

    Raises `InvalidInput` with field `model`: no weights as safetensors, an unreadable index, a missing shard.
    """
    if (folder / SINGLE).is_file():
        return [folder / SINGLE]
    if not (folder / INDEX).is_file():
        raise InvalidInput("model", _instead(folder), f"a model saved as {SINGLE} or as shards with {INDEX}")
    files = [folder / name for name in sorted(set(_shards(folder / INDEX).values()))]
    missing = [path.name for path in files if not path.is_file()]
    if missing:
        raise InvalidInput("model", f"{folder} without {', '.join(missing)}", f"every shard that {INDEX} names")
    return files


def has_weights(folder: Path) -> bool:
    """Whether there is a file of weights, or an index of them, at all."""
    return (folder / SINGLE).is_file() or (folder / INDEX).is_file()


def stored_tensors(folder: Path) -> dict[str, StoredTensor]:
    """Every tensor of a model by name. Raises `InvalidInput` with field `model` for files that cannot hold them."""
    files = weight_files(folder)
    tensors = {name: tensor for path in files for name, tensor in _read_header(path).items()}
    if files[0].name != SINGLE:
        lost = sorted(name for name in _shards(folder / INDEX) if name not in tensors)
        if lost:
            raise InvalidInput("model", f"no {lost[0]!r} in the shards of {folder}", f"every tensor that {INDEX} names")
    return tensors


def refuse_pointer(path: Path) -> None:
    """Raise `InvalidInput` where git has left a pointer of Git LFS in place of a file."""
    with path.open("rb") as file:
        if file.read(len(_POINTER)) == _POINTER:
            raise InvalidInput(
                "model",
                f"{path}: a pointer of Git LFS, not the file itself",
                "the file (`git lfs pull` in the folder brings it)",
            )


def _instead(folder: Path) -> str:
    """What a folder holds where its weights should be."""
    near = sorted(
        path.name for path in folder.iterdir() if path.suffix in {".bin", ".safetensors", ".pt", ".pth", ".h5", ".gguf"}
    )
    return f"{folder} without *.safetensors of a model" + (f" (only {', '.join(near[:5])})" if near else "")


def _shards(index: Path) -> Mapping[str, str]:
    """The shard of every tensor."""
    refuse_pointer(index)
    try:
        names = json.loads(index.read_text())["weight_map"]
        sound = bool(names) and all(isinstance(name, str) and Path(name).name == name for name in names.values())
    except (OSError, ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidInput("model", f"{index}: {error!r}", "a readable index of shards") from error
    if not sound:
        raise InvalidInput("model", str(index), "an index that names files beside it")
    shards: Mapping[str, str] = names
    return shards


def _read_header(path: Path) -> dict[str, StoredTensor]:
    """The tensors of one file, which must be as long as its header says."""
    refuse_pointer(path)
    size = path.stat().st_size
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        if size < 8 or length > _LONGEST_HEADER:
            raise InvalidInput("model", f"{path}, which is no safetensors file", "a model saved as safetensors")
        text = file.read(length)
    if len(text) < length:
        raise InvalidInput("model", f"{path}: cut off after {size} bytes, inside its header", "the whole file")
    try:
        entries: dict[str, dict[str, Any]] = json.loads(text)
        entries.pop("__metadata__", None)
        tensors = {name: StoredTensor(str(one["dtype"]), tuple(one["shape"])) for name, one in entries.items()}
        end = 8 + length + max((int(one["data_offsets"][1]) for one in entries.values()), default=0)
    except (ValueError, LookupError, TypeError, AttributeError, RecursionError) as error:
        raise InvalidInput("model", f"{path}: {error!r}", "a safetensors file with a readable header") from error
    if size < end:
        raise InvalidInput("model", f"{path}: cut off after {size} of {end} bytes", "the whole file")
    return tensors
