"""What a method may learn from a few training batches before its first step. Needs torch."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from itertools import islice
from typing import TypeVar

import torch
from torch import Tensor, nn

from workers.methods.attached import Batch, TrainingSetup
from workers.methods.forms.reweighted import Reweighted
from workers.models.loading import Base

_ROWS = 16
Form = TypeVar("Form", bound=Reweighted)


def layers_of(base: Base, kind: type[Form]) -> list[Form]:
    """The adapted layers of one kind, from the lowest up."""
    return [module for module in base.model.modules() if isinstance(module, kind)]


def some_batches(setup: TrainingSetup, rows: int) -> Iterator[Batch]:
    """Training batches that hold about `rows` rows together."""
    return islice(setup.batches(min(rows, _ROWS)), max(1, rows // _ROWS))


def real_tokens(batch: Batch, like: Tensor) -> Tensor:
    """1 at tokens and 0 at padding, to multiply with states [rows, tokens, hidden]; 1 where rows are no texts."""
    mask = batch.get("attention_mask")
    fits = mask is not None and mask.shape == like.shape[:2]
    return mask[..., None].to(like.dtype) if fits and mask is not None else torch.ones_like(like[..., :1])


@torch.no_grad()
def input_covariances(base: Base, layers: Sequence[nn.Module], setup: TrainingSetup, rows: int) -> list[Tensor]:
    """E[xxᵀ] [in, in] of the inputs x of each layer over the real tokens of about `rows` rows."""
    sums: dict[int, Tensor] = {}
    tokens: dict[int, int] = {}
    batch: Batch = {}

    def see(layer: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        x = inputs[0][real_tokens(batch, inputs[0])[..., 0] > 0].float()  # [tokens, in]
        sums[id(layer)] = sums.get(id(layer), 0) + x.T @ x
        tokens[id(layer)] = tokens.get(id(layer), 0) + len(x)

    handles = [layer.register_forward_pre_hook(see) for layer in layers]
    try:
        for batch in some_batches(setup, rows):
            setup.outputs(base.model, batch)
    finally:
        for handle in handles:
            handle.remove()
    return [sums[id(layer)] / tokens[id(layer)] for layer in layers]


def weight_gradients(base: Base, layers: Sequence[Reweighted], setup: TrainingSetup, rows: int) -> list[Tensor]:
    """∂loss/∂W [out, in] of each layer's frozen weight, averaged over batches of about `rows` rows together."""
    weights = [layer.original.get_parameter("weight") for layer in layers]
    sums = [torch.zeros_like(layer.frozen()) for layer in layers]
    try:
        for weight in weights:
            weight.requires_grad_(True)
        for batch in some_batches(setup, rows):
            outputs = setup.outputs(base.model, batch)
            gradients = torch.autograd.grad(setup.loss(outputs, batch["labels"]), weights)
            for total, gradient, layer in zip(sums, gradients, layers, strict=True):
                total += gradient.T if layer.transposed else gradient
    finally:
        for weight in weights:
            weight.requires_grad_(False)
    return sums
