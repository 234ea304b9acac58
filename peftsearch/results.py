"""What the API answers, as frozen values. Fields that a newer server adds are ignored."""

from __future__ import annotations

from collections.abc import Iterable, Mapping
from dataclasses import dataclass, fields
from datetime import datetime
from typing import TYPE_CHECKING, Any, Protocol, TypeVar

from peftsearch.errors import NoPandas

if TYPE_CHECKING:
    import pandas

Json = Mapping[str, Any]


class _Row(Protocol):
    def to_row(self) -> dict[str, Any]: ...


R = TypeVar("R", bound=_Row)


class Rows(tuple[R, ...]):
    """A list of results that also reads as a table."""

    __slots__ = ()

    def to_dataframe(self) -> pandas.DataFrame:
        """One row per result; nested values become columns like `metrics.accuracy`. Raises NoPandas."""
        try:
            import pandas
        except ImportError:
            raise NoPandas from None
        return pandas.DataFrame([row.to_row() for row in self])


@dataclass(frozen=True)
class Objective:
    """A metric that a job maximizes or minimizes."""

    metric: str
    direction: str


@dataclass(frozen=True)
class Confirming:
    """Trainings that confirm what a search found: how many there are, and how many of them have ended."""

    total: int
    done: int


@dataclass(frozen=True)
class Progress:
    """How far a job is. Counts are trials of the search, of `trials_total`; `share` (0 to 1) is how much of all its
    training is done, open trials and confirmations included; `seconds_left` is an estimate, None before a report.
    """

    trials_total: int
    queued: int
    running: int
    paused: int
    completed: int
    stopped: int
    failed: int
    share: float
    confirmations: Confirming | None
    seconds_left: float | None

    @property
    def done(self) -> int:
        """Trials of the search that have ended, however they ended."""
        return self.completed + self.stopped + self.failed

    @classmethod
    def from_json(cls, data: Json) -> Progress:
        """Read a ProgressView."""
        values = _known(cls, data)
        confirming = values["confirmations"]
        return cls(**values | {"confirmations": None if confirming is None else Confirming(**confirming)})


@dataclass(frozen=True)
class Job:
    """A search job. `best` maps each objective to what `best_trial` reached, which leads the front by the first."""

    id: str
    name: str
    state: str
    reason: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    spec: Json
    progress: Progress
    front_size: int
    best_trial: str | None
    best: Mapping[str, float]
    objectives: tuple[Objective, ...]
    tags: tuple[str, ...] = ()
    note: str | None = None

    @property
    def over(self) -> bool:
        """No trial will run any more."""
        return self.state in {"completed", "failed", "cancelled"}

    @classmethod
    def from_json(cls, data: Json) -> Job:
        """Read a JobView."""
        values = _known(cls, data)
        values["progress"] = Progress.from_json(data["progress"])
        values["objectives"] = _objectives(data["objectives"])
        values["tags"] = tuple(data.get("tags", ()))
        return cls(**_with_times(values, "created_at", "started_at", "finished_at"))

    def to_row(self) -> dict[str, Any]:
        """Flat form for tables."""
        return {
            "id": self.id,
            "name": self.name,
            "state": self.state,
            "created_at": self.created_at,
            "finished_at": self.finished_at,
            "trials": self.progress.trials_total,
            "done": self.progress.done,
            "front_size": self.front_size,
            "best_trial": self.best_trial,
            "tags": list(self.tags),
            "note": self.note,
        } | {f"best.{metric}": value for metric, value in self.best.items()}


@dataclass(frozen=True)
class Trial:
    """One configuration of a job and what became of it. `label` names reference trials."""

    id: str
    job_id: str
    number: int
    state: str
    origin: str
    label: str | None
    config: Json
    seed: int
    attempt: int
    metrics: Mapping[str, float]
    on_front: bool
    has_adapter: bool
    engine: str | None
    engine_reason: str | None
    reason: str | None
    worker_id: str | None
    created_at: datetime
    started_at: datetime | None
    finished_at: datetime | None
    environment: Mapping[str, str]
    evaluated_rows: int | None = None  # that its quality was measured on
    tags: tuple[str, ...] = ()
    note: str | None = None

    @classmethod
    def from_json(cls, data: Json) -> Trial:
        """Read a TrialView."""
        values = _known(cls, data) | {"tags": tuple(data.get("tags", ()))}
        return cls(**_with_times(values, "created_at", "started_at", "finished_at"))

    def to_row(self) -> dict[str, Any]:
        """Flat form for tables."""
        row = {
            name: getattr(self, name)
            for name in ("id", "number", "state", "origin", "label", "seed", "attempt", "on_front")
        }
        row |= {"engine": self.engine, "engine_reason": self.engine_reason, "reason": self.reason}
        row |= {"tags": list(self.tags), "note": self.note}
        row |= {f"config.{name}": value for name, value in self.config.items()}
        return row | {f"metrics.{name}": value for name, value in self.metrics.items()}


