"""Trains trials on Ray: a pool of worker actors that keep their base model between trials."""

from __future__ import annotations

import contextlib
import logging
import os
import time
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import ray
from ray.exceptions import RayError, RayTaskError
from ray.util.placement_group import PlacementGroup, remove_placement_group

from service.conductor.training.cluster import Cluster
from service.conductor.training.executor import Lost, Message, Work
from service.conductor.training.idle_workers import IdleWorkers
from service.conductor.training.local_ray import start_local, use_own_token
from service.conductor.training.placement import Machine, Shape
from service.conductor.training.speed import MeasuredSpeed
from service.store.nodes import Node
from workers.assignment import Assignment, Decision, Outcome, Report
from workers.machine_speed import MachineSpeed
from workers.programs.assignment import ProgramAssignment
from workers.running.ray_worker import TrialWorker, WorkerSettings

_PACK_OVER = "its pack had ended"
RESOURCES_AGE = 5.0  # seconds for which the cluster's size is not asked for again
LIVES_WITHIN = 0.25  # seconds in which an idle worker says so; one that is still starting does not, and is taken
MOST_WARM = 4  # workers started before there is a job: each holds some 400 MB
log = logging.getLogger(__name__)


@dataclass(eq=False)
class _Running:
    """A worker at work. `attempts` are those of its trials without an outcome, by trial."""

    actor: Any
    stream: Any  # ray.ObjectRefGenerator of Reports and Outcomes
    shape: Shape
    attempts: dict[str, int]
    awaiting: set[str]  # those that stand still after a report until it is answered
    ranks: PlacementGroup | None = None  # what a sharded trial occupies, once it does


