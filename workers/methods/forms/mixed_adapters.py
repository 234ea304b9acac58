"""Install bottleneck adapters and prefixes in chosen layers. Needs torch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from workers.methods.declaration.module_rates import PARALLEL_SCALE
from workers.methods.forms.bottleneck import Bottleneck, adapt_attention, adapt_feed_forward
from workers.methods.forms.prefix_attention import KeyValuePrefix, add_prefix, use_prefixes
from workers.models.loading import Base


@dataclass(frozen=True)
class MixedAdapters:
    """Sizes of the modules (0 is off), the same in every one of `layers`.

    `serial` and `parallel` are adapters of the feed-forward part, `attention_serial` and `attention_parallel` of the
    attention part; `scale` is that of parallel ones, a number or `learned`.
    """

    layers: tuple[int, ...]
    serial: int = 0
    parallel: int = 0
    prefix: int = 0
    attention_serial: int = 0
    attention_parallel: int = 0
    scale: float | str = PARALLEL_SCALE
    activation: str = "relu"

    def install(self, base: Base, generator: torch.Generator) -> dict[str, nn.Parameter]:
        """Put the modules in; returns their parameters by `<layer>.<module>.<parameter>`."""
        anatomy = base.description.anatomy
        if self.prefix:
            use_prefixes(base.model)
        trained: dict[str, nn.Parameter] = {}
        for index in self.layers:
            layer = base.model.get_submodule(f"{anatomy.layers_path}.{index}")
            parts = self._modules(base, generator)
            if isinstance(prefix := parts.get("prefix"), KeyValuePrefix):
                add_prefix(layer.get_submodule(anatomy.attention), prefix)
            if "serial" in parts or "parallel" in parts:
                adapt_feed_forward(anatomy, layer, parts.get("serial"), parts.get("parallel"))
            if "attention_serial" in parts or "attention_parallel" in parts:
                adapt_attention(anatomy, layer, parts.get("attention_serial"), parts.get("attention_parallel"))
            for part, module in parts.items():
                trained |= {f"{index}.{part}.{name}": value for name, value in module.named_parameters()}
        return trained

    def _modules(self, base: Base, generator: torch.Generator) -> dict[str, nn.Module]:
        anatomy = base.description.anatomy
        wanted = {
            "serial": (self.serial, 1.0),
            "parallel": (self.parallel, self.scale),
            "attention_serial": (self.attention_serial, 1.0),
            "attention_parallel": (self.attention_parallel, self.scale),
        }
        parts: dict[str, nn.Module] = {
            name: Bottleneck(anatomy.hidden_size, size, scale, generator, self.activation)
            for name, (size, scale) in wanted.items()
            if size
        }
        if self.prefix:
            parts["prefix"] = KeyValuePrefix(anatomy.key_value_heads, self.prefix, anatomy.head_size, generator)
        return {name: module.to(base.model.device) for name, module in parts.items()}
