"""`merge`: winners as task vectors (Ilharco et al. 2023; TIES, Yadav et al. 2023; DARE, Yu et al. 2024).

Certain: the rules, which are peft's. Choices: they act on the updates ΔW rather than on factors, the result is the
nearest LoRA of the summed ranks, and heads are averaged.
"""

from __future__ import annotations

import torch
from peft.utils.merge_utils import dare_linear, dare_ties, task_arithmetic, ties
from torch import Tensor

from workers.assignment import Outcome
from workers.methods.compressed import start_tensors
from workers.refining.lora_updates import Updates, as_lora, mean_of, rest_of, updates_of
from workers.refining.scene import Scene


def merge(scene: Scene) -> Outcome:
    """All sources by one rule, weight and density."""
    stored, options = scene.stored(), scene.given.options
    fresh = start_tensors(scene.base, "lora", scene.prepared.knobs, scene.given.seed)
    updates = [updates_of(one) for one in stored]
    torch.manual_seed(scene.given.seed)  # DARE drops at random
    summed = {
        layer: combined(_of_layer(updates, layer), options["rule"], options["weight"], options["density"])
        for layer in sorted({name for one in updates for name in one})
    }
    tensors = as_lora(summed, fresh) | mean_of([rest_of(one) for one in stored])
    with scene.attached(scene.given.seed) as attached:
        with scene.measuring(attached) as measured:
            quality = measured(tensors)
        return scene.outcome(attached, quality)


def combined(updates: list[Tensor], rule: str, weight: float, density: float) -> Tensor:
    """The updates ΔW [out, in] of one layer by a rule, each with the same weight."""
    weights = torch.full((len(updates),), weight)
    if rule == "task_arithmetic":
        return task_arithmetic(updates, weights)
    act = {"ties": ties, "dare_linear": dare_linear, "dare_ties": dare_ties}[rule]
    return act(updates, weights, density)


def _of_layer(updates: list[Updates], layer: str) -> list[Tensor]:
    """The updates of one layer, zeros of an adapter that is not on it."""
    shape = next(one[layer] for one in updates if layer in one)
    return [one.get(layer, torch.zeros_like(shape)) for one in updates]
