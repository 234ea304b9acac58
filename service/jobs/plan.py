"""What the conductor needs to know of a job that follows a plan rather than a search. Imports neither torch nor ray.

A plan has stages: the trials it opens with, and those that follow from what was measured. When all its trials are over,
`conclude` says what they tell and what to train next; with nothing more to train the job is done. Everything follows
from the spec and the stored trials, so a crash costs nothing.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import asdict, dataclass, field
from typing import Any, Protocol, Self

from service.store.records import NewTrial, Trial
from workers.assignment import Artifact, Assignment
from workers.proxies.spec import ProxyAssignment


@dataclass(frozen=True)
class Measured:
    """What a conclusion needs of a trial that is over."""

    number: int
    label: str | None
    state: str
    config: Mapping[str, Any]
    metrics: Mapping[str, float]
    seed: int
    adapter: str | None = None
    adapter_bytes: int | None = None

    @classmethod
    def of(cls, trial: Trial) -> Self:
        """From a stored trial."""
        return cls(**{name: getattr(trial, name) for name in cls.__dataclass_fields__})

    @property
    def completed(self) -> bool:
        """Whether it was measured to its end."""
        return self.state == "completed"

    @property
    def model(self) -> Artifact:
        """What it stored."""
        assert self.adapter is not None
        return Artifact(sha256=self.adapter, size=self.adapter_bytes or 0)


@dataclass(frozen=True)
class Conclusion:
    """What the trials tell (`answer`, None in the midst of a plan), what to train next, remarks for the log."""

    answer: dict[str, Any] | None = None
    more: tuple[NewTrial, ...] = ()
    notes: tuple[str, ...] = field(default=())

    def to_json(self) -> dict[str, Any]:
        """For the pipe between the conductor and the process that concludes."""
        return asdict(self)

    @classmethod
    def from_json(cls, value: Mapping[str, Any]) -> Self:
        """The inverse of `to_json`."""
        return cls(value["answer"], tuple(NewTrial(**one) for one in value["more"]), tuple(value["notes"]))


class Plan(Protocol):
    """The course of one job. Pure: spec and trials in, trials and answers out."""

    def opening(self) -> list[NewTrial]:
        """The trials that the job begins with."""
        ...

    def assignment(self, trial: Trial, over: Sequence[Measured]) -> Assignment | ProxyAssignment:
        """What a worker is given to do for a claimed trial; `over` are the job's trials that have ended."""
        ...

    def conclude(self, trials: Sequence[Measured], known: Mapping[str, Any] | None = None) -> Conclusion:
        """What is known and what is next, all of `trials` being over; `known` is the answer of an earlier stage.

        Runs in a process of its own and may take minutes.

        Raises:
            OutOfDomain: the measured trials determine no answer.
        """
        ...
