"""Attention that sees each member's own prefix, and rows whose tokens lie side by side without padding.

One more function in transformers' table serves every class of model, as for a prefix alone. Where tokens lie without
padding, rows are padded for the moment of attention alone, or not at all where PyTorch has a kernel for rows of unequal
lengths: on a GPU, in 16 bits, for rows that see all of themselves or what is in front.

Masks are made without asking the device whether they hold anything back: the host knows how long rows are.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Mapping
from contextlib import ExitStack, contextmanager
from contextvars import ContextVar
from functools import cache
from inspect import signature
from typing import Any

import torch
from torch import Tensor, nn
from transformers.masking_utils import AttentionMaskInterface, sdpa_mask
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS, AttentionInterface

from workers.engines.stacked.layout import Layout
from workers.engines.stacked.places import stacked_prefix_of
from workers.engines.stacked.unpadded import Unpadded
from workers.models.loading import Base

IMPLEMENTATION = "sdpa_of_members"
CURRENT: ContextVar[Layout | None] = ContextVar("layout", default=None)
"""Of the pack whose passes are made in the way of a GPU."""
Fused = Callable[..., Tensor]


@contextmanager
def members_attend(base: Base, layout: Layout) -> Iterator[None]:
    """Inside, attention and masks of the base are the ones of this module, and know of `layout`.

    Keys and values are not kept for a next token: they would be copied, and windows among them asked for.
    """
    config, undo = base.model.config, ExitStack()
    if getattr(config, "use_cache", False):
        config.use_cache = False
        undo.callback(setattr, config, "use_cache", True)
    if (before := config._attn_implementation) in ("sdpa", IMPLEMENTATION):
        config._attn_implementation = IMPLEMENTATION
        undo.callback(setattr, config, "_attn_implementation", before)
        undo.callback(CURRENT.reset, CURRENT.set(layout))
    with undo:
        yield


def attention_of_members(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, Tensor | None]:
    """Scaled dot-product attention; query [rows, heads, tokens, size], key and value [rows, kv heads, tokens, size].

    Without padding these are [blocks, heads, block, size], and the mask that of padded rows; the result
    [blocks, block, heads, size].
    """
    layout = CURRENT.get()
    tokens = None if layout is None else layout.current
    if layout is None or tokens is None:
        return _with_prefix(module, query, key, value, attention_mask, **options)
    layout.attentions += 1
    parts = query.transpose(1, 2), key.transpose(1, 2), value.transpose(1, 2)  # [blocks, block, heads, size]
    fused = fused_on(query) if _plain(module, tokens.longest, options) else None
    if fused is not None:
        flat = parts[0].flatten(0, 1), parts[1].flatten(0, 1), parts[2].flatten(0, 1)
        return _fused(fused, tokens, module, flat, options).unflatten(0, (tokens.blocks, tokens.block)), None
    queries, keys, values = (tokens.padded(part).transpose(1, 2) for part in parts)
    with layout.in_rows():
        attended = _with_prefix(module, queries, keys, values, attention_mask, **options)[0]
    return tokens.tokens(attended), None


_KNOWN = {"scaling", "is_causal", "position_ids", "cache_position", "use_cache", "output_attentions", "deterministic"}


def _plain(module: nn.Module, longest: int, options: Mapping[str, Any]) -> bool:
    """Whether rows see all of themselves, or what is in front, and nothing else: a window as long as they are is none.
    What is not known here is not plain."""
    given = {name: value for name, value in options.items() if value is not None and name not in _KNOWN}
    window, chunk = given.pop("sliding_window", longest), getattr(getattr(module, "config", None), _CHUNK, None)
    whole = window >= longest and (chunk is None or chunk >= longest) and given.pop("dropout", 0.0) == 0.0
    return whole and not given and stacked_prefix_of(module) is None


_CHUNK = "attention_chunk_size"


def fused_on(query: Tensor) -> Fused | None:
    """PyTorch's attention over rows of unequal lengths; None where it is not for these queries."""
    if query.device.type != "cuda" or query.dtype not in (torch.float16, torch.bfloat16) or query.shape[-1] > 256:
        return None
    return _varlen()


@cache
def _varlen() -> Fused | None:
    """PyTorch's attention over rows of unequal lengths, where this PyTorch has one that takes all that models ask."""
    try:
        from torch.nn.attention.varlen import varlen_attn
    except ImportError:
        return None
    # Before PyTorch 2.13 grouped heads or windows are lacking.
    known = {"window_size", "enable_gqa"} <= signature(varlen_attn).parameters.keys()
    return varlen_attn if known else None  # type: ignore[return-value]  # a pair only where it is asked for


def _fused(
    attend: Fused,
    tokens: Unpadded,
    module: nn.Module,
    parts: tuple[Tensor, Tensor, Tensor],
    options: Mapping[str, Any],
) -> Tensor:
    """`[places, heads, size]` of queries, keys and values of that shape."""
    causal = options.get("is_causal")
    causal = getattr(module, "is_causal", True) if causal is None else causal
    grouped = parts[0].shape[1] != parts[1].shape[1]
    return attend(
        *parts, tokens.bounds, tokens.bounds, tokens.longest, tokens.longest, scale=options.get("scaling"),
        window_size=(-1, 0) if causal else (-1, -1), enable_gqa=grouped,
    )  # fmt: skip


def _with_prefix(
    module: nn.Module, query: Tensor, key: Tensor, value: Tensor, attention_mask: Tensor | None, **options: Any
) -> tuple[Tensor, Tensor | None]:
    prefix, attend = stacked_prefix_of(module), ALL_ATTENTION_FUNCTIONS["sdpa"]
    if prefix is None:
        return attend(module, query, key, value, attention_mask, **options)  # type: ignore[no-any-return]
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
    return attend(module, query, key, value, mask, is_causal=False, **options)  # type: ignore[no-any-return]


def mask_of_members(
    *,
    q_length: int,
    kv_length: int,
    local_size: int | None = None,
    allow_is_causal_skip: bool = True,
    allow_is_bidirectional_skip: bool = False,
    **options: Any,
) -> Tensor | None:
    """transformers' mask `[rows, 1, queries, keys]`; None where no row is padded and no window is shorter than rows.

    transformers looks at the mask itself to find that out, for which each pass would wait for the device.
    """
    layout = CURRENT.get()
    lengths: dict[str, Any] = {"q_length": q_length, "kv_length": kv_length, "local_size": local_size}
    may_be_none = allow_is_causal_skip or allow_is_bidirectional_skip
    if layout is not None:
        sees_all = q_length == kv_length and (local_size is None or kv_length < local_size)
        if may_be_none and layout.whole and sees_all:
            return None
        allow_is_causal_skip = allow_is_bidirectional_skip = False
    return sdpa_mask(
        **lengths,
        **options,
        allow_is_causal_skip=allow_is_causal_skip,
        allow_is_bidirectional_skip=allow_is_bidirectional_skip,
    )


AttentionInterface.register(IMPLEMENTATION, attention_of_members)
AttentionMaskInterface.register(IMPLEMENTATION, mask_of_members)
