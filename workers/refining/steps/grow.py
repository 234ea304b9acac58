"""`grow`: growth that keeps the function, as AquilaMoE scales models up (Zhang et al. 2024, arXiv 2408.06567).

Certain: what is added has no effect at first, so that outputs are those of before. Choices: here it is the rank of a
LoRA that grows; new directions of A are drawn as those of a fresh LoRA, new columns of B are zero, so that gradients
reach them from the first step on. Widths and depths of the base do not grow.
"""

from __future__ import annotations

import torch

from workers.assignment import Outcome
from workers.refining.lora_updates import FIRST, SECOND, refuse_others, rest_of, scale_of
from workers.refining.retraining import retrained
from workers.refining.scene import Scene, Stored, Tensors


def grow(scene: Scene) -> Outcome:
    """The source at its larger rank, as it is (`grown_…`, which is the source's quality) and after training on."""
    (source,) = scene.stored()
    refuse_others(source)
    return retrained(scene, lambda attached: grown(source, attached.tensors()), "grown")


@torch.no_grad()
def grown(source: Stored, fresh: Tensors) -> Tensors:
    """The tensors of a LoRA of scale 1, as large as `fresh`, with the source's update: A' = [A; A₀], B' = [sB, 0]."""
    found, scale = dict(fresh) | rest_of(source), scale_of(source)
    for name, value in source.tensors.items():
        if name.endswith(FIRST):
            found[name] = torch.cat([value, fresh[name][len(value) :].cpu()])
        elif name.endswith(SECOND):
            more = fresh[name].shape[1] - value.shape[1]
            found[name] = torch.cat([scale * value, value.new_zeros(len(value), more)], dim=1)
    return found
