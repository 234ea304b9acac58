"""What marks a function as costly, and what such a function may use while it computes."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

from pydantic import BaseModel

from service.settings import Settings
from service.store.store import Store


@dataclass(frozen=True)
class Desk:
    """What an answer is computed with: the stored trials, the settings, and whom to tell how far it is."""

    store: Store
    settings: Settings
    progress: Callable[[str], None] = lambda _stage: None


Costly = Callable[..., BaseModel]
"""A module's function `(desk, **arguments) -> view`; the arguments are JSON, so that they can travel."""

_COSTLY: set[Costly] = set()


def costly(function: Costly) -> Costly:
    """Let a function be computed in another process."""
    _COSTLY.add(function)
    return function


def name_of(function: Costly) -> str:
    """The name under which another process finds it."""
    assert function in _COSTLY, f"{function} is not marked as costly"
    return f"{function.__module__}:{function.__name__}"


def named(name: str) -> Costly:
    """The function of that name. Raises KeyError when it is not one that may be asked for."""
    module, _, function = name.partition(":")
    found: Any = getattr(importlib.import_module(module), function)
    if found not in _COSTLY:
        raise KeyError(name)
    return found  # type: ignore[no-any-return]
