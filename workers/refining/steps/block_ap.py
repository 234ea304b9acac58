"""`block_ap`: the first phase of EfficientQAT (Chen et al. 2024, arXiv 2407.11062), block-wise training.

Certain: block by block, weights and steps are trained through the rounding by the mean squared error of the block's
outputs, on what the quantised blocks below give. Choices: the model is a winner folded into its base, zero points are
fixed at zero, texts are the task's own.
"""

from __future__ import annotations

from workers.assignment import Outcome
from workers.refining.quantising.reconstruction import Fit
from workers.refining.quantising.winner import quantised
from workers.refining.scene import Scene

_STEPS_OVER_WEIGHTS = 10.0  # rates


def block_ap(scene: Scene) -> Outcome:
    """The source in whole numbers that were trained block by block."""
    given = scene.given.options
    rate = float(given["learning_rate"])
    fit = Fit(given["bits"], given["group"], given["iterations"], _STEPS_OVER_WEIGHTS * rate, rate, weighted=False)
    return quantised(scene, fit, given["rows"])
