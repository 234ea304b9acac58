"""Inserted modules that modules aside of the layers connect, so that all that is trained is one pathway. Needs torch.

With x_{l-1} what enters frozen layer l and F_l what it computes, P_l the inserted bottleneck and A_l the aside one:

    x_l = F_l(x_{l-1}) + P_l(F_l(x_{l-1})) + A_l(x_{l-1})            A of the lowest layer is left out

A_l leads from the inserted module of the layer below to that of this one, past the frozen layer. Where LoRA is inserted
it is a part of F_l, and P is left out. Beside the layers, nothing is added to what they pass on:

    s_l = s_{l-1} + A_l(s_{l-1}) + P_l(sg(F_l(x_{l-1})))             x_l = F_l(x_{l-1}), at the last layer + s_l

There no gradient enters the frozen network. All bottlenecks are zero at the start.
"""

from __future__ import annotations

from abc import ABC, abstractmethod
from collections.abc import Mapping
from typing import Any

import torch
from torch import Tensor, nn

from workers.methods.forms.bottleneck import Bottleneck


class Pathway(nn.Module, ABC):
    """The modules of `count` layers, lowest first: inserted bottlenecks of `size` units (with 0 none), and between each
    two layers one of `width` units aside. Follows the layers by hooks."""

    def __init__(self, hidden: int, count: int, size: int, width: int, generator: torch.Generator) -> None:
        super().__init__()
        inserted = [Bottleneck(hidden, size, 1.0, generator) for _ in range(count if size else 0)]
        self.inserted = nn.ModuleList(inserted)
        self.aside = nn.ModuleList(Bottleneck(hidden, width, 1.0, generator) for _ in range(count - 1))
        self.count = count

    @abstractmethod
    def passed_on(self, number: int, entered: Tensor, computed: Tensor, /) -> Tensor:
        """What layer `number` passes on, of what entered it and what it computed, each [rows, tokens, hidden]."""

    def watch(self, layers: list[nn.Module]) -> None:
        """Follow these layers, lowest first, from their next forward pass on."""
        for number, layer in enumerate(layers):
            layer.register_forward_hook(self._hook(number), with_kwargs=True)

    def _hook(self, number: int) -> Any:
        def hook(_layer: nn.Module, given: tuple[Any, ...], named: Mapping[str, Any], output: Any) -> Any:
            entered = given[0] if given else named["hidden_states"]
            if isinstance(output, tuple):
                return (self.passed_on(number, entered, output[0]), *output[1:])
            return self.passed_on(number, entered, output)

        return hook


class InsertedPathway(Pathway):
    """Through the layers: gradients pass the frozen layers and the modules aside of them."""

    def passed_on(self, number: int, entered: Tensor, computed: Tensor) -> Tensor:
        """x_l of the first equation."""
        passed = computed + self.inserted[number](computed) if len(self.inserted) else computed
        return passed + self.aside[number - 1](entered) if number else passed


class BesidePathway(Pathway):
    """Beside the layers: what they compute is the base's, until the last one's output receives the sum."""

    _state: Tensor | None = None

    def passed_on(self, number: int, _entered: Tensor, computed: Tensor) -> Tensor:
        """x_l of the second equation; keeps s_l until the last layer, which is where a pass ends."""
        added = self.inserted[number](computed.detach())
        if number and self._state is not None:
            added = self._state + self.aside[number - 1](self._state) + added
        self._state = added if number < self.count - 1 else None
        return computed if number < self.count - 1 else computed + added
