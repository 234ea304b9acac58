"""What the conductor needs of whoever trains: slots, a stream of messages, and a way to interrupt."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Protocol

from service.conductor.decisions import Machine, Shape
from workers.assignment import Assignment, Decision, Outcome, Report


@dataclass(frozen=True)
class Lost:
    """The worker died before the attempt had an outcome."""

    trial_id: str
    attempt: int
    reason: str


Message = Report | Outcome | Lost


class Executor(Protocol):
    """Trains assignments side by side. Every started attempt ends in exactly one `Outcome` or `Lost`, unless abandoned.

    Called from one thread only. A trial id names at most one attempt at a time.
    """

    def machine(self) -> Machine:
        """Cores, GPUs and memory in all."""
        ...

    def free(self, shape: Shape) -> int:
        """Trials of this shape that could start at once."""
        ...

    def start(self, assignment: Assignment, shape: Shape) -> None:
        """Begin to train; call only while `free(shape)` is positive."""
        ...

    def signal(self, trial_id: str, decision: Decision) -> None:
        """Tell a running trial what to do after its current report; unknown trials are ignored."""
        ...

    def abandon(self, trial_id: str) -> None:
        """Kill the worker of a running trial at once; no further message comes from that attempt."""
        ...

    def receive(self, timeout: float) -> list[Message]:
        """What has come in, oldest first; waits up to `timeout` seconds for the first message."""
        ...

    def close(self) -> None:
        """Kill every worker and give the machine back."""
        ...
