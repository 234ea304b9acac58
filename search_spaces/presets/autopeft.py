"""The `autopeft` space (Zhou et al., "AutoPEFT", TACL 2024, arXiv 2301.12132), scaled to the model.

The published space is made for d = 768: one bit for each layer, and one size each for serial adapters, parallel
adapters and prefixes, out of 0 (off), 1, 3, 6, 12, …, 384, 768, which is d / 2^k rounded down. All three modules may
be active in the same layer. The sizes here are d / 2^k for the model's own hidden size d, down to 1 and at most ten.
"""

from __future__ import annotations

from search_spaces.constraints import SumAtLeast
from search_spaces.parameters import Categorical, Ordinal, Parameter
from search_spaces.presets.shape import ModelShape
from search_spaces.presets.training import learning_rate
from search_spaces.space import Space

MODULES = ("serial_size", "parallel_size", "prefix_length")
# The published space halves nine times: d, d/2, …, d/512.
HALVINGS = 9


def sizes(hidden_size: int) -> tuple[int, ...]:
    """0 for off, then d / 2^k rounded down, ascending and without repeats."""
    return (0, *sorted({hidden_size >> k for k in range(HALVINGS + 1)} - {0}))


def autopeft_knobs(shape: ModelShape) -> tuple[Parameter, ...]:
    """One bit for each layer and the three sizes."""
    bits = tuple(Categorical(f"layer_{index}", (True, False)) for index in range(shape.layers))
    return (*bits, *(Ordinal(module, sizes(shape.hidden_size)) for module in MODULES))


def autopeft(shape: ModelShape) -> Space:
    """The published space, without its corner where nothing at all is trained, and the learning rate.

    Batch size, weight decay, warm-up and schedule are fixed, as in the paper; an override opens them.
    """
    return Space(
        parameters=(
            Categorical("method", ("autopeft",)),
            *autopeft_knobs(shape),
            learning_rate(5e-5, 2e-3, mode=8e-4),
            Ordinal("batch_size", (16,)),
            Ordinal("weight_decay", (0.01,)),
            Ordinal("warmup_ratio", (0.06,)),
            Categorical("schedule", ("linear",)),
        ),
        constraints=(
            SumAtLeast(tuple(f"layer_{index}" for index in range(shape.layers)), 1),
            SumAtLeast(MODULES, 1),
        ),
    )
