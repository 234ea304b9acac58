"""`ptq`: post-training quantisation after Q-HyViT (Lee et al. 2023, arXiv 2303.12557).

Certain: scales are chosen among candidates by an error that the loss's squared gradients weigh, and the outputs of
blocks are reconstructed. Choices: weights alone are quantised; a group of inputs shares a step; candidates are compared
by what each group's error does to its layer's outputs, tokens weighted as the block's outputs are, and the block's
error is then lowered by gradient descent on the steps. What is for hybrid vision transformers (bridge blocks) has no
counterpart here.
"""

from __future__ import annotations

from workers.assignment import Outcome
from workers.refining.quantising.reconstruction import Fit
from workers.refining.quantising.winner import quantised
from workers.refining.scene import Scene

_STEP_RATE = 3e-3


def ptq(scene: Scene) -> Outcome:
    """The source in whole numbers whose steps were searched and fitted; nothing else of it changes."""
    given = scene.given.options
    fit = Fit(given["bits"], given["group"], given["iterations"], _STEP_RATE, candidates=given["candidates"])
    return quantised(scene, fit, given["rows"])
