"""Exports predict labels in their own unit: the unit that training chose is folded into the head. Needs torch."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

import torch
from torch import nn

from workers.methods.attached import Attached
from workers.tasks.criterion import LABELS_OWN, Unit


@contextmanager
def in_label_unit(attached: Attached, unit: Unit) -> Iterator[None]:
    """Inside, the model's output is `unit.mean` + `unit.spread` times what it was: its last layer is so scaled."""
    if unit == LABELS_OWN:
        yield
        return
    weight, bias = output_layer(attached)
    kept = weight.detach().clone(), None if bias is None else bias.detach().clone()
    if bias is None and unit.mean:
        raise ValueError("the head adds no constant, and the unit of its labels has one")
    with torch.no_grad():
        weight.mul_(unit.spread)
        if bias is not None:
            bias.mul_(unit.spread).add_(unit.mean)
    try:
        yield
    finally:
        with torch.no_grad():
            weight.copy_(kept[0])
            if bias is not None and kept[1] is not None:
                bias.copy_(kept[1])


def output_layer(attached: Attached) -> tuple[nn.Parameter, nn.Parameter | None]:
    """Weight [1, width] and bias [1] of the layer that gives the head's one output."""
    for parameters in attached.heads().values():
        for name, value in parameters.items():
            if value.ndim == 2 and len(value) == 1:
                return value, parameters.get(name.removesuffix("weight") + "bias")
    raise ValueError("no layer of the head has one output")


@torch.no_grad()
def from_label_unit(attached: Attached, unit: Unit) -> None:
    """Turn the output of an adapter that was read from an export back into the unit that training measures in."""
    if unit == LABELS_OWN:
        return
    weight, bias = output_layer(attached)
    weight.div_(unit.spread)
    if bias is not None:
        bias.sub_(unit.mean).div_(unit.spread)
