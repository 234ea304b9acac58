"""Learning rates of bottleneck adapters and prefixes relative to the trial's. Imports no torch.

AdamW moves each weight by about its rate, whatever the size of gradients. So with the output s·W_up·f(…) of an adapter
of k units, one step changes the output by rate · s · √k times the activations where the signs of these and of the
gradients are at random, by rate · s · k where they agree, as in the first steps they do: the rate that trains a narrow
adapter makes a wide one, or one scaled by 4, put out the same large vector for everything, and training stays at
chance. Between the two, the rate of W_up goes as 1 / (s·k^¾) here, so that one learning rate suits every size and scale
(docs/decisions/relative-rates.md has the measurements). W_down moves all units at once and learns at half the rate.

Keys and values of a prefix start far below those of the text and have to grow to be seen: they need a higher rate.
"""

from __future__ import annotations

from math import pow

PARALLEL_SCALE = 4.0
"""He et al. 2022, arXiv 2110.04366."""
LEARNED = "learned"
"""In place of a scale: one number for each adapter, trained from 1."""
UP = 84.0
"""The rate of W_up is the trial's, times this, over s·k^¾: equal to the trial's at s = 4, k = 58."""
DOWN = 0.5
"""The rate of W_down, in multiples of the trial's."""
PREFIX = 32.0
"""The rate of a prefix, in multiples of the trial's."""


def module_rate(name: str, size: int, scale: float | str) -> float:
    """The rate of one parameter of an adapter of `size` units, or of a prefix, in multiples of the trial's.

    `name` ends as the modules name their parameters: `….prefix.key`, `….parallel.up.weight`. A learned scale starts
    at 1 and counts as such.
    """
    module, *inner = name.split(".")[1:] or [""]
    if module == "prefix":
        return PREFIX
    if "down" in inner:
        return DOWN
    if "up" in inner:
        fixed = float(scale) if "parallel" in module and scale != LEARNED else 1.0
        return UP / (fixed * pow(size, 0.75))
    return 1.0
