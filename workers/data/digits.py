"""`builtin:digits`: handwritten digits as images, from scikit-learn. See docs/data.md.

Of its 1,797 images every second one: the others have trained `builtin:vit`, which so has never seen these. Needs
scikit-learn and Pillow.
"""

from __future__ import annotations

from functools import cache
from io import BytesIO
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.data.pictures import require_pillow
from workers.data.splits import stratified_split
from workers.errors import InvalidInput

_HELD_OUT = {"test": (0.25, 0), "validation": (0.2, 1)}  # share of what is left, seed


def read_digits(role: str) -> dict[str, list[Any]]:
    """Columns `image` (bytes of a PNG, 8 by 8 pixels of grey) and `label` of one split."""
    require_pillow()
    try:
        values, labels = _splits()[role]
    except ImportError as error:
        remedy = "installing it: pip install 'peftsearch[images]'"
        raise InvalidInput(role, "builtin:digits without scikit-learn", remedy) from error
    return {"image": [_png(one) for one in values], "label": [str(label) for label in labels]}


def all_digits() -> tuple[NDArray[np.uint8], NDArray[np.int64]]:
    """Grey images `[1797, 8, 8]`, bright on dark, and their digits `[1797]`."""
    from sklearn.datasets import load_digits

    found = load_digits()
    return (found.images * 255 / 16).round().astype(np.uint8), found.target.astype(np.int64)


@cache
def _splits() -> dict[str, tuple[NDArray[np.uint8], NDArray[np.int64]]]:
    values, labels = all_digits()
    left = np.arange(1, len(values), 2)
    found = {}
    for role, (share, seed) in _HELD_OUT.items():
        kept, held = stratified_split(labels[left], share, seed)
        found[role] = (values[left[held]], labels[left[held]])
        left = left[kept]
    return {"train": (values[left], labels[left]), **found}


def _png(values: NDArray[np.uint8]) -> bytes:
    from PIL import Image

    buffer = BytesIO()
    Image.fromarray(values, "L").save(buffer, "PNG")
    return buffer.getvalue()
