"""Exports predict labels in their own unit: the unit that training chose is folded into the head. Needs torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import Tensor, nn

from workers.methods.attached import Attached
from workers.tasks.criterion import LABELS_OWN, Criterion, Unit


@contextmanager
def in_label_unit(attached: Attached, criterion: Criterion) -> Iterator[None]:
    """Inside, an output of the model is its unit's `mean` + `spread` times what it was: the last layer is so scaled."""
    units = units_of(criterion)
    if not units:
        yield
        return
    weight, bias = output_layer(attached, len(units))
    kept = weight.detach().clone(), None if bias is None else bias.detach().clone()
    mean, spread = _columns(units, weight)
    if bias is None and bool(mean.any()):
        raise ValueError("the head adds no constant, and the unit of its labels has one")
    with torch.no_grad():
        weight.mul_(spread[:, None])
        if bias is not None:
            bias.mul_(spread).add_(mean)
    try:
        yield
    finally:
        with torch.no_grad():
            weight.copy_(kept[0])
            if bias is not None and kept[1] is not None:
                bias.copy_(kept[1])


def units_of(criterion: Criterion) -> tuple[Unit, ...]:
    """The unit of each output; none where all are the labels' own."""
    units = criterion.units or (criterion.unit,)
    return () if all(unit == LABELS_OWN for unit in units) else units


def _columns(units: tuple[Unit, ...], like: Tensor) -> tuple[Tensor, Tensor]:
    """Means and spreads [outputs]."""
    return like.new_tensor([unit.mean for unit in units]), like.new_tensor([unit.spread for unit in units])


def output_layer(attached: Attached, outputs: int) -> tuple[nn.Parameter, nn.Parameter | None]:
    """Weight [outputs, width] and bias [outputs] of the layer that gives the head's outputs."""
    for parameters in attached.heads().values():
        for name, value in parameters.items():
            if value.ndim == 2 and len(value) == outputs:
                return value, parameters.get(name.removesuffix("weight") + "bias")
    raise ValueError(f"no layer of the head has {outputs} outputs")


def in_training_unit(outputs: Tensor, criterion: Criterion) -> Tensor:
    """Outputs `[…, outputs]` in the labels' units as training measures them."""
    units = units_of(criterion)
    if not units:
        return outputs
    mean, spread = _columns(units, outputs)
    return (outputs - mean) / spread


@torch.no_grad()
def from_label_unit(attached: Attached, criterion: Criterion) -> None:
    """Turn the outputs of an adapter that was read from an export back into the units that training measures in."""
    units = units_of(criterion)
    if not units:
        return
    weight, bias = output_layer(attached, len(units))
    mean, spread = _columns(units, weight)
    weight.div_(spread[:, None])
    if bias is not None:
        bias.sub_(mean).div_(spread)
