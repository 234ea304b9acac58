"""`dsee`: a winner on a base without its least heads (Chen et al. 2021, DSEE, arXiv 2111.00160).

Certain: W ⊙ S₁ + UV + S₂ with N entries in S₂ whose places come from the update's decomposition; heads are taken out.
Choices: the update is a LoRA winner's, UV its largest components and S₂ the largest entries of what these leave; a head
counts as much as the loss cares for what it gives, summed over training rows; M is by magnitude. Heads are fixed
before the training.
"""

from __future__ import annotations

import torch
from torch import Tensor, nn

from workers.assignment import Outcome
from workers.methods.attached import TrainingSetup
from workers.methods.calibration import some_batches
from workers.methods.declaration.left_sizes import has_heads
from workers.methods.forms.factorised import nearest_factors
from workers.methods.forms.pruned_heads import SmallerLayer
from workers.methods.refined.dsee import heads_left
from workers.models.description import ModelDescription
from workers.refining.folding import folded
from workers.refining.lora_updates import PREFIX, rest_of, updates_of
from workers.refining.retraining import retrained
from workers.refining.scene import Scene, Stored, Tensors


def dsee(scene: Scene) -> Outcome:
    """The source on the smaller base, as it is (`pruned_…`) and after training on."""
    (source,) = scene.stored()
    model, knobs = scene.base.description, scene.prepared.knobs
    importance = head_importance(folded(scene), model, scene.setup(), scene.given.options["rows"])
    heads = [one.topk(heads_left(model.anatomy, knobs)).indices.sort().values for one in importance]
    return retrained(scene, lambda attached: _begin(source, attached.model, attached.tensors(), heads, model), "pruned")


def head_importance(whole: nn.Module, model: ModelDescription, setup: TrainingSetup, rows: int) -> list[Tensor]:
    """How much the loss cares for each head [heads] of each layer: Σ over the tokens of about `rows` training rows of
    |gradient · what it gives|."""
    anatomy = model.anatomy
    found = [torch.zeros(anatomy.heads) for _ in range(anatomy.layers)]
    seen: list[Tensor] = []

    def note(_layer: nn.Module, given: tuple[Tensor, ...]) -> tuple[Tensor, ...]:
        seen.append(given[0] if given[0].requires_grad else given[0].requires_grad_())
        return given

    joins = [
        whole.get_submodule(model.path(layer, one.name)) for layer, one in model.linears() if "output" in one.groups
    ]
    handles = [join.register_forward_pre_hook(note) for join in joins]
    try:
        for batch in some_batches(setup, rows):
            seen.clear()
            loss = setup.loss(setup.outputs(whole, batch), batch["labels"])
            for total, given, gradient in zip(found, seen, torch.autograd.grad(loss, seen), strict=True):
                per_head = (given * gradient).detach().unflatten(-1, (anatomy.heads, anatomy.head_size)).sum(-1)
                total += per_head.abs().flatten(0, -2).sum(0).cpu()
    finally:
        for handle in handles:
            handle.remove()
    return found


@torch.no_grad()
def _begin(source: Stored, smaller: nn.Module, fresh: Tensors, heads: list[Tensor], model: ModelDescription) -> Tensors:
    """Which rows, columns and entries are left, and the source's update in what is."""
    found = {name: value.detach().clone() for name, value in fresh.items()}
    found |= {name.removeprefix(PREFIX): value for name, value in rest_of(source).items()}
    updates, size = updates_of(source), model.anatomy.head_size
    for layer, linear in model.linears():
        path, own = model.path(layer, linear.name), f"{layer}.{linear.name}"
        module = smaller.get_submodule(path)
        assert isinstance(module, SmallerLayer)
        kept = (heads[layer][:, None] * size + torch.arange(size)).flatten()
        in_rows, in_columns = has_heads(linear)
        rows = kept if in_rows else torch.arange(linear.out_features)
        columns = kept if in_columns else torch.arange(linear.in_features)
        found |= {f"{path}.rows": rows, f"{path}.columns": columns}
        update = updates.get(PREFIX + path)
        if update is None:
            continue
        left = update[rows][:, columns]
        second, first = nearest_factors(left, len(module.first))
        rest = left - second @ first
        places = rest.abs().flatten().topk(len(module.places)).indices
        found |= {f"{own}.first": first, f"{own}.second": second}
        found |= {f"{path}.places": places, f"{own}.values": rest.flatten()[places]}
    return found
