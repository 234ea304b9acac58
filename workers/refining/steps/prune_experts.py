"""`prune_experts`: a mixture of half as many experts (after DeepSpeed-MoE, Kim et al. 2021, arXiv 2109.10465).

Certain: experts that are used least are left out, and training goes on. Choices: uses are tokens of training rows whose
largest gates an expert is among; every weight keeps the more used half of its own experts; routers keep their rows.
"""

from __future__ import annotations

from collections.abc import Callable

import torch
from torch import Tensor

from workers.assignment import Outcome
from workers.methods.attached import Batch
from workers.methods.calibration import real_tokens, some_batches
from workers.methods.forms.lora_experts import LoraExperts
from workers.refining.retraining import retrained
from workers.refining.scene import Scene, Stored, Tensors

_OF_EXPERTS = ("first", "second", "router")


def prune_experts(scene: Scene) -> Outcome:
    """The source with half of its experts, as it is (`pruned_…`) and after training on.

    `kept_uses` is the share of all uses that was theirs whom the pruning spares.
    """
    (source,) = scene.stored()
    uses = _uses(scene, source)
    kept = {name: _chosen(scene, count, name) for name, count in uses.items()}
    share = sum(float(uses[name][kept[name]].sum() / uses[name].sum()) for name in uses) / len(uses)
    outcome = retrained(scene, lambda _attached: _with(source, kept), "pruned")
    return outcome.model_copy(update={"metrics": outcome.metrics | {"kept_uses": share}})


def _uses(scene: Scene, source: Stored) -> dict[str, Tensor]:
    """How often each expert [experts] was used, by the layer's name in the file."""
    own = scene.of(source)
    counts: dict[str, Tensor] = {}
    path = f"{scene.base.description.anatomy.layers_path}."

    def counting(name: str) -> Callable[..., None]:
        def count(module: LoraExperts, given: tuple[Tensor, ...], _output: Tensor) -> None:
            gates = module.gates(module.router(given[0].float()).float())
            used = (gates > 0).flatten(0, -2)
            real = real_tokens(batch, given[0]).flatten() > 0
            counts[name] = counts.get(name, 0) + used[real].sum(0).float()

        return count

    batch: Batch = {}
    with own.attached(source.seed) as attached, torch.no_grad():
        own.put(attached, source.tensors)
        attached.set_training(False)
        for name, module in attached.model.named_modules():
            if isinstance(module, LoraExperts):
                module.register_forward_hook(counting(name.removeprefix(path)))
        setup = scene.setup()
        for batch in some_batches(setup, scene.given.options["rows"]):
            setup.outputs(attached.model, batch)
    return counts


def _chosen(scene: Scene, uses: Tensor, name: str) -> Tensor:
    """Which experts stay, in their order."""
    count = (len(uses) + 1) // 2
    if scene.given.options["choose"] == "random":
        draw = torch.Generator().manual_seed(scene.given.seed + len(name))
        return torch.randperm(len(uses), generator=draw)[:count].sort().values
    return uses.topk(count).indices.sort().values


def _with(source: Stored, kept: dict[str, Tensor]) -> Tensors:
    found = {}
    for name, value in source.tensors.items():
        layer, _, part = name.rpartition(".")
        found[name] = value[kept[layer]] if part in _OF_EXPERTS and layer in kept else value
    return found
