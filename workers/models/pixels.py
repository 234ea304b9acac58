"""Images as a vision model reads them: decoded, upright, resized by the model's own processor. Needs Pillow.

Pixels stay whole numbers until a batch is made: a quarter of the room, and the processor's rescaling and normalising
is one multiplication. The Pillow backend is asked for by name: torchvision's resizes to other numbers.
"""

from __future__ import annotations

import json
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from workers.errors import InvalidInput
from workers.models.anatomy import Anatomy
from workers.models.description import describe
from workers.models.references import resolve
from workers.models.weights import refuse_pointer

if TYPE_CHECKING:
    from PIL.Image import Image

PROCESSOR_FILE = "preprocessor_config.json"
BACKEND = "pil"


@dataclass(frozen=True)
class PixelReader:
    """A model's image processor with the shape `[channels, height, width]` and the number of tokens of a row."""

    processor: Any
    shape: tuple[int, ...]
    tokens: int
    pad_token_id: int = 0

    @property
    def model_input_names(self) -> list[str]:
        """Names of the model's inputs, that of the pixels first."""
        return list(self.processor.model_input_names)

    def pixels(self, images: Sequence[Image]) -> NDArray[np.uint8]:
        """uint8 `[images, channels, height, width]`. Raises `InvalidInput` where the processor gives another shape."""
        found = self.processor(images=list(images), do_rescale=False, do_normalize=False, return_tensors="np")
        values = np.asarray(found[self.model_input_names[0]])
        if values.shape[1:] != self.shape:
            raise _unfit(values.shape[1:], self.shape)
        whole: NDArray[np.uint8] = np.clip(values.round(), 0, 255).astype(np.uint8)
        return whole

    def scale(self) -> NDArray[np.float32]:
        """Mean and spread `[2, channels]`: what the model reads is (pixel - mean) / spread."""
        own, channels = self.processor, self.shape[0]
        factor = float(own.rescale_factor) if own.do_rescale else 1.0
        mean = np.broadcast_to(np.asarray(own.image_mean if own.do_normalize else 0.0, dtype=np.float64), channels)
        spread = np.broadcast_to(np.asarray(own.image_std if own.do_normalize else 1.0, dtype=np.float64), channels)
        return np.stack([mean / factor, spread / factor]).astype(np.float32)

    def save_pretrained(self, folder: Path) -> None:
        """Write the processor as transformers reads it."""
        self.processor.save_pretrained(folder)

    def identity(self) -> str:
        """Everything that the pixels depend on, as JSON."""
        return json.dumps([json.loads(self.processor.to_json_string()), self.shape, self.tokens], sort_keys=True)


def load_pixels(reference: str) -> PixelReader:
    """The reader of a model's images. Raises `InvalidInput` where the model's folder has no processor, or another's."""
    from transformers import AutoImageProcessor

    parts, folder = describe(reference).anatomy, resolve(reference)
    check_processor(folder, parts)
    return PixelReader(AutoImageProcessor.from_pretrained(folder, backend=BACKEND), parts.input_shape, parts.positions)


def check_processor(folder: Path, parts: Anatomy) -> None:
    """Raise `InvalidInput` with field `model` unless a folder has the processor of its model. Imports no transformers.

    Of sizes that are not written there, loading looks at what comes out.
    """
    path = folder / PROCESSOR_FILE
    if not path.is_file():
        raise InvalidInput("model", f"{folder} without {PROCESSOR_FILE}", "a folder with the model's image processor")
    refuse_pointer(path)
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInput("model", f"{path}: {error}", "an image processor that can be read") from error
    size = written.get("crop_size" if written.get("do_center_crop") else "size") if isinstance(written, dict) else None
    if isinstance(size, int):
        size = {"height": size, "width": size}
    if isinstance(size, dict) and {"height", "width"} <= size.keys():
        sides = (size["height"], size["width"])
        if sides != parts.input_shape[1:]:
            raise _unfit((parts.input_shape[0], *sides), parts.input_shape)


def _unfit(found: tuple[int, ...], wanted: tuple[int, ...]) -> InvalidInput:
    text = f"an image processor that makes {' x '.join(map(str, found))}, and a model that reads "
    return InvalidInput(
        "model", text + " x ".join(map(str, wanted)), "a model and an image processor that belong together"
    )
