"""The proxy: a decoder-only transformer in one screen."""

from __future__ import annotations

import math

import torch
from torch import Tensor, nn
from torch.nn import functional

from workers.proxies.spec import ProxySpec


class Block(nn.Module):
    """Attention and an MLP, each behind a norm and around a residual."""

    def __init__(self, width: int, heads: int) -> None:
        super().__init__()
        self.heads = heads
        self.attention_norm, self.mlp_norm = nn.LayerNorm(width), nn.LayerNorm(width)
        self.attention_in, self.attention_out = nn.Linear(width, 3 * width), nn.Linear(width, width)
        self.mlp_in, self.mlp_out = nn.Linear(width, 4 * width), nn.Linear(4 * width, width)

    def forward(self, x: Tensor) -> Tensor:
        """`x [batch, tokens, width]`."""
        batch, tokens, width = x.shape
        q, k, v = (
            part.view(batch, tokens, self.heads, -1).transpose(1, 2)
            for part in self.attention_in(self.attention_norm(x)).chunk(3, dim=-1)
        )  # each [batch, heads, tokens, width / heads]
        mixed = (
            functional.scaled_dot_product_attention(q, k, v, is_causal=True)
            .transpose(1, 2)
            .reshape(batch, tokens, width)
        )
        x = x + self.attention_out(mixed)
        return x + self.mlp_out(functional.gelu(self.mlp_in(self.mlp_norm(x))))  # type: ignore[no-any-return]


class Proxy(nn.Module):
    """Next-token logits from tokens; the embedding is the output layer too."""

    def __init__(self, spec: ProxySpec, vocabulary: int) -> None:
        super().__init__()
        self.embedding = nn.Embedding(vocabulary, spec.width)
        self.positions = nn.Embedding(spec.context, spec.width)
        self.blocks = nn.ModuleList(Block(spec.width, spec.heads) for _ in range(spec.layers))
        self.norm = nn.LayerNorm(spec.width)
        self._initialise(spec)

    def _initialise(self, spec: ProxySpec) -> None:
        """GPT-2's scheme, its 0.02 scaled from width 768 to this one: with 0.02 a narrow model learns the frequencies
        of tokens and then stays there, for a time that depends on luck."""
        spread = 0.55 / math.sqrt(spec.width)
        for name, parameter in self.named_parameters():
            if parameter.dim() == 2:
                residual = name.endswith(("attention_out.weight", "mlp_out.weight"))
                nn.init.normal_(parameter, std=spread / math.sqrt(2 * spec.layers) if residual else spread)
        nn.init.normal_(self.positions.weight, std=0.1 * spread)  # at first a token matters more than its place

    def forward(self, tokens: Tensor) -> Tensor:
        """Logits `[batch, tokens, vocabulary]` of the token after each of `tokens [batch, tokens]`."""
        x = self.embedding(tokens) + self.positions(torch.arange(tokens.shape[1], device=tokens.device))
        for block in self.blocks:
            x = block(x)
        return self.norm(x) @ self.embedding.weight.T  # type: ignore[no-any-return]

    def loss(self, sequences: Tensor) -> Tensor:
        """Mean cross-entropy in nats a token of `sequences [batch, tokens + 1]`."""
        logits = self(sequences[:, :-1])
        return functional.cross_entropy(logits.flatten(0, 1), sequences[:, 1:].flatten())
