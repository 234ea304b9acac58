"""Schedulers by name."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, fields
from typing import Any, ClassVar

from optimizers.errors import BadOption, UnknownName, UnsupportedProblem
from optimizers.options import Choice, described
from optimizers.problem import Problem
from optimizers.schedulers.contract import Budget, Curve, Decision, Scheduler
from optimizers.schedulers.freeze_thaw import FreezeThaw
from optimizers.schedulers.halving import Asha, Hyperband
from optimizers.schedulers.median import Median
from optimizers.schedulers.pb2 import PopulationBasedBandits
from optimizers.schedulers.population import PopulationBasedTraining


@dataclass(frozen=True)
class FullBudget:
    """Every trial runs to its full budget."""

    name: ClassVar[str] = "none"

    def decide(self, trial_id: str, curves: Mapping[str, Curve], problem: Problem, budget_epochs: float) -> Decision:  # noqa: ARG002
        """See `optimizers.schedulers.contract.Scheduler`."""
        return "continue"


_KINDS: tuple[Any, ...] = (
    FullBudget,
    Asha,
    Hyperband,
    Median,
    PopulationBasedTraining,
    PopulationBasedBandits,
    FreezeThaw,
)
_CLASSES: Mapping[str, Any] = {kind.name: kind for kind in _KINDS}


def names() -> tuple[str, ...]:
    """Names of all schedulers, in alphabetical order."""
    return tuple(sorted(_CLASSES))


def choices() -> tuple[Choice, ...]:
    """All schedulers with their options, in alphabetical order."""
    return tuple(described(name, _CLASSES[name]) for name in names())


def scheduler(name: str, **options: Any) -> Scheduler:
    """The scheduler `name` with `options`. Raises `UnknownName` or `BadOption`."""
    if name not in _CLASSES:
        raise UnknownName("scheduler", name, names())
    allowed = {field.name for field in fields(_CLASSES[name])}
    for option, value in options.items():
        if option not in allowed:
            raise BadOption(option, value, f"the options of {name}: {', '.join(sorted(allowed)) or 'none'}")
    try:
        made: Scheduler = _CLASSES[name](**options)
    except TypeError as error:
        raise BadOption(", ".join(options), options, f"numbers as documented ({error})") from None
    return made


def check(name: str, problem: Problem, budget: Budget, /, **options: Any) -> None:
    """Refuse what scheduler `name` cannot work on. Raises `UnknownName`, `BadOption` or `UnsupportedProblem`."""
    chosen = scheduler(name, **options)
    if name != FullBudget.name and all(objective.metric in problem.known for objective in problem.objectives):
        metrics = ", ".join(objective.metric for objective in problem.objectives)
        raise UnsupportedProblem(name, f"every objective ({metrics}) follows from the configuration; use none")
    if (refuse := getattr(chosen, "check", None)) is not None:
        refuse(problem, budget)
