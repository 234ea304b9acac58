"""What trials of a job cost, learnt from those that ran. Pure, and rebuilt from the stored trials at any time."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from statistics import median
from typing import Any

from service.jobs.told_counts import count_told
from service.store.records import Trial
from workers.errors import InvalidInput
from workers.hyperparameters import Hyperparameters, split_config
from workers.models.description import ModelDescription

MEBIBYTE = 1 << 20


@dataclass(frozen=True)
class Kind:
    """What the time of a trial follows from, the data being the job's: layers trained, method, number format, and how
    many teachers train before it."""

    method: str
    layers: int
    precision: str
    teachers: int = 0


@dataclass(frozen=True)
class _Measured:
    seconds: float  # per epoch
    memory: float | None  # bytes that training added to the base
    tokens: int  # of the largest forward pass


@dataclass
class CostModel:
    """Time and memory of trials on one model and one data set."""

    model: ModelDescription
    _known: dict[Kind, dict[str, _Measured]] = field(default_factory=dict)  # by trial
    _longest: int = 0  # tokens of the data's longest row, as trials tell
    _precision: str = "fp32"  # of the last trial that ended: workers of one machine choose alike

    def learn(self, trial: Trial, epochs: float) -> None:
        """Take over what a trial measured in `epochs` passes over the rows; nothing when it measured nothing. Where
        trials have different rows, `epochs` and seconds per epoch count single rows."""
        seconds = trial.metrics.get("train_seconds")
        if not seconds or epochs <= 0:
            return
        memory = trial.metrics.get("peak_memory_mb")
        self._precision = trial.environment.get("precision", self._precision)
        self._longest = count_told(trial.environment, "longest_row") or self._longest
        tokens = self._tokens(trial.config)
        measured = _Measured(seconds / epochs, None if memory is None else memory * MEBIBYTE, tokens)
        self._known.setdefault(self.kind(trial.config), {})[trial.id] = measured

    def kind(self, config: Mapping[str, Any]) -> Kind:
        """The kind of a configuration, as it would train now."""
        method, knobs, hyperparameters = _parts(config)
        layers = 0 if method == "head" else int(knobs.get("top_layers", self.model.anatomy.layers))
        return Kind(method, layers, self._precision, hyperparameters.self_training)

    def seconds_per_epoch(self, config: Mapping[str, Any]) -> float | None:
        """Expected training time of one pass over the rows: the median of the most similar trials."""
        alike = self._alike(config)
        return median(one.seconds for one in alike) if alike else None

    def knows(self, config: Mapping[str, Any]) -> bool:
        """Whether a trial of the same method, with as many layers to train at least, has been measured."""
        wanted = self.kind(config)
        return any(
            kind.method == wanted.method and kind.layers >= wanted.layers and kind.teachers >= wanted.teachers
            for kind in self._known
        )

    def bytes_of(self, config: Mapping[str, Any]) -> float | None:
        """Memory that training would add to the base: the most that similar trials took, more for larger batches."""
        tokens = self._tokens(config)
        return max(
            (one.memory * max(1.0, tokens / one.tokens) for one in self._alike(config) if one.memory is not None),
            default=None,
        )

    def _tokens(self, config: Mapping[str, Any]) -> int:
        """Tokens of a configuration's largest forward pass, whether its batches count rows, sequences or tokens."""
        _, _, hyperparameters = _parts(config)
        most = self.model.longest_text or self.model.anatomy.positions
        longest = min(self._longest or most, most)
        return hyperparameters.rows_at_once(longest, most) * longest

    def _alike(self, config: Mapping[str, Any]) -> list[_Measured]:
        """The trials of the most similar kind that any has run of."""
        wanted = self.kind(config)

        def distance(kind: Kind) -> tuple[int, bool, bool, int]:
            teachers = abs(kind.teachers - wanted.teachers)
            other = kind.method != wanted.method
            return teachers, other, kind.precision != wanted.precision, abs(kind.layers - wanted.layers)

        return list(self._known[min(self._known, key=distance)].values()) if self._known else []


def _parts(config: Mapping[str, Any]) -> tuple[str, Mapping[str, Any], Hyperparameters]:
    """Method, knobs and training hyperparameters; what no worker could train (it fails there) costs like any other."""
    try:
        method, knobs, hyperparameters = split_config(config)
    except InvalidInput:
        return "", {}, Hyperparameters()
    return method, knobs, hyperparameters
