"""Models that jobs and questions name: kept under the data roots, described without loading them."""

from __future__ import annotations

import re
from functools import lru_cache
from pathlib import Path

from service.api.data_paths import locate
from service.errors import BadInput
from service.settings import Settings
from workers.errors import InvalidInput
from workers.models.description import ModelDescription, describe

DEFAULT_MODEL = "builtin:minilm"
_HUB_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w.-]*(@[\w./-]+)?")


def located(model: str, settings: Settings, field: str = "model") -> str:
    """The model as workers will open it: local folders absolute and under the data roots, other references as given.

    `owner/name` is a hub id unless a folder of that name lies under a data root. Raises BadInput.
    """
    if model.startswith("builtin:"):
        return model
    if _HUB_ID.fullmatch(model) and not any((root / model).exists() for root in settings.data_roots):
        return model
    return str(locate(field, model, settings.data_roots))


def described(model: str, settings: Settings, field: str = "model") -> ModelDescription:
    """What is known of a model before loading it. Raises BadInput."""
    reference = located(model, settings, field)
    try:
        return _describe(reference, _changed_at(reference))
    except InvalidInput as error:
        raise BadInput(field, error.found, error.allowed, error.message) from None


@lru_cache(maxsize=32)
def _describe(reference: str, changed_at: float) -> ModelDescription:
    del changed_at  # a part of the key: a folder whose config.json was replaced is read again
    return describe(reference)


def _changed_at(reference: str) -> float:
    config = Path(reference) / "config.json"
    return config.stat().st_mtime if config.is_file() else 0.0
