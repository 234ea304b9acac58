"""A trial or a pack on a sharded base: Ray Train starts its ranks as one group, which trains it and ends with it.

The ranks get cores and GPUs together or not at all (a placement group), so trials never wait for each other's. The
first rank's reports go to the worker actor that the conductor knows, and decisions come back the same way. A rank that
dies takes the others with it: the attempt is lost, as with any worker, and the conductor counts and repeats it.
"""

from __future__ import annotations

import os
import shutil
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
import torch
from ray.train import FailureConfig, RunConfig, ScalingConfig, WorkerGroupError
from ray.train.torch import TorchConfig, TorchTrainer
from ray.util.placement_group import get_current_placement_group

from workers.artifacts import ArtifactStore
from workers.assignment import Assignment, Decision, Outcome, Report
from workers.engines.course import OnReport
from workers.engines.faults import failure_reason
from workers.engines.ranks import RankGroup, backend_on, from_first
from workers.engines.sharded import FirstRankStore
from workers.running.preparing import prepare
from workers.running.trial import train_prepared
from workers.running.trial_pack import train_pack
from workers.running.workbench import Workbench

if TYPE_CHECKING:
    from workers.running.ray_worker import WorkerSettings

_LOST_PEER = ("gloo", "NCCL")  # what errors of an exchange whose other side has gone are marked with


class _Trainer(TorchTrainer):
    """Ray Train without its cleaner, a detached process for each trial that outlives a killed group.

    It asks the dashboard, which a local Ray has not, whether it is still needed, and would stay (200 MB) until Ray
    ends. What ranks occupy is given back by the conductor.
    """

    def _create_default_callbacks(self) -> list[Any]:
        callbacks = super()._create_default_callbacks()  # type: ignore[misc]  # ray's types are of an older generation
        # By name: it lies in a part of Ray that may move.
        return [one for one in callbacks if type(one).__name__ != "PlacementGroupCleanerCallback"]


class RankFailed(Exception):
    """The configuration provoked an error on a rank. Holds its reason alone, which travels between processes."""


def train_sharded(assignment: Assignment, settings: WorkerSettings, worker: Any) -> Outcome:
    """Train the trial on as many ranks as it has shards, each with the cores and the device of `settings`.

    `worker` is the actor whose `tell` takes reports. An error that the configuration provokes is not raised: the
    outcome is `failed` and has a reason.

    Raises:
        RuntimeError: a rank died.
    """
    try:
        outcome: Outcome = _on_ranks(_train_rank, {"assignment": assignment}, assignment, settings, worker)
        return outcome
    except RankFailed as error:
        return Outcome(trial_id=assignment.trial_id, attempt=assignment.attempt, status="failed", reason=str(error))


def train_sharded_pack(
    assignments: Sequence[Assignment], settings: WorkerSettings, worker: Any, places: int
) -> Iterator[Outcome]:
    """Train trials of one pack on one group of ranks, which ends with the last of them.

    Outcomes go to `worker.ended` as trials end, further trials come from `worker.arrival`; nothing is left to yield. A
    pass that fails on a rank is no single trial's fault as far as one can tell.

    Raises:
        RuntimeError: a rank died, or could not go on.
    """
    try:
        _on_ranks(_train_pack_rank, {"assignments": assignments, "places": places}, assignments[0], settings, worker)
    except RankFailed as error:
        raise RuntimeError(f"a pack on {assignments[0].shards} ranks could not go on: {error}") from None
    yield from ()


