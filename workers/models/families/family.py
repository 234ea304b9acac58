"""What a family of models declares: the `model_type`s of its `config.json`, and where things are inside. No torch."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass
from typing import Any

from workers.models.anatomy import Anatomy


@dataclass(frozen=True)
class Family:
    """One file of `workers/models/families/`.

    Attributes:
        name: as people call it.
        model_types: values of `model_type` in `config.json`.
        describe: the anatomy of a parsed `config.json`; a missing size raises `KeyError`.
        note: what there is to know of it, for docs/models.md; may be empty.
        heads: endings of the `AutoModelFor…` classes that put a head on what is described, where not all do.
    """

    name: str
    model_types: tuple[str, ...]
    describe: Callable[[Mapping[str, Any]], Anatomy]
    note: str = ""
    heads: frozenset[str] | None = None
