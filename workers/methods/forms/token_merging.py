"""Tokens of an image that say the same become one in front of a layer. Needs torch.

Bipartite soft matching (Bolya et al. 2023, ToMe): every second token of the image is compared with the others, and the
r that are most like one of these are added to it, weighted by how many each stands for. Attention then counts a token
as often as it stands for one of the image. Tokens of the model's own (the class) are never merged.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from workers.methods.forms.reweighted import uniform


class TokenMerging(nn.Module):
    """Merges `merged` tokens in front of one layer, the first `special` of a row apart.

    With `modulated` (PYRA) what is merged into another token is first multiplied by 1 + (x·t)·c, with a direction t and
    a weight c of each channel, both [hidden]; c is zero at the start. `sizes` [rows, tokens, 1] of the layer in front
    come through `before`, None where this is the first.
    """

    def __init__(
        self,
        hidden: int,
        merged: int,
        special: int,
        modulated: bool,
        before: TokenMerging | None,
        draw: torch.Generator,
    ) -> None:
        super().__init__()
        self._merged, self._special = merged, special
        self._before = [before]  # in a list: a layer's merging is no part of the next one's
        self.sizes: Tensor | None = None
        self.direction = nn.Parameter(uniform((hidden,), hidden**-0.5, draw)) if modulated else None
        self.channels = nn.Parameter(torch.zeros(hidden)) if modulated else None

    def watch(self, layer: nn.Module) -> None:
        """Merge the tokens that `layer` is given, from its next forward pass on."""
        layer.register_forward_pre_hook(self._hook, with_kwargs=True)

    def _hook(self, _layer: nn.Module, given: tuple[Any, ...], named: Mapping[str, Any]) -> Any:
        hidden, *rest = given
        before = self._before[0]
        sizes = hidden.new_ones(*hidden.shape[:2], 1) if before is None or before.sizes is None else before.sizes
        hidden, self.sizes = self(hidden, sizes)
        mask = self.sizes.log().to(hidden.dtype)[:, None, None, :, 0]  # added to the scores of every query
        return (hidden, mask, *rest[1:]), dict(named)

    def forward(self, hidden: Tensor, sizes: Tensor) -> tuple[Tensor, Tensor]:
        """Hidden states `[rows, tokens, hidden]` and what each stands for `[rows, tokens, 1]`, of fewer tokens."""
        special, own = hidden[:, : self._special], hidden[:, self._special :]
        count = min(self._merged, own.shape[1] // 2)
        if not count:
            return hidden, sizes
        left, right = own[:, ::2], own[:, 1::2]
        left_sizes, right_sizes = sizes[:, self._special :: 2], sizes[:, self._special + 1 :: 2]
        with torch.no_grad():
            alike = functional.normalize(left.float(), dim=-1) @ functional.normalize(right.float(), dim=-1).mT
            best, partner = alike.max(-1)
            order = best.argsort(dim=-1, descending=True, stable=True)
            goes, stays = order[:, :count, None], order[:, count:].sort(-1).values[..., None]
            target = partner.gather(1, order[:, :count])[..., None]
        moved, moved_sizes = _taken(left, goes), left_sizes.gather(1, goes)
        added = moved_sizes * self._modulated(moved)
        sums = (right_sizes * right).scatter_add(1, target.expand_as(added), added.to(right.dtype))
        joined = right_sizes.scatter_add(1, target, moved_sizes)
        merged = torch.cat([special, _taken(left, stays), sums / joined], 1)
        return merged, torch.cat([sizes[:, : self._special], left_sizes.gather(1, stays), joined], 1)

    def _modulated(self, moved: Tensor) -> Tensor:
        if self.direction is None or self.channels is None:
            return moved
        weight = (moved.float() @ self.direction)[..., None] * self.channels
        return moved * (1 + weight).to(moved.dtype)


def _taken(tokens: Tensor, places: Tensor) -> Tensor:
    return tokens.gather(1, places.expand(-1, -1, tokens.shape[-1]))
