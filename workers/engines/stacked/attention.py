"""Attention that sees each member's own prefix: one more function in transformers' table, as for a prefix alone."""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface
from transformers.modeling_utils import AttentionInterface

from workers.engines.stacked.places import stacked_prefix_of

IMPLEMENTATION = "sdpa_with_stacked_prefix"


def attention_with_stacked_prefix(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, Tensor | None]:
    """Scaled dot-product attention; query [rows, heads, tokens, size], key and value [rows, kv heads, tokens, size]."""
    prefix = stacked_prefix_of(module)
    if prefix is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    rows, tokens = key.shape[0], key.shape[2]
    causal = options.pop("is_causal", None)
    mask = attention_mask
    if mask is None:
        mask = torch.ones(query.shape[2], tokens, dtype=torch.bool, device=query.device)[None, None]
        if getattr(module, "is_causal", True) if causal is None else causal:
            mask = mask.tril()
    front_key, front_value, seen = prefix.of_rows(rows, key.dtype)
    front = seen[:, None, None].expand(rows, 1, query.shape[2], -1)
    if mask.dtype != torch.bool:
        front = torch.zeros_like(front, dtype=mask.dtype).masked_fill(~front, torch.finfo(mask.dtype).min)
    mask = torch.cat([front, mask.expand(rows, -1, query.shape[2], -1)], dim=-1)
    key, value = torch.cat([front_key, key], dim=2), torch.cat([front_value, value], dim=2)
    return sdpa_attention_forward(module, query, key, value, mask, is_causal=False, **options)


AttentionInterface.register(IMPLEMENTATION, attention_with_stacked_prefix)
AttentionMaskInterface.register(IMPLEMENTATION, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
