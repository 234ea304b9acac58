"""Settings of the machine that a search may choose trial by trial. Plain data; imports neither torch nor ray.

A configuration names them as it names hyperparameters; they change how fast a trial trains and what it needs, not what
it learns, but for the digits of `precision`.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Literal

from pydantic import BaseModel, ConfigDict, Field, ValidationError

from workers.errors import InvalidInput


class SearchedSettings(BaseModel):
    """What a configuration says in place of the job's `resources`; None: nothing."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    precision: Literal["fp32", "bf16"] | None = None
    gradient_checkpointing: bool | None = None
    threads: int | None = Field(default=None, ge=1, le=256)


SEARCHED = frozenset(SearchedSettings.model_fields)


def settings_in(config: Mapping[str, Any]) -> dict[str, Any]:
    """The settings that a configuration has, by their names. Raises `InvalidInput` naming one that is out of range."""
    try:
        found = SearchedSettings(**{name: config[name] for name in SEARCHED & config.keys()})
    except ValidationError as error:
        first = error.errors()[0]
        raise InvalidInput(str(first["loc"][0]), first["input"], first["msg"]) from error
    return found.model_dump(exclude_none=True)
