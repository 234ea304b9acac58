"""`corda`, `lora_ga`: LoRA whose factors start from what the data says about each weight W.

CorDA: with the covariance C of the layer's inputs, WC = USVᵀ and W = US(VᵀC⁻¹); the factors start as r components of
this sum and the others stay frozen. `ipm` (instruction previewed) trains the r largest, `kpm` (knowledge preserved)
the r smallest. Certain: the decomposition and which components are trained; C of `ipm` comes from the task's own
texts, that of `kpm` from the job's `task.knowledge`. Choices: where a job names no such data `kpm` takes the task's
texts, too, and preserves what the base does on these; C is scaled to a mean diagonal of 1 and gets 1 % of it on the
diagonal, to be invertible.

LoRA-GA: with the gradient USVᵀ of the loss at W, A starts as the first r rows of Vᵀ and B as the next r columns of U,
both times ⁴√out / √γ, scaled by α/√r; so the first step follows the gradient of full fine-tuning. Certain: this start.
Choices: the gradient is that of a random head, averaged over a few batches; A and B are scaled alike, as the paper has
it (peft scales B alone, and by the singular values too).

Both leave the base weights as they are and subtract the start in the adapter, which keeps it.
"""

from __future__ import annotations

from dataclasses import replace
from typing import TYPE_CHECKING

from search_spaces.parameters import Categorical, Ordinal
from workers.methods.attached import TrainingSetup
from workers.methods.declaration.knob_kinds import alpha, placed, placement, rank
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.needs import KNOWN_PARTS, TOKENS_ALONE
from workers.methods.declaration.own_method import OwnHooks, own_method
from workers.methods.declaration.peft_method import per_layer, two_factors
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    import torch
    from torch import Tensor, nn

    from workers.models.loading import Base

_SAMPLES = Ordinal("samples", (16, 32, 64, 128, 256))
_DAMPING = 0.01


def _corda_knobs(model: ModelDescription) -> Knobs:
    own = (rank(model), Categorical("variant", ("ipm", "kpm")), _SAMPLES)
    return Knobs((*own, *placement(model)), defaults={"targets": "qv", "samples": 64})


def _ga_knobs(model: ModelDescription) -> Knobs:
    # The factors take 2r singular directions of each gradient.
    narrowest = min(min(linear.in_features, linear.out_features) for linear in model.anatomy.linears)
    own = (rank(model, high=min(64, narrowest // 2)), alpha(), Ordinal("gamma", (16, 64, 256)), _SAMPLES)
    return Knobs((*own, *placement(model)), defaults={"targets": "qv", "gamma": 64, "samples": 64})


def _install(base: Base, knobs: KnobValues, generator: torch.Generator) -> dict[str, nn.Parameter]:
    from workers.methods.forms.low_rank import StartedLora
    from workers.methods.forms.reweighted import reweight

    scale = knobs["alpha"] / knobs["rank"] ** 0.5 if "alpha" in knobs else 1.0

    def make(module: nn.Module, linear: Linear) -> StartedLora:
        return StartedLora(module, linear.transposed, knobs["rank"], scale, generator)

    return reweight(base, placed(base.description, knobs), make)


def _start_corda(base: Base, knobs: KnobValues, setup: TrainingSetup) -> None:
    from workers.methods.calibration import input_covariances, layers_of
    from workers.methods.forms.low_rank import StartedLora

    layers = layers_of(base, StartedLora)
    if knobs["variant"] == "kpm" and setup.knowledge is not None:
        setup = replace(setup, batches=setup.knowledge)
    for layer, covariance in zip(layers, input_covariances(base, layers, setup, knobs["samples"]), strict=True):
        layer.start_from(*corda_factors(layer.frozen(), covariance, knobs["rank"], knobs["variant"]))


def corda_factors(weight: Tensor, covariance: Tensor, rank: int, variant: str) -> tuple[Tensor, Tensor]:
    """A₀ [r, in] and B₀ [out, r] from a weight [out, in] and the covariance [in, in] of its inputs."""
    import torch

    diagonal = covariance.diagonal().mean().clamp_min(1e-12)
    covariance = covariance / diagonal + _DAMPING * torch.eye(len(covariance), device=covariance.device)
    left, values, right = torch.linalg.svd(weight @ covariance, full_matrices=False)
    chosen = slice(0, rank) if variant == "ipm" else slice(len(values) - rank, len(values))
    root = values[chosen].sqrt()
    first = torch.linalg.solve(covariance, right[chosen].T).T  # VᵀC⁻¹, C being symmetric
    return root[:, None] * first, left[:, chosen] * root


def _start_ga(base: Base, knobs: KnobValues, setup: TrainingSetup) -> None:
    from workers.methods.calibration import layers_of, weight_gradients
    from workers.methods.forms.low_rank import StartedLora

    layers = layers_of(base, StartedLora)
    for layer, gradient in zip(layers, weight_gradients(base, layers, setup, knobs["samples"]), strict=True):
        layer.start_from(*gradient_factors(gradient, knobs["rank"], knobs["gamma"]))


def gradient_factors(gradient: Tensor, rank: int, gamma: float) -> tuple[Tensor, Tensor]:
    """A₀ [r, in] and B₀ [out, r] from the gradient [out, in] of a weight."""
    import torch

    left, _, right = torch.linalg.svd(gradient, full_matrices=False)
    scale = len(gradient) ** 0.25 / gamma**0.5
    return scale * right[:rank], scale * left[:, rank : 2 * rank]


METHODS = (
    own_method(
        "corda",
        family="low-rank",
        summary="LoRA that starts with components of the weights chosen by the covariance of their inputs",
        source="Yang et al. 2024, CorDA, arXiv 2406.05223",
        learning_rates=LearningRates(1e-5, 3e-3, 2e-4),
        knobs=_corda_knobs,
        install=_install,
        trainable_parameters=per_layer(two_factors),
        hooks=OwnHooks(ready=_start_corda),
        needs=(TOKENS_ALONE, KNOWN_PARTS),
        variant_of="lora",
        forms=("low-rank",),
    ),
    own_method(
        "lora_ga",
        family="low-rank",
        summary="LoRA that starts with singular directions of the first gradients",
        source="Wang et al. 2024, LoRA-GA, arXiv 2407.05000",
        learning_rates=LearningRates(2e-5, 5e-3, 3e-4),
        knobs=_ga_knobs,
        install=_install,
        trainable_parameters=per_layer(two_factors),
        hooks=OwnHooks(ready=_start_ga, probed=lambda knobs: int(knobs["samples"])),
        variant_of="lora",
        forms=("low-rank",),
    ),
)
