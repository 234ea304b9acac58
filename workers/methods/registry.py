"""All methods, found by reading the files of `workers/methods/catalogue/`. Imports no torch."""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType

from workers.errors import InvalidInput
from workers.methods import catalogue
from workers.methods.declaration.method import Method
from workers.methods.declaration.untrained import UNTRAINED


@cache
def methods() -> Mapping[str, Method]:
    """Methods by name: each file of the catalogue gives its `METHODS`."""
    found: dict[str, Method] = {}
    for info in sorted(pkgutil.iter_modules(catalogue.__path__), key=lambda info: info.name):
        for one in importlib.import_module(f"{catalogue.__name__}.{info.name}").METHODS:
            if one.name in found:
                raise ValueError(f"two methods are named {one.name!r}")
            found[one.name] = one
    return MappingProxyType(found)


def method(name: str) -> Method:
    """One method, or what is not trained. Raises `InvalidInput` for a name that is not registered."""
    if name in UNTRAINED:
        return UNTRAINED[name]
    if name not in methods():
        raise InvalidInput("method", name, methods())
    return methods()[name]
