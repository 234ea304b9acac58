"""Small networks beside the frozen one, fed by the outputs of its layers. Needs torch.

Each reads the output h_l [rows, tokens, hidden] of the layers up to one of them, without gradient, and adds its own
result, widened again, to what that layer puts out. The added part is zero at the start. With the last layer, no
gradient enters the frozen network at all.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from workers.methods.forms.reweighted import in_float32

TEMPERATURE = 0.1


class SideNetwork(nn.Module, ABC):
    """Follows the frozen layers by hooks. Subclasses say what they make of the hidden states.

    `joins` is the index of the layer whose output receives the result.
    """

    def __init__(self, hidden: int, width: int, joins: int) -> None:
        super().__init__()
        self.joins = joins
        self.padding: Tensor | None = None  # [rows, 1, tokens] of the forward pass at work, true where there is padding
        self.up = nn.Linear(width, hidden)
        nn.init.zeros_(self.up.weight)
        nn.init.zeros_(self.up.bias)

    @abstractmethod
    def read(self, index: int, hidden: Tensor) -> None:
        """Take in the output [rows, tokens, hidden] of layer `index`; layers come in order."""

    @abstractmethod
    def result(self) -> Tensor:
        """What all layers read so far come to, [rows, tokens, width]; the next forward pass starts anew."""

    def watch_mask(self, model: nn.Module) -> None:
        """Take the attention mask [rows, tokens] from the arguments of `model` in each forward pass."""

        def remember(_model: nn.Module, _arguments: Any, named: Mapping[str, Any]) -> None:
            mask = named.get("attention_mask")
            self.padding = None if mask is None else mask[:, None, :] == 0

        model.register_forward_pre_hook(remember, with_kwargs=True)

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


@dataclass(frozen=True)
class SideShape:
    """Sizes of LST's blocks: of the state, of the feed-forward part inside, and how many heads look around."""

    width: int
    inner: int
    heads: int


class SideBlock(nn.Module):
    """A small transformer block behind a gate, LST's rung l:

        x = μ·down(h_l) + (1 − μ)·s        μ = σ(α / T), α = 0 at the start
        a = x + attention(norm(x))         s' = a + W₂·gelu(W₁·norm(a) + b₁) + b₂

    h_l [rows, tokens, hidden] is the output of the frozen layer, s [rows, tokens, width] the side network's state.
    """

    def __init__(self, hidden: int, shape: SideShape, generator: torch.Generator) -> None:
        super().__init__()
        width, inner = shape.width, shape.inner
        self.heads = shape.heads
        self.down = _drawn(hidden, width, generator)
        self.gate = nn.Parameter(torch.zeros(()))
        self.norm, self.attended = nn.LayerNorm(width), nn.LayerNorm(width)
        self.asked_keyed_valued = _drawn(width, 3 * width, generator)
        self.joined = _drawn(width, width, generator)
        self.widened, self.narrowed = _drawn(width, inner, generator), _drawn(inner, width, generator)

    def forward(self, hidden: Tensor, state: Tensor | None, mask: Tensor | None) -> Tensor:
        """The next state [rows, tokens, width]; `mask` [rows, 1, tokens, tokens] is true where a token may look."""
        share, seen = torch.sigmoid(self.gate / TEMPERATURE), self.down(hidden)
        mixed = share * seen if state is None else share * seen + (1 - share) * state
        mixed = mixed + self._attention(self.norm(mixed), mask)
        inner = functional.gelu(self.widened(self.attended(mixed)))
        return mixed + self.narrowed(inner)  # type: ignore[no-any-return]

    def _attention(self, tokens: Tensor, mask: Tensor | None) -> Tensor:
        """Attention of the tokens [rows, tokens, width] among themselves."""
        split = self.asked_keyed_valued(tokens).unflatten(-1, (3, self.heads, -1))
        query, key, value = split.permute(2, 0, 3, 1, 4)  # each [rows, heads, tokens, width / heads]
        answers = functional.scaled_dot_product_attention(query, key, value, mask)
        return self.joined(answers.transpose(1, 2).flatten(2))  # type: ignore[no-any-return]


class LadderSide(SideNetwork):
    """LST: a ladder of small transformer blocks, each fed by a frozen layer and by the block below.

    `reads` are the layers with a rung, the last one among them. Tokens look where the frozen model's may: never at
    padding, and with `causal` never ahead.
    """

    def __init__(
        self, hidden: int, shape: SideShape, reads: Sequence[int], causal: bool, generator: torch.Generator
    ) -> None:
        super().__init__(hidden, shape.width, joins=reads[-1])
        self.blocks = nn.ModuleDict({str(index): SideBlock(hidden, shape, generator) for index in reads})
        self.causal = causal
        self._state: Tensor | None = None

    def read(self, index: int, hidden: Tensor) -> None:
        """One more rung, where the layer has one."""
        if index == 0:
            self._state = None
        if str(index) in self.blocks:
            self._state = self.blocks[str(index)](hidden, self._state, self._visible(hidden))

    def _visible(self, hidden: Tensor) -> Tensor | None:
        """Which tokens each may look at; None for all."""
        visible = None if self.padding is None else ~self.padding[:, None]
        if self.causal:
            tokens = hidden.shape[1]
            before = torch.ones(tokens, tokens, dtype=torch.bool, device=hidden.device).tril()
            visible = before[None, None] if visible is None else visible & before
        return visible

    def result(self) -> Tensor:
        """The state of the last block."""
        state, self._state = self._state, None
        assert state is not None
        return state


class ParallelSide(SideNetwork):
    """UniPT: x_l = D_l h_l, all layers apart; the last layer's tokens ask, every layer's tokens answer.

        g_l = softmax(x_L x_lᵀ / √width) x_l         c = softmax over l of ⟨v, tanh(g_l)⟩, v = 0 at the start
        result = x_L + Σ_l c_l g_l

    Padding is never asked.
    """

    def __init__(self, hidden: int, width: int, layers: int, generator: torch.Generator) -> None:
        super().__init__(hidden, width, joins=layers - 1)
        self.downs = nn.ModuleList(_drawn(hidden, width, generator) for _ in range(layers))
        self.confidence = nn.Parameter(torch.zeros(width))
        self._seen: list[Tensor] = []

    def read(self, index: int, hidden: Tensor) -> None:
        """Narrow the layer's output."""
        self._seen = [*(self._seen if index else []), self.downs[index](hidden)]

    def result(self) -> Tensor:
        """Sum of the equations above, [rows, tokens, width]."""
        seen, self._seen = torch.stack(self._seen), []  # [layers, rows, tokens, width]
        asked = seen[-1]
        scores = asked @ seen.transpose(2, 3) / math.sqrt(asked.shape[-1])  # [layers, rows, tokens, tokens]
        if self.padding is not None:
            scores = scores.masked_fill(self.padding, torch.finfo(scores.dtype).min)
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
