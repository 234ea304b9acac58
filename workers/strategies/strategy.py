"""What a training strategy declares about itself. Imports no torch: the API and the CLI list and check with it.

A strategy trains any method that it fits: it decides which parameters a step updates and how their gradients become a
step. Without one, AdamW updates everything in every step. One strategy is one declaration in
`workers/strategies/catalogue/`.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from search_spaces.errors import InvalidConfig
from search_spaces.parameters import Parameter
from search_spaces.space import Space
from workers.errors import InvalidInput
from workers.methods.declaration.method import Method
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    from torch import nn

    from workers.strategies.tensor_adamw import TensorAdamW

KnobValues = Mapping[str, Any]
_SHARED = frozenset({"apet", "colora", "hashed_lora", "iaa", "mos", "tinylora", "unilora"})
"""Methods whose layers read one pool, or are read by one chain of modules; a test keeps this complete."""


@dataclass(frozen=True)
class Subject:
    """What a strategy trains.

    `layers` gives the encoder layer of each parameter, None for what belongs to no layer or to several, such as the
    head; `rate_factors` are multiples of the learning rate, 1 where a name is missing.
    """

    parameters: Mapping[str, nn.Parameter]
    layers: Mapping[str, int | None]
    weight_decay: float
    rate_factors: Mapping[str, float]
    seed: int


@dataclass(frozen=True)
class StepLosses:
    """How often a step takes the loss of its rows, on average: with the gradients, and forward alone."""

    with_gradients: float = 1.0
    without_gradients: float = 0.0


GRADIENTS_ALONE = StepLosses()


@dataclass(frozen=True)
class Strategy:
    """One training strategy.

    `knobs` take the model's description; a configuration names them `<strategy>.<knob>`. `refusal` says why a method
    cannot be trained so, or None. `losses` are those of a step with these knobs. One that
    `samples` decides what a step updates and leaves the step to AdamW: trials with it share passes.
    """

    name: str
    summary: str
    source: str
    knobs: Callable[[ModelDescription], tuple[Parameter, ...]]
    refusal: Callable[[Method, ModelDescription], str | None]
    run: Callable[[Subject, KnobValues], TensorAdamW]
    losses: Callable[[KnobValues], StepLosses] = lambda _knobs: GRADIENTS_ALONE
    samples: bool = False

    def require(self, method: Method, model: ModelDescription) -> None:
        """Raise `InvalidInput` when the strategy does not fit the method on this model."""
        if reason := self.refusal(method, model):
            raise InvalidInput("strategy", f"{self.name} with method {method.name}", reason)

    def complete(self, method: Method, model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
        """Check knobs and fill in the defaults of those that are missing.

        Raises `InvalidInput` naming the knob as configurations do, or `strategy` when it does not fit the method.
        """
        self.require(method, model)
        space = Space(self.knobs(model))
        values = {name: knobs.get(name, space.by_name[name].default) for name in space.order} | dict(knobs)
        try:
            space.validate(values)
        except InvalidConfig as error:
            raise InvalidInput(f"{self.name}.{error.parameter}", error.value, error.allowed) from error
        return values


def per_layer(method: Method, model: ModelDescription) -> str | None:
    """Why a method cannot leave layers out of a step; None when it can."""
    names = [parameter.name for parameter in method.knobs(model).parameters]
    if not any(name == "top_layers" or name.startswith("layer_") for name in names):
        return "a method that sits in encoder layers"
    if method.name in _SHARED:
        return "a method whose parameters belong to single layers"
    if method.follows_gradients:
        return "a method that does not look at every gradient itself"
    return None


def whole_matrices(method: Method, _model: ModelDescription) -> str | None:
    """Why a method has no large matrices to project; None when it has."""
    return None if method.name in ("full_ft", "half_ft") else "full_ft or half_ft, which train whole matrices"
