"""Remember a model exactly as it is, and put it back. Adapters may then change it in any way they like."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

import torch
from torch import nn

_NESTED = (dict, set, list)


class ModelSnapshot:
    """The attributes, children, hooks and classes of all modules of a model, and whether parameters want gradients.

    Parameter values are not copied unless their names are given in `copied`: adapters put new parameters beside the
    base's, so its tensors stay as they are. Those that rewrite base weights name them.
    """

    def __init__(self, model: nn.Module, copied: Iterable[str] = ()) -> None:
        self._modules = [(module, type(module), _shallow(module.__dict__)) for module in model.modules()]
        self._gradients = [(parameter, parameter.requires_grad) for parameter in model.parameters()]
        self._values = [(model.get_parameter(name), model.get_parameter(name).detach().clone()) for name in copied]
        self._config = _shallow(model.config.__dict__) if hasattr(model, "config") else None
        self._model = model

    def contains(self, module: nn.Module) -> bool:
        """Whether a module was part of the model when the snapshot was taken."""
        return any(module is known for known, _, _ in self._modules)

    def original_modules(self) -> set[int]:
        """Identities (`id`) of the modules of the model when the snapshot was taken."""
        return {id(module) for module, _, _ in self._modules}

    def restore(self) -> None:
        """Put the model back: structure, hooks, flags, and the values that were copied."""
        for module, kind, attributes in self._modules:
            module.__class__ = kind
            module.__dict__.clear()
            module.__dict__.update(_shallow(attributes))
        if self._config is not None:
            self._model.config.__dict__.clear()
            self._model.config.__dict__.update(_shallow(self._config))
        with torch.no_grad():
            for parameter, value in self._values:
                parameter.copy_(value)
        for parameter, wanted in self._gradients:
            parameter.requires_grad_(wanted)
            parameter.grad = None


@contextmanager
def taken_off(model: nn.Module, before: ModelSnapshot) -> Iterator[None]:
    """Put back what was `before`, and behind it the model as it is now. Structure alone: no values are rewritten."""
    now = ModelSnapshot(model)
    before.restore()
    try:
        yield
    finally:
        now.restore()


def _shallow(attributes: dict[str, Any]) -> dict[str, Any]:
    """A copy that later insertions into the containers of `attributes` do not reach."""
    return {name: value.copy() if isinstance(value, _NESTED) else value for name, value in attributes.items()}
