"""Install bottleneck adapters and prefixes in chosen layers. Needs torch."""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import nn

from workers.methods.bottleneck import PARALLEL_SCALE, Bottleneck, adapt_attention, adapt_feed_forward
from workers.methods.prefix_attention import KeyValuePrefix, add_prefix, use_prefixes
from workers.models.loading import Base


@dataclass(frozen=True)
class MixedAdapters:
    """Sizes of the modules (0 is off), the same in every one of `layers`: serial and parallel adapters of the
    feed-forward part, prefixes, and serial adapters of the attention part."""

    layers: tuple[int, ...]
    serial: int = 0
    parallel: int = 0
    prefix: int = 0
    attention: int = 0
    parallel_scale: float = PARALLEL_SCALE

    def install(self, base: Base, generator: torch.Generator) -> dict[str, nn.Parameter]:
        """Put the modules in; returns their parameters by `<layer>.<module>.<parameter>`."""
        anatomy = base.description.anatomy
        if self.prefix:
            use_prefixes(base.model)
        trained: dict[str, nn.Parameter] = {}
        for index in self.layers:
            layer = base.model.get_submodule(f"{anatomy.layers_path}.{index}")
            parts = self._modules(base, generator)
            if "serial" in parts or "parallel" in parts:
                adapt_feed_forward(anatomy, layer, parts.get("serial"), parts.get("parallel"))
            if isinstance(prefix := parts.get("prefix"), KeyValuePrefix):
                add_prefix(layer.get_submodule(anatomy.attention), prefix)
            if "attention" in parts:
                adapt_attention(anatomy, layer, parts["attention"])
            for part, module in parts.items():
                trained |= {f"{index}.{part}.{name}": value for name, value in module.named_parameters()}
        return trained

    def _modules(self, base: Base, generator: torch.Generator) -> dict[str, nn.Module]:
        anatomy = base.description.anatomy
        parts: dict[str, nn.Module] = {}
        if self.serial:
            parts["serial"] = Bottleneck(anatomy.hidden_size, self.serial, 1.0, generator)
        if self.parallel:
            parts["parallel"] = Bottleneck(anatomy.hidden_size, self.parallel, self.parallel_scale, generator)
        if self.attention:
            parts["attention"] = Bottleneck(anatomy.hidden_size, self.attention, 1.0, generator)
        if self.prefix:
            parts["prefix"] = KeyValuePrefix(anatomy.key_value_heads, self.prefix, anatomy.head_size, generator)
        return {name: module.to(base.model.device) for name, module in parts.items()}
