"""Trained keys and values in front of an attention layer's own (Li & Liang 2021, arXiv 2101.00190). Needs torch.

Every supported model class looks its attention function up by name at each call, so one more function serves them all:
where an attention module holds a prefix, every query may also attend to it; elsewhere nothing changes. Positions of
the text do not move, and keys of the prefix carry no position.
"""

from __future__ import annotations

from typing import Any

import torch
from torch import Tensor, nn
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface
from transformers.modeling_utils import AttentionInterface, PreTrainedModel

IMPLEMENTATION = "sdpa_with_prefix"
_ATTRIBUTE = "key_value_prefix"
_INITIAL_STD = 0.02


class KeyValuePrefix(nn.Module):
    """Keys and values [key-value heads, length, head size] of one attention layer."""

    def __init__(self, heads: int, length: int, head_size: int, generator: torch.Generator) -> None:
        super().__init__()
        shape = (heads, length, head_size)
        self.key = nn.Parameter(torch.empty(shape).normal_(0.0, _INITIAL_STD, generator=generator))
        self.value = nn.Parameter(torch.empty(shape).normal_(0.0, _INITIAL_STD, generator=generator))


def use_prefixes(model: PreTrainedModel) -> None:
    """Let the model's attention see prefixes. `ModelSnapshot.restore` undoes it with the rest of the configuration."""
    if model.config._attn_implementation not in ("sdpa", IMPLEMENTATION):
        found = model.config._attn_implementation
        raise ValueError(f"prefixes need attention implementation 'sdpa', the model uses {found!r}")
    model.config._attn_implementation = IMPLEMENTATION


def add_prefix(attention: nn.Module, prefix: KeyValuePrefix) -> None:
    """Give one attention module its prefix."""
    attention.add_module(_ATTRIBUTE, prefix)


def attention_with_prefix(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, Tensor | None]:
    """Scaled dot-product attention; query [rows, heads, tokens, size], key and value [rows, kv heads, tokens, size]."""
    prefix = getattr(module, _ATTRIBUTE, None)
    if prefix is None:
        return sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    rows, length = key.shape[0], prefix.key.shape[1]
    causal = options.pop("is_causal", None)
    if attention_mask is None and (getattr(module, "is_causal", True) if causal is None else causal):
        tokens = torch.ones(query.shape[2], key.shape[2], dtype=torch.bool, device=query.device)
        attention_mask = tokens.tril()[None, None]
    key = torch.cat([prefix.key.to(key.dtype).expand(rows, -1, -1, -1), key], dim=2)
    value = torch.cat([prefix.value.to(value.dtype).expand(rows, -1, -1, -1), value], dim=2)
    mask = None if attention_mask is None else _open_to_prefix(attention_mask, length)
    return sdpa_attention_forward(module, query, key, value, mask, is_causal=False, **options)


def _open_to_prefix(mask: Tensor, length: int) -> Tensor:
    """Extend a mask [rows, 1, queries, keys] (True or 0 lets through) by `length` keys that everyone may see."""
    seen = torch.ones if mask.dtype == torch.bool else torch.zeros
    front = seen((*mask.shape[:-1], length), dtype=mask.dtype, device=mask.device)
    return torch.cat([front, mask], dim=-1)


AttentionInterface.register(IMPLEMENTATION, attention_with_prefix)
AttentionMaskInterface.register(IMPLEMENTATION, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
