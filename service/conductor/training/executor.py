"""What the conductor needs of whoever trains: slots, a stream of messages, and a way to interrupt."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Protocol

from service.conductor.training.placement import Machine, Shape
from service.store.nodes import Node
from workers.assignment import Assignment, Decision, Outcome, Report
from workers.machine_speed import MachineSpeed
from workers.programs.assignment import ProgramAssignment
from workers.proxies.spec import ProxyAssignment


@dataclass(frozen=True)
class Lost:
    """The worker died before the attempt had an outcome.

    `together` counts the trials that it trained just then. `blameless`: none of them can be the cause, as the worker
    was ended for another reason or the pack was over before the trial came aboard.
    """

    trial_id: str
    attempt: int
    reason: str
    together: int = 1
    blameless: bool = False


Work = Assignment | ProgramAssignment | ProxyAssignment
Message = Report | Outcome | Lost


class Executor(Protocol):
    """Trains assignments side by side. Every started attempt ends in exactly one `Outcome` or `Lost`, unless abandoned.

    Called from one thread only. A trial id names at most one attempt at a time.
    """

    def machine(self) -> Machine:
        """Cores, GPUs and memory in all."""
        ...

    def nodes(self) -> Sequence[Node]:
        """The machines that there are, for operators to look at."""
        ...

    def speed(self) -> MachineSpeed | None:
        """What a training step gains from threads and from packing here; None until a measurement, begun by the
        first call, is done."""
        ...

    def free(self, shape: Shape) -> int:
        """Workers of this shape that could start at once."""
        ...

    def start(self, assignments: Sequence[Work], shape: Shape, places: int = 1) -> None:
        """Begin to train on one worker; call only while `free(shape)` is positive.

        With more than one place the trials form a pack: they must be packable and have the same task and data seed.
        """
        ...

    def board(self, assignment: Assignment, companion: str) -> None:
        """Let a trial join the pack that trains `companion`. If that is over by now, a blameless `Lost` follows."""
        ...

    def signal(self, trial_id: str, decision: Decision) -> None:
        """Tell a running trial what to do after its current report; unknown trials are ignored."""
        ...

    def answer(self, trial_id: str, step: int, decision: Decision) -> None:
        """Tell a trial what its scheduler makes of the report of `step`: one that awaits it goes on or ends there, any
        other ends at its next report; unknown trials are ignored."""
        ...

    def interrupt(self) -> None:
        """Ask every running trial to end behind its present step as `interrupted`, with a checkpoint; nothing is
        started after that."""
        ...

    def abandon(self, trial_id: str) -> None:
        """Kill the worker of a running trial at once; no further message comes from that attempt.

        Trials that shared the worker are `Lost`, blamelessly.
        """
        ...

    def receive(self, timeout: float) -> list[Message]:
        """What has come in, oldest first; waits up to `timeout` seconds for the first message."""
        ...

    def close(self) -> None:
        """Kill every worker and give the machine back."""
        ...
