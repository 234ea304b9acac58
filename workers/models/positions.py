"""Rotary positions of a model: where they are made, and how a model reads longer texts than it was made for."""

from __future__ import annotations

from typing import Any

from workers.errors import InvalidInput
from workers.models.anatomy import Anatomy
from workers.models.description import ModelDescription

_MODULE = "rotary_emb"


def check_scaled(scale: int, model: ModelDescription) -> None:
    """Raise `InvalidInput` where positions are to be scaled on a class of model that has none to scale."""
    if scale > 1 and not model.anatomy.rotary:
        found = f"{scale} on a {model.anatomy.model_type} model"
        raise InvalidInput("position_scale", found, "1, or a decoder whose layers share rotary positions (as Llama's)")


def rotary(model: Any, anatomy: Anatomy) -> Any:
    """The module that makes cosines and sines of positions. Raises `InvalidInput` where these are scaled already."""
    found = model.get_submodule(f"{anatomy.body}.{_MODULE}")
    kind = getattr(found, "rope_type", "default")
    if kind != "default":
        raise InvalidInput("position_scale", f"a model with rotary positions of type {kind}", "plain ones, or 1")
    return found


def stretch(model: Any, anatomy: Anatomy, scale: int) -> None:
    """Have a model in memory divide positions by `scale` from now on; its configuration says so (`linear`)."""
    if scale == 1:
        return
    found = rotary(model, anatomy)
    for name in ("inv_freq", "original_inv_freq"):
        if hasattr(found, name):
            setattr(found, name, getattr(found, name) / scale)
    config = found.config
    config.rope_parameters = {**config.rope_parameters, "rope_type": "linear", "factor": float(scale)}
