"""Run only the layers that a trial trains: what lies below is read from the prefix store.

The model's own code still runs from its first line, so it builds masks, positions and rotary tables itself; only the
embeddings and the frozen lower layers are swapped for modules that hand on stored hidden states. That is exact: the
base has no dropout, attention masks hide padding from every real token, and nothing trained lies below.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, cast

import torch
from torch import Tensor, nn

from workers.models.anatomy import ReadToken
from workers.models.loading import Base


def pooling(base: Base) -> ReadToken | None:
    """Which token the head reads, or None for a model class that the prefix is not known to be exact for."""
    kind = base.description.anatomy.reads
    if kind is not None and base.kind.reads != "pooled":
        return "all"
    if kind == "first" and getattr(base.model.config, "classifier_pooling", "cls") != "cls":
        return "all"
    return kind


class _Feed(nn.Module):
    """Stands for the embeddings or the last skipped layer: returns the states of the current batch."""

    def __init__(self, replaced: nn.Module, in_tuple: bool) -> None:
        super().__init__()
        self.states: Tensor | None = None
        self._in_tuple = in_tuple
        _carry_layer_type(replaced, self)

    def forward(self, *_args: Any, **_kwargs: Any) -> Any:
        return (self.states, None) if self._in_tuple else self.states


class _Skip(nn.Module):
    """Stands for a skipped layer: hands its input on."""

    def __init__(self, replaced: nn.Module, in_tuple: bool) -> None:
        super().__init__()
        self._in_tuple = in_tuple
        _carry_layer_type(replaced, self)

    def forward(self, hidden_states: Tensor, *_args: Any, **_kwargs: Any) -> Any:
        return (hidden_states, None) if self._in_tuple else hidden_states


class _Strides(nn.Module):
    """Stands for a convolution over time `[rows, channels, frames]`: as many frames as it gives, of one channel."""

    def __init__(self, replaced: nn.Conv1d) -> None:
        super().__init__()
        self.stride = replaced.stride

    def forward(self, frames: Tensor) -> Tensor:
        return frames[:, :1, :: self.stride[0]]


def _carry_layer_type(replaced: nn.Module, standin: nn.Module) -> None:
    # ModernBERT's loop picks the mask by the first of a layer; ViT asks its embeddings for their number format.
    for name in ("attention_type", "patch_embeddings"):
        if hasattr(replaced, name):
            setattr(standin, name, getattr(replaced, name))


@dataclass
class PrefixInput:
    """Where a batch's stored states go in; set `states` `[rows, length, hidden]` before each forward pass."""

    _feeds: tuple[_Feed, ...]

    def set(self, states: Tensor) -> None:
        """Use `states` in the next forward pass."""
        for feed in self._feeds:
            feed.states = states


@contextmanager
def without_lower_layers(base: Base, layers: int) -> Iterator[PrefixInput]:
    """Replace the embeddings and the lowest `layers` (at least 1) by stored states, and put them back at the end."""
    anatomy = base.description.anatomy
    stack = base.model.get_submodule(anatomy.layers_path)
    body = base.model.get_submodule(anatomy.body)
    assert isinstance(stack, nn.ModuleList)
    lower = list(stack[:layers])
    in_tuple = anatomy.layers_return_tuples
    feeds = [_Feed(lower[-1], in_tuple)]
    # Embeddings of another width are looked up as ever: what widens them could not take the states.
    replaceable = anatomy.embedding_size == anatomy.hidden_size
    embeddings = getattr(body, "embeddings", None) if replaceable else None
    stem = {name: body.get_submodule(name) for name in anatomy.stem}
    try:
        for index, layer in enumerate(lower[:-1]):
            stack[index] = _Skip(layer, in_tuple)
        stack[layers - 1] = feeds[0]
        if embeddings is not None:
            # Saves the lookups; its output only gives the mask's code a shape and a number format.
            feeds.append(_Feed(embeddings, in_tuple=False))
            body.embeddings = feeds[1]
        for name, convolution in stem.items():
            setattr(body, name, _Strides(cast("nn.Conv1d", convolution)))
        yield PrefixInput(tuple(feeds))
    finally:
        for index, layer in enumerate(lower):
            stack[index] = layer
        if embeddings is not None:
            body.embeddings = embeddings
        for name, convolution in stem.items():
            setattr(body, name, convolution)


@contextmanager
def upper_layers(base: Base, lowest_layer: int) -> Iterator[PrefixInput | None]:
    """Run only what a trial trains where that is known to be exact; yields None where the whole model runs."""
    if lowest_layer == 0 or pooling(base) is None:
        yield None
        return
    with without_lower_layers(base, lowest_layer) as entry:
        yield entry


@contextmanager
def capturing(base: Base, layers: int) -> Iterator[list[Tensor]]:
    """Collect the output of layer `layers - 1` of every forward pass and stop the pass there.

    Run the model through `run_until_captured` inside.
    """
    stack = base.model.get_submodule(base.description.anatomy.layers_path)
    captured: list[Tensor] = []

    def stop(_module: nn.Module, _inputs: Any, output: Any) -> None:
        captured.append(output if isinstance(output, Tensor) else output[0])
        raise _CapturedError

    handle = stack[layers - 1].register_forward_hook(stop)  # type: ignore[index]
    try:
        yield captured
    finally:
        handle.remove()


class _CapturedError(Exception):
    """Ends a forward pass whose upper layers nobody needs."""


@torch.no_grad()
def run_until_captured(base: Base, captured: list[Tensor], batch: dict[str, Tensor]) -> Tensor:
    """The hidden states `[rows, length, hidden]` that the hook of `capturing` saw for `batch`."""
    try:
        base.model(**batch)
    except _CapturedError:
        return captured.pop()
    raise RuntimeError(f"{base.description.anatomy.model_type}: the forward pass never reached the captured layer")


def pooled_positions(kind: ReadToken, batch: dict[str, Tensor], padding_id: int | None) -> Tensor:
    """Positions `[rows]` of the token that the head reads, by the model's own rule."""
    if kind == "first":
        some = next(iter(batch.values()))
        return torch.zeros(len(some), dtype=torch.long, device=some.device)
    tokens = batch["input_ids"]
    if padding_id is None:
        return torch.full((len(tokens),), tokens.shape[1] - 1, device=tokens.device)
    positions = torch.arange(tokens.shape[1], device=tokens.device) * (tokens != padding_id)
    return positions.argmax(-1)