class RayExecutor:
    """An `Executor` on a local Ray started here, or on the cluster at `address`."""

    def __init__(
        self,
        address: str | None,
        scratch: Path,
        home: Path,
        artifacts: str,
        programs: Sequence[Path] = (),
        judges: str = "off",
    ) -> None:
        """Start or join Ray.

        Args:
            address: of a cluster, `host:port` or `auto`; None starts a local one.
            scratch: folder for the sockets and logs of a local one; no other Ray may be using it.
            home: folder where workers keep caches; on a cluster, a path on each of its machines.
            artifacts: folder or URL where workers store adapters, reachable from all of them.
            programs: folders whose code of jobs may be run.
            judges: addresses that answers may be sent to, as the operator lists them.

        Raises:
            ConnectionError: nothing answers at `address`.
        """
        os.environ.setdefault("RAY_USAGE_STATS_ENABLED", "0")
        scratch.mkdir(parents=True, exist_ok=True, mode=0o700)
        with contextlib.chdir(scratch):  # Ray's workers look for modules where their driver stood
            _start(address, scratch, home / "ray-token")
        self._home, self._artifacts = home, artifacts
        self._programs, self._judges = tuple(map(str, programs)), judges
        self._idle = IdleWorkers(ray.kill, lambda actor: actor.rest.remote(), _lives, time.monotonic)
        self._running: dict[str, _Running] = {}  # by trial; those of a pack share one
        self._orphans: list[Lost] = []  # whose worker we killed for the sake of another trial
        self._machine = Machine(0, 0, 0)
        self._machine_asked = -RESOURCES_AGE
        self._cluster = Cluster()
        self._speed = MeasuredSpeed(home / "machine-speed.json")

    def machine(self) -> Machine:
        """Cores, GPUs and memory of the whole cluster."""
        if time.monotonic() - self._machine_asked >= RESOURCES_AGE:
            resources: dict[str, float] = ray.cluster_resources()  # type: ignore[no-untyped-call]
            self._machine = Machine(resources.get("CPU", 0.0), resources.get("GPU", 0.0), resources.get("memory", 0.0))
            self._machine_asked = time.monotonic()
        return self._machine

    def nodes(self) -> Sequence[Node]:
        """The cluster's, with what is taken of each."""
        return self._cluster.nodes()

    def speed(self) -> MachineSpeed | None:
        """What was measured here, in this run or an earlier one on this home."""
        return self._speed.get(self.machine())

    def free(self, shape: Shape) -> int:
        """Workers of this shape that fit beside those at work."""
        machine, busy = self.machine(), self._busy()
        cpus = machine.cpus - sum(worker.shape.cpus for worker in busy)
        gpus = machine.gpus - sum(worker.shape.gpus for worker in busy)
        fitting = cpus / shape.cpus
        if shape.gpus:
            fitting = min(fitting, gpus / shape.gpus)
        return max(0, int(fitting + 1e-9))

    def warm_up(self, shape: Shape, workers: int) -> None:
        """Start workers before there is a job: importing torch and its friends takes each of them seconds."""
        for _ in range(min(workers, MOST_WARM)):
            self._idle.put(self._new_worker(shape), shape, rested=True)

    def start(self, assignments: Sequence[Work], shape: Shape, places: int = 1) -> None:
        """Hand the assignments to an idle worker of this shape, or to a new one."""
        actor = self._worker(shape)
        stream = actor.train.options(num_returns="streaming").remote(assignments, places)
        attempts = {assignment.trial_id: assignment.attempt for assignment in assignments}
        awaiting = {assignment.trial_id for assignment in assignments if _awaits(assignment)}
        self._running |= dict.fromkeys(attempts, _Running(actor, stream, shape, attempts, awaiting))

    def board(self, assignment: Assignment, companion: str) -> None:
        """Send the trial after its companion; a worker that is done by then ends its stream without it."""
        worker = self._running.get(companion)
        if worker is None:
            self._orphans.append(Lost(assignment.trial_id, assignment.attempt, _PACK_OVER, blameless=True))
            return
        worker.actor.board.remote(assignment)
        worker.attempts[assignment.trial_id] = assignment.attempt
        worker.awaiting |= {assignment.trial_id} if _awaits(assignment) else set()
        self._running[assignment.trial_id] = worker

    def signal(self, trial_id: str, decision: Decision) -> None:
        """Pass the decision on; it takes effect at the trial's next report."""
        if (worker := self._running.get(trial_id)) is not None:
            worker.actor.signal.remote(trial_id, decision)

    def answer(self, trial_id: str, step: int, decision: Decision) -> None:
        """Pass on what the scheduler makes of a report; nobody waits to hear that a trial goes on that does anyway."""
        worker = self._running.get(trial_id)
        if worker is not None and (decision != "continue" or trial_id in worker.awaiting):
            worker.actor.answer.remote(trial_id, worker.attempts[trial_id], step, decision)

    def interrupt(self) -> None:
        """Pass it on."""
        for worker in self._busy():
            worker.actor.leave.remote()

    def abandon(self, trial_id: str) -> None:
        """Kill the trial's worker."""
        self._orphans = [lost for lost in self._orphans if lost.trial_id != trial_id]
        if (worker := self._running.get(trial_id)) is not None:
            reason = f"its worker was ended because of {trial_id}"
            self._orphans += [
                Lost(other, attempt, reason, blameless=True)
                for other, attempt in self._end(worker).items()
                if other != trial_id
            ]

    def receive(self, timeout: float) -> list[Message]:
        """Everything the running trials have sent."""
        self._idle.tidy()
        messages: list[Message] = [*self._orphans]
        self._orphans = []
        if not self._running and not messages:
            time.sleep(timeout)
        while self._running:
            by_stream = {worker.stream: worker for worker in self._busy()}
            ready, _ = ray.wait(list(by_stream), num_returns=1, timeout=timeout if not messages else 0)
            if not ready:
                break
            messages += self._next(by_stream[ready[0]])
        return messages

    def close(self) -> None:
        """Kill the workers; a local Ray ends, a cluster is left running."""
        for worker in self._busy():
            self._end(worker)
        ray.shutdown()

    def _busy(self) -> list[_Running]:
        return list(dict.fromkeys(self._running.values()))

    def _next(self, worker: _Running) -> list[Message]:
        try:
            message = ray.get(next(worker.stream))
        except StopIteration:
            return self._over(worker)
        except RayTaskError as error:
            return self._lost(worker, f"its worker raised {type(error.cause).__name__}: {error.cause}")
        except RayError as error:
            return self._lost(worker, f"its worker died: {str(error).splitlines()[0]}")
        if isinstance(message, PlacementGroup):
            worker.ranks = message
            return []
        assert isinstance(message, Report | Outcome)
        if isinstance(message, Outcome):
            del worker.attempts[message.trial_id], self._running[message.trial_id]
            if not worker.attempts:
                self._idle.put(worker.actor, worker.shape)
        return [message]

    def _over(self, worker: _Running) -> list[Message]:
        """The stream has ended; trials that are still listed came too late for their pack."""
        self._idle.put(worker.actor, worker.shape)
        for trial_id in worker.attempts:
            del self._running[trial_id]
        return [Lost(trial_id, attempt, _PACK_OVER, blameless=True) for trial_id, attempt in worker.attempts.items()]

    def _lost(self, worker: _Running, reason: str) -> list[Message]:
        attempts = self._end(worker)
        return [Lost(trial_id, attempt, reason, len(attempts)) for trial_id, attempt in attempts.items()]

    def _end(self, worker: _Running) -> dict[str, int]:
        """Kill the worker; the attempts that it leaves behind."""
        if worker.shape.shards == 1:
            ray.kill(worker.actor)
        else:  # its ranks are killed, and it goes with its last reference
            worker.actor.end.remote()
            if worker.ranks is not None:
                remove_placement_group(worker.ranks)
        for trial_id in worker.attempts:
            del self._running[trial_id]
        return worker.attempts

    def _worker(self, shape: Shape) -> Any:
        if (idle := self._idle.take(shape)) is not None:
            return idle
        self._make_room(shape)
        return self._new_worker(shape)

    def _new_worker(self, shape: Shape) -> Any:
        device = "cuda" if shape.gpus else "cpu"
        cores = shape.cpus / shape.shards
        settings = WorkerSettings(
            str(self._home),
            self._artifacts,
            max(1, int(cores)),
            cores,
            device,
            programs=self._programs,
            judges=self._judges,
        )
        # The ranks of a sharded trial take cores and GPUs themselves, all at once; their worker only passes words on.
        cpus, gpus = (shape.cpus, shape.gpus) if shape.shards == 1 else (0, 0)
        actor_class: Any = TrialWorker  # Ray turns the class into one with `options`, which its types do not tell
        return actor_class.options(num_cpus=cpus, num_gpus=gpus, max_restarts=0).remote(settings)

    def _make_room(self, shape: Shape) -> None:
        """Idle workers hold their cores: end those of other shapes as long as the new one would not fit."""
        machine = self.machine()
        while not self._fits(shape, machine) and (ended := self._idle.end_one()) is not None:
            log.info("ended an idle worker of %s to make room for %s", ended, shape)

    def _fits(self, shape: Shape, machine: Machine) -> bool:
        held = [*(worker.shape for worker in self._busy()), *self._idle.shapes()]
        cpus = sum(each.cpus for each in held) + shape.cpus
        gpus = sum(each.gpus for each in held) + shape.gpus
        return cpus <= machine.cpus + 1e-9 and gpus <= machine.gpus + 1e-9


def _lives(actor: Any) -> bool:
    answered, _ = ray.wait([actor.__ray_ready__.remote()], timeout=LIVES_WITHIN)
    try:
        ray.get(answered)
    except RayError:
        return False
    return True


def _awaits(assignment: Work) -> bool:
    return isinstance(assignment, Assignment | ProgramAssignment) and assignment.awaits_decision


def _start(address: str | None, scratch: Path, token: Path) -> None:
    if address is None:
        use_own_token(token)
        start_local(scratch)
    elif address.startswith("ray://"):
        raise ConnectionError(
            f"ray: found {address!r}; reports cannot be streamed through a Ray client. Run the conductor on a "
            "machine of the cluster (`ray start --address=HOST:6379 --num-cpus=0`) and give it `auto`"
        )
    else:
        _join(address)


def _join(address: str) -> None:
    try:
        ray.init(address=address, log_to_driver=False, logging_level=logging.WARNING)
    except ConnectionError as error:
        hint = "is it up? A cluster that asks for a token needs RAY_AUTH_MODE=token and the token here, too"
        raise ConnectionError(f"ray: {error}; {hint}") from error
