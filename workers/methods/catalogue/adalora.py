"""`adalora`: low-rank updates P·diag(λ)·Q whose least important directions are pruned during training.

Certain: the parametrisation, its orthogonality penalty and the importance score are peft's. Choices: pruning starts
after 15 % of the steps, ends 30 % before the last, and happens about fifty times.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from search_spaces.parameters import Float, Int
from workers.methods.attached import TrainingSetup
from workers.methods.declaration.knob_kinds import alpha, dropout, placement, rank
from workers.methods.declaration.method import Knobs, KnobValues, LearningRates
from workers.methods.declaration.peft_method import PeftHooks, peft_method, per_layer, target_modules
from workers.models.anatomy import Linear
from workers.models.description import ModelDescription

if TYPE_CHECKING:
    from torch import Tensor

_UNKNOWN_STEPS = 1000


def _knobs(model: ModelDescription) -> Knobs:
    own = (Int("extra_rank", 1, 8), Float("orthogonality", 1e-3, 1.0, scale="log"))
    return Knobs((rank(model, high=16), *own, alpha(), dropout(), *placement(model)), defaults={"dropout": 0.0})


def _arguments(model: ModelDescription, knobs: KnobValues) -> dict[str, Any]:
    return {
        "target_r": knobs["rank"],
        "init_r": knobs["rank"] + knobs["extra_rank"],
        "lora_alpha": knobs["alpha"],
        "lora_dropout": knobs["dropout"],
        "orth_reg_weight": knobs["orthogonality"],
        "target_modules": target_modules(model, knobs),
        "total_step": _UNKNOWN_STEPS,
    }


def _pruning(_knobs: KnobValues, setup: TrainingSetup | None) -> dict[str, Any]:
    steps = setup.total_steps if setup else _UNKNOWN_STEPS
    start, end = int(0.15 * steps), int(0.3 * steps)
    return {"total_step": steps, "tinit": start, "tfinal": end, "deltaT": max(1, steps // 50)}


def _parameters(linear: Linear, knobs: KnobValues) -> int:
    start = int(knobs["rank"] + knobs["extra_rank"])
    return start * (linear.in_features + linear.out_features + 1)


def _orthogonality(model: Any, knobs: KnobValues) -> Tensor:
    """Mean over all factors of ‖PPᵀ − I‖_F, as peft adds it to a loss it computes itself."""
    import torch

    losses = []
    for name, value in model.named_parameters():
        if value.requires_grad and ("lora_A" in name or "lora_B" in name):
            gram = value @ value.T if "lora_A" in name else value.T @ value
            losses.append(torch.linalg.matrix_norm(gram - torch.eye(len(gram), device=gram.device)))
    return torch.stack(losses).mean() * float(knobs["orthogonality"])


def _prune(model: Any, step: int) -> None:
    model.base_model.update_and_allocate(step)


def _importance(model: Any) -> dict[str, Tensor]:
    """What the pruning has learned: smoothed importance and its spread for each entry, and the final ranks."""
    import torch

    allocator, config = model.base_model.rankallocator, model.peft_config["default"]
    found = {f"importance/{name}": value for name, value in allocator.exp_avg_ipt.items()}
    found |= {f"spread/{name}": value for name, value in allocator.exp_avg_unc.items()}
    kept = config.rank_pattern or {}
    return found | {f"ranks/{name}": torch.tensor(value) for name, value in kept.items()}


def _load_importance(model: Any, state: Mapping[str, Tensor]) -> None:
    allocator, config = model.base_model.rankallocator, model.peft_config["default"]
    kinds: dict[str, dict[str, Tensor]] = {"importance": {}, "spread": {}, "ranks": {}}
    for key, value in state.items():
        kind, _, name = key.partition("/")
        kinds[kind][name] = value.clone()
    allocator.exp_avg_ipt, allocator.exp_avg_unc = kinds["importance"], kinds["spread"]
    allocator.ipt = {name: value.clone() for name, value in kinds["importance"].items()}
    if kinds["ranks"]:
        config.rank_pattern = {name: value.tolist() for name, value in kinds["ranks"].items()}


METHODS = (
    peft_method(
        "adalora",
        "AdaLoraConfig",
        family="low-rank",
        summary="low-rank update whose rank budget moves to the layers that need it",
        source="Zhang et al. 2023, arXiv 2303.10512",
        learning_rates=LearningRates(1e-4, 2e-2, 2e-3),
        knobs=_knobs,
        arguments=_arguments,
        trainable_parameters=per_layer(_parameters),
        hooks=PeftHooks(
            arguments=_pruning,
            auxiliary_loss=_orthogonality,
            after_step=_prune,
            extra_state=_importance,
            load_extra_state=_load_importance,
        ),
    ),
)
