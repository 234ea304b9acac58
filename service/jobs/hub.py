"""References to the Hugging Face hub: which an operator allows, and how those that people write by heart are meant."""

from __future__ import annotations

import re
from pathlib import PurePath

from service.errors import BadInput
from service.settings import Settings
from workers.data.sources import HUB_DATA

HUB = "hub:"
MODEL_ID = re.compile(r"(?P<owner>[A-Za-z0-9][\w.-]*)/[A-Za-z0-9][\w.-]*(@[\w./-]+)?")
MODEL_FORM = "hub:owner/name, such as hub:google-bert/bert-base-uncased"
DATA_FORM = "hub:owner/name, such as hub:stanfordnlp/imdb"
_BARE = re.compile(r"[A-Za-z0-9][\w-]*(\.\d[\w-]*)*")
_ID = re.compile(r"[A-Za-z0-9][\w.-]*/[A-Za-z0-9][\w-]*")

_MODEL_OWNERS = (
    (re.compile(r"distil(bert|roberta|gpt2)"), "distilbert"),
    (re.compile(r"bert-"), "google-bert"),
    (re.compile(r"(xlm-)?roberta-"), "FacebookAI"),
    (re.compile(r"gpt2($|-)"), "openai-community"),
    (re.compile(r"ModernBERT-", re.IGNORECASE), "answerdotai"),
)
_DATA_OWNERS = {
    "imdb": "stanfordnlp",
    "sst2": "stanfordnlp",
    "glue": "nyu-mll",
    "ag_news": "fancyzhx",
    "dbpedia_14": "fancyzhx",
    "yelp_polarity": "fancyzhx",
    "rotten_tomatoes": "cornell-movie-review-data",
    "emotion": "dair-ai",
    "tweet_eval": "cardiffnlp",
    "banking77": "PolyAI",
}
"""Where names without an owner, as the hub once had them, lie today."""


def check_model_id(field: str, id: str, settings: Settings) -> str:
    """`hub:owner/name` of a model id with or without the mark. Raises BadInput for another form or owner."""
    match = MODEL_ID.fullmatch(id.removeprefix(HUB))
    if match is None:
        raise BadInput(field, id, MODEL_FORM, f"found {id!r}; a model of the hub is written {MODEL_FORM}{_model(id)}")
    _check_owner(field, id, match["owner"], settings)
    return HUB + match[0]


def check_data_id(field: str, id: str, settings: Settings) -> None:
    """Raise BadInput for a data set of another form or owner."""
    match = HUB_DATA.fullmatch(id)
    if match is None:
        name = id.removeprefix(HUB)
        raise BadInput(field, id, DATA_FORM, f"found {id!r}; a data set of the hub is written {DATA_FORM}{_data(name)}")
    _check_owner(field, id, match["repository"].partition("/")[0], settings)


def how_to_write(field: str, value: str) -> str:
    """How a reference to the hub is written, for a path that does not exist and could be meant as one; or nothing."""
    last = PurePath(value).name
    bare, whole = _BARE.fullmatch(last) is not None, _ID.fullmatch(value) is not None
    if field.endswith("model"):
        return f"; a model of the hub is written {MODEL_FORM}{_model(last)}" if bare else ""
    if whole:
        return f"; a data set of the hub is written with its mark: did you mean 'hub:{value}'?"
    return f"; a data set of the hub is written {DATA_FORM}{_data(last)}" if bare else ""


def _check_owner(field: str, id: str, owner: str, settings: Settings) -> None:
    if settings.hub == "any" or owner in settings.hub_owners:
        return
    owners = ", ".join(settings.hub_owners)
    allowed = f"models and data of {owners}" if owners else "local folders and files, `builtin:`"
    why = f"this service takes nothing from the hub but {allowed}" if owners else "this service does not use the hub"
    raise BadInput(field, id, allowed, f"found {id!r}; {why}")


def _model(name: str) -> str:
    name = name.removeprefix(HUB)
    owner = next((owner for pattern, owner in _MODEL_OWNERS if pattern.match(name)), None)
    return f": did you mean '{HUB}{owner}/{name}'?" if owner else ""


def _data(name: str) -> str:
    owner = _DATA_OWNERS.get(name)
    return f": did you mean '{HUB}{owner}/{name}'?" if owner else ""
