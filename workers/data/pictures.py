"""Images of rows: files, bytes or data URIs, checked while rows are read, decoded when a model's inputs are made.

Pillow is imported inside functions: the product reads texts without it. Formats are those that cameras and the web
write; Pillow's others hold programs (PostScript) or are nobody's photographs.
"""

from __future__ import annotations

import base64
import binascii
import hashlib
import os
from collections.abc import Iterator, Sequence
from concurrent.futures import ThreadPoolExecutor
from io import BytesIO
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from workers.data.columns import Columns, brief
from workers.data.rows import Blob
from workers.errors import InvalidInput

if TYPE_CHECKING:
    from PIL.Image import Image

SUFFIXES = frozenset({".png", ".jpg", ".jpeg", ".jpe", ".webp", ".bmp", ".gif", ".tif", ".tiff"})
_FORMATS = ("PNG", "JPEG", "WEBP", "BMP", "GIF", "TIFF")
_ALLOWED = "a PNG, JPEG, WebP, BMP, GIF or TIFF image in every row"
_SMALLEST = (64, 64)  # to which a JPEG may be reduced while it is only looked through


def require_pillow() -> None:
    """Raise `InvalidInput` with field `type` where images cannot be read."""
    try:
        import PIL  # noqa: F401
    except ImportError as error:
        raise InvalidInput("type", "no Pillow", "installing it: pip install 'peftsearch[images]'") from error


def pictures_of(parts: Sequence[Columns], name: str) -> tuple[Blob, ...]:
    """A column of images `[rows]`, each of which was decoded once. Raises `InvalidInput` with field `image` and the
    place of the first that cannot be."""
    cells = [(value, part, row) for part in parts for row, value in enumerate(part.values[name])]
    with ThreadPoolExecutor() as pool:  # Pillow decodes without the interpreter's lock
        return tuple(pool.map(lambda cell: _picture(cell[0], cell[1], cell[1].place(cell[2], name)), cells))


def decoded(picture: Blob, channels: int) -> Image:
    """An image upright and in 8 bits: of 1 channel grey, else RGB. Raises `InvalidInput` with its place."""
    from PIL import ImageOps

    content = picture.source if isinstance(picture.source, bytes) else _bytes(picture.source, picture, picture.place)
    found = _opened(content, picture, picture.place)
    try:
        upright = ImageOps.exif_transpose(found)
    except (OSError, ValueError, SyntaxError, EOFError) as error:  # a damaged note on how it was held
        raise _broken(picture, error, picture.place) from error
    return in_eight_bits(upright).convert("L" if channels == 1 else "RGB")


def in_eight_bits(image: Image) -> Image:
    """Grey of 16 bits as 8: Pillow would cut off all that is brighter than 255."""
    import PIL.Image

    if not image.mode.startswith("I"):
        return image
    values = np.asarray(image, dtype=np.int64)
    whole = 65535 if values.max(initial=0) > 255 else 255
    return PIL.Image.fromarray((values.clip(0, whole) * 255 // whole).astype(np.uint8), "L")


def _picture(value: Any, part: Columns, place: str) -> Blob:
    name, source = _source(value, part, place)
    content = source if isinstance(source, bytes) else _bytes(source, name, place)
    picture = Blob.of(name, source, place, hashlib.sha256(content).hexdigest())
    _opened(content, name, place, reduced=True)
    return picture


def _source(value: Any, part: Columns, place: str) -> tuple[str, Path | bytes]:
    """The name of a cell's image, and where its bytes are."""
    if isinstance(value, dict) and ("bytes" in value or "path" in value):  # as `datasets` stores images
        path, content = value.get("path"), value.get("bytes")
        if isinstance(content, bytes):
            return str(path or "image"), content
        value = path
    if isinstance(value, bytes):
        return "image", value
    if isinstance(value, Path):
        return str(value), value
    if not isinstance(value, str) or not value.strip():
        raise InvalidInput("image", f"{brief(value)} in {place}", "a path, or the bytes of an image, in every row")
    if value.startswith("data:"):
        return "image", _data_uri(value, place)
    return value, _beside(value, part, place)


def _data_uri(value: str, place: str) -> bytes:
    head, _, body = value.partition(",")
    try:
        if not head.endswith(";base64"):
            raise ValueError("it is not in base64")
        return base64.b64decode(body, validate=True)
    except (ValueError, binascii.Error) as error:
        raise InvalidInput("image", f"{brief(value)} in {place} ({error})", "data:image/png;base64,…") from error


def _beside(value: str, part: Columns, place: str) -> Path:
    """The file that a table names, which lies below the table's own folder: a table leads nowhere else."""
    if not isinstance(part.source, Path):
        raise InvalidInput("image", f"{brief(value)} in {place}", "the bytes of an image")
    root = os.path.realpath(part.source.parent)
    try:
        path = Path(os.path.realpath(os.path.join(root, value.strip())))
    except ValueError as error:  # a NUL byte
        raise InvalidInput("image", f"{brief(value)} in {place} ({error})", "a path") from error
    if Path(root) not in path.parents:
        allowed = f"files below {root}, where the table lies"
        raise InvalidInput("image", f"{brief(value)} in {place}, which lies elsewhere", allowed)
    return path


def _bytes(path: Path, name: str, place: str) -> bytes:
    try:
        return path.read_bytes()
    except OSError as error:
        raise InvalidInput("image", f"{name} in {place} ({error.strerror or error})", "a file in every row") from error


def _opened(content: bytes, name: str, place: str, reduced: bool = False) -> Image:
    """The first picture of an image, decoded; `reduced` to see whether it can be."""
    from PIL import Image

    try:
        found = Image.open(BytesIO(content), formats=_FORMATS)
        if reduced:
            found.draft("RGB", _SMALLEST)
        found.load()
    except (OSError, ValueError, SyntaxError, EOFError, Image.DecompressionBombError, MemoryError) as error:
        raise _broken(name, error, place) from error
    return found


def _broken(name: str, error: BaseException, place: str) -> InvalidInput:
    text = str(error).split(" <", 1)[0]  # of an address in memory
    return InvalidInput("image", f"{name} in {place} ({text})", _ALLOWED)


def class_folders(folder: Path, image: str, label: str, role: str, names: Sequence[str], whole: bool) -> list[Columns]:
    """Columns `image` and `label` of a folder whose folders are the classes; none where it has no such.

    `names` are folders that a split may lie in; `whole` takes the folder itself where no split does.
    """
    own = next((folder / name for name in names if _classes(folder / name)), None)
    if own is None and whole and not any(_classes(path) for path in _folders(folder)):
        own = folder
    if own is None:
        return []
    files = [(path, kind.name) for kind in _classes(own) for path in _images(kind)]
    values: dict[str, list[Any]] = {image: [path for path, _ in files], label: [kind for _, kind in files]}
    return [Columns(f"the {role} split, {own}", values, range(1, len(files) + 1), "row", typed=False)] if files else []


def _classes(folder: Path) -> list[Path]:
    """The folders that hold images themselves."""
    return [path for path in _folders(folder) if next(_images(path), None) is not None]


def _folders(folder: Path) -> list[Path]:
    if not folder.is_dir():
        return []
    return sorted(path for path in folder.iterdir() if path.is_dir() and not path.name.startswith("."))


def _images(folder: Path) -> Iterator[Path]:
    for path in sorted(folder.iterdir()):
        if path.suffix.lower() in SUFFIXES and path.is_file() and not path.name.startswith("."):
            yield path
