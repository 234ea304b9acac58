"""What the last linear layer of a model's head reads: the state by which a row is told apart. Needs torch."""

from __future__ import annotations

from collections.abc import Iterable
from typing import Any, Self

import torch
from torch import Tensor, nn


class HeadStates:
    """Sees the states of each pass of a model while it is entered. `heads` are the names of the base's head modules."""

    def __init__(self, model: nn.Module, heads: Iterable[str]) -> None:
        names = set(heads)
        self._model = model
        self._linear = [
            module
            for name, module in model.named_modules()
            if isinstance(module, nn.Linear) and names & set(name.split("."))
        ]
        self._seen: Tensor | None = None
        self._handles: list[Any] = []

    def __enter__(self) -> Self:
        """Look from now on."""
        self._handles = [module.register_forward_pre_hook(self._see) for module in self._linear]
        self._handles.append(self._model.register_forward_hook(self._narrow, with_kwargs=True))
        return self

    def __exit__(self, *_error: object) -> None:
        """Look no more."""
        for handle in self._handles:
            handle.remove()

    @property
    def states(self) -> Tensor:
        """Of the last pass `[rows, width]`, with the gradients that they have."""
        assert self._seen is not None, "the pass went through no linear layer of the head"
        return self._seen

    def _see(self, _module: nn.Module, inputs: tuple[Tensor, ...]) -> None:
        self._seen = inputs[0]

    def _narrow(self, _model: nn.Module, _given: Any, named: dict[str, Any], _output: Any) -> None:
        if self._seen is not None and self._seen.ndim == 3:  # the scores of every position, of which one counts
            self._seen = self._at_read_position(self._seen, named)

    def _at_read_position(self, states: Tensor, named: dict[str, Any]) -> Tensor:
        """The state of the last token that is no padding, as models with such heads read it."""
        config: Any = self._model.config
        if states.shape[1] == 1 or config.pad_token_id is None or named.get("input_ids") is None:
            return states[:, -1]
        tokens: Tensor = named["input_ids"]
        places = (torch.arange(tokens.shape[1], device=tokens.device) * (tokens != config.pad_token_id)).argmax(-1)
        ahead = states.shape[1] - tokens.shape[1]  # what a prompt put in front
        return states[torch.arange(len(states), device=states.device), places + ahead]
