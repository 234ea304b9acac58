"""The updates of stored LoRAs as matrices, and matrices as factors of one LoRA again. Needs torch."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from math import sqrt

import torch
from torch import Tensor

from workers.errors import InvalidInput
from workers.refining.scene import Stored, Tensors

FIRST, SECOND = ".lora_A.weight", ".lora_B.weight"
PREFIX = "base_model.model."  # of names in peft's files
Updates = dict[str, Tensor]
"""ΔW [out, in] by the name of its layer in peft's files."""


def refuse_others(stored: Stored) -> None:
    """Raise `InvalidInput` for adapters whose update is not ΔW = s·BA."""
    if stored.method != "lora" or stored.knobs["use_dora"]:
        raise InvalidInput("source", stored.method, "adapters of `lora` without DoRA")


def updates_of(stored: Stored) -> Updates:
    """ΔW = s·BA of every layer that a LoRA is on. Raises `InvalidInput` for adapters of other methods."""
    refuse_others(stored)
    scale, tensors = scale_of(stored), stored.tensors
    return {layer: scale * (tensors[layer + SECOND] @ tensors[layer + FIRST]) for layer in _layers_of(stored)}


def _layers_of(stored: Stored) -> list[str]:
    return [name.removesuffix(FIRST) for name in stored.tensors if name.endswith(FIRST)]


def scale_of(stored: Stored) -> float:
    """s of ΔW = s·BA."""
    rank, alpha = stored.knobs["rank"], stored.knobs["alpha"]
    return float(alpha / (sqrt(rank) if stored.knobs["use_rslora"] else rank))


def in_own_form(stored: Stored, fresh: Mapping[str, Tensor], layers_path: str) -> Tensors:
    """The tensors of one of our own methods with factors `first` A and `second` B, of equal rank and of scale 1, that
    carries a LoRA's update and head; layers that the LoRA is not on stay as they are in `fresh`."""
    scale, found = scale_of(stored), dict(fresh)
    for name, value in stored.tensors.items():
        layer = name.removeprefix(f"{PREFIX}{layers_path}.")
        if name.endswith(FIRST):
            found[layer.removesuffix(FIRST) + ".first"] = value
        elif name.endswith(SECOND):
            found[layer.removesuffix(SECOND) + ".second"] = scale * value
    return found | {name.removeprefix(PREFIX): value for name, value in rest_of(stored).items()}


def padded_factors(stored: Sequence[Stored], rank: int) -> dict[str, tuple[Tensor, Tensor]]:
    """A [sources, rank, in] and s·B [sources, out, rank] of every layer that one of the LoRAs is on, by its name in
    peft's files, padded with zeros. Raises `InvalidInput` for adapters of other methods."""
    for one in stored:
        refuse_others(one)
    found = {}
    for layer in sorted({layer for one in stored for layer in _layers_of(one)}):
        there = {number: one for number, one in enumerate(stored) if layer + FIRST in one.tensors}
        any_of = next(iter(there.values())).tensors
        inputs, outputs = any_of[layer + FIRST].shape[1], any_of[layer + SECOND].shape[0]
        first, second = torch.zeros(len(stored), rank, inputs), torch.zeros(len(stored), outputs, rank)
        for number, one in there.items():
            own = one.tensors[layer + FIRST]
            first[number, : len(own)] = own
            second[number, :, : len(own)] = scale_of(one) * one.tensors[layer + SECOND]
        found[layer] = first, second
    return found


def rest_of(stored: Stored) -> Tensors:
    """What of a LoRA's export is no factor: the head."""
    return {name: value for name, value in stored.tensors.items() if not name.endswith((FIRST, SECOND))}


def mean_of(parts: Sequence[Mapping[str, Tensor]]) -> Tensors:
    """The mean of equal names, where a name that is missing counts as zeros."""
    names = sorted({name for part in parts for name in part})
    found = {}
    for name in names:
        there = [part[name] for part in parts if name in part]
        found[name] = torch.stack(there).sum(0) / len(parts)
    return found


@torch.no_grad()
def as_lora(updates: Mapping[str, Tensor], fresh: Mapping[str, Tensor]) -> Tensors:
    """The tensors of a LoRA with scale 1 whose update is nearest to `updates` (exact where the rank suffices).

    `fresh` are those of its export at the start, which layers without an update keep: theirs is zero.
    """
    found = dict(fresh)
    for layer, update in updates.items():
        rank = fresh[layer + FIRST].shape[0]
        left, values, right = torch.linalg.svd(update, full_matrices=False)
        root = values[:rank].sqrt()
        found[layer + FIRST], found[layer + SECOND] = root[:, None] * right[:rank], left[:, :rank] * root
    return found
