"""A winner as a plain model: folded into a copy of the base. Needs torch."""

from __future__ import annotations

import torch
from torch import Tensor, nn
from transformers import PreTrainedModel

from workers.errors import InvalidInput
from workers.exports.merging import merged
from workers.models.loading import Base
from workers.refining.scene import Scene, Tensors, source_folder


def folded(scene: Scene) -> PreTrainedModel:
    """The source folded into a copy of the base. Raises `InvalidInput` where more than weights of layers changed."""
    (source,) = scene.given.sources
    with source_folder(source, scene.workbench.artifacts) as folder:
        model = merged(folder, scene.given.task.model)
    model.to(scene.base.model.device).eval()  # type: ignore[arg-type]
    _refuse_other_changes(model, scene.base)
    return model


def head_prefixes(base: Base) -> tuple[str, ...]:
    """How the names of the head's parameters begin."""
    return tuple(f"{name}." for name in base.head)


def head_of(model: nn.Module, base: Base) -> Tensors:
    """The head of a model that was folded, by the names of the base."""
    return {name: value for name, value in model.state_dict().items() if name.startswith(head_prefixes(base))}


def _refuse_other_changes(model: PreTrainedModel, base: Base) -> None:
    weights = {f"{base.description.path(layer, one.name)}.weight" for layer, one in base.description.linears()}
    before: dict[str, Tensor] = base.model.state_dict()
    for name, value in model.state_dict().items():
        if name in weights or name.startswith(head_prefixes(base)):
            continue
        if name not in before or not torch.equal(before[name].to(value.dtype), value):
            raise InvalidInput("source", f"an adapter that changes {name}", "one that changes weights of linear layers")
