"""Stored trials made by hand, for tests of decisions."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

from service.store.records import Trial, TrialState

CREATED = datetime(2026, 1, 1, tzinfo=UTC)


def stored_trial(number: int, state: TrialState, **changes: Any) -> Trial:
    """A trial as the store would hand it out."""
    fields: dict[str, Any] = {
        "id": f"jx-{number}",
        "job_id": "jx",
        "number": number,
        "state": state,
        "origin": "optimizer",
        "label": None,
        "confirms": None,
        "config": {"rank": 2**number if number < 6 else number},
        "seed": number,
        "attempt": 0 if state == "queued" else 1,
        "metrics": {},
        "on_front": False,
        "adapter": None,
        "adapter_bytes": None,
        "checkpoint": None,
        "checkpoint_bytes": None,
        "engine": None,
        "engine_reason": None,
        "environment": {},
        "reason": None,
        "worker_id": None,
        "lease_until": None,
        "created_at": CREATED,
        "started_at": None,
        "finished_at": None,
    }
    return Trial(**{**fields, **changes})
