"""`image-classification`: one class for an image."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from workers.bounded import Name
from workers.data.classified_files import classified_files
from workers.data.pictures import PICTURES, decoded, require_pillow
from workers.data.rows import Blob, Rows, TaskData
from workers.data.tokens import Encoded
from workers.models.heads import IMAGE
from workers.tasks.catalogue.text_classification import TASK as CLASSIFICATION
from workers.tasks.section import FileSection
from workers.tasks.task import Task

if TYPE_CHECKING:
    from workers.models.pixels import PixelReader


class ImageClassificationSpec(FileSection):
    """The `task` section of an image classification."""

    type: Literal["image-classification"] = "image-classification"
    image: Name = Field(
        default="image",
        description="column of images: paths below the table's folder, bytes, or data URIs; a folder of folders, one "
        "for each class, needs no table",
    )
    knowledge_image: Name = Field(default="image", description="column of the images of `knowledge`")

    def text_columns(self) -> tuple[str, ...]:
        """The column that makes the input."""
        return (self.image,)

    def knowledge_column(self) -> dict[str, str]:
        """The column of images."""
        return {"image": self.knowledge_image}


def read(task: ImageClassificationSpec, seed: int = 0) -> TaskData:
    """The rows of a task with the classes of its training rows. Raises `InvalidInput` naming the field."""
    require_pillow()
    return classified_files(task, task.image, task.label, PICTURES, seed)


def encode(rows: Rows, processor: PixelReader, _max_length: int) -> Encoded:
    """Pixels of images as the model's own processor resizes them."""
    channels = processor.shape[0]
    images = [decoded(one, channels) for one in rows.texts if isinstance(one, Blob)]
    values: Any = processor.pixels(images) if images else np.zeros((0, *processor.shape), dtype=np.uint8)
    return {"values": values, "scale": processor.scale(), "lengths": [processor.tokens] * len(images)}


TASK = Task(
    name="image-classification",
    summary="one class for an image",
    pipeline_tag="image-classification",
    section=ImageClassificationSpec,
    metrics=CLASSIFICATION.metrics,
    hyperparameters=(
        "neighbours",
        "neighbour_share",
        "mixup",
        "contrast",
        "hint_share",
        "hint_bound",
        "hint_patches",
        "hint_threshold",
    ),
    head=IMAGE,
    read=read,
    encode=encode,
    criterion=CLASSIFICATION.criterion,
    example={"model": "builtin:vit", "train": "builtin:digits", "train_rows": 400},
)
