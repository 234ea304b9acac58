"""A model as a row of blocks: what goes into each of its layers, what comes out, and how much that matters.

Blocks are quantised from the first to the last. Each is compared with what it gave before anything was quantised, but
works on what the quantised blocks below it give, as it will when it is used.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor, nn

from workers.methods.attached import Batch, TrainingSetup
from workers.methods.calibration import real_tokens

_FLOOR = 1e-2  # of the mean weight: an output that the loss never looked at here may matter elsewhere
_OF_ONE_CALL = {"hidden_states", "past_key_values", "past_key_value", "use_cache"}


@dataclass
class Call:
    """One batch at one block. `wanted` [rows, tokens, hidden] is what came out, `weights` [rows, tokens, hidden] with
    the mean 1 the squared gradients of the loss there, zero at padding."""

    arguments: tuple[Any, ...]
    options: dict[str, Any]
    wanted: Tensor
    weights: Tensor

    def again(self, block: nn.Module, hidden: Tensor) -> Tensor:
        """What the block makes of other inputs [rows, tokens, hidden] now."""
        return first_of(block(hidden, *self.arguments, **self.options))


@dataclass
class Recording:
    """All calls of a model's blocks for some batches: `calls[block][batch]`, and what went into the first block."""

    begin: list[Tensor] = field(default_factory=list)
    calls: list[list[Call]] = field(default_factory=list)


def first_of(output: Any) -> Tensor:
    """The hidden states of a block's output."""
    hidden: Tensor = output[0] if isinstance(output, tuple) else output
    return hidden


def record(model: nn.Module, blocks: Iterable[nn.Module], setup: TrainingSetup, batches: Iterable[Batch]) -> Recording:
    """Run labelled batches through a model, once forward and once backward, and keep what each block did."""
    layers = list(blocks)
    found = Recording(calls=[[] for _ in layers])
    for batch in batches:
        seen: list[tuple[tuple[Any, ...], dict[str, Any], Tensor]] = []
        with torch.enable_grad(), _watching(layers, lambda *call, seen=seen: seen.append(call)) as begin:
            loss = setup.loss(setup.outputs(model, batch), batch["labels"])
            gradients = torch.autograd.grad(loss, [output for *_, output in seen])
        found.begin += begin
        real = real_tokens(batch, gradients[0])
        for calls, (arguments, options, output), gradient in zip(found.calls, seen, gradients, strict=True):
            calls.append(Call(arguments, options, output.detach(), _weights(gradient, real)))
    return found


@contextmanager
def _watching(
    layers: list[nn.Module], note: Callable[[tuple[Any, ...], dict[str, Any], Tensor], None]
) -> Iterator[list[Tensor]]:
    """Inside, blocks tell of their calls, and what goes into the first one, which the list holds, wants a gradient."""
    begin: list[Tensor] = []

    def enter(_block: nn.Module, arguments: tuple[Any, ...], options: dict[str, Any]) -> Any:
        hidden = (arguments[0] if arguments else options["hidden_states"]).detach()
        begin.append(hidden)
        return (hidden.clone().requires_grad_(), *arguments[1:]), _repeatable(options)

    def leave(_block: nn.Module, arguments: tuple[Any, ...], options: dict[str, Any], output: Any) -> None:
        note(arguments[1:], _repeatable(options), first_of(output))

    handles = [layers[0].register_forward_pre_hook(enter, with_kwargs=True)]
    handles += [layer.register_forward_hook(leave, with_kwargs=True) for layer in layers]
    try:
        yield begin
    finally:
        for handle in handles:
            handle.remove()


def _repeatable(options: dict[str, Any]) -> dict[str, Any]:
    """Options of a call without its states, and without the keys and values of decoders, which every call adds to."""
    return {name: value for name, value in options.items() if name not in _OF_ONE_CALL}


def _weights(gradient: Tensor, real: Tensor) -> Tensor:
    squared = gradient.square() * real
    mean = squared.sum() / (real.sum() * gradient.shape[-1])
    return (squared / mean.clamp_min(1e-30) + _FLOOR) / (1 + _FLOOR) * real
