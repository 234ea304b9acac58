"""Declare a method of our own in a few lines. Imports no torch.

`install(base, knobs, generator)` puts trained parameters into the base model and returns them by name; it imports
torch itself. Everything else is as for methods of peft.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from workers.methods.attached import Attached, TrainingSetup
from workers.methods.method import Family, Knobs, KnobValues, LearningRates, Method
from workers.methods.peft_method import lowest_placed
from workers.methods.snippets import own_snippet
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import nn

    from workers.models.loading import Base

Install = Callable[["Base", KnobValues, "torch.Generator"], dict[str, "nn.Parameter"]]


def own_method(
    name: str,
    *,
    family: Family,
    summary: str,
    source: str,
    learning_rates: LearningRates,
    knobs: Callable[[ModelDescription], Knobs],
    install: Install,
    trainable_parameters: Callable[[ModelDescription, KnobValues], int],
    lowest_layer: Callable[[ModelDescription, KnobValues], int] = lowest_placed,
    after_step: Callable[[Base, int], None] | None = None,
    mergeable: bool = True,
    unchanged_at_start: bool = True,
    variant_of: str | None = None,
    model_types: tuple[str, ...] | None = None,
) -> Method:
    """A method of our own, saved in our own format."""

    def attach(base: Base, values: KnobValues, seed: int, _setup: TrainingSetup | None) -> Attached:
        from workers.methods.own_adapter import OwnAdapter

        hook: Any = None if after_step is None else lambda step: after_step(base, step)
        return OwnAdapter(
            base,
            name,
            values,
            seed,
            lowest_layer(base.description, values),
            install=lambda base, generator: install(base, values, generator),
            after_step=hook,
        )

    return Method(
        name=name,
        family=family,
        summary=summary,
        source=source,
        learning_rates=learning_rates,
        knobs=knobs,
        trainable_parameters=trainable_parameters,
        attach=attach,
        snippet=lambda model, _knobs: own_snippet(model.reference),
        model_types=model_types,
        mergeable=mergeable,
        unchanged_at_start=unchanged_at_start,
        format="peftsearch",
        variant_of=variant_of,
    )
