"""All methods, found by reading the files of `catalogue/` and `refined/` beside this one. Imports no torch."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType, ModuleType

from workers.errors import InvalidInput
from workers.methods import catalogue, refined
from workers.methods.declaration.method import Method
from workers.methods.declaration.untrained import UNTRAINED


@cache
def methods() -> Mapping[str, Method]:
    """Methods that can be searched, by name: each file of the catalogue gives its `METHODS`."""
    return _declared(catalogue)


@cache
def refined_methods() -> Mapping[str, Method]:
    """Methods of what refine jobs make, by name; they are attached and loaded as others, but not searched."""
    return _declared(refined)


def method(name: str) -> Method:
    """One method, or what is not trained. Raises `InvalidInput` for a name that is not registered."""
    for known in (UNTRAINED, methods(), refined_methods()):
        if name in known:
            return known[name]
    raise InvalidInput("method", name, methods())


def _declared(package: ModuleType) -> Mapping[str, Method]:
    found: dict[str, Method] = {}
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        for one in importlib.import_module(f"{package.__name__}.{info.name}").METHODS:
            if one.name in found:
                raise ValueError(f"two methods are named {one.name!r}")
            found[one.name] = one
    return MappingProxyType(found)
