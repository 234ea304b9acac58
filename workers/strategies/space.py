"""Search the training strategy together with anything else. Imports no torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from search_spaces.conditions import Condition
from search_spaces.parameters import Categorical, Parameter
from search_spaces.space import Space
from workers.errors import InvalidInput
from workers.hyperparameters import NO_STRATEGY
from workers.methods.registry import method
from workers.models.description import ModelDescription
from workers.strategies.registry import strategy


def with_strategies(space: Space, names: Sequence[str], model: ModelDescription) -> Space:
    """The space with a choice `strategy` that opens the knobs of each, named `<strategy>.<knob>`.

    In a space of several methods the choice exists for those that all named strategies can train.

    Raises `InvalidInput` for an unknown name, or when no method of the space goes with all of them.
    """
    if not names:
        return space
    wanted = [strategy(name) for name in names if name != NO_STRATEGY]
    parameters: list[Parameter] = [Categorical("strategy", tuple(names))]
    conditions = []
    if condition := _for_methods(space, [one.name for one in wanted], model):
        conditions.append(condition)
    for one in wanted:
        knobs = [replace(knob, name=f"{one.name}.{knob.name}") for knob in one.knobs(model)]
        parameters += knobs
        conditions += [Condition(knob.name, "strategy", (one.name,)) for knob in knobs]
    return replace(
        space,
        parameters=(*space.parameters, *parameters),
        conditions=(*space.conditions, *conditions),
    )


def _for_methods(space: Space, names: list[str], model: ModelDescription) -> Condition | None:
    """For which methods there is a choice of strategy; None when it is for all."""
    choice = space.by_name.get("method")
    if not isinstance(choice, Categorical):
        raise InvalidInput("strategy", names, "a space with a parameter `method`")
    found = [one for one in choice.choices if all(strategy(name).refusal(method(one), model) is None for name in names)]
    if not found:
        for name in names:
            strategy(name).require(method(choice.choices[0]), model)
        raise InvalidInput("strategy", ", ".join(names), "strategies of which all go with one method of the space")
    return None if len(found) == len(choice.choices) else Condition("strategy", "method", tuple(found))
