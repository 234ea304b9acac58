"""Trained prompts that attention reads through a gate of its own (LLaMA-Adapter). Needs torch."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.functional import scaled_dot_product_attention
from transformers.integrations.sdpa_attention import sdpa_attention_forward
from transformers.masking_utils import ALL_MASK_ATTENTION_FUNCTIONS, AttentionMaskInterface
from transformers.modeling_utils import AttentionInterface, PreTrainedModel

IMPLEMENTATION = "sdpa_with_gated_prompt"
_ATTRIBUTE = "gated_prompt"


class GatedPrompt(nn.Module):
    """Vectors [length, hidden] that one attention layer turns into keys and values by its own frozen projections.

    `project` maps them to keys and values, each [length, kv heads · head size]. The gate is zero at the start.
    """

    def __init__(
        self,
        sizes: tuple[int, int],
        head_size: int,
        project: Callable[[Tensor], tuple[Tensor, Tensor]],
        generator: torch.Generator,
    ) -> None:
        super().__init__()
        self.prompt = nn.Parameter(torch.empty(sizes).normal_(0.0, 1.0, generator=generator))
        self.gate = nn.Parameter(torch.zeros(1))
        self._head_size, self._project = head_size, project

    def keys_and_values(self, dtype: torch.dtype) -> tuple[Tensor, Tensor]:
        """Each [1, kv heads, length, head size], in the number format of the layer's projections."""
        keys, values = (part.unflatten(-1, (-1, self._head_size)) for part in self._project(self.prompt.to(dtype)))
        return keys.transpose(0, 1)[None], values.transpose(0, 1)[None]


def use_gated_prompts(model: PreTrainedModel) -> None:
    """Let the model's attention see gated prompts. `ModelSnapshot.restore` undoes it."""
    if model.config._attn_implementation != "sdpa":
        found = model.config._attn_implementation
        raise ValueError(f"gated prompts need attention implementation 'sdpa', the model uses {found!r}")
    model.config._attn_implementation = IMPLEMENTATION


def add_gated_prompt(attention: nn.Module, prompt: GatedPrompt) -> None:
    """Give one attention module its prompt."""
    attention.add_module(_ATTRIBUTE, prompt)


def attention_with_gated_prompt(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, Tensor | None]:
    """Attention to the text plus gate · attention to the prompt; query [rows, heads, tokens, size]."""
    output, weights = sdpa_attention_forward(module, query, key, value, attention_mask, **options)
    prompt = getattr(module, _ATTRIBUTE, None)
    if prompt is None:
        return output, weights
    keys, values = (part.expand(query.shape[0], -1, -1, -1) for part in prompt.keys_and_values(query.dtype))
    read = scaled_dot_product_attention(query, keys, values, scale=options.get("scaling"), enable_gqa=True)
    return output + (prompt.gate * read.transpose(1, 2)).to(output.dtype), weights


AttentionInterface.register(IMPLEMENTATION, attention_with_gated_prompt)
AttentionMaskInterface.register(IMPLEMENTATION, ALL_MASK_ATTENTION_FUNCTIONS["sdpa"])
