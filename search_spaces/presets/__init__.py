"""Ready-made spaces, scaled to the model at hand."""

from __future__ import annotations

from collections.abc import Callable

from search_spaces.errors import InvalidSpace
from search_spaces.presets.autopeft import autopeft
from search_spaces.presets.lora import lora
from search_spaces.presets.lora_dpo import lora_dpo
from search_spaces.presets.lora_sft import lora_sft
from search_spaces.presets.shape import ModelShape
from search_spaces.presets.training import training
from search_spaces.space import Space

_PRESETS: dict[str, Callable[[ModelShape], Space]] = {
    "autopeft": autopeft,
    "lora": lora,
    "lora-dpo": lora_dpo,
    "lora-sft": lora_sft,
    "training": training,
}


def preset_names() -> tuple[str, ...]:
    """Names of the ready-made spaces, in alphabetical order."""
    return tuple(sorted(_PRESETS))


def preset(name: str, shape: ModelShape) -> Space:
    """The ready-made space `name` for a model of the given shape.

    Raises:
        InvalidSpace: when there is no such preset; the message lists those there are.
    """
    if name not in _PRESETS:
        raise InvalidSpace(f"preset: found {name!r}, allowed: {', '.join(preset_names())}")
    return _PRESETS[name](shape)
