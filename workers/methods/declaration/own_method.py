"""Declare a method of our own in a few lines. Imports no torch.

`install(base, knobs, generator)` puts trained parameters into the base model and returns them by name; it imports
torch itself. What a method does besides is a hook. Everything else is as for methods of peft.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import TYPE_CHECKING

from workers.methods.attached import Attached, TrainingSetup
from workers.methods.declaration.method import (
    AtRank,
    Family,
    Knobs,
    KnobValues,
    LearningRates,
    Method,
    Serve,
    WithoutRole,
)
from workers.methods.declaration.needs import Need
from workers.methods.declaration.peft_method import lowest_placed
from workers.methods.declaration.update_forms import Form
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from workers.models.loading import Base

Install = Callable[["Base", KnobValues, "torch.Generator"], dict[str, "nn.Parameter"]]


@dataclass(frozen=True)
class OwnHooks:
    """What a method of our own does besides its installation; each hook may use torch, none needs to be there.

    They find their modules in `base.model` and keep what they learn in persistent buffers of these, which checkpoints
    and exports carry. `ready` looks at the data before the first step, at the gradients of `probed(knobs)` rows if it
    takes any. `after_step(base, knobs, setup, step)` runs behind each optimizer step (counted from 1) while gradients
    are there, and may return what `Attached.after_step` does; `next_step(base, step)` runs behind it and when a
    training resumes, so it must be a function of the step alone. `rate_factor(name, knobs)` is the multiple of the
    learning rate for a parameter.
    """

    ready: Callable[[Base, KnobValues, TrainingSetup], None] | None = None
    probed: Callable[[KnobValues], int] | None = None
    auxiliary_loss: Callable[[Base, KnobValues], Tensor] | None = None
    after_step: Callable[[Base, KnobValues, TrainingSetup, int], Mapping[str, Tensor] | None] | None = None
    next_step: Callable[[Base, int], None] | None = None
    rate_factor: Callable[[str, KnobValues], float] | None = None


NO_HOOKS = OwnHooks()


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
    hooks: OwnHooks = NO_HOOKS,
    mergeable: bool = True,
    unchanged_at_start: bool = True,
    takes_positions: bool = False,
    whole_rows: bool = False,
    by_stage: bool = False,
    variant_of: str | None = None,
    forms: tuple[Form, ...] | None = None,
    at_rank: AtRank | None = None,
    serve: Serve | None = None,
    roles: tuple[str, ...] = (),
    without_role: WithoutRole | None = None,
    tasks: tuple[str, ...] = (),
    needs: tuple[Need, ...] = (),
) -> Method:
    """A method of our own, saved in our own format."""

    def attach(base: Base, values: KnobValues, seed: int, setup: TrainingSetup | None) -> Attached:
        from workers.methods.own_adapter import OwnAdapter

        return OwnAdapter(
            base,
            name,
            values,
            seed,
            lowest_layer(base.description, values),
            install=lambda base, generator: install(base, values, generator),
            hooks=hooks,
            setup=setup,
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
        tasks=tasks,
        needs=needs,
        mergeable=mergeable,
        unchanged_at_start=unchanged_at_start,
        takes_positions=takes_positions,
        whole_rows=whole_rows,
        by_stage=by_stage,
        follows_gradients=hooks.after_step is not None,
        probed=hooks.probed,
        format="peftsearch",
        variant_of=variant_of,
        forms=forms,
        at_rank=at_rank,
        serve=serve,
        roles=roles,
        without_role=without_role,
    )
