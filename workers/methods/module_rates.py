"""Learning rates of bottleneck adapters and prefixes relative to the trial's. Imports no torch.

AdamW moves each weight by about its rate, whatever the size of gradients. So with the output s·W_up·f(…) of an adapter
of k units, one step changes the output by about rate · s · k times the activations where these agree, by rate · s · √k
where they do not: the same rate that trains a narrow adapter throws a wide one, or one scaled by 4, off. Measured on
the built-in encoder (docs/methods.md), the best rate of W_up goes as 1 / (s·√k). Divided so, one learning rate serves
every size and scale, and no corner of a search space is unstable at the rates that the others need.

Keys and values of a prefix start far below those of the text and have to grow to be seen: they need a higher rate.
"""

from __future__ import annotations

from math import sqrt

PARALLEL_SCALE = 4.0
"""He et al. 2022, arXiv 2110.04366."""
LEARNED = "learned"
"""In place of a scale: one number for each adapter, trained from 1."""
UP = 32.0
"""The rate of W_up is the trial's, times this, over s·√k: equal to the trial's at s = 4, k = 64."""
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
    if "up" in inner:
        fixed = float(scale) if "parallel" in module and scale != LEARNED else 1.0
        return UP / (fixed * sqrt(size))
    return 1.0
