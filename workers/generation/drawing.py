"""Draws of tokens that do not depend on which rows are answered together. Needs torch."""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import torch
from torch import Tensor
from transformers import LogitsProcessor, LogitsProcessorList, TopPLogitsWarper

from workers.generation.settings import GenerationSettings


class GumbelNoise(LogitsProcessor):
    """Perturbs the log-probabilities of each row so that the likeliest token is a draw from them (Gumbel, 1954).

    The noise of a row comes from its own stream, one vector a step, so that a row's answer is the same alone and beside
    others. `keys` are the numbers of the rows, `[rows]`.
    """

    def __init__(self, seed: int, keys: Sequence[int], temperature: float) -> None:
        self._streams = [np.random.Generator(np.random.Philox(key=(seed, key))) for key in keys]
        self._temperature = temperature

    def __call__(self, _input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores `[rows, vocabulary]` to perturbed ones."""
        noise = np.stack([stream.gumbel(size=scores.shape[-1]) for stream in self._streams]).astype(np.float32)
        return scores.float() / self._temperature + torch.from_numpy(noise).to(scores.device)


def drawing(settings: GenerationSettings, keys: Sequence[int]) -> LogitsProcessorList:
    """What makes greedy decoding draw as `settings` say; nothing where the temperature is 0."""
    found = LogitsProcessorList()
    if settings.temperature > 0:
        if settings.top_p < 1:
            found.append(_Nucleus(settings.top_p, settings.temperature))
        found.append(GumbelNoise(settings.seed, keys, settings.temperature))
    return found


class _Nucleus(LogitsProcessor):
    """Leaves the likeliest tokens at the given temperature that together have probability `top_p`."""

    def __init__(self, top_p: float, temperature: float) -> None:
        self._warper, self._temperature = TopPLogitsWarper(top_p), temperature

    def __call__(self, input_ids: Tensor, scores: Tensor) -> Tensor:
        """Scores `[rows, vocabulary]`, minus infinity where a token is left out."""
        kept: Tensor = self._warper(input_ids, scores.float() / self._temperature)
        return scores.masked_fill(torch.isinf(kept), -torch.inf)
