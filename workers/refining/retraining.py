"""Steps that train on, from something that was made of the sources: measured before and after. Needs torch."""

from __future__ import annotations

from collections.abc import Callable

from workers.assignment import Outcome
from workers.methods.attached import Attached
from workers.refining.scene import Scene, Tensors
from workers.running.trial import train_prepared

Begin = Callable[[Attached], Tensors]
"""From the result's adapter as its method starts it to the tensors of an export that training begins with."""


def retrained(scene: Scene, begin: Begin, before: str) -> Outcome:
    """Train the result's method from what `begin` says; `<before>_…` is the quality of that beginning."""
    with scene.attached(scene.given.seed) as attached, scene.measuring(attached) as measured:
        quality = measured(begin(attached))
    outcome = train_prepared(
        scene.prepared,
        scene.workbench,
        scene.on_report,
        start=lambda trained: scene.put(trained, begin(trained)),
        measure_more=scene.on_test,
    )
    return outcome.model_copy(update={"metrics": outcome.metrics | beside(before, quality)})


def beside(prefix: str, quality: dict[str, float]) -> dict[str, float]:
    """Qualities of something that a result is compared with, by names of their own."""
    return {f"{prefix}_{name}": value for name, value in quality.items()}
