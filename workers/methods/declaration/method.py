"""What a PEFT method declares about itself. Imports no torch: the API and the CLI list and check methods with it.

One method is one file in `workers/methods/catalogue/`; see docs/adding-a-method.md.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Literal

from search_spaces.conditions import Condition
from search_spaces.constraints import Constraint
from search_spaces.errors import InvalidConfig
from search_spaces.parameters import Categorical, Parameter
from search_spaces.presets.training import learning_rate, training_parameters
from search_spaces.space import Space
from workers.errors import InvalidInput
from workers.methods.attached import Attached, TrainingSetup
from workers.methods.declaration.needs import Need
from workers.methods.declaration.update_forms import Form
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    from torch import Tensor

    from workers.models.loading import Base

KnobValues = Mapping[str, Any]
Tensors = Mapping[str, "Tensor"]
WithoutRole = Callable[[KnobValues, Tensors, str], tuple[dict[str, Any], dict[str, "Tensor"]]]
AtRank = Callable[[KnobValues, Tensors, int], tuple[dict[str, Any], dict[str, "Tensor"]]]
Serve = Callable[["Base", int], None]
Attach = Callable[["Base", KnobValues, int, TrainingSetup | None], Attached]

Family = Literal[
    "head",
    "low-rank",
    "adapter",
    "prompt",
    "scaling",
    "orthogonal",
    "sparse",
    "selective",
    "shared",
    "spectral",
    "mixed",
    "none",
]


@dataclass(frozen=True)
class LearningRates:
    """Range that is searched on a log scale and where its mode is thought to be."""

    low: float
    high: float
    mode: float


@dataclass(frozen=True)
class Knobs:
    """A method's own part of a search space.

    `defaults` are used where a configuration leaves a knob out; `top_layers` defaults to all layers and other knobs to
    the default of their parameter.
    """

    parameters: tuple[Parameter, ...] = ()
    conditions: tuple[Condition, ...] = ()
    constraints: tuple[Constraint, ...] = ()
    defaults: Mapping[str, Any] = field(default_factory=dict)


@dataclass(frozen=True)
class Method:
    """One PEFT method.

    `source` names the publication; `certain` what of the implementation follows it and what is a choice, where that
    needs saying. `knobs` and `trainable_parameters` take the model's description, so sizes and divisors are exact.
    `unchanged_at_start` promises equal outputs before the first step, `mergeable` that the trained adapter folds into
    the base weights, `takes_positions` that its vectors stand beside the tokens of the text, `changes_base` that
    attaching rewrites base weights (undone by detaching); with `follows_gradients` the adapter changes itself behind
    each step by the gradients of all of its parameters; `probed` gives how many training rows it takes gradients of
    before its first step. `at_rank(knobs, tensors, rank)` gives knobs and tensors of a trained adapter at a lower rank,
    where one training serves them all; `serve(base, rank)` makes an attached one be evaluated there. Of several
    `roles`, `without_role(knobs, tensors, role)` gives those of a trained adapter without one. With `whole_rows` it
    looks along a row in ways of its own, or stands in front of it, so that rows cannot share a sequence. It is for
    types of task `tasks` alone, if there are some. With `trains_tokens` embeddings of single tokens can be trained
    beside it.
    `forms` names the forms of all that it trains besides the head, where all of it has one: then trials of a pack can
    stack it with others; None where something has none.
    With `by_stage` it learns something of its own for each of tasks in turn, and never changes it behind that.
    A `baseline` is what tasks name that measure it without a model.
    `peft_config(model, knobs)` gives the config class and the arguments of a method of peft; with `trains_plainly` peft
    alone trains it as we do.
    """

    name: str
    family: Family
    summary: str
    source: str
    learning_rates: LearningRates
    knobs: Callable[[ModelDescription], Knobs]
    trainable_parameters: Callable[[ModelDescription, KnobValues], int]
    attach: Attach
    peft_config: Callable[[ModelDescription, KnobValues], tuple[str, dict[str, Any]]] | None = None
    trains_plainly: bool = False
    tasks: tuple[str, ...] = ()
    needs: tuple[Need, ...] = ()
    mergeable: bool = False
    unchanged_at_start: bool = True
    takes_positions: bool = False
    whole_rows: bool = False
    by_stage: bool = False
    trains_tokens: bool = False
    changes_base: bool = False
    follows_gradients: bool = False
    probed: Callable[[KnobValues], int] | None = None
    format: Literal["peft", "peftsearch"] = "peft"
    variant_of: str | None = None
    at_rank: AtRank | None = None
    serve: Serve | None = None
    roles: tuple[str, ...] = ()
    without_role: WithoutRole | None = None
    forms: tuple[Form, ...] | None = None
    baseline: bool = False

    def supports(self, model: ModelDescription) -> bool:
        """Whether the method works on this class of model and its sizes, and finds room beside the task's texts."""
        try:
            self.require(model)
        except InvalidInput:
            return False
        return True

    def space(self, model: ModelDescription) -> Space:
        """The method's own search space: its knobs, its learning rates and the training hyperparameters."""
        own, rates = self._fitting(model), self.learning_rates
        return Space(
            (
                Categorical("method", (self.name,)),
                *own.parameters,
                learning_rate(rates.low, rates.high, rates.mode),
                *training_parameters(),
            ),
            own.conditions,
            own.constraints,
        )

    def require(self, model: ModelDescription) -> None:
        """Raise `InvalidInput` when the method does not work on this class of model or its sizes, or has no room."""
        self._fitting(model)

    def _fitting(self, model: ModelDescription) -> Knobs:
        """The method's knobs on a model. Raises as `require` does."""
        self._check_class(model)
        try:
            return self.knobs(model)
        except InvalidInput as error:  # nothing divides the sizes as the method must have it
            raise InvalidInput("method", f"{self.name} on a model of {error.found}", error.allowed) from error

    def _check_class(self, model: ModelDescription) -> None:
        if self.tasks and model.task and model.task not in self.tasks:
            found = f"{self.name} on a task of type {model.task}"
            raise InvalidInput("method", found, f"tasks of type {' or '.join(self.tasks)}, which it is made for")
        if self.takes_positions and model.anatomy.input_shape:
            found = f"{self.name} on a {model.anatomy.model_type} model, whose rows are no texts"
            raise InvalidInput("method", found, "models that read texts: its vectors stand beside tokens")
        if self._crowded_out(model):
            positions = model.anatomy.positions
            raise InvalidInput(
                "max_length",
                positions,
                f"less than {positions}, so that {self.name} has positions for its vectors",
                f"texts may fill all {positions} positions of the model, and {self.name} needs some for its vectors; "
                f"allowed: less than {positions}",
            )
        if self.baseline:
            if self.name not in model.baselines:
                raise InvalidInput("method", f"{self.name} on another type of task", "tasks that rank documents")
            return
        if self.family == "none" and model.fresh_head:
            found = f"{self.name} on a task whose head is drawn at random"
            raise InvalidInput("method", found, "a method that trains: untrained, the head knows nothing")
        if self._trains_nothing(model):
            found, allowed = (
                f"{self.name} on a task without a head to train",
                "a method that changes the model's layers",
            )
            raise InvalidInput("method", found, allowed)
        if model.trained_tokens and not self.trains_tokens and self.family != "none":
            found, allowed = (
                f"{self.name} with trainable_token_indices",
                "a LoRA of peft, beside which tokens are trained",
            )
            raise InvalidInput("method", found, allowed)
        if not self._knows(model):
            raise InvalidInput(
                "method",
                f"{self.name} on a {model.anatomy.model_type} model",
                " and ".join(need.says for need in self.needs if not need.holds(model.anatomy)),
            )

    def _knows(self, model: ModelDescription) -> bool:
        return all(need.holds(model.anatomy) for need in self.needs)

    def _trains_nothing(self, model: ModelDescription) -> bool:
        return self.family == "head" and not model.fresh_head

    def _crowded_out(self, model: ModelDescription) -> bool:
        return self.takes_positions and model.prompt_room == 0

    def complete(self, model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
        """Check knobs and fill in the defaults of those that are missing.

        Raises `InvalidInput` naming the knob, or the constraint that the knobs break.
        """
        own = self._fitting(model)
        if not own.parameters:
            if knobs:
                raise InvalidInput(next(iter(knobs)), next(iter(knobs.values())), "nothing: the method has no knobs")
            return {}
        space = Space(own.parameters, own.conditions, own.constraints)
        values = _with_defaults(space, knobs, {"top_layers": model.shape.layers, **own.defaults})
        try:
            space.validate(values)
        except InvalidConfig as error:
            raise InvalidInput(error.parameter, error.value, error.allowed, f"{self.name}: {error}") from error
        return values


def _with_defaults(space: Space, knobs: KnobValues, defaults: KnobValues) -> dict[str, Any]:
    values = dict(knobs)
    for name in space.order:
        if name not in values and space.is_active(name, values):
            values[name] = defaults.get(name, space.by_name[name].default)
    return values
