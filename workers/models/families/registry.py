"""The families of models that are known, by `model_type` of their `config.json`. Imports no torch.

One file each describes a family's sequence-classification models of `transformers` 5 by a configuration.
"""

from __future__ import annotations

import importlib
import pkgutil
from collections.abc import Mapping
from functools import cache
from types import MappingProxyType
from typing import Any

from workers.errors import InvalidInput
from workers.models import families as package
from workers.models.anatomy import Anatomy
from workers.models.architectures import architectures
from workers.models.families.family import Family


@cache
def families() -> Mapping[str, Family]:
    """Families by `model_type`: each file beside this one that gives a `FAMILY`."""
    found: dict[str, Family] = {}
    for info in sorted(pkgutil.iter_modules(package.__path__), key=lambda info: info.name):
        family: Family | None = getattr(importlib.import_module(f"{package.__name__}.{info.name}"), "FAMILY", None)
        for model_type in () if family is None else family.model_types:
            if model_type in found:
                raise ValueError(f"two families have the model_type {model_type!r}")
            found[model_type] = family  # type: ignore[assignment]
    return MappingProxyType(found)


def model_types() -> tuple[str, ...]:
    """Model classes that can be described, by `model_type` of their `config.json`."""
    return tuple(families())


def heads(model_type: str) -> frozenset[str]:
    """Endings of the `AutoModelFor…` classes of transformers that put a head on a class of model as we know it."""
    family, known = families().get(model_type), architectures().get(model_type)
    if family is not None and family.heads is not None:
        return family.heads
    return known.heads if known is not None else frozenset()


def anatomy(config: Mapping[str, Any]) -> Anatomy:
    """Describe the model of a parsed `config.json`. Raises `InvalidInput` for an unknown class or a missing size."""
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type not in families():
        raise InvalidInput("model", f"model_type {model_type!r}", model_types())
    try:
        return families()[model_type].describe(config)
    except KeyError as error:
        raise InvalidInput("model", f"a config.json without {error}", "a complete config.json") from error
