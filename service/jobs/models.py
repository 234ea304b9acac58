"""Models that jobs and questions name: kept under the data roots, described without loading them."""

from __future__ import annotations

from functools import lru_cache
from pathlib import Path

from tokenizers import Tokenizer

from service.errors import BadInput
from service.jobs.data_paths import locate
from service.jobs.hub import HUB, MODEL_ID, check_model_id
from service.settings import Settings
from workers.errors import InvalidInput
from workers.models.agreement import check_tensors
from workers.models.description import ModelDescription, describe, of_type
from workers.models.processors import check_processor
from workers.models.references import read_config, read_tensors, resolve
from workers.models.vocabulary import check_tokenizer
from workers.tasks.registry import tasks, types

DEFAULT_MODEL = "builtin:minilm"


def located(model: str, settings: Settings, field: str = "model") -> str:
    """The model as workers will open it: local folders absolute and under the data roots, hub ids marked as such.

    `owner/name` is a hub id unless a folder of that name lies under a data root. Raises BadInput.
    """
    if model.startswith("builtin:"):
        return model
    unmarked = MODEL_ID.fullmatch(model) and not any((root / model).exists() for root in settings.data_roots)
    if model.startswith(HUB) or unmarked:
        return check_model_id(field, model, settings)
    return str(locate(field, model, settings.data_roots))


def described(model: str, settings: Settings, field: str = "model") -> ModelDescription:
    """What is known of a model before loading it. Raises BadInput."""
    reference = located(model, settings, field)
    try:
        return _describe(reference, _changed_at(reference))
    except InvalidInput as error:
        raise BadInput(field, error.found, error.allowed, error.message) from None


def described_for(model: str, task: str | None, settings: Settings) -> ModelDescription:
    """The same as tasks of a type see it, where one is named; types without a model see none. Raises BadInput."""
    if task is not None and task not in types():
        raise BadInput("task", task, ", ".join(types()))
    found = described(model, settings)
    kind = None if task is None else tasks().get(task)
    return found if kind is None else of_type(found, kind)


def usable(model: ModelDescription) -> Tokenizer | None:
    """A model's tokenizer, where it has one that can be read here. Raises InvalidInput unless weights, config and
    tokenizer (of a model that reads no texts, its processor) agree.

    Of a hub id that has not been fetched, the hub is asked for the first bytes of its files; where it does not answer,
    the worker that loads the weights looks at them.
    """
    folder, stored = resolve(model.reference, weights=False), read_tensors(model.reference)
    if stored is not None:
        check_tensors(read_config(model.reference), stored, str(folder))
    if model.anatomy.input_shape:
        check_processor(folder, model.anatomy)
        return None
    return check_tokenizer(folder, model.anatomy.vocabulary)


@lru_cache(maxsize=32)
def _describe(reference: str, changed_at: float) -> ModelDescription:
    del changed_at  # a part of the key: a folder whose config.json was replaced is read again
    return describe(reference)


def _changed_at(reference: str) -> float:
    config = Path(reference) / "config.json"
    return config.stat().st_mtime if config.is_file() else 0.0
