"""A linear layer with several low-rank experts, of which each token uses a few. Needs torch."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn.functional import linear

from workers.methods.forms.reweighted import in_float32, uniform


class RealTokens:
    """Which tokens of the current batch are real: a hook on the model notes its attention mask [rows, length]."""

    mask: Tensor | None = None

    def __call__(self, _model: nn.Module, _arguments: tuple[object, ...], options: dict[str, Tensor]) -> None:
        self.mask = options.get("attention_mask")


class RecurrentRouter(nn.Module):
    """RMoE: experts are chosen from what the layers below chose by: h_l = GRU(P_l x_l, h_{l−1}), logits = R_l h_l.

    P [size, in] and R [experts, size] belong to a layer, the GRU to all of them. `state` is h_l [rows, length, size] of
    the forward pass just done, which the router of the next layer reads; h is zero below the lowest. A top layer that
    is given first tokens only goes on from the states of these.
    """

    def __init__(
        self, experts: int, inputs: int, cell: nn.GRUCell, below: RecurrentRouter | None, draw: torch.Generator
    ) -> None:
        super().__init__()
        size = cell.hidden_size
        self.cell = cell
        self.narrow = nn.Parameter(uniform((size, inputs), 1 / math.sqrt(inputs), draw))
        self.choose = nn.Parameter(uniform((experts, size), 1 / math.sqrt(size), draw))
        self._below = (below,)  # in a tuple: it is no part of this module
        self.state: Tensor | None = None

    def forward(self, seen: Tensor) -> Tensor:
        """Inputs [rows, length, in] to logits [rows, length, experts]."""
        narrow = linear(seen, self.narrow)
        before = self._before(narrow)
        self.state = self.cell(narrow.flatten(0, -2), before.flatten(0, -2)).view_as(narrow)
        return linear(self.state, self.choose)

    def _before(self, narrow: Tensor) -> Tensor:
        below = self._below[0]
        if below is None or below.state is None:
            return torch.zeros_like(narrow)
        return below.state[:, : narrow.shape[1]]


def recurrent_cell(size: int, draw: torch.Generator) -> nn.GRUCell:
    """A GRU cell from `size` inputs to `size` units, drawn from `draw` as PyTorch draws one."""
    cell: nn.GRUCell = nn.utils.skip_init(nn.GRUCell, size, size)
    for name, value in list(cell.named_parameters()):
        setattr(cell, name, nn.Parameter(uniform(tuple(value.shape), 1 / math.sqrt(size), draw)))
    return cell


class LinearRouter(nn.Module):
    """MoLA: logits = R x with R [experts, in]."""

    def __init__(self, experts: int, inputs: int, draw: torch.Generator) -> None:
        super().__init__()
        self.choose = nn.Parameter(uniform((experts, inputs), 1 / math.sqrt(inputs), draw))

    def forward(self, seen: Tensor) -> Tensor:
        """Inputs [rows, length, in] to logits [rows, length, experts]."""
        return linear(seen, self.choose)


class LoraExperts(nn.Module):
    """y = Wx + b + s·Σ_{e in top k} g_e(x) B_e A_e x with g the softmax of the k largest router logits.

    A [experts, r, in], B [experts, r, out] (zero at the start). `load` is what the forward pass
    just done adds to the balance loss; with `first_only` it looks at each row's first token alone.
    """

    def __init__(
        self,
        original: nn.Module,
        sizes: tuple[int, int, int, int],
        scale: float,
        top_k: int,
        tokens: RealTokens,
        first_only: bool,
        router: LinearRouter | RecurrentRouter,
        draw: torch.Generator,
    ) -> None:
        super().__init__()
        experts, rank, inputs, outputs = sizes
        bound = 1 / math.sqrt(inputs)
        self.original, self.scaling, self.top_k = original, scale, min(top_k, experts)
        self.router = router
        self.first = nn.Parameter(uniform((experts, rank, inputs), bound, draw))
        self.second = nn.Parameter(torch.zeros(experts, rank, outputs))
        self._tokens, self._first_only = tokens, first_only
        self.load: Tensor | None = None

    def trained(self) -> dict[str, nn.Parameter]:
        """What is trained, by the names that adapter files have had since routers were of one kind."""
        routing = {f"router.{name}": value for name, value in self.router.named_parameters()}
        routing["router"] = routing.pop("router.choose")
        return routing | {"first": self.first, "second": self.second}

    def gates(self, logits: Tensor) -> Tensor:
        """Weights [..., experts] of the experts: zero but for the top k, which add up to 1."""
        values, chosen = logits.topk(self.top_k, dim=-1)
        return torch.zeros_like(logits).scatter(-1, chosen, values.softmax(-1))

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs [rows, length, in] to outputs [rows, length, out]."""
        seen = in_float32(inputs)
        logits = self.router(seen).float()
        gates = self.gates(logits)
        self.load = self._balance(logits, gates) if self.training else None
        narrow = linear(seen, self.first.flatten(0, 1)).unflatten(-1, self.first.shape[:2])  # [..., experts, r]
        update = (narrow * gates[..., None]).flatten(-2) @ self.second.flatten(0, 1)
        return self.original(inputs) + (self.scaling * update).to(inputs.dtype)  # type: ignore[no-any-return]

    def _balance(self, logits: Tensor, gates: Tensor) -> Tensor:
        """experts · Σ_e f_e p_e with an expert's share f of the uses and its mean probability p; 1 if all are equal."""
        mask = self._tokens.mask
        real = torch.ones(logits.shape[:2], dtype=torch.bool) if mask is None else mask.bool()
        if self._first_only:
            logits, gates, real = logits[:, :1], gates[:, :1], real[:, :1]
        uses = (gates[real] > 0).float().mean(0) / self.top_k
        return logits.shape[-1] * (uses * logits[real].softmax(-1).mean(0)).sum()
