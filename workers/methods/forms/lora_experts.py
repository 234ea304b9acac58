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


class LoraExperts(nn.Module):
    """y = Wx + b + s·Σ_{e in top k} g_e(x) B_e A_e x with g the softmax of the k largest router logits.

    A [experts, r, in], B [experts, r, out] (zero at the start), router [experts, in]. `load` is what the forward pass
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
        draw: torch.Generator,
    ) -> None:
        super().__init__()
        experts, rank, inputs, outputs = sizes
        bound = 1 / math.sqrt(inputs)
        self.original, self.scaling, self.top_k = original, scale, min(top_k, experts)
        self.router = nn.Parameter(uniform((experts, inputs), bound, draw))
        self.first = nn.Parameter(uniform((experts, rank, inputs), bound, draw))
        self.second = nn.Parameter(torch.zeros(experts, rank, outputs))
        self._tokens, self._first_only = tokens, first_only
        self.load: Tensor | None = None

    def gates(self, logits: Tensor) -> Tensor:
        """Weights [..., experts] of the experts: zero but for the top k, which add up to 1."""
        values, chosen = logits.topk(self.top_k, dim=-1)
        return torch.zeros_like(logits).scatter(-1, chosen, values.softmax(-1))

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs [rows, length, in] to outputs [rows, length, out]."""
        seen = in_float32(inputs)
        logits = linear(seen, self.router).float()
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
