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

from workers.models.anatomy import Anatomy
from workers.models.description import describe
from workers.models.processors import check_processor, unfit
from workers.models.references import resolve

if TYPE_CHECKING:
    from PIL.Image import Image

BACKEND = "pil"


@dataclass(frozen=True)
class PixelReader:
    """A model's image processor, and the model that reads what it makes."""

    processor: Any
    parts: Anatomy
    pad_token_id: int = 0

    @property
    def shape(self) -> tuple[int, ...]:
        """`[channels, height, width]` of a row."""
        return self.parts.input_shape

    @property
    def tokens(self) -> int:
        """Tokens of a row: as many as the model has positions."""
        return self.parts.positions

    @property
    def model_input_names(self) -> list[str]:
        """Names of the model's inputs, that of the pixels first."""
        return list(self.processor.model_input_names)

    def pixels(self, images: Sequence[Image]) -> NDArray[np.uint8]:
        """uint8 `[images, channels, height, width]`. Raises `InvalidInput` where the processor gives another shape."""
        found = self.processor(images=list(images), do_rescale=False, do_normalize=False, return_tensors="np")
        values = np.asarray(found[self.model_input_names[0]])
        if values.shape[1:] != self.shape:
            raise unfit(values.shape[1:], self.parts)
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
    return PixelReader(AutoImageProcessor.from_pretrained(folder, backend=BACKEND), parts)
