"""`measure`: an adapter that was there already, with its quality and costs on the job's task."""

from __future__ import annotations

from workers.assignment import Outcome
from workers.refining.heads import with_fresh_head
from workers.refining.scene import Scene


def measure(scene: Scene) -> Outcome:
    """Quality and costs of the source as it is, or with the fresh head that the next step gives it."""
    (source,) = scene.stored()
    with scene.attached(source.seed) as attached:
        tensors = source.tensors
        if scene.given.options.get("head") == "fresh":
            tensors = with_fresh_head(scene.base, tensors, attached.tensors())
        with scene.measuring(attached) as measured:
            quality = measured(tensors)
        return scene.outcome(attached, quality)
