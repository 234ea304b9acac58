"""Sounds as a model reads them: spectrograms that its own feature extractor makes of waveforms at its rate."""

from __future__ import annotations

import json
import math
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.errors import InvalidInput
from workers.models.anatomy import Anatomy
from workers.models.description import describe
from workers.models.processors import check_processor, unfit
from workers.models.references import resolve

_SHIFT, _FRAME = 0.010, 0.025  # seconds from one frame of AST's spectrogram to the next, and of each


@dataclass(frozen=True)
class SpectrogramReader:
    """A model's feature extractor.

    Attributes:
        extractor: that of transformers.
        parts: the model that reads what it makes.
        rate: of the waveforms that it takes, in Hz.
        longest: samples of which anything is read; a longer sound is cut.
        shortest: samples that it needs; a shorter sound is padded with silence.
    """

    extractor: Any
    parts: Anatomy
    rate: int
    longest: int
    shortest: int
    pad_token_id: int = 0

    @property
    def tokens(self) -> int:
        """Tokens of a row: as many as the model has positions."""
        return self.parts.positions

    @property
    def model_input_names(self) -> list[str]:
        """Names of the model's inputs, that of the spectrogram first."""
        return list(self.extractor.model_input_names)

    def spectrograms(self, sounds: Sequence[NDArray[np.float32]]) -> NDArray[np.float32]:
        """Float32 `[sounds, *input_shape]` of waveforms `[samples]`.

        Raises `InvalidInput` where the extractor gives another shape."""
        padded = [np.pad(sound, (0, max(0, self.shortest - len(sound)))) for sound in sounds]
        found = self.extractor(padded, sampling_rate=self.rate, return_tensors="np")
        values = np.asarray(found[self.model_input_names[0]], dtype=np.float32)
        if values.shape[1:] != self.parts.input_shape:
            raise unfit(values.shape[1:], self.parts)
        return values

    def save_pretrained(self, folder: Path) -> None:
        """Write the extractor as transformers reads it."""
        self.extractor.save_pretrained(folder)

    def identity(self) -> str:
        """Everything that the spectrograms depend on, as JSON."""
        return json.dumps([json.loads(self.extractor.to_json_string()), self.parts.input_shape], sort_keys=True)


def load_spectrograms(reference: str) -> SpectrogramReader:
    """The reader of a model's sounds.

    Raises `InvalidInput` where its folder has no extractor, another model's, or one that makes no such spectrograms."""
    from transformers import AutoFeatureExtractor

    parts, folder = describe(reference).anatomy, resolve(reference)
    check_processor(folder, parts)
    extractor = AutoFeatureExtractor.from_pretrained(folder)
    rate = int(extractor.sampling_rate)
    match type(extractor).__name__:
        case "WhisperFeatureExtractor":
            return SpectrogramReader(extractor, parts, rate, int(extractor.n_samples), 0)
        case "ASTFeatureExtractor":
            longest = math.ceil((extractor.max_length * _SHIFT + _FRAME) * rate)
            return SpectrogramReader(extractor, parts, rate, longest, math.ceil(_FRAME * rate))
    found = f"a {type(extractor).__name__} in {folder}"
    raise InvalidInput("model", found, "a WhisperFeatureExtractor or an ASTFeatureExtractor")
