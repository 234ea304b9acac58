"""Small networks beside the frozen one, fed by the outputs of its layers. Needs torch.

Each reads the output h_l [rows, tokens, hidden] of the layers up to one of them, without gradient, and adds its own
result, widened again, to what that layer puts out. The added part is zero at the start. With the last layer, no
gradient enters the frozen network at all.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from workers.methods.reweighted import in_float32

TEMPERATURE = 0.1


class SideNetwork(nn.Module, ABC):
    """Follows the frozen layers by hooks. Subclasses say what they make of the hidden states.

    `joins` is the index of the layer whose output receives the result.
    """

    def __init__(self, hidden: int, width: int, joins: int) -> None:
        super().__init__()
        self.joins = joins
        self.up = nn.Linear(width, hidden)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    @abstractmethod
    def read(self, index: int, hidden: Tensor) -> None:
        """Take in the output [rows, tokens, hidden] of layer `index`; layers come in order."""

    @abstractmethod
    def result(self) -> Tensor:
        """What all layers read so far come to, [rows, tokens, width]; the next forward pass starts anew."""

    def watch(self, layers: nn.ModuleList) -> None:
        """Follow the frozen layers from their next forward pass on."""
        for index, layer in enumerate(list(layers)[: self.joins + 1]):
            layer.register_forward_hook(self._hook(index))

    def _hook(self, index: int) -> Any:
        def hook(_layer: nn.Module, _inputs: Any, output: Any) -> Any:
            hidden = output[0] if isinstance(output, tuple) else output
            self.read(index, in_float32(hidden.detach()))
            if index < self.joins:
                return None
            hidden = hidden + self.up(self.result()).to(hidden.dtype)
            return (hidden, *output[1:]) if isinstance(output, tuple) else hidden

        return hook


class SideBlock(nn.Module):
    """s ← s' + W·gelu(LayerNorm(s')) + b with s' = μ·down(h) + (1 − μ)·s and μ = σ(α / T), α = 0 at the start.

    h [rows, tokens, hidden] is the output of the frozen layer, s [rows, tokens, width] the side network's state.
    """

    def __init__(self, hidden: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        self.down, self.mix = _drawn(hidden, width, generator), _drawn(width, width, generator)
        self.norm = nn.LayerNorm(width)
        self.gate = nn.Parameter(torch.zeros(()))

    def forward(self, hidden: Tensor, state: Tensor | None) -> Tensor:
        """The next state [rows, tokens, width]."""
        share, seen = torch.sigmoid(self.gate / TEMPERATURE), self.down(hidden)
        state = share * seen if state is None else share * seen + (1 - share) * state
        mixed: Tensor = self.mix(functional.gelu(self.norm(state)))
        return state + mixed


class LadderSide(SideNetwork):
    """LST: one side block for each layer, each fed by the layer and by the block below."""

    def __init__(self, hidden: int, width: int, layers: int, generator: torch.Generator) -> None:
        super().__init__(hidden, width, joins=layers - 1)
        self.blocks = nn.ModuleList(SideBlock(hidden, width, generator) for _ in range(layers))
        self._state: Tensor | None = None

    def read(self, index: int, hidden: Tensor) -> None:
        """One more block."""
        self._state = self.blocks[index](hidden, None if index == 0 else self._state)

    def result(self) -> Tensor:
        """The state of the last block."""
        state, self._state = self._state, None
        assert state is not None
        return state


class ParallelSide(SideNetwork):
    """UniPT: x_l = D_l h_l, all layers apart; the last layer's tokens ask, every layer's tokens answer.

        g_l = softmax(x_L x_lᵀ / √width) x_l         c = softmax over l of ⟨v, tanh(g_l)⟩, v = 0 at the start
        result = x_L + Σ_l c_l g_l

    Padding is never asked: `watch_mask` listens for the attention mask [rows, tokens] of each forward pass.
    """

    def __init__(self, hidden: int, width: int, layers: int, generator: torch.Generator) -> None:
        super().__init__(hidden, width, joins=layers - 1)
        self.downs = nn.ModuleList(_drawn(hidden, width, generator) for _ in range(layers))
        self.confidence = nn.Parameter(torch.zeros(width))
        self._seen: list[Tensor] = []
        self._hidden: Tensor | None = None  # [rows, 1, tokens], true where there is padding

    def watch_mask(self, model: nn.Module) -> None:
        """Take the attention mask from the arguments of `model`."""

        def remember(_model: nn.Module, _arguments: Any, named: Mapping[str, Any]) -> None:
            mask = named.get("attention_mask")
            self._hidden = None if mask is None else mask[:, None, :] == 0

        model.register_forward_pre_hook(remember, with_kwargs=True)

    def read(self, index: int, hidden: Tensor) -> None:
        """Narrow the layer's output."""
        self._seen = [*(self._seen if index else []), self.downs[index](hidden)]

    def result(self) -> Tensor:
        """Sum of the equations above, [rows, tokens, width]."""
        seen, self._seen = torch.stack(self._seen), []  # [layers, rows, tokens, width]
        asked = seen[-1]
        scores = asked @ seen.transpose(2, 3) / math.sqrt(asked.shape[-1])  # [layers, rows, tokens, tokens]
        if self._hidden is not None:
            scores = scores.masked_fill(self._hidden, torch.finfo(scores.dtype).min)
        answers = scores.softmax(-1) @ seen
        confidence = (torch.tanh(answers) @ self.confidence).softmax(0)  # [layers, rows, tokens]
        return asked + (confidence[..., None] * answers).sum(0)


class ConsolidatingSide(SideNetwork):
    """SHERL's early route: s ← s + μ_l·(x_l − ρ·⟨x_l, s⟩/⟨s, s⟩·s) with x_l = D_l h_l and μ_l = σ(α_l), α_l = 0.

    Of each layer's states only what the sum does not hold already is added (ρ = 1), or everything (ρ = 0). The result
    enters below the late layers, through which gradients flow.
    """

    def __init__(self, hidden: int, width: int, joins: int, redundancy: float, generator: torch.Generator) -> None:
        super().__init__(hidden, width, joins)
        self.downs = nn.ModuleList(_drawn(hidden, width, generator) for _ in range(joins + 1))
        self.gates = nn.Parameter(torch.zeros(joins + 1))
        self.redundancy = redundancy
        self._sum: Tensor | None = None

    def read(self, index: int, hidden: Tensor) -> None:
        """Add what is new in the layer's output."""
        seen = self.downs[index](hidden)
        if index > 0 and self._sum is not None:
            squares = self._sum.square().sum(-1, keepdim=True) + torch.finfo(seen.dtype).eps
            seen = seen - self.redundancy * (seen * self._sum).sum(-1, keepdim=True) / squares * self._sum
        added = torch.sigmoid(self.gates[index]) * seen
        self._sum = added if index == 0 or self._sum is None else self._sum + added

    def result(self) -> Tensor:
        """The sum over the early layers."""
        total, self._sum = self._sum, None
        assert total is not None
        return functional.gelu(total)


def _drawn(inputs: int, outputs: int, generator: torch.Generator) -> nn.Linear:
    """A linear layer with normal weights of variance 1 / inputs and no bias at the start."""
    linear = nn.Linear(inputs, outputs)
    with torch.no_grad():
        linear.weight.normal_(0.0, inputs**-0.5, generator=generator)
        linear.bias.zero_()
    return linear
