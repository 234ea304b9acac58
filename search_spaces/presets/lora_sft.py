"""The `lora-sft` space: LoRA on decoders that learn to answer, around what the published recipes share."""

from __future__ import annotations

from search_spaces.limits import SCHEDULES
from search_spaces.parameters import Categorical, Float, Int, Ordinal
from search_spaces.presets.lora import MAX_ALPHA, largest_rank
from search_spaces.presets.shape import ModelShape
from search_spaces.priors import Bell
from search_spaces.space import Space

_EXPONENTS = {"llama": 0.781, "qwen2": 0.0775, "qwen3": 0.0775}
"""Of the width, by `model_type`: the two families that the rule was calibrated for (tinker-cookbook's
`hyperparam_utils`). A test holds them equal to `predictors.lora_learning_rate`, which this package does not know."""


def lora_rate(shape: ModelShape) -> Bell:
    """Where LoRA's best learning rate is thought to be: 5e-5 · 10 · (2000 / width)^p.

    Families that the rule was not calibrated for take p = 0, which says 5e-4 of all of them, and is believed less.
    """
    exponent = _EXPONENTS.get(shape.model_type)
    mode = 5e-4 * (2000 / shape.hidden_size) ** (exponent or 0.0)
    return Bell(mode, spread=0.15 if exponent is not None else 0.3)


def lora_sft(shape: ModelShape) -> Space:
    """Rank, scale, places and training of LoRA on a decoder."""
    rate = lora_rate(shape)
    rank = largest_rank(shape)
    return Space(
        parameters=(
            Categorical("method", ("lora",)),
            Int("rank", 1, rank, scale="log", prior=Bell(min(16, rank), spread=0.3)),
            Int("alpha", 4, MAX_ALPHA, scale="log", prior=Bell(32, spread=0.2)),
            Float("dropout", 0.0, 0.1),
            Categorical("targets", ("all", *(one for one in shape.targets if one != "all"))),
            Int("top_layers", 1, shape.layers, prior=Bell(shape.layers, spread=0.4)),
            Categorical("use_rslora", (False, True)),
            # At six modes and more trainings diverge: 72 of about 80 that did so in Tinker's table were at 3e-3.
            Float("learning_rate", rate.mode / 20, 4 * rate.mode, scale="log", prior=rate),
            Ordinal("batch_size", (4, 8, 16, 32), prior=Bell(16, spread=0.3)),
            Float("weight_decay", 0.0, 0.1),
            Float("warmup_ratio", 0.0, 0.1),
            Categorical("schedule", SCHEDULES),
        )
    )
