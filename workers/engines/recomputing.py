"""Gradient checkpointing: keep each encoder layer's input and compute its inside again on the way back.

Chen et al. 2016, arXiv 1604.06174. transformers' own switch works only in training mode, and the base stays in
evaluation mode (its dropout is off); so each layer's `forward` is wrapped here. Adapters inside a layer are computed
again with the same random numbers; hooks on the layer itself run once, outside. Layers that are given keys and values
from outside (prefix tuning) add their own to them, which must not happen twice: they keep their activations.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from workers.models.loading import Base

_OUTSIDE_KEYS = ("past_key_values", "layer_past")


@contextmanager
def recomputing_layers(base: Base) -> Iterator[None]:
    """Within it, training keeps one tensor per encoder layer instead of all of its activations."""
    layers = base.model.get_submodule(base.description.anatomy.layers_path)
    assert isinstance(layers, nn.ModuleList)
    config, used_cache = base.model.config, getattr(base.model.config, "use_cache", None)
    originals = [vars(layer).get("forward") for layer in layers]  # usually none: the class has it
    try:
        config.use_cache = False  # decoders would hand a cache from layer to layer, for generating, which nobody does
        for layer in layers:
            layer.forward = _recomputed(layer.forward)
        yield
    finally:
        config.use_cache = used_cache
        for layer, original in zip(layers, originals, strict=True):
            del layer.forward
            if original is not None:
                layer.forward = original


def _recomputed(forward: Callable[..., Any]) -> Callable[..., Any]:
    def run(hidden_states: Tensor, *rest: Any, **options: Any) -> Any:
        if not torch.is_grad_enabled() or any(options.get(name) is not None for name in _OUTSIDE_KEYS):
            return forward(hidden_states, *rest, **options)
        kept = _Kept.apply(hidden_states)  # type: ignore[no-untyped-call]
        return checkpoint(forward, kept, *rest, use_reentrant=False, **options)

    return run


class _Kept(torch.autograd.Function):
    """The identity, which saves its input as `checkpoint` does, but where accounts of saved tensors see it."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor) -> Tensor:
        ctx.save_for_backward(hidden)
        return hidden.view_as(hidden)

    @staticmethod
    def backward(_ctx: Any, gradient: Tensor) -> Tensor:
        return gradient
