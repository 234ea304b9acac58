"""The families of models that are known, by `model_type` of their `config.json`. Imports no torch.

One file each describes a family's sequence-classification models of `transformers` 5 by a configuration.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from workers.errors import InvalidInput
from workers.models.anatomy import Anatomy, ReadToken
from workers.models.families.bert import bert
from workers.models.families.distilbert import distilbert
from workers.models.families.gpt2 import gpt2
from workers.models.families.llama import llama
from workers.models.families.modernbert import modernbert
from workers.models.families.roberta import roberta

_FAMILIES: Mapping[str, Callable[[Mapping[str, Any]], Anatomy]] = {
    "bert": bert,
    "roberta": roberta,
    "xlm-roberta": roberta,
    "distilbert": distilbert,
    "modernbert": modernbert,
    "gpt2": gpt2,
    "llama": llama,
}

READ_TOKEN: Mapping[str, ReadToken] = {
    "bert": "first",
    "roberta": "first",
    "xlm-roberta": "first",
    "distilbert": "first",
    "modernbert": "first",
    "gpt2": "last",
    "llama": "last",
}
"""Which token the head reads, by model type: those whose layers take hidden states first and return them alone, so that
stored states can stand for the layers below (checked by the equality tests)."""


def model_types() -> tuple[str, ...]:
    """Model classes that can be described, by `model_type` of their `config.json`."""
    return tuple(_FAMILIES)


def anatomy(config: Mapping[str, Any]) -> Anatomy:
    """Describe the model of a parsed `config.json`. Raises `InvalidInput` for an unknown class or a missing size."""
    model_type = config.get("model_type")
    if not isinstance(model_type, str) or model_type not in _FAMILIES:
        raise InvalidInput("model", f"model_type {model_type!r}", model_types())
    try:
        return _FAMILIES[model_type](config)
    except KeyError as error:
        raise InvalidInput("model", f"a config.json without {error}", "a complete config.json") from error
