"""All training strategies, by name. Imports no torch."""

from __future__ import annotations

from collections.abc import Mapping
from types import MappingProxyType

from workers.errors import InvalidInput
from workers.hyperparameters import NO_STRATEGY, Hyperparameters
from workers.methods.declaration.method import Method
from workers.models.description import ModelDescription
from workers.strategies.catalogue import galore, gradnormlorp, hft, ist, lisa, spsa_gc
from workers.strategies.strategy import GRADIENTS_ALONE, StepLosses, Strategy

_ALL = (
    lisa.LISA,
    hft.HFT,
    ist.IST,
    galore.GALORE,
    galore.NATURAL_GALORE,
    gradnormlorp.GRADNORMLORP,
    spsa_gc.SPSA_GC,
)
_STRATEGIES: Mapping[str, Strategy] = MappingProxyType({one.name: one for one in _ALL})


def strategies() -> Mapping[str, Strategy]:
    """Every strategy by name; none at all (`none`) is not among them."""
    return _STRATEGIES


def strategy(name: str) -> Strategy:
    """One strategy. Raises `InvalidInput` for a name that there is not."""
    if name not in _STRATEGIES:
        raise InvalidInput("strategy", name, (NO_STRATEGY, *_STRATEGIES))
    return _STRATEGIES[name]


def with_strategy_knobs(chosen: Hyperparameters, method: Method, model: ModelDescription) -> Hyperparameters:
    """The hyperparameters with every knob of their strategy.

    Raises `InvalidInput` when there is no such strategy, it does not fit the method, or a knob is out of range.
    """
    if chosen.strategy == NO_STRATEGY:
        return chosen
    values = strategy(chosen.strategy).complete(method, model, chosen.strategy_knobs)
    return chosen.model_copy(update={"strategy_knobs": values})


def losses_of_step(chosen: Hyperparameters) -> StepLosses:
    """How often a step takes the loss of its rows under these hyperparameters, which have every knob."""
    if chosen.strategy == NO_STRATEGY:
        return GRADIENTS_ALONE
    return strategy(chosen.strategy).losses(chosen.strategy_knobs)
