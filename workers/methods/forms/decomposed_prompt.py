"""A short prompt and a low-rank change of the word embeddings, position by position. Needs torch."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from workers.methods.forms.reweighted import in_float32, uniform


class DecomposedPrompt(nn.Module):
    """DePT: [e₁; p₁ … p_m; e₂; e₃; …] with e_t = E(token t) + (AB)_t, for t up to the rows of A.

    A [positions, r], B [r, hidden], zero at the start; p [m, hidden] starts as the embeddings of random tokens. The
    prompt stands behind the first token, so an encoder's head still reads its own.
    """

    def __init__(self, words: nn.Embedding, length: int, rank: int, positions: int, draw: torch.Generator) -> None:
        super().__init__()
        vocabulary, hidden = words.weight.shape
        drawn = torch.randint(vocabulary, (length,), generator=draw)
        self.prompt = nn.Parameter(in_float32(words.weight.detach()[drawn].clone()))
        self.first = nn.Parameter(uniform((positions, rank), 1 / math.sqrt(rank), draw))
        self.second = nn.Parameter(torch.zeros(rank, hidden))
        self._words = [words]  # in a list, so that it does not become a part of this module

    def listen(self, model: nn.Module) -> None:
        """Turn token ids into embeddings whenever `model` is called with named arguments."""
        model.register_forward_pre_hook(self._embed, with_kwargs=True)

    def forward(self, ids: Tensor) -> Tensor:
        """Token ids [rows, tokens] to embeddings [rows, tokens + m, hidden]."""
        words: Tensor = self._words[0](ids)
        reached = min(ids.shape[1], len(self.first))
        change = nn.functional.pad(self.first[:reached] @ self.second, (0, 0, 0, ids.shape[1] - reached))
        words = words + change.to(words.dtype)
        prompt = self.prompt.to(words.dtype).expand(len(ids), -1, -1)
        return torch.cat([words[:, :1], prompt, words[:, 1:]], dim=1)

    def _embed(self, _model: nn.Module, arguments: Any, named: Mapping[str, Any]) -> tuple[Any, dict[str, Any]]:
        ids = named["input_ids"]
        longer = {name: self._longer(named[name]) for name in ("attention_mask", "token_type_ids") if name in named}
        return arguments, {**named, **longer, "input_ids": None, "inputs_embeds": self(ids)}

    def _longer(self, per_token: Tensor | None) -> Tensor | None:
        """The prompt is seen and of the type of the token before it: [rows, tokens] to [rows, tokens + m]."""
        if per_token is None:
            return None
        first = per_token[:, :1]
        return torch.cat([first, first.expand(-1, len(self.prompt)), per_token[:, 1:]], dim=1)
