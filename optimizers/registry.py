"""Optimizers by name. Importing this imports no optimizer, so that the API can list and check them cheaply."""

from __future__ import annotations

from dataclasses import fields
from importlib import import_module
from typing import Any

from optimizers.errors import BadOption, UnknownName
from optimizers.options import Choice, described
from optimizers.problem import Optimizer, Problem

# Name → module and class. Each class is a frozen dataclass whose fields are the options.
_CLASSES = {
    "auto": ("optimizers.auto", "AutoSearch"),
    "botorch": ("optimizers.botorch.optimizer", "BotorchSearch"),
    "cmaes": ("optimizers.cmaes", "CmaEsSearch"),
    "gp": ("optimizers.gp.optimizer", "GaussianProcessSearch"),
    "grid": ("optimizers.designs", "GridSearch"),
    "in_context": ("optimizers.in_context.optimizer", "InContextSearch"),
    "llambo": ("optimizers.llambo.optimizer", "LlamboSearch"),
    "mcts": ("optimizers.decision_tree", "MctsSearch"),
    "nsga2": ("optimizers.optuna_samplers", "Nsga2Search"),
    "random": ("optimizers.designs", "RandomSearch"),
    "saasbo": ("optimizers.saasbo", "SparseSearch"),
    "smbo": ("optimizers.decision_tree", "SmboSearch"),
    "sobol": ("optimizers.designs", "SobolSearch"),
    "tpe": ("optimizers.optuna_samplers", "TpeSearch"),
    "transfer": ("optimizers.transfer", "TransferSearch"),
}


def names() -> tuple[str, ...]:
    """Names of all optimizers, in alphabetical order."""
    return tuple(sorted(_CLASSES))


def choices() -> tuple[Choice, ...]:
    """All optimizers with their options, in alphabetical order. Imports them, which takes seconds the first time."""
    return tuple(described(name, getattr(import_module(_CLASSES[name][0]), _CLASSES[name][1])) for name in names())


def optimizer(name: str, *, seed: int = 0, **options: Any) -> Optimizer:
    """The optimizer `name` with `options`; `seed` goes to those whose design has one.

    Raises `UnknownName` or `BadOption`.
    """
    if name not in _CLASSES:
        raise UnknownName("optimizer", name, names())
    module, attribute = _CLASSES[name]
    kind = getattr(import_module(module), attribute)
    allowed = {field.name for field in fields(kind)} - {"seed"}
    for option, value in options.items():
        if option not in allowed:
            raise BadOption(option, value, f"the options of {name}: {', '.join(sorted(allowed)) or 'none'}")
    seeds = {"seed": seed} if any(field.name == "seed" for field in fields(kind)) else {}
    try:
        made: Optimizer = kind(**options, **seeds)
    except TypeError as error:
        raise BadOption(", ".join(options), options, f"numbers and texts as documented ({error})") from None
    return made


def check(name: str, problem: Problem, **options: Any) -> None:
    """Refuse, by name and with a reason, what optimizer `name` cannot work on.

    Raises `UnknownName`, `BadOption` or `UnsupportedProblem`.
    """
    made = optimizer(name, **options)
    refuse = getattr(made, "check", None)
    if refuse is not None:
        refuse(problem)
