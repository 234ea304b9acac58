"""A winner folded into its base, and its quantised weights as an adapter of `e2e_qp`. Needs torch.

An adapter of `e2e_qp` is whole numbers and steps for all layers, and a head: what any quantisation comes to. So its
export has the integer checkpoint, it loads as others do, and its steps can be trained afterwards.
"""

from __future__ import annotations

from collections.abc import Mapping

from workers.assignment import Outcome
from workers.methods.calibration import some_batches
from workers.models.loading import Base
from workers.refining.folding import folded, head_of
from workers.refining.quantising.blocks import record
from workers.refining.quantising.reconstruction import Fit, quantise
from workers.refining.quantising.rounded import Numbers
from workers.refining.retraining import beside
from workers.refining.scene import Scene, Tensors


def quantised(scene: Scene, fit: Fit, rows: int) -> Outcome:
    """The source's weights as whole numbers, fitted on about `rows` training rows.

    Beside: `unquantised_…`, the source's quality, and `rounded_…`, that of its weights rounded to nearest with as many
    bits and as large groups; `block_error` and `rounded_block_error`, the errors of outputs of blocks over their size.
    """
    (source,) = scene.stored()
    before, model, anatomy = scene.quality_of(source), folded(scene), scene.base.description.anatomy
    blocks = [model.get_submodule(f"{anatomy.layers_path}.{number}") for number in range(anatomy.layers)]
    setup = scene.setup()
    recording = record(model, blocks, setup, some_batches(setup, rows))
    found = quantise(model, anatomy.layers_path, anatomy.linears, recording, fit)
    head = head_of(model, scene.base)
    with scene.attached(scene.given.seed) as attached:
        with scene.measuring(attached) as measured:
            rounded = measured(as_adapter(found.rounded, scene.base) | head)
            quality = measured(as_adapter(found.fitted, scene.base) | head)
        told = beside("unquantised", before) | beside("rounded", rounded)
        told |= {"block_error": _mean(found.errors), "rounded_block_error": _mean(found.rounded_errors)}
        return scene.outcome(attached, quality | told)


def as_adapter(numbers: Mapping[str, Numbers], base: Base) -> Tensors:
    """Whole numbers and steps of all layers, by their paths, as an export of `e2e_qp` holds them beside its head."""
    path = f"{base.description.anatomy.layers_path}."
    whole = {f"{layer}.fixed": fixed for layer, (fixed, _) in numbers.items()}
    return whole | {f"{layer.removeprefix(path)}.log_steps": steps for layer, (_, steps) in numbers.items()}


def _mean(values: list[float]) -> float:
    return sum(values) / len(values)
