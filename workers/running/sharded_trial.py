"""One trial on a sharded base: Ray Train starts its ranks as one group, which trains it and ends with it.

The ranks get cores and GPUs together or not at all (a placement group), so trials never wait for each other's. The
first rank's reports go to the worker actor that the conductor knows, and decisions come back the same way. A rank that
dies takes the others with it: the attempt is lost, as with any worker, and the conductor counts and repeats it.
"""

from __future__ import annotations

import os
import shutil
from pathlib import Path
from typing import TYPE_CHECKING, Any

import ray
import torch
from ray.train import FailureConfig, RunConfig, ScalingConfig, WorkerGroupError
from ray.train.torch import TorchTrainer
from ray.util.placement_group import get_current_placement_group

from workers.assignment import Assignment, Decision, Outcome, Report
from workers.engines.faults import failure_reason
from workers.engines.sharded import FirstRankStore, from_first
from workers.running.preparing import prepare
from workers.running.trial import train_prepared
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
    name = f"{assignment.trial_id}-{assignment.attempt}"
    folder = Path(settings.home).resolve() / "cache" / "ranks"  # Ray Train wants one; nothing of ours is kept there
    os.environ["RAY_CHDIR_TO_TRIAL_DIR"] = "0"  # paths in the task may be relative
    trainer: Any = _Trainer(
        _train_rank,  # type: ignore[arg-type]  # as above
        train_loop_config={"assignment": assignment, "settings": settings, "worker": worker},
        scaling_config=ScalingConfig(
            num_workers=assignment.shards,
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
        outcome: Outcome = trainer.fit().return_value  # the first rank's
        return outcome
    except WorkerGroupError as error:
        failures = error.worker_failures
        for rank, failure in failures.items():
            if not isinstance(failure, RankFailed):
                raise RuntimeError(f"rank {rank} died: {str(failure).splitlines()[0]}") from None
        reason = str(next(iter(failures.values())))
        return Outcome(trial_id=assignment.trial_id, attempt=assignment.attempt, status="failed", reason=reason)
    finally:
        shutil.rmtree(folder / name, ignore_errors=True)


def _train_rank(config: dict[str, Any]) -> Outcome:
    """What each rank runs; Ray Train has joined them in a process group."""
    assignment, settings, worker = config["assignment"], config["settings"], config["worker"]
    torch.set_num_threads(settings.threads)
    if not from_first(lambda: ray.get(worker.place.remote(get_current_placement_group()))):
        raise RankFailed("ended before it began")

    def on_report(report: Report) -> Decision:
        return from_first(lambda: ray.get(worker.tell.remote(report)))

    def interrupted() -> bool:  # between the same steps on all ranks, which save together
        return bool(from_first(lambda: ray.get(worker.leaving.remote())))

    workbench = Workbench(Path(settings.home), FirstRankStore(settings.artifacts), interrupted=interrupted)
    try:
        return train_prepared(prepare(assignment, workbench), workbench, on_report)
    except Exception as error:
        if any(sign in str(error) for sign in _LOST_PEER):
            raise
        raise RankFailed(failure_reason(error)) from None
