"""`audio-classification`: one class for a sound."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Literal

import numpy as np
from pydantic import Field

from workers.bounded import Name
from workers.data.classified_files import classified_files
from workers.data.rows import Blob, Rows, TaskData
from workers.data.sounds import SOUNDS, require_soundfile, waveform
from workers.data.tokens import Encoded
from workers.models.heads import SOUND
from workers.tasks.catalogue.text_classification import TASK as CLASSIFICATION
from workers.tasks.section import FileSection
from workers.tasks.task import Task

if TYPE_CHECKING:
    from workers.models.spectrograms import SpectrogramReader


class AudioClassificationSpec(FileSection):
    """The `task` section of an audio classification."""

    type: Literal["audio-classification"] = "audio-classification"
    audio: Name = Field(
        default="audio",
        description="column of sounds: paths below the table's folder, bytes, or data URIs; a folder of folders, one "
        "for each class, needs no table",
    )
    knowledge_audio: Name = Field(default="audio", description="column of the sounds of `knowledge`")

    def text_columns(self) -> tuple[str, ...]:
        """The column that makes the input."""
        return (self.audio,)

    def knowledge_column(self) -> dict[str, str]:
        """The column of sounds."""
        return {"audio": self.knowledge_audio}


def read(task: AudioClassificationSpec, seed: int = 0) -> TaskData:
    """The rows of a task with the classes of its training rows. Raises `InvalidInput` naming the field."""
    require_soundfile()
    return classified_files(task, task.audio, task.label, SOUNDS, seed)


def encode(rows: Rows, reader: SpectrogramReader, _max_length: int) -> Encoded:
    """Spectrograms of sounds at the rate of the model's own extractor."""
    sounds = [waveform(one, reader.rate, reader.longest) for one in rows.texts if isinstance(one, Blob)]
    shape = reader.parts.input_shape
    values: Any = reader.spectrograms(sounds) if sounds else np.zeros((0, *shape), dtype=np.float32)
    return {"values": values, "lengths": [reader.tokens] * len(sounds)}


TASK = Task(
    name="audio-classification",
    summary="one class for a sound",
    pipeline_tag="audio-classification",
    section=AudioClassificationSpec,
    metrics=CLASSIFICATION.metrics,
    hyperparameters=("neighbours", "neighbour_share"),
    head=SOUND,
    read=read,
    encode=encode,
    criterion=CLASSIFICATION.criterion,
    example={"model": "builtin:whisper-base-2s", "train": "builtin:commands"},
)
