"""An executor that computes each trial's metrics from its configuration at once: it trains nothing, so it proves
nothing about training, but every number it reports follows from the configuration."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any

from service.conductor.training.executor import Message, Work
from service.conductor.training.placement import Machine, Shape
from service.store.nodes import Node, ResourceUse
from workers.assignment import Artifact, Assignment, Decision, Outcome, Report
from workers.machine_speed import MachineSpeed


def accuracy(config: dict[str, object]) -> float:
    """A smooth function of rank and learning rate with its best value at rank 16 and rate 1e-3."""
    rank, rate = float(config.get("rank", 1)), float(config["learning_rate"])  # type: ignore[arg-type]
    return 0.9 - 0.01 * (math.log2(rank) - 4) ** 2 - 0.05 * (math.log10(rate) + 3) ** 2


def complete(assignment: Assignment) -> list[Message]:
    """Two reports and an outcome."""
    given = {"trial_id": assignment.trial_id, "attempt": assignment.attempt}
    reached = accuracy(assignment.config)
    reports = [
        Report(**given, step=step, epoch=step, seconds=step, metrics={"accuracy": reached - 0.1 / step})
        for step in (1, 2)
    ]
    return [*reports, Outcome(**given, status="completed", metrics={"accuracy": reached, "train_seconds": 2.0})]


LEFT = Artifact(sha256="c" * 64, size=3)


@dataclass
class ComputingExecutor:
    """`slots` workers; `script` says what a started trial sends, one message a tick."""

    slots: int = 2
    script: Callable[[Any], list[Message]] = complete  # given what was started
    started: list[Any] = field(default_factory=list)
    signals: list[tuple[str, Decision]] = field(default_factory=list)
    abandoned: list[str] = field(default_factory=list)
    most_at_once: int = 0
    measured: MachineSpeed | None = None
    running: dict[str, list[Message]] = field(default_factory=dict)
    packs: list[list[str]] = field(default_factory=list)  # the trials that each worker began with
    shapes: list[tuple[Shape, int]] = field(default_factory=list)  # of each worker, with its places
    boarded: list[str] = field(default_factory=list)
    worker_of: dict[str, int] = field(default_factory=dict)
    gpus: int = 0
    left: Artifact | None = LEFT  # of interrupted trials; None: they do not heed it
    waits: Callable[[], None] = lambda: None  # what happens while messages are waited for

    def machine(self) -> Machine:
        return Machine(self.slots, self.gpus, 1e12)

    def nodes(self) -> list[Node]:
        return [Node("here", True, (ResourceUse("CPU", len(self.running), self.slots),))]

    def speed(self) -> MachineSpeed | None:
        return self.measured

    def free(self, shape: Shape) -> int:
        return int((self.slots - len({self.worker_of[trial_id] for trial_id in self.running})) / shape.cpus)

    def start(self, assignments: Sequence[Work], shape: Shape, places: int = 1) -> None:
        assert self.free(shape) > 0
        assert len(assignments) <= places
        self.shapes.append((shape, places))
        self.packs.append([assignment.trial_id for assignment in assignments])
        for assignment in assignments:
            self._begin(assignment, len(self.packs) - 1)

    def board(self, assignment: Assignment, companion: str) -> None:
        assert companion in self.running
        self.boarded.append(assignment.trial_id)
        self._begin(assignment, self.worker_of[companion])

    def _begin(self, assignment: Work, worker: int) -> None:
        assert assignment.trial_id not in self.running
        self.started.append(assignment)
        self.worker_of[assignment.trial_id] = worker
        self.running[assignment.trial_id] = self.script(assignment)
        self.most_at_once = max(self.most_at_once, len(self.running))

    def signal(self, trial_id: str, decision: Decision) -> None:
        self.signals.append((trial_id, decision))

    def answer(self, trial_id: str, step: int, decision: Decision) -> None:
        del step
        if decision != "continue":
            self.signal(trial_id, decision)

    def interrupt(self) -> None:
        attempts = {one.trial_id: one.attempt for one in self.started}  # the last one of each
        for trial_id in self.running:
            if self.left is not None:
                given = {"trial_id": trial_id, "attempt": attempts[trial_id], "checkpoint": self.left}
                self.running[trial_id] = [Outcome(**given, status="interrupted", reason="asked to leave")]

    def abandon(self, trial_id: str) -> None:
        self.abandoned.append(trial_id)
        self.running.pop(trial_id, None)

    def receive(self, timeout: float) -> list[Message]:
        del timeout
        self.waits()
        messages = [script.pop(0) for script in self.running.values() if script]
        for message in messages:
            if not isinstance(message, Report):
                del self.running[message.trial_id]
        return messages

    def close(self) -> None:
        self.running.clear()
