"""All trials of a search at once, field by field, for readers of tens of thousands: no record is built for any."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from datetime import UTC, datetime
from typing import Any

import numpy as np
from numpy.typing import NDArray
from pydantic_core import from_json
from sqlalchemy import Connection, Select, String, Text, bindparam, cast, func, select, type_coerce

from service.store.rows import TRIALS

FIELDS = (
    "number",
    "state",
    "origin",
    "label",
    "seed",
    "attempt",
    "on_front",
    "adapter",
    "engine",
    "engine_reason",
    "reason",
    "worker_id",
    "note",
    "tags",
)
"""What is read of each trial beside its times, its configuration and its metrics; `environment` is read one by one."""
TIMES = ("created_at", "started_at", "finished_at")

# Few trials have any: no list is built for the others.
_TAGS = func.nullif(cast(TRIALS.c.tags, Text), "[]").label("tags")
# As text: one pass over all of them reads JSON several times faster than one document after another.
_DOCUMENTS = (cast(TRIALS.c.config, Text), cast(TRIALS.c.metrics, Text))
# As the driver gives them, ISO 8601 in UTC or a datetime: numpy reads 50,000 at once.
_MOMENTS = tuple(type_coerce(TRIALS.c[name], String).label(name) for name in TIMES)
_SEARCHED: Select[Any] = (
    select(*(_TAGS if name == "tags" else TRIALS.c[name] for name in FIELDS), *_MOMENTS, *_DOCUMENTS)
    .where(TRIALS.c.job_id == bindparam("job"), TRIALS.c.confirms.is_(None))
    .order_by(TRIALS.c.number.desc())
    .limit(bindparam("limit"))
)
_BEFORE = _SEARCHED.where(TRIALS.c.number < bindparam("before"))
_NAMED = _SEARCHED.where(TRIALS.c.number.in_(bindparam("numbers", expanding=True)))


@dataclass(frozen=True)
class TrialColumns:
    """Each with one entry for a trial, ordered by number: `fields` by name; `times` by name, in milliseconds since 1970
    or NaN; `configs`; `metrics`."""

    fields: dict[str, Sequence[Any]]
    times: dict[str, NDArray[np.float64]]
    configs: list[dict[str, Any]]
    metrics: list[dict[str, Any]]


def trial_columns(
    connection: Connection, job_id: str, limit: int, before: int | None, numbers: Sequence[int] | None
) -> TrialColumns:
    """The newest `limit` trials of a search, no confirmations: of those numbered below `before`, or of `numbers`."""
    query, chosen = _SEARCHED, {"job": job_id, "limit": limit}
    if numbers is not None:
        query, chosen = _NAMED, {**chosen, "numbers": list(numbers)}
    elif before is not None:
        query, chosen = _BEFORE, {**chosen, "before": before}
    rows = connection.execute(query, chosen).all()[::-1]
    columns = list(zip(*rows, strict=True)) or [()] * (len(FIELDS) + len(TIMES) + len(_DOCUMENTS))
    *plain, configs, metrics = columns
    fields, times = dict(zip(FIELDS, plain, strict=False)), plain[len(FIELDS) :]
    return TrialColumns(
        fields=fields | {"tags": [tags and from_json(tags) for tags in fields["tags"]]},
        times={name: _milliseconds(values) for name, values in zip(TIMES, times, strict=True)},
        configs=_parsed(configs),
        metrics=_parsed(metrics),
    )


def _parsed(documents: Sequence[str]) -> list[dict[str, Any]]:
    parsed: list[dict[str, Any]] = from_json(f"[{','.join(documents)}]")
    return parsed


def _milliseconds(moments: Sequence[str | datetime | None]) -> NDArray[np.float64]:
    """SQLite's texts, which are in UTC, and PostgreSQL's aware datetimes alike."""
    plain = [one.astimezone(UTC).replace(tzinfo=None) if isinstance(one, datetime) else one for one in moments]
    read = np.array(plain, dtype="datetime64[ms]")
    return np.where(np.isnat(read), np.nan, read.astype(np.float64))
