"""Block reconstruction: every block's outputs are fitted by what of its quantised weights is free. Needs torch."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

import torch
from torch import Tensor, nn

from workers.methods.own_adapter import set_submodule
from workers.models.anatomy import Linear
from workers.refining.quantising.blocks import Call, Recording
from workers.refining.quantising.rounded import Numbers, Rounded


@dataclass(frozen=True)
class Fit:
    """How a block is fitted.

    First `candidates` steps are tried for each group (0: none). Then there are `iterations` of Adam, at `step_rate` for
    the logarithms of steps and at `weight_rate` for weights (0: these stay), by an error that is `weighted` by the
    loss's squared gradients or not.
    """

    bits: int
    group: int
    iterations: int
    step_rate: float = 0.0
    weight_rate: float = 0.0
    weighted: bool = True
    candidates: int = 0


@dataclass
class Quantisation:
    """Whole numbers and steps of each layer by its path, and for each block the mean squared error of its outputs over
    their mean square: rounded to nearest, and as fitted."""

    rounded: dict[str, Numbers] = field(default_factory=dict)
    fitted: dict[str, Numbers] = field(default_factory=dict)
    rounded_errors: list[float] = field(default_factory=list)
    errors: list[float] = field(default_factory=list)


def quantise(
    model: nn.Module, layers_path: str, linears: Sequence[Linear], recording: Recording, fit: Fit
) -> Quantisation:
    """Put `Rounded` layers in the place of all linear layers of `model`'s blocks, fitted from the lowest block up."""
    found, inputs = Quantisation(), recording.begin
    for number, calls in enumerate(recording.calls):
        path = f"{layers_path}.{number}"
        block = model.get_submodule(path)
        rounded = _put(block, linears, fit)
        found.rounded |= {f"{path}.{name}": layer.numbers() for name, layer in rounded.items()}
        found.rounded_errors.append(_error(block, calls, inputs))
        if fit.candidates:
            _search(block, rounded.values(), calls, inputs, fit)
        _train(block, list(rounded.values()), calls, inputs, fit)
        with torch.no_grad():
            found.errors.append(_error(block, calls, inputs))
            inputs = [call.again(block, hidden) for call, hidden in zip(calls, inputs, strict=True)]
        found.fitted |= {f"{path}.{name}": layer.numbers() for name, layer in rounded.items()}
    return found


def _put(block: nn.Module, linears: Sequence[Linear], fit: Fit) -> dict[str, Rounded]:
    rounded = {}
    for linear in linears:
        layer = Rounded(block.get_submodule(linear.name), linear.transposed, fit.bits, fit.group)
        rounded[linear.name] = layer.to(next(block.parameters()).device)
        set_submodule(block, linear.name, rounded[linear.name])
    return rounded


def _search(block: nn.Module, rounded: Iterable[Rounded], calls: list[Call], inputs: list[Tensor], fit: Fit) -> None:
    for layer, moments in zip(rounded, _moments(block, list(rounded), calls, inputs), strict=True):
        layer.search_steps(moments, fit.candidates)


@torch.no_grad()
def _moments(block: nn.Module, layers: list[Rounded], calls: list[Call], inputs: list[Tensor]) -> list[Tensor]:
    """H [in, in] of each layer: Σ_t c_t x_t x_tᵀ over tokens t with c the mean weight of the block's outputs there."""
    sums = [torch.zeros(layer.free.shape[1], layer.free.shape[1], device=layer.free.device) for layer in layers]
    cares = torch.ones(0)

    def see(number: int) -> Callable[[nn.Module, tuple[Tensor, ...]], None]:
        def note(_layer: nn.Module, given: tuple[Tensor, ...]) -> None:
            x = given[0].reshape(-1, given[0].shape[-1])
            sums[number] += (x * cares[:, None]).T @ x

        return note

    handles = [layer.register_forward_pre_hook(see(number)) for number, layer in enumerate(layers)]
    try:
        for call, hidden in zip(calls, inputs, strict=True):
            cares = call.weights.mean(-1).flatten()
            call.again(block, hidden)
    finally:
        for handle in handles:
            handle.remove()
    return sums


def _train(block: nn.Module, layers: list[Rounded], calls: list[Call], inputs: list[Tensor], fit: Fit) -> None:
    """Fit what is free, and keep it as it was where that comes out nearer to what is wanted."""
    steps = [layer.log_steps for layer in layers]
    weights = [layer.free for layer in layers] if fit.weight_rate else []
    values = steps + weights
    before, start = _error(block, calls, inputs, fit.weighted), [value.detach().clone() for value in values]
    groups = [{"params": steps, "lr": fit.step_rate}, {"params": weights, "lr": fit.weight_rate}]
    optimizer = torch.optim.Adam([group for group in groups if group["params"]])
    schedule = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, max(1, fit.iterations))
    for iteration in range(fit.iterations):
        batch = iteration % len(calls)
        with torch.enable_grad():
            total, count = _squares(block, calls[batch], inputs[batch], fit.weighted)
            gradients = torch.autograd.grad(total / count, values)
        for value, gradient in zip(values, gradients, strict=True):
            value.grad = gradient
        optimizer.step()
        schedule.step()
    if not _error(block, calls, inputs, fit.weighted) < before:  # also where it is not a number
        with torch.no_grad():
            for value, old in zip(values, start, strict=True):
                value.copy_(old)


@torch.no_grad()
def _error(block: nn.Module, calls: list[Call], inputs: list[Tensor], weighted: bool = False) -> float:
    """The mean squared error of the block's outputs over their own mean square."""
    off = sum(float(_squares(block, call, hidden, weighted)[0]) for call, hidden in zip(calls, inputs, strict=True))
    whole = sum(float((call.wanted.square() * _cares(call, weighted)).sum()) for call in calls)
    return off / whole


def _squares(block: nn.Module, call: Call, hidden: Tensor, weighted: bool) -> tuple[Tensor, Tensor]:
    """The sum of squared errors of the block's outputs, and how many count."""
    cares = _cares(call, weighted)
    squares = (call.again(block, hidden) - call.wanted).square() * cares
    return squares.sum(), cares.sum() * call.wanted.shape[-1] / cares.shape[-1]


def _cares(call: Call, weighted: bool) -> Tensor:
    """Weights of the outputs, or 1 at every real token."""
    return call.weights if weighted else (call.weights.sum(-1, keepdim=True) > 0).to(call.wanted.dtype)
