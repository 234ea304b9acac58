"""In the last layer, compute only the token that the head reads.

Nothing but the first token of BERT's and RoBERTa's last layer reaches the logits, so its queries, its output
projection and its feed-forward part need one position instead of all: a fifth of the layer is left. Keys and values
still come from every token. Works on the layer's own modules, so adapters inside them take part as usual.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

from torch import Tensor, nn
from transformers.modeling_utils import ALL_ATTENTION_FUNCTIONS

from workers.engines.prefix import pooling
from workers.methods.forms.dropout import dropout_mask
from workers.models.loading import Base

_LAYERS = frozenset({"BertLayer", "RobertaLayer", "XLMRobertaLayer"})
_ATTENTIONS = frozenset({"BertSelfAttention", "RobertaSelfAttention", "XLMRobertaSelfAttention"})


@contextmanager
def last_layer_for_one_token(base: Base) -> Iterator[bool]:
    """Narrow the last layer where that is exact; yields whether it was. The base is whole again afterwards."""
    layer = base.model.get_submodule(base.description.anatomy.layers_path)[-1]  # type: ignore[index]
    if pooling(base) != "first" or not _plain(layer, _LAYERS):
        yield False
        return
    narrow_queries = _plain(layer.attention.self, _ATTENTIONS) and base.model.config._attn_implementation == "sdpa"
    narrowed = [layer.attention.output, layer.intermediate, layer.output]
    if narrow_queries:
        narrowed.append(layer.attention.self.query)
    masks = [_FullDropout(module) for part in narrowed for module in part.modules() if isinstance(module, nn.Dropout)]

    def forward(hidden_states: Tensor, attention_mask: Tensor | None = None, *_rest: Any, **options: Any) -> Tensor:
        for mask in masks:
            mask.length = hidden_states.shape[1]
        first = hidden_states[:, :1]  # [rows, 1, hidden]
        if narrow_queries and options.get("past_key_values") is None:  # prefix tuning puts its keys there
            attended = _attend(layer.attention.self, first, hidden_states, attention_mask)
        else:
            attended = layer.attention.self(hidden_states, attention_mask=attention_mask, **options)[0][:, :1]
        middle = layer.attention.output(attended, first)
        return layer.output(layer.intermediate(middle), middle)  # type: ignore[no-any-return]

    layer.forward = forward
    for mask in masks:
        mask.install()
    try:
        yield True
    finally:
        del layer.forward
        for mask in masks:
            mask.remove()


def _attend(attention: Any, first: Tensor, hidden: Tensor, mask: Tensor | None) -> Tensor:
    """Attention of the first token to all: `[rows, 1, hidden]`."""

    def heads(projected: Tensor) -> Tensor:  # [rows, heads, length, head size]
        return projected.view(*projected.shape[:2], -1, attention.attention_head_size).transpose(1, 2)

    context: Tensor = ALL_ATTENTION_FUNCTIONS[
        "sdpa"
    ](  # [rows, 1, heads, head size]
        attention,
        heads(attention.query(first)),
        heads(attention.key(hidden)),
        heads(attention.value(hidden)),
        None if mask is None else mask[:, :, :1],
        scaling=attention.scaling,
    )[0]
    return context.reshape(first.shape[0], 1, -1)


def _plain(module: nn.Module, classes: frozenset[str]) -> bool:
    """Whether a module is of one of transformers' own classes, neither replaced nor hooked by an adapter."""
    own = type(module).__module__.startswith("transformers.models.") and type(module).__name__ in classes
    return own and "forward" not in vars(module) and not module._forward_hooks and not module._forward_pre_hooks


class _FullDropout:
    """Draws a dropout module's mask for all positions and uses the first: the random stream stays that of the whole."""

    def __init__(self, module: nn.Dropout) -> None:
        self._module = module
        self.length = 1

    def install(self) -> None:
        self._module.forward = self._forward  # type: ignore[method-assign, assignment]

    def remove(self) -> None:
        del self._module.forward

    def _forward(self, narrow: Tensor) -> Tensor:
        if not self._module.training or self._module.p == 0:
            return narrow
        if narrow.shape[1] == self.length:
            return narrow * dropout_mask(narrow.shape, self._module.p, narrow.dtype).to(narrow.device)
        whole = (narrow.shape[0], self.length, narrow.shape[2])
        return narrow * dropout_mask(whole, self._module.p, narrow.dtype)[:, :1].to(narrow.device)
