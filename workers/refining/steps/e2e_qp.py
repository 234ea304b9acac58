"""`e2e_qp`: end-to-end training of step sizes, the second phase of EfficientQAT, behind `block_ap` or `ptq`."""

from __future__ import annotations

from workers.assignment import Outcome
from workers.refining.retraining import retrained
from workers.refining.scene import Scene


def e2e_qp(scene: Scene) -> Outcome:
    """The source's steps trained on the task, its whole numbers as they were; `start_…` is its quality before."""
    (source,) = scene.stored()
    return retrained(scene, lambda _attached: source.tensors, "start")
