"""`autopeft`: serial adapters, parallel adapters and prefixes in chosen layers, all three in one layer at once.

The search space of Zhou et al., "AutoPEFT" (TACL 2024, arXiv 2301.12132). Certain: the three modules, their sizes
d / 2^k shared by all active layers, one bit for each layer. Choices: prefixes are trained directly instead of through
a network that is thrown away afterwards; parallel adapters are scaled by 4 (He et al. 2022); biases are counted; each
module has a rate of its own relative to the trial's (`workers.methods.declaration.module_rates`), so that one learning
rate suits every size.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from search_spaces.constraints import SumAtLeast
from search_spaces.presets.autopeft import MODULES, autopeft_knobs
from workers.methods.attached import Attached, TrainingSetup
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates, Method
from workers.methods.declaration.module_rates import PARALLEL_SCALE, module_rate
from workers.methods.declaration.needs import SHARED_ATTENTION, SUBLAYERS
from workers.methods.declaration.own_method import OwnHooks
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    from workers.models.loading import Base


def _knobs(model: ModelDescription) -> Knobs:
    bits = tuple(f"layer_{index}" for index in model.layer_range())
    return Knobs(autopeft_knobs(model.shape), constraints=(SumAtLeast(bits, 1), SumAtLeast(MODULES, 1)))


def _active(model: ModelDescription, knobs: KnobValues) -> list[int]:
    return [index for index in model.layer_range() if knobs[f"layer_{index}"]]


def _parameters(model: ModelDescription, knobs: KnobValues) -> int:
    hidden, parts = model.shape.hidden_size, model.anatomy
    sizes = (int(knobs["serial_size"]), int(knobs["parallel_size"]))
    adapters = sum(2 * hidden * size + size + hidden for size in sizes if size)
    prefix = 2 * parts.key_value_heads * parts.head_size * int(knobs["prefix_length"])
    return len(_active(model, knobs)) * (adapters + prefix)


def _attach(base: Base, knobs: KnobValues, seed: int, _setup: TrainingSetup | None) -> Attached:
    from workers.methods.forms.mixed_adapters import MixedAdapters
    from workers.methods.own_adapter import OwnAdapter

    layers = _active(base.description, knobs)
    sizes = MixedAdapters(
        layers=tuple(layers),
        serial=knobs["serial_size"],
        parallel=knobs["parallel_size"],
        prefix=knobs["prefix_length"],
    )
    return OwnAdapter(
        base,
        "autopeft",
        knobs,
        seed,
        lowest_layer=layers[0],
        install=sizes.install,
        hooks=OwnHooks(rate_factor=_rate_factor),
    )


def _rate_factor(name: str, knobs: KnobValues) -> float:
    module = name.split(".")[1]
    return module_rate(name, int(knobs.get(f"{module}_size", 0)), PARALLEL_SCALE)


METHODS = (
    Method(
        name="autopeft",
        family="adapter",
        summary="serial and parallel bottleneck adapters and prefixes in chosen layers",
        source="Zhou et al. 2024, AutoPEFT, arXiv 2301.12132; He et al. 2022, arXiv 2110.04366",
        learning_rates=LearningRates(5e-5, 2e-3, 8e-4),
        knobs=_knobs,
        trainable_parameters=_parameters,
        attach=_attach,
        unchanged_at_start=False,
        needs=(SUBLAYERS, SHARED_ATTENTION),
        forms=("serial", "parallel", "prefix"),
        format="peftsearch",
    ),
)
