"""Images of rows: checked while rows are read, decoded when a model's inputs are made.

Pillow is imported inside functions: the product reads texts without it. Formats are those that cameras and the web
write; Pillow's others hold programs (PostScript) or are nobody's photographs.
"""

from __future__ import annotations

from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np

from workers.data.attached_files import Medium, content_of
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


def decoded(picture: Blob, channels: int) -> Image:
    """An image upright and in 8 bits: of 1 channel grey, else RGB. Raises `InvalidInput` with its place."""
    from PIL import ImageOps

    found = _opened(content_of(picture, PICTURES), picture, picture.place)
    try:
        upright = ImageOps.exif_transpose(found)
    except (OSError, ValueError, SyntaxError, EOFError) as error:  # a damaged note on how it was held
        raise _broken(picture, error, picture.place) from error
    return in_eight_bits(upright).convert("L" if channels == 1 else "RGB")


def in_eight_bits(image: Image) -> Image:
    """Grey of 16 bits, or of fractions, as 8 bits: Pillow would cut off all that is brighter than 255, and fractions
    would be black."""
    import PIL.Image

    if image.mode != "F" and not image.mode.startswith("I"):
        return image
    values = np.asarray(image, dtype=np.float64)
    brightest = values.max(initial=0)
    whole = 65535 if brightest > 255 else 1 if image.mode == "F" and brightest <= 1 else 255
    return PIL.Image.fromarray((values.clip(0, whole) * 255 // whole).astype(np.uint8), "L")


def _looked_through(content: bytes, name: str, place: str) -> None:
    _opened(content, name, place, reduced=True)


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
    if found.mode == "F" and not np.isfinite(np.asarray(found)).all():
        raise _broken(name, ValueError("pixels that are no numbers"), place)
    return found


def _broken(name: str, error: BaseException, place: str) -> InvalidInput:
    text = str(error).split(" <", 1)[0]  # of an address in memory
    return InvalidInput("image", f"{name} in {place} ({text})", _ALLOWED)


PICTURES = Medium("image", "an image", "image/png", SUFFIXES, _looked_through)
