"""What of a model is needed for a task, estimated in a short training of masks and of low-rank updates. Needs torch."""

from __future__ import annotations

import math
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from workers.methods.attached import Batch, TrainingSetup
from workers.methods.forms.pruned_heads import SmallerLora
from workers.methods.forms.reweighted import uniform
from workers.models.loading import Base

_RATE, _MASK_RATE = 1e-3, 1e-2  # of updates and head; of masks, which have a way of one to go


class Probe(nn.Module):
    """W(m ⊙ x) + b + s·BA(m ⊙ x) with a trained mask m of groups of inputs (heads, units), or none.

    In the second half of the estimation it sums up ‖s·BA(m ⊙ x)‖ / ‖W(m ⊙ x) + b‖ (`ratio`) and for each of the r
    directions |a · ∂loss/∂a| + |b · ∂loss/∂b| (`sensitivity`).
    """

    def __init__(self, layer: SmallerLora, groups: int, rank: int) -> None:
        super().__init__()
        draw = torch.Generator().manual_seed(layer.draw)
        self._layer = (layer,)  # no submodule: the layer holds the probe
        weight = layer.frozen().detach()
        outputs, inputs = weight.shape
        self.first = nn.Parameter(uniform((rank, inputs), 1 / math.sqrt(inputs), draw).to(weight.device))
        self.second = nn.Parameter(weight.new_zeros(outputs, rank))
        self.mask = nn.Parameter(weight.new_ones(groups)) if groups else None
        self.each = inputs // groups if groups else 0
        self.ratio, self.sensitivity = 0.0, weight.new_zeros(rank)
        self.counting = False

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs [..., in] to outputs [..., out]."""
        layer = self._layer[0]
        if self.mask is not None:
            inputs = inputs * self.mask.repeat_interleave(self.each).to(inputs.dtype)
        outputs: Tensor = layer.original(inputs)
        narrow = linear(inputs, self.first.to(inputs.dtype))
        update = layer.scaling * linear(narrow, self.second.to(inputs.dtype))
        if self.counting:
            self.ratio += float(update.detach().norm() / outputs.detach().norm().clamp_min(1e-12))
        return outputs + update

    @torch.no_grad()
    def count(self) -> None:
        """Take in the gradients of a step."""
        for value, others in ((self.first, 1), (self.second, 0)):
            if value.grad is not None:
                self.sensitivity += (value * value.grad).abs().sum(others)


@dataclass(frozen=True)
class Estimate:
    """What was found of each layer: how much its update does, what each of its directions does, and what its groups of
    inputs are worth (sizes of their masks; None where it has no groups)."""

    ratio: float
    sensitivity: Tensor  # [rank]
    masks: Tensor | None  # [groups]


def estimates(
    base: Base,
    groups: Mapping[SmallerLora, int],
    setup: TrainingSetup,
    batches: Iterable[Batch],
    rank: int,
    penalty: float,
) -> dict[SmallerLora, Estimate]:
    """Train masks and updates of the whole base on `batches`, one step each; what they came to, by layer.

    `rank` is that of the updates, `penalty` the weight of the masks' L1 norm in the loss. The base, its head and the
    layers are as before afterwards.
    """
    probes = {layer: Probe(layer, count, rank) for layer, count in groups.items()}
    taken = list(batches)
    with _probing(probes), _trained(base) as head:
        masks = [probe.mask for probe in probes.values() if probe.mask is not None]
        factors = [value for probe in probes.values() for value in (probe.first, probe.second)]
        optimizer = torch.optim.AdamW(
            [{"params": [*factors, *head], "lr": _RATE}, {"params": masks, "lr": _MASK_RATE}], weight_decay=0.0
        )
        for number, batch in enumerate(taken):
            for probe in probes.values():
                probe.counting = 2 * number >= len(taken) - 1
            size = torch.stack([mask.abs().sum() for mask in masks]).sum()
            loss = setup.loss(setup.outputs(base.model, batch), batch["labels"]) + penalty * size
            optimizer.zero_grad()
            loss.backward()
            for probe in probes.values():
                if probe.counting:
                    probe.count()
            optimizer.step()
    return {
        layer: Estimate(probe.ratio, probe.sensitivity, None if probe.mask is None else probe.mask.detach().abs())
        for layer, probe in probes.items()
    }


@contextmanager
def _probing(probes: Mapping[SmallerLora, Probe]) -> Iterator[None]:
    """Inside, the probes stand for their layers."""
    for layer, probe in probes.items():
        layer.probe = probe
    try:
        yield
    finally:
        for layer in probes:
            layer.probe = None


@contextmanager
def _trained(base: Base) -> Iterator[list[nn.Parameter]]:
    """Inside, the base's head is trained; behind it it has its values and flags again."""
    head = [value for module in base.head_modules().values() for value in module.parameters()]
    before = [(value.detach().clone(), value.requires_grad) for value in head]
    try:
        for value in head:
            value.requires_grad_(True)
        yield head
    finally:
        with torch.no_grad():
            for value, (kept, wanted) in zip(head, before, strict=True):
                value.copy_(kept)
                value.requires_grad_(wanted)
                value.grad = None
