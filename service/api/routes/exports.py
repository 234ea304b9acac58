"""What a trial gives away: its adapter."""

from __future__ import annotations

import logging
from collections.abc import Callable, Iterator
from functools import partial
from typing import BinaryIO

from fastapi import APIRouter
from fastapi.responses import StreamingResponse

from service.api.body_reading import PlainRoute
from service.api.dependencies import READ, ArtifactsDep, StoreDep
from service.errors import Damaged, NotFound, ServiceError
from service.store.records import Trial
from service.store.store import Store
from workers.artifacts import ArtifactDamaged, ArtifactMissing

router = APIRouter(prefix="/trials/{trial_id}", tags=["trials"], route_class=PlainRoute, dependencies=[READ])
CHUNK = 1 << 18
"""Bytes of an adapter that are in memory at a time."""
log = logging.getLogger(__name__)


@router.get(
    "/adapter",
    response_class=StreamingResponse,
    responses={
        200: {"content": {"application/zip": {}}, "description": "the adapter's folder as a zip"},
        410: {"description": "the stored adapter is damaged"},
    },
)
def get_adapter(trial_id: str, store: StoreDep, artifacts: ArtifactsDep) -> StreamingResponse:
    """The trained adapter as a zip: in `peft` format where peft knows the method."""
    trial = store.get_trial(trial_id)
    if trial.adapter is None:
        raise NotFound(f"adapter, as the trial is {trial.state}, of trial", trial_id)
    try:
        content = artifacts.open_whole(trial.adapter)
    except ArtifactMissing:
        raise NotFound("artifact any more of trial", trial_id) from None
    except ArtifactDamaged as error:
        raise Damaged(f"the adapter of trial {trial_id} cannot be given out: {error}") from None
    headers = {"Content-Disposition": f'attachment; filename="{trial_id}.zip"', "ETag": f'"{trial.adapter}"'}
    whole = _chunks(content, partial(_exported, store, trial, trial.adapter))
    return StreamingResponse(whole, media_type="application/zip", headers=headers)


def _chunks(content: BinaryIO, handed_out: Callable[[], None]) -> Iterator[bytes]:
    with content:
        while chunk := content.read(CHUNK):
            yield chunk
    handed_out()


def _exported(store: Store, trial: Trial, adapter: str) -> None:
    """Note that the adapter went out; where that fails, whoever asked for it has it all the same."""
    try:
        store.exported(trial, adapter)
    except ServiceError as error:
        log.warning("that the adapter of trial %s was exported is not noted: %s", trial.id, error.detail)
