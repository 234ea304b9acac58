"""`lorat`: a LoRA, and token types learnt from scratch beside the positions that all tokens share.

Certain: the embedding of where a token stands is shared and frozen, and a small table of token types, trained from
scratch, says what it is a part of; low-rank updates adapt the rest. Choices: types are those of a pair of texts, the
first and the second; they begin small (the model's own deviation of fresh weights). The heads for tracking have no
counterpart here.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from workers.methods.attached import TrainingSetup
from workers.methods.catalogue.lora import lora_arguments
from workers.methods.catalogue.lora_variants import PLAIN
from workers.methods.declaration.knob_kinds import alpha, dropout, placement, rank
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.needs import TOKEN_TYPES
from workers.methods.declaration.peft_method import PeftHooks, peft_method, per_layer, two_factors
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    from workers.models.loading import Base


def _knobs(model: ModelDescription) -> Knobs:
    own = (rank(model), alpha(), dropout(), *placement(model))
    return Knobs(own, defaults={"dropout": 0.0, "targets": "qv"})


def _arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    path, _ = model.anatomy.token_types
    return {**lora_arguments(model, {**PLAIN, **knobs}), "modules_to_save": [path]}


def _begin_afresh(_wrapped: Any, base: Base, _knobs: KnobValues, _setup: TrainingSetup | None) -> None:
    """Draw the trained copy of the table anew; the base's own stays as it is."""
    import torch

    path, _ = base.description.anatomy.token_types
    table = base.model.get_submodule(path).get_submodule("modules_to_save.default").get_parameter("weight")
    with torch.no_grad():
        table.normal_(0.0, float(getattr(base.model.config, "initializer_range", 0.02)))


def _parameters(model: ModelDescription, knobs: KnobValues) -> int:
    _, (types, size) = model.anatomy.token_types
    return per_layer(two_factors)(model, knobs) + types * size


METHODS = (
    peft_method(
        "lorat",
        "LoraConfig",
        family="low-rank",
        summary="LoRA beside token types that are learnt from scratch",
        source="Lin et al. 2024, LoRAT, arXiv 2403.05231",
        learning_rates=LearningRates(5e-5, 1e-2, 7e-4),
        knobs=_knobs,
        arguments=_arguments,
        trainable_parameters=_parameters,
        lowest_layer=lambda _model, _knobs: 0,
        hooks=PeftHooks(ready=_begin_afresh),
        mergeable=False,  # a table of types is no part of a layer that a merge folds
        unchanged_at_start=False,
        needs=(TOKEN_TYPES,),
        variant_of="lora",
    ),
)