@dataclass(frozen=True)
class Report:
    """What a trial had reached at optimizer step `step`, after `seconds` of training."""

    step: int
    epoch: float
    seconds: float
    metrics: Mapping[str, float]
    attempt: int
    created_at: datetime

    @classmethod
    def from_json(cls, data: Json) -> Report:
        """Read a ReportView."""
        return cls(**_with_times(_known(cls, data), "created_at"))

    def to_row(self) -> dict[str, Any]:
        """Flat form for tables."""
        row = {name: getattr(self, name) for name in ("attempt", "step", "epoch", "seconds", "created_at")}
        return row | {f"metrics.{name}": value for name, value in self.metrics.items()}


@dataclass(frozen=True)
class Exploit:
    """From `attempt` on, the trial trained with `config` from what the donor had reached at `step`."""

    trial_id: str
    attempt: int
    donor_id: str
    donor_attempt: int
    step: int
    epoch: float
    checkpoint: str
    seed: int
    config: Json
    previous: Json
    created_at: datetime

    @classmethod
    def from_json(cls, data: Json) -> Exploit:
        """Read an ExploitView."""
        return cls(**_with_times(_known(cls, data), "created_at"))


@dataclass(frozen=True)
class Stretch:
    """Trial `trial_id` trained from one epoch to another (None: to the present) with one configuration."""

    trial_id: str
    from_epoch: float
    to_epoch: float | None
    config: Json
    seed: int

    @classmethod
    def from_json(cls, data: Json) -> Stretch:
        """Read a StretchView."""
        return cls(**_known(cls, data))

    def to_row(self) -> dict[str, Any]:
        """Flat form for tables."""
        row = {name: getattr(self, name) for name in ("trial_id", "from_epoch", "to_epoch", "seed")}
        return row | {f"config.{name}": value for name, value in self.config.items()}


@dataclass(frozen=True)
class Lineage:
    """Whom a trial has copied, and the stretches of training behind its weights, oldest first."""

    exploits: tuple[Exploit, ...]
    stretches: Rows[Stretch]

    @classmethod
    def from_json(cls, data: Json) -> Lineage:
        """Read a LineageView."""
        exploits = tuple(map(Exploit.from_json, data["exploits"]))
        return cls(exploits, Rows(map(Stretch.from_json, data["stretches"])))

    def to_dataframe(self) -> pandas.DataFrame:
        """The stretches as a table. Raises NoPandas."""
        return self.stretches.to_dataframe()


@dataclass(frozen=True)
class Front:
    """The Pareto front of a job, and its reference trials whether they are on it or not."""

    objectives: tuple[Objective, ...]
    items: Rows[Trial]
    reference: Rows[Trial]

    @classmethod
    def from_json(cls, data: Json) -> Front:
        """Read a FrontView."""
        return cls(
            objectives=_objectives(data["objectives"]),
            items=Rows(map(Trial.from_json, data["items"])),
            reference=Rows(map(Trial.from_json, data["reference"])),
        )

    def to_dataframe(self) -> pandas.DataFrame:
        """The trials on the front as a table. Raises NoPandas."""
        return self.items.to_dataframe()


@dataclass(frozen=True)
class Headroom:
    """How far the best value of `metric` may still be, where `tradeoffs` of the `trials` went for other objectives: a
    search for it alone is expected to gain `expected`, and not more than `most` with probability `level`."""

    metric: str
    tradeoffs: int
    trials: int
    expected: float
    most: float
    level: float
    text: str

    @classmethod
    def from_json(cls, data: Json) -> Headroom:
        """Read a HeadroomView."""
        return cls(**_known(cls, data))


@dataclass(frozen=True)
class Best:
    """The answer to "which hyperparameters should I use?": a measured trial and code that trains it again."""

    trial: Trial
    objectives: Mapping[str, float]
    snippet: str
    headroom: Headroom | None = None

    @classmethod
    def from_json(cls, data: Json) -> Best:
        """Read a BestView."""
        headroom = data.get("headroom")
        return cls(
            trial=Trial.from_json(data["trial"]),
            objectives=dict(data["objectives"]),
            snippet=data["snippet"],
            headroom=None if headroom is None else Headroom.from_json(headroom),
        )


@dataclass(frozen=True)
class Event:
    """Something that happened to a job. `sequence` grows; give it as `after` to go on from there."""

    sequence: int
    kind: str
    job_id: str
    payload: Json


@dataclass(frozen=True)
class Entry:
    """A row of a catalogue (space, method): its `name` and everything said of it."""

    name: str
    details: Json

    @classmethod
    def from_json(cls, data: Json) -> Entry:
        """Read a SpaceView or MethodView."""
        return cls(data["name"], {key: value for key, value in data.items() if key != "name"})

    def to_row(self) -> dict[str, Any]:
        """Flat form for tables."""
        return {"name": self.name, **self.details}


def _known(cls: type, data: Json) -> dict[str, Any]:
    names = {field.name for field in fields(cls)}
    return {name: value for name, value in data.items() if name in names}


def _with_times(values: dict[str, Any], *names: str) -> dict[str, Any]:
    read = {name: datetime.fromisoformat(values[name]) for name in names if isinstance(values.get(name), str)}
    return values | read


def _objectives(data: Iterable[Json]) -> tuple[Objective, ...]:
    return tuple(Objective(entry["metric"], entry["direction"]) for entry in data)
