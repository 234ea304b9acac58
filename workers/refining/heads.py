"""Adapters of one task on another: their body stays, their head is drawn anew. Needs torch."""

from __future__ import annotations

from collections.abc import Mapping

from torch import Tensor

from workers.models.loading import Base
from workers.refining.lora_updates import PREFIX
from workers.refining.scene import Tensors


def with_fresh_head(base: Base, tensors: Mapping[str, Tensor], fresh: Mapping[str, Tensor]) -> Tensors:
    """An export's `tensors` with the head of `fresh`. What a checkpoint lacks of the body (BERT's pooler), and so is
    trained with the head, is kept: it belongs to no labels."""
    body = f"{base.description.anatomy.body}."
    heads = tuple(f"{name}." for name in base.head if not name.startswith(body))
    of_head = {name: value for name, value in fresh.items() if name.removeprefix(PREFIX).startswith(heads)}
    others = {name: value for name, value in tensors.items() if not name.removeprefix(PREFIX).startswith(heads)}
    return others | of_head
