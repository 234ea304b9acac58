"""LoRA with another start or another rule for what is trained; all are options of peft's `LoraConfig`.

PiSSA, OLoRA and KaSA take their first factors from the base weights and subtract them there, so the base is rewritten
while the adapter is on it; detaching restores it, and loading repeats the same deterministic decomposition. EVA takes A
from the principal directions of the layer's inputs. LoRA-FA keeps the random A frozen. MiCA trains A in the space of
the smallest singular directions. LoRA+ trains B at a higher learning rate than A: that one rate for both is
inefficient for wide layers, and about 16 times as high for B, is certain; that the head keeps A's rate is a choice.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Any

from search_spaces.parameters import Float
from search_spaces.priors import Bell
from workers.methods.attached import TrainingSetup
from workers.methods.catalogue.lora import DEFAULTS, lora_arguments, lora_parameters
from workers.methods.declaration.knob_kinds import alpha, dropout, even_rank, placement, rank
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates, Method
from workers.methods.declaration.needs import BIASED_TARGETS, KNOWN_PARTS, PLAIN_LINEARS, TOKENS_ALONE, biased_targets
from workers.methods.declaration.peft_method import Arguments, PeftHooks, peft_method, per_layer, two_factors
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    from torch import Tensor

_RATES = LearningRates(5e-5, 1e-2, 7e-4)
_PRINCIPAL_RATES = LearningRates(1e-5, 3e-3, 2e-4)
_EVA_ROWS, _EVA_BATCHES = 16, 16
PLAIN = {"use_rslora": False, "use_dora": False}


def _knobs(model: ModelDescription) -> Knobs:
    return Knobs((rank(model), alpha(), dropout(), *placement(model)), defaults={"dropout": 0.0, "targets": "qv"})


def _biased_knobs(model: ModelDescription) -> Knobs:
    targets = biased_targets(model.anatomy, every=True)
    own = (rank(model), alpha(), dropout(), *placement(model, targets))
    return Knobs(own, defaults={"dropout": 0.0, "targets": targets[0]})


def _even_knobs(model: ModelDescription) -> Knobs:
    own = (even_rank(model), alpha(), dropout(), *placement(model))
    return Knobs(own, defaults={"dropout": 0.0, "targets": "qv"})


def _kasa_knobs(model: ModelDescription) -> Knobs:
    own = (Float("beta", 1e-6, 1e-2, scale="log"), Float("gamma", 1e-6, 1e-2, scale="log"))
    shared = (rank(model), alpha(), dropout(), *placement(model))
    return Knobs((*shared, *own), defaults={**DEFAULTS, "beta": 1e-4, "gamma": 1e-3})


def _plus_knobs(model: ModelDescription) -> Knobs:
    ratio = Float("rate_ratio", 1.0, 32.0, scale="log", prior=Bell(16.0, spread=0.3))
    shared = (rank(model), alpha(), dropout(), *placement(model))
    return Knobs((*shared, ratio), defaults={"dropout": 0.0, "targets": "qv", "rate_ratio": 16.0})


def _plus_factor(name: str, knobs: KnobValues) -> float:
    return float(knobs["rate_ratio"]) if "lora_B" in name else 1.0


def with_options(**options: Any) -> Arguments:
    """Arguments of plain LoRA and these."""

    def arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
        return {**lora_arguments(model, {**PLAIN, **knobs}), **options}

    return arguments


def _scale_one(start: str) -> Arguments:
    """Factors cut out of the weights belong back in full: at scale 1 (alpha equals the rank) and without dropout."""

    def arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
        plain = lora_arguments(model, {**PLAIN, "alpha": knobs["rank"], "dropout": 0.0, **knobs})
        return {**plain, "init_lora_weights": start}

    return arguments


def _cut_out_knobs(model: ModelDescription) -> Knobs:
    return Knobs((rank(model), *placement(model)), defaults={"targets": "qv"})


def _kasa_arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    penalties = {"beta": knobs["beta"], "gamma": knobs["gamma"]}
    return {**lora_arguments(model, {**PLAIN, **knobs}), "kasa_config": penalties}


def _kasa_loss(model: Any, _knobs: KnobValues) -> Tensor:
    loss: Tensor = model.base_model._get_kasa_loss()
    return loss


def _one_factor(linear: Linear, knobs: KnobValues) -> int:
    return int(knobs["rank"]) * linear.out_features


def _freeze_a(model: Any, _base: Any, _knobs: KnobValues, _setup: TrainingSetup | None) -> None:
    for name, value in model.named_parameters():
        if "lora_A" in name:
            value.requires_grad_(False)


def _eva_start(model: Any, _base: Any, _knobs: KnobValues, setup: TrainingSetup | None) -> None:
    """Principal directions of the inputs of every layer, from a few batches; random where there is no data yet."""
    from itertools import islice

    from peft import initialize_lora_eva_weights

    if setup is None:
        return
    # peft leaves out positions without a label; the label of a row is none of a position's.
    batches = [
        {name: value for name, value in batch.items() if name != "labels" or value.ndim > 1}
        for batch in islice(setup.batches(_EVA_ROWS), _EVA_BATCHES)
    ]
    initialize_lora_eva_weights(model, batches, forward_fn=setup.outputs, show_progress_bar=False)


_LORA = peft_method(
    "rslora",
    "LoraConfig",
    family="low-rank",
    summary="LoRA scaled by alpha / √rank",
    source="Kalajdzievski 2023, arXiv 2312.03732",
    learning_rates=_RATES,
    knobs=_knobs,
    arguments=with_options(use_rslora=True),
    trainable_parameters=per_layer(two_factors),
    variant_of="lora",
    forms=("low-rank",),
)


def lora_variant(name: str, summary: str, source: str, arguments: Arguments, **changes: Any) -> Method:
    """A variant of LoRA with both factors trained."""
    options = {"learning_rates": _RATES, "knobs": _knobs, "trainable_parameters": per_layer(two_factors), **changes}
    return peft_method(
        name,
        "LoraConfig",
        family="low-rank",
        summary=summary,
        source=source,
        arguments=arguments,
        variant_of="lora",
        **options,
    )


METHODS = (
    _LORA,
    lora_variant(
        "dora",
        "LoRA of the direction, and a trained magnitude for each output",
        "Liu et al. 2024, arXiv 2402.09353",
        with_options(use_dora=True),
        trainable_parameters=per_layer(lambda linear, knobs: lora_parameters(linear, {**knobs, "use_dora": True})),
        forms=("low-rank",),
    ),
    lora_variant(
        "pissa",
        "LoRA that starts with the principal singular directions of the weights",
        "Meng et al. 2024, arXiv 2404.02948",
        _scale_one("pissa"),
        knobs=_cut_out_knobs,
        learning_rates=_PRINCIPAL_RATES,
        changes_base=True,
        needs=(PLAIN_LINEARS,),
        forms=("low-rank",),
    ),
    lora_variant(
        "olora",
        "LoRA that starts with an orthonormal factor of the weights",
        "Büyükakyüz 2024, arXiv 2406.01775",
        _scale_one("olora"),
        knobs=_cut_out_knobs,
        learning_rates=_PRINCIPAL_RATES,
        changes_base=True,
        needs=(PLAIN_LINEARS,),
        forms=("low-rank",),
    ),
    lora_variant(
        "lora_orthogonal",
        "LoRA whose factors start orthogonal to each other",
        "peft 0.21, init_lora_weights='orthogonal'",
        with_options(init_lora_weights="orthogonal"),
        knobs=_even_knobs,
        needs=(PLAIN_LINEARS,),
        forms=("low-rank",),
    ),
    lora_variant(
        "mica",
        "LoRA in the smallest singular directions, one factor frozen",
        "peft 0.21, init_lora_weights='mica'",
        with_options(init_lora_weights="mica"),
        trainable_parameters=per_layer(lambda linear, knobs: knobs["rank"] * linear.in_features),
        needs=(PLAIN_LINEARS,),
        forms=("low-rank",),
    ),
    lora_variant(
        "kasa",
        "LoRA with trained singular values, in place of the smallest components of the weights",
        "Wang et al. 2024, arXiv 2412.06071",
        _kasa_arguments,
        knobs=_kasa_knobs,
        trainable_parameters=per_layer(lambda linear, knobs: two_factors(linear, knobs) + knobs["rank"]),
        hooks=PeftHooks(auxiliary_loss=_kasa_loss),
        changes_base=True,
        unchanged_at_start=False,
        needs=(PLAIN_LINEARS,),
    ),
    lora_variant(
        "lora_plus",
        "LoRA whose second factor learns faster than the first",
        "Hayou et al. 2024, LoRA+, arXiv 2402.12354",
        with_options(),
        knobs=_plus_knobs,
        learning_rates=LearningRates(1e-5, 5e-3, 2e-4),
        hooks=PeftHooks(rate_factor=_plus_factor),
        forms=("low-rank",),
    ),
    lora_variant(
        "lora_fa",
        "LoRA whose first factor stays at its random start",
        "Zhang et al. 2023, arXiv 2308.03303",
        with_options(),
        learning_rates=LearningRates(1e-4, 2e-2, 2e-3),
        trainable_parameters=per_layer(_one_factor),
        hooks=PeftHooks(ready=_freeze_a),
        forms=("low-rank",),
    ),
    lora_variant(
        "lora_bias",
        "LoRA with a bias on its second factor",
        "peft 0.21, lora_bias",
        with_options(lora_bias=True),
        knobs=_biased_knobs,
        trainable_parameters=per_layer(lambda linear, knobs: two_factors(linear, knobs) + linear.out_features),
        needs=(BIASED_TARGETS,),
        forms=("low-rank",),
    ),
    lora_variant(
        "eva",
        "LoRA that starts with the principal directions of the layer's inputs",
        "Paischer et al. 2024, arXiv 2410.07170",
        # The same rank everywhere (rho 1), so that the number of parameters follows from the configuration.
        with_options(init_lora_weights="eva", eva_config={"rho": 1.0}),
        hooks=PeftHooks(ready=_eva_start),
        needs=(PLAIN_LINEARS, TOKENS_ALONE, KNOWN_PARTS),
        forms=("low-rank",),
    ),
)
