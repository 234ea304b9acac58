"""`warm_start`: training from a stored adapter's weights, as PVP (Song et al. 2024, arXiv 2403.13282) starts few-shot
tuning from an adapter that was trained on a larger set.

Certain: the adapter's weights are the start, the head is new. Choice: one rate for both.
"""

from __future__ import annotations

from workers.assignment import Outcome
from workers.methods.attached import Attached
from workers.refining.heads import with_fresh_head
from workers.refining.retraining import retrained
from workers.refining.scene import Scene, Tensors


def warm_start(scene: Scene) -> Outcome:
    """The source trained on the job's task, from its weights or afresh; `start_…` is the quality of the beginning."""
    (source,) = scene.stored()

    def begin(attached: Attached) -> Tensors:
        fresh = attached.tensors()
        if scene.given.options["start"] == "afresh":
            return fresh
        if scene.given.options["head"] == "fresh":
            return with_fresh_head(scene.base, source.tensors, fresh)
        return source.tensors

    return retrained(scene, begin, "start")
