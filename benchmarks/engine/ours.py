"""Our side of the trials: one workbench per number format, so that a base is loaded once for all of them."""

from __future__ import annotations

from pathlib import Path

from benchmarks.engine.clock import Spent, measure
from benchmarks.engine.configurations import Configuration
from workers.artifacts import ArtifactStore
from workers.assignment import Assignment, Outcome
from workers.engines.precision import Precision
from workers.running.trial import train
from workers.running.workbench import Workbench
from workers.tasks.section import TaskSection

MODEL = "builtin:minilm"
PRECISIONS: tuple[Precision, ...] = ("fp32", "bf16")


class Ours:
    """Workbenches with stores of hidden states under `home`, which is empty at the start of a run."""

    def __init__(self, home: Path) -> None:
        self.benches = {
            name: Workbench(home / name, ArtifactStore(home / "artifacts"), precision=name) for name in PRECISIONS
        }

    def train(
        self, configuration: Configuration, task: TaskSection, precision: Precision, epochs: int
    ) -> tuple[Spent, Outcome]:
        """Train one trial to its export. Loading model and data is not counted: it is not for the peer either."""
        bench = self.benches[precision]
        bench.base(MODEL, len(bench.data(task, 0).tokens.labels))
        with measure() as spent:
            outcome = train(assignment(configuration, task, epochs), bench, lambda _report: "continue")
        if outcome.status != "completed":
            raise RuntimeError(f"{configuration.label}: {outcome.reason}")
        return spent, outcome


def assignment(configuration: Configuration, task: TaskSection, epochs: int, number: int = 0) -> Assignment:
    """The trial as a worker gets it; `number` is its seed."""
    return Assignment(
        trial_id=str(number),
        attempt=1,
        task=task,
        config=configuration.config(),
        epochs=epochs,
        seed=number,
        measure_latency=False,
    )
