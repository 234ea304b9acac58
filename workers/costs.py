"""What a trial costs: accounted memory, floating-point operations, bytes; latency is in `latency.py`. Needs torch.

Memory is accounted rather than read from the process: what training adds to the
frozen model (parameters, gradients, AdamW's two moments, activations kept for the backward pass of the largest batch).
The resident size of a process that has run other trials says nothing about this one; the account is exact,
repeatable, and the same on every machine. Temporary buffers inside one operation are not in it.
"""

from __future__ import annotations

import weakref
from collections.abc import Callable, Iterable, Iterator, Mapping
from pathlib import Path

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributed.tensor import DTensor

from workers.methods.adapter_names import TERNARY_FILE
from workers.methods.attached import logits_of
from workers.methods.forms.bypassed import Bypass
from workers.methods.forms.reweighted import Reweighted
from workers.models.anatomy import Anatomy
from workers.strategies.strategy import GRADIENTS_ALONE, StepLosses

BYTES_PER_NUMBER = 4  # float32
BYTES_PER_TRAINED = 4 * BYTES_PER_NUMBER  # parameter, gradient and two moments
BYTES_PER_SERVED = 2  # half precision
MEBIBYTE = 1 << 20


def adapter_bytes(folder: Path) -> int:
    """Bytes of the adapter's weights in the folder of its export, not of the integer checkpoint that may be beside."""
    kept = (*folder.glob("adapter*.safetensors"), *folder.glob(TERNARY_FILE))
    return sum(path.stat().st_size for path in kept)


def training_memory(
    model: nn.Module,
    trained: Iterable[nn.Parameter],
    batch: Mapping[str, Tensor],
    remembered: int | None = None,
    outputs: Callable[[nn.Module, Mapping[str, Tensor]], Tensor] = logits_of,
) -> int:
    """Bytes that training adds to the frozen model, with `batch` as its largest batch. Runs one forward pass.

    `remembered` counts the elements of gradients and optimizer state; by default it is AdamW's. `outputs` gives what
    the task wants of the model for the batch.
    """
    own = {_storage(value) for value in (*_here(model), *model.buffers(), *batch.values())}
    sharded = any(isinstance(value, DTensor) for value in model.parameters())
    saved: list[tuple[weakref.ref[Tensor], dict[int, int]]] = []  # what is kept, and its bytes by storage

    def keep(tensor: Tensor) -> Tensor:
        # Without its history: an operation that saved its own output with it would hold itself and the graph for ever.
        bare, sizes = tensor.detach(), dict[int, int]()
        for part in _dense_parts(tensor):
            # A layer of a sharded model is gathered while it runs: its weights are no activations either.
            if _storage(part) not in own and not (sharded and _storage(part) in map(_storage, _here(model))):
                sizes[_storage(part)] = part.untyped_storage().nbytes()
        saved.append((weakref.ref(bare), sizes))
        return bare

    alive: list[object] = []  # storages must outlive the count
    with torch.autograd.graph.saved_tensors_hooks(keep, lambda tensor: tensor):
        alive.append(outputs(model, batch))
        # Of what is still there alone: a part of the graph that came to nothing (DoRA's norms) has given its memory
        # back, and another tensor may lie where it lay.
        kept: dict[int, int] = {}
        for bare, sizes in saved:
            kept |= sizes if bare() is not None else {}
        total = sum(kept.values())
    parameters = sum(value.numel() for value in trained)
    if remembered is None:
        return BYTES_PER_TRAINED * parameters + total
    return BYTES_PER_NUMBER * (parameters + remembered) + total


@torch.no_grad()
def sparsity(modules: Iterable[nn.Module], anatomy: Anatomy) -> float:
    """Share of the weights of the encoder's linear layers that are zero once the adapter is folded in.

    Only methods that put another weight in a layer's place make zeros; the base's own are not looked for.
    """
    zeros = sum(int((part.weight() == 0).sum()) for part in modules if isinstance(part, Reweighted))
    return zeros / (anatomy.layers * _weights_of_layer(anatomy))


def layer_bytes(modules: Iterable[nn.Module], anatomy: Anatomy) -> float:
    """Bytes of the weights of the encoder's linear layers as they would be served: two for a number, unless an adapter
    puts whole numbers, factors or a smaller matrix in their place. Shapes alone are asked for: parts of a sharded model
    need not be whole."""
    total = float(BYTES_PER_SERVED * anatomy.layers * _weights_of_layer(anatomy))
    for part in modules:
        if isinstance(part, Reweighted):
            total += part.served_bytes() - BYTES_PER_SERVED * part.original.get_parameter("weight").numel()
    return total


def computed_share(modules: Iterable[nn.Module], anatomy: Anatomy) -> float:
    """Of the weights of the encoder's linear layers the share that a token is multiplied with, where an adapter puts
    smaller ones in their place or has whole layers passed by."""
    whole = anatomy.layers * _weights_of_layer(anatomy)
    left = whole
    for part in modules:
        if isinstance(part, Reweighted):
            left += part.multiplied() - part.original.get_parameter("weight").numel()
        elif isinstance(part, Bypass) and part.passed_by():
            left -= _weights_of_layer(anatomy)
    return left / whole


def training_flops(
    anatomy: Anatomy,
    lowest_layer: int,
    trained: int,
    lengths: NDArray[np.integer],
    epochs: float,
    scored: int = 0,
    losses: StepLosses = GRADIENTS_ALONE,
    computed: float = 1.0,
) -> float:
    """Floating-point operations of a training, from tokens per training row [rows]; a multiply-add counts two.

    Forward through the whole model; backward (activations only, as much again) through the layers from `lowest_layer`
    up; forward, backward and weight gradient of the trained parameters (6 per parameter and token). Norms,
    activation functions and softmax are left out, as is usual; so is the head of a class or a number. A language
    model's head runs forward and backward on the `scored` tokens of an epoch, those with a target: with a vocabulary
    of 50,000 it is a fifth of a small model's work. `computed` is the share of the layers' work that is left of them.
    """
    tokens, squares = float(lengths.sum()), float((lengths.astype(np.float64) ** 2).sum())
    one_layer = 2 * _weights_of_layer(anatomy) * tokens + 4 * anatomy.heads * anatomy.head_size * squares
    one_layer *= computed
    passes = (2 * anatomy.layers - lowest_layer) * anatomy.depth / anatomy.layers
    head = 2 * anatomy.hidden_size * anatomy.vocabulary * scored
    forward = anatomy.depth * one_layer + 2 * trained * tokens + head
    both = passes * one_layer + 6 * trained * tokens + 2 * head
    return epochs * (losses.without_gradients * forward + losses.with_gradients * both)


def _weights_of_layer(anatomy: Anatomy) -> int:
    """Numbers in the weights of the linear layers of one encoder layer."""
    return sum(linear.in_features * linear.out_features for linear in anatomy.linears)


def _dense_parts(tensor: Tensor) -> tuple[Tensor, ...]:
    """The tensors that hold the numbers: of a sparse one, its indices and values."""
    return (tensor._indices(), tensor._values()) if tensor.layout == torch.sparse_coo else (tensor,)


def _here(model: nn.Module) -> Iterator[Tensor]:
    """The parameters that are whole in this process at this moment."""
    return (value for value in model.parameters() if not isinstance(value, DTensor))


def _storage(tensor: Tensor) -> int:
    return tensor.untyped_storage().data_ptr()
