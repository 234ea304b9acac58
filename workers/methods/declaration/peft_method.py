"""Declare a method of Hugging Face peft in a few lines. Imports no torch.

A declaration gives the name of the config class, its arguments for given knobs, and the number of parameters each
target layer gets. Which layers an adapter sits on is the same for all: knobs `targets` and `top_layers`.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from workers.methods.attached import Attached, TrainingSetup
from workers.methods.declaration.knob_kinds import placed
from workers.methods.declaration.method import Family, Knobs, KnobValues, LearningRates, Method
from workers.methods.declaration.needs import Need
from workers.methods.declaration.update_forms import Form
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    from workers.models.loading import Base

Arguments = Callable[[ModelDescription, KnobValues], dict[str, Any]]


def target_pattern(model: ModelDescription, names: Iterable[tuple[int, str]]) -> str:
    """A regular expression that matches exactly the modules (layer, name), as peft's `target_modules`."""
    layers_of: dict[str, list[str]] = {}
    for layer, name in names:
        layers_of.setdefault(name, []).append(str(layer))
    names_at: dict[str, list[str]] = {}
    for name, layers in layers_of.items():
        names_at.setdefault("|".join(layers), []).append(re.escape(name))
    prefix = re.escape(model.anatomy.layers_path)
    parts = [rf"{prefix}\.({layers})\.({'|'.join(group)})" for layers, group in names_at.items()]
    return parts[0] if len(parts) == 1 else "|".join(f"({part})" for part in parts)


def target_modules(model: ModelDescription, knobs: KnobValues) -> str:
    """`target_modules` for the knobs of `placement`."""
    return target_pattern(model, ((layer, linear.name) for layer, linear in placed(model, knobs)))


def lowest_placed(model: ModelDescription, knobs: KnobValues) -> int:
    """Index of the lowest layer with an adapter, for the knobs of `placement`."""
    return model.layer_range(knobs["top_layers"])[0]


def per_layer(parameters: Callable[[Linear, KnobValues], int]) -> Callable[[ModelDescription, KnobValues], int]:
    """A parameter formula from the parameters of one target layer, for the knobs of `placement`."""
    return lambda model, knobs: sum(parameters(linear, knobs) for _, linear in placed(model, knobs))


def two_factors(linear: Linear, knobs: KnobValues) -> int:
    """Parameters of low-rank factors A [rank, in] and B [out, rank] on one layer."""
    return int(knobs["rank"]) * (linear.in_features + linear.out_features)


@dataclass(frozen=True)
class PeftHooks:
    """What a peft method does besides attaching; each hook may use torch, none needs to be there.

    `arguments(knobs, setup)` gives further arguments of the config class, such as the number of steps;
    `before(base, config, knobs, setup)` runs before peft wraps the base model and `ready(model, base, knobs, setup)`
    after; `rate_factor(name, knobs)` is the multiple of the learning rate for a parameter; the others, with the model
    (and the knobs) in front, are those of `Attached`. `setup` is None when an adapter is attached without being
    trained.
    """

    arguments: Callable[[KnobValues, TrainingSetup | None], dict[str, Any]] | None = None
    before: Callable[[Any, Any, KnobValues, TrainingSetup | None], None] | None = None
    ready: Callable[[Any, Any, KnobValues, TrainingSetup | None], None] | None = None
    rate_factor: Callable[[str, KnobValues], float] | None = None
    auxiliary_loss: Callable[[Any, KnobValues], Any] | None = None
    after_step: Callable[[Any, int], None] | None = None
    extra_state: Callable[[Any], dict[str, Any]] | None = None
    load_extra_state: Callable[[Any, Any], None] | None = None


def peft_method(
    name: str,
    config_class: str,
    *,
    family: Family,
    summary: str,
    source: str,
    learning_rates: LearningRates,
    knobs: Callable[[ModelDescription], Knobs],
    arguments: Arguments,
    trainable_parameters: Callable[[ModelDescription, KnobValues], int],
    lowest_layer: Callable[[ModelDescription, KnobValues], int] = lowest_placed,
    hooks: PeftHooks = PeftHooks(),
    mergeable: bool = True,
    unchanged_at_start: bool = True,
    takes_positions: bool = False,
    changes_base: bool = False,
    variant_of: str | None = None,
    forms: tuple[Form, ...] | None = None,
    needs: tuple[Need, ...] = (),
) -> Method:
    """A method of peft. `arguments(model, knobs)` are JSON-able ones of `config_class`; the rest is as in `Method`.

    Beside a LoRA the embeddings of the description's `trained_tokens` are trained, and rows of an untied output.
    """

    def all_arguments(model: ModelDescription, values: KnobValues) -> dict[str, Any]:
        tokens = {model.anatomy.word_embeddings: list(model.trained_tokens)}
        tokens |= {model.untied_output: list(model.trained_outputs)} if model.trained_outputs else {}
        return arguments(model, values) | ({"trainable_token_indices": tokens} if model.trained_tokens else {})

    def all_parameters(model: ModelDescription, values: KnobValues) -> int:
        inputs = len(model.trained_tokens) * model.anatomy.embedding_size
        return trainable_parameters(model, values) + inputs + len(model.trained_outputs) * model.anatomy.hidden_size

    def attach(base: Base, values: KnobValues, seed: int, setup: TrainingSetup | None) -> Attached:
        from workers.methods.peft_adapter import attach_peft

        model = base.description
        config = config_class, all_arguments(model, values)
        lowest = 0 if model.trained_tokens else lowest_layer(model, values)
        return attach_peft(base, config, values, seed, setup, lowest, hooks, changes_base)

    return Method(
        name=name,
        family=family,
        summary=summary,
        source=source,
        learning_rates=learning_rates,
        knobs=knobs,
        trainable_parameters=all_parameters,
        attach=attach,
        peft_config=lambda model, values: (config_class, all_arguments(model, values)),
        trains_plainly=hooks == PeftHooks(),
        needs=needs,
        mergeable=mergeable,
        unchanged_at_start=unchanged_at_start,
        takes_positions=takes_positions,
        trains_tokens=config_class == "LoraConfig",
        follows_gradients=hooks.after_step is not None,
        changes_base=changes_base,
        variant_of=variant_of,
        forms=forms,
    )