def _on_ranks(
    run: Callable[[dict[str, Any]], Any],
    given: Mapping[str, Any],
    first: Assignment,
    settings: WorkerSettings,
    worker: Any,
) -> Any:
    """What `run` returns on the first of a group of ranks. `first` names the group and says how many ranks it has.

    Raises `RankFailed`, or `RuntimeError` where a rank died.
    """
    name = f"{first.trial_id}-{first.attempt}"
    folder = Path(settings.home).resolve() / "cache" / "ranks"  # Ray Train wants one; nothing of ours is kept there
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"  # paths in the task may be relative
    trainer: Any = _Trainer(
        run,
        train_loop_config={**given, "settings": settings, "worker": worker},
        torch_config=TorchConfig(backend=backend_on(settings.device)),
        scaling_config=ScalingConfig(
            num_workers=first.shards,
            use_gpu=settings.device == "cuda",
            resources_per_worker={"CPU": settings.cores, **({"GPU": 1} if settings.device == "cuda" else {})},
        ),
        run_config=RunConfig(
            name=name,
            storage_path=str(folder),
            # Attempts are counted by the conductor, in the database.
            failure_config=FailureConfig(max_failures=0, max_preemption_failures=0),  # type: ignore[call-arg]
        ),
    )
    try:
        return trainer.fit().return_value
    except WorkerGroupError as error:
        failures = error.worker_failures
        for rank, failure in failures.items():
            if not isinstance(failure, RankFailed):
                raise RuntimeError(f"rank {rank} died: {str(failure).splitlines()[0]}") from None
        raise RankFailed(str(next(iter(failures.values())))) from None
    finally:
        shutil.rmtree(folder / name, ignore_errors=True)


def _train_rank(config: dict[str, Any]) -> Outcome:
    """What each rank runs; Ray Train has joined them in a process group."""
    assignment, settings, worker = config["assignment"], config["settings"], config["worker"]
    _begin(settings, worker)

    def interrupted() -> bool:  # between the same steps on all ranks, which save together
        return bool(from_first(lambda: ray.get(worker.leaving.remote())))

    workbench = Workbench(Path(settings.home), FirstRankStore(settings.artifacts), interrupted=interrupted)
    with _faults_told():
        return train_prepared(prepare(assignment, workbench), workbench, _reporting_to(worker))


def _train_pack_rank(config: dict[str, Any]) -> None:
    """The same for a pack."""
    settings, worker = config["settings"], config["worker"]
    _begin(settings, worker)
    arrivals = ArrivalsElsewhere(worker)
    store = ArtifactStore(settings.artifacts)
    workbench = Workbench(Path(settings.home), store, interrupted=lambda: arrivals.leaving)
    with _faults_told():
        for outcome in train_pack(
            config["assignments"], workbench, _reporting_to(worker), config["places"], arrivals, RankGroup()
        ):
            from_first(lambda outcome=outcome: ray.get(worker.ended.remote(outcome)))  # type: ignore[misc]


class ArrivalsElsewhere:
    """Trials that wait with the actor to come aboard; the first rank asks for all, so every rank hears the same."""

    def __init__(self, worker: Any) -> None:
        self._worker, self.leaving = worker, False

    @property
    def waiting(self) -> bool:
        """Whether somebody waits; whether all are to leave is known then, too."""
        waiting: bool
        self.leaving, waiting = from_first(lambda: ray.get(self._worker.news.remote()))
        return waiting

    def take(self) -> Assignment | None:
        """See `Boarding`."""
        assignment: Assignment | None = from_first(lambda: ray.get(self._worker.arrival.remote()))
        return assignment

    def close(self) -> bool:
        """See `Boarding`."""
        closed: bool = from_first(lambda: ray.get(self._worker.close_pack.remote()))
        return closed


def _begin(settings: WorkerSettings, worker: Any) -> None:
    torch.set_num_threads(settings.threads)
    if not from_first(lambda: ray.get(worker.place.remote(get_current_placement_group()))):
        raise RankFailed("ended before it began")


def _reporting_to(worker: Any) -> OnReport:
    def on_report(report: Report) -> Decision:
        return from_first(lambda: ray.get(worker.tell.remote(report)))

    return on_report


@contextmanager
def _faults_told() -> Iterator[None]:
    """Whatever a configuration provokes inside ends the group with its reason; a peer that is gone, as it is."""
    try:
        yield
    except Exception as error:
        if any(sign in str(error) for sign in _LOST_PEER):
            raise
        raise RankFailed(failure_reason(error)) from None
