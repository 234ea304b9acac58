"""The Ray actor that trains trials: reports stream out while decisions and further trials come in.

Whoever dispatches imports this module for the actor's class only, so torch is imported in the actor, not here.
"""

from __future__ import annotations

import queue
import threading
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import ray

from workers.artifacts import ArtifactStore
from workers.assignment import Assignment, Decision, Outcome, PrecisionChoice, Report
from workers.packing import Arrivals
from workers.proxies.spec import ProxyAssignment

if TYPE_CHECKING:
    from workers.engines.course import OnReport

GIBIBYTE = 1 << 30


@dataclass(frozen=True)
class WorkerSettings:
    """What a worker process is started with.

    `home` holds caches that the processes of a machine share; `artifacts` is a folder or fsspec URL that the service
    reads too; `threads` are those of each training step (as a rule the actor's `num_cpus`); models train on
    `device` (`cpu`, or `cuda` for an actor with `num_gpus`); `precision` is the fast
    engine's number format, which `auto` decides by a measurement when the worker starts.
    """

    home: str
    artifacts: str
    threads: int = 1
    device: str = "cpu"
    prefix_bytes: int = 8 * GIBIBYTE
    precision: PrecisionChoice = "auto"


@ray.remote(concurrency_groups={"control": 1}, max_concurrency=1)  # type: ignore[call-overload]  # ray's types know neither
class TrialWorker:
    """Trains one trial at a time, or a pack of them, and keeps its base model and data between them.

    Dispatch with `worker.train.options(num_returns="streaming").remote(assignments, places)`: every item is a `Report`
    or an `Outcome`; the stream ends when every trial has its outcome. With more than one place the trials form a pack,
    and `worker.board.remote(assignment)` sends another one after them while it runs. `worker.signal.remote(trial_id,
    decision)` reaches a trial while it runs; the decision takes effect at its next report.
    """

    def __init__(self, settings: WorkerSettings) -> None:
        import torch

        import workers.trial  # noqa: F401  # everything that training needs, before there is a trial to wait for it
        from workers.engines.precision import choose
        from workers.proxies.trial import ProxyBench
        from workers.workbench import Workbench

        torch.set_num_threads(settings.threads)
        self._workbench = Workbench(
            Path(settings.home),
            ArtifactStore(settings.artifacts),
            settings.prefix_bytes,
            choose(settings.precision, settings.device),
            device=settings.device,
        )
        self._proxies = ProxyBench(Path(settings.home), self._workbench.artifacts)
        self._signals: dict[str, Decision] = {}
        self._lock = threading.Lock()
        self._arrivals = Arrivals()

    def train(self, assignments: Sequence[Assignment | ProxyAssignment], places: int = 1) -> Iterator[Report | Outcome]:
        """Train one trial, or with more than one place a pack; see the class."""
        self._arrivals = Arrivals()
        stream: queue.SimpleQueue[Report | Outcome | BaseException | None] = queue.SimpleQueue()

        def on_report(report: Report) -> Decision:
            stream.put(report)
            return self._decision(report.trial_id)

        def outcomes() -> Iterator[Outcome]:
            from workers.trial_pack import train_pack

            if places > 1:
                return train_pack(assignments, self._workbench, on_report, places, self._arrivals)  # type: ignore[arg-type]  # proxies are never packed
            return (self._train_alone(assignment, on_report) for assignment in assignments)

        def run() -> None:
            try:
                for outcome in outcomes():
                    stream.put(outcome)
                stream.put(None)
            except BaseException as error:  # raised again where Ray sees it
                stream.put(error)

        # The training loop calls back, a stream is pulled: a thread and a queue turn one into the other.
        thread = threading.Thread(target=run, name=f"trial {assignments[0].trial_id}")
        thread.start()
        try:
            while (item := stream.get()) is not None:
                if isinstance(item, BaseException):
                    raise item
                yield item
                if isinstance(item, Outcome):
                    self._forget(item.trial_id)
        finally:
            thread.join()

    def _train_alone(self, assignment: Assignment | ProxyAssignment, on_report: OnReport) -> Outcome:
        from workers.proxies.trial import train_proxy
        from workers.trial import train

        if isinstance(assignment, ProxyAssignment):
            return train_proxy(assignment, self._proxies, on_report)
        return train(assignment, self._workbench, on_report)

    @ray.method(concurrency_group="control")
    def board(self, assignment: Assignment) -> bool:
        """Let a trial join the pack that runs, as soon as it has a place; False when no pack does (any more)."""
        return self._arrivals.add(assignment)

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

    def _forget(self, trial_id: str) -> None:
        with self._lock:
            self._signals.pop(trial_id, None)
