"""`measure`: an adapter that was there already, with its quality and costs on the job's task."""

from __future__ import annotations

from workers.assignment import Outcome
from workers.refining.scene import Scene


def measure(scene: Scene) -> Outcome:
    """Quality and costs of the source as it is."""
    (source,) = scene.stored()
    with scene.attached(source.seed) as attached:
        with scene.measuring(attached) as measured:
            quality = measured(source.tensors)
        return scene.outcome(attached, quality)
