"""The Ray actor that trains trials: reports stream out while decisions come in.

Whoever dispatches imports this module for the actor's class only, so torch is imported in the actor, not here.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import ray

from workers.artifacts import ArtifactStore
from workers.assignment import Assignment, Decision, Outcome, Report

if TYPE_CHECKING:
    from workers.engines.precision import PrecisionChoice

GIBIBYTE = 1 << 30


@dataclass(frozen=True)
class WorkerSettings:
    """What a worker process is started with.

    `home` holds caches that the processes of a machine share; `artifacts` is a folder or fsspec URL that the service
    reads too; `threads` are those of each training step (as a rule the actor's `num_cpus`); `precision` is the fast
    engine's number format, which `auto` decides by a measurement when the worker starts.
    """

    home: str
    artifacts: str
    threads: int = 1
    prefix_bytes: int = 8 * GIBIBYTE
    precision: PrecisionChoice = "auto"


@ray.remote(concurrency_groups={"control": 1}, max_concurrency=1)
class TrialWorker:
    """Trains one trial at a time and keeps its base model and data between them.

    Dispatch with `worker.train.options(num_returns="streaming").remote(assignment)`: every item is a `Report`, the
    last one the `Outcome`. `worker.signal.remote(trial_id, decision)` reaches a trial while it runs; the decision
    takes effect at its next report.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        import torch

        from workers.engines.precision import choose
        from workers.workbench import Workbench

        torch.set_num_threads(settings.threads)
        self._workbench = Workbench(
            Path(settings.home),
            ArtifactStore(settings.artifacts),
            settings.prefix_bytes,
            choose(settings.precision),
        )
        self._signals: dict[str, Decision] = {}
        self._lock = threading.Lock()

    def train(self, assignment: Assignment) -> Iterator[Report | Outcome]:
        """Train one trial; see the class."""
        from workers.trial import train

        stream: queue.SimpleQueue[Report | Outcome] = queue.SimpleQueue()

        def on_report(report: Report) -> Decision:
            stream.put(report)
            return self._decision(assignment.trial_id)

        # The training loop calls back, a stream is pulled: a thread and a queue turn one into the other.
        thread = threading.Thread(
            target=lambda: stream.put(train(assignment, self._workbench, on_report)),
            name=f"trial {assignment.trial_id}",
        )
        thread.start()
        try:
            while True:
                item = stream.get()
                yield item
                if isinstance(item, Outcome):
                    return
        finally:
            thread.join()
            with self._lock:
                self._signals.pop(assignment.trial_id, None)

    @ray.method(concurrency_group="control")
    def signal(self, trial_id: str, decision: Decision) -> None:
        """Stop or pause a trial at its next report. A signal for a trial that is not running waits for it."""
        with self._lock:
            self._signals[trial_id] = decision

    @ray.method(concurrency_group="control")
    def ping(self) -> bool:
        """True as soon as the worker is up."""
        return True

    def _decision(self, trial_id: str) -> Decision:
        with self._lock:
            return self._signals.get(trial_id, "continue")
