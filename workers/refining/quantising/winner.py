"""A winner folded into its base, and its quantised weights as an adapter of `e2e_qp`. Needs torch.

An adapter of `e2e_qp` is whole numbers and steps for all layers, and a head: what any quantisation comes to. So its
export has the integer checkpoint, it loads as others do, and its steps can be trained afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping
from itertools import islice

import torch
from torch import Tensor
from transformers import PreTrainedModel

from workers.assignment import Outcome
from workers.errors import InvalidInput
from workers.exports.merging import merged
from workers.models.loading import Base
from workers.refining.quantising.blocks import record
from workers.refining.quantising.reconstruction import Fit, quantise
from workers.refining.quantising.rounded import Numbers
from workers.refining.retraining import beside
from workers.refining.scene import Scene, Tensors, source_folder

_ROWS = 16  # of a batch


def quantised(scene: Scene, fit: Fit, rows: int) -> Outcome:
    """The source's weights as whole numbers, fitted on about `rows` training rows.

    Beside: `unquantised_…`, the source's quality, and `rounded_…`, that of its weights rounded to nearest with as many
    bits and as large groups; `block_error` and `rounded_block_error`, the errors of outputs of blocks over their size.
    """
    (source,) = scene.stored()
    before, model, anatomy = scene.quality_of(source), folded(scene), scene.base.description.anatomy
    blocks = [model.get_submodule(f"{anatomy.layers_path}.{number}") for number in range(anatomy.layers)]
    setup = scene.setup()
    recording = record(model, blocks, setup, islice(setup.batches(_ROWS), max(1, rows // _ROWS)))
    found = quantise(model, anatomy.layers_path, anatomy.linears, recording, fit)
    head = {name: value for name, value in model.state_dict().items() if name.startswith(_head_of(scene.base))}
    with scene.attached(scene.given.seed) as attached:
        with scene.measuring(attached) as measured:
            rounded = measured(as_adapter(found.rounded, scene.base) | head)
            quality = measured(as_adapter(found.fitted, scene.base) | head)
        told = beside("unquantised", before) | beside("rounded", rounded)
        told |= {"block_error": _mean(found.errors), "rounded_block_error": _mean(found.rounded_errors)}
        return scene.outcome(attached, quality | told)


def folded(scene: Scene) -> PreTrainedModel:
    """The source folded into a copy of the base. Raises `InvalidInput` where more than weights of layers changed."""
    (source,) = scene.given.sources
    with source_folder(source, scene.workbench.artifacts) as folder:
        model = merged(folder, scene.given.task.model)
    model.to(scene.base.model.device).eval()  # type: ignore[arg-type]
    _refuse_other_changes(model, scene.base)
    return model


def as_adapter(numbers: Mapping[str, Numbers], base: Base) -> Tensors:
    """Whole numbers and steps of all layers, by their paths, as an export of `e2e_qp` holds them beside its head."""
    path = f"{base.description.anatomy.layers_path}."
    whole = {f"{layer}.fixed": fixed for layer, (fixed, _) in numbers.items()}
    return whole | {f"{layer.removeprefix(path)}.log_steps": steps for layer, (_, steps) in numbers.items()}


def _head_of(base: Base) -> tuple[str, ...]:
    return tuple(f"{name}." for name in base.head)


def _refuse_other_changes(model: PreTrainedModel, base: Base) -> None:
    weights = {f"{base.description.path(layer, one.name)}.weight" for layer, one in base.description.linears()}
    before: dict[str, Tensor] = base.model.state_dict()
    for name, value in model.state_dict().items():
        if name in weights or name.startswith(_head_of(base)):
            continue
        if name not in before or not torch.equal(before[name].to(value.dtype), value):
            raise InvalidInput("source", f"an adapter that changes {name}", "one that changes weights of linear layers")


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
