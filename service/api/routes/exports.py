"""What a trial gives away: its adapter, and the model that its adapter and its base make together."""

from __future__ import annotations

import importlib.util
import logging
from collections.abc import Callable, Iterator
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import BinaryIO

from anyio import to_thread
from fastapi import APIRouter, Request, Response
from fastapi.responses import StreamingResponse

from service.answering.costly import Desk, costly
from service.api.body_reading import PlainRoute
from service.api.costly_answers import EVENTS, RESPONSES, computed
from service.api.dependencies import READ, ArtifactsDep, StoreDep, surroundings
from service.api.views import View
from service.errors import Conflict, Damaged, NotFound, ServiceError, TooCostly, Unavailable
from service.store.records import Trial
from service.store.store import Store
from workers.artifacts import ArtifactDamaged, ArtifactMissing, ArtifactStore
from workers.assignment import Artifact
from workers.methods.registry import methods

router = APIRouter(prefix="/trials/{trial_id}", tags=["trials"], route_class=PlainRoute, dependencies=[READ])
CHUNK = 1 << 18
"""Bytes of an adapter or a model that are in memory at a time."""
MOST_PARAMETERS = 1_800_000_000
"""Of a base that is merged here. While it is folded each takes 4 bytes, and up to as many again while it is written."""
MERGED = "merged"
ZIP = "application/zip"
log = logging.getLogger(__name__)


class MergedView(View):
    """A merged model that can be downloaded: the hash and the bytes of its zip."""

    trial: str
    sha256: str
    size: int


@router.get(
    "/adapter",
    response_class=StreamingResponse,
    responses={
        200: {"content": {ZIP: {}}, "description": "the adapter's folder as a zip"},
        410: {"description": "the stored adapter is damaged"},
    },
)
def get_adapter(trial_id: str, store: StoreDep, artifacts: ArtifactsDep) -> StreamingResponse:
    """The trained adapter as a zip: in `peft` format where peft knows the method."""
    trial, adapter = _with_adapter(store, trial_id)
    try:
        content = artifacts.open_whole(adapter)
    except ArtifactMissing:
        raise NotFound("artifact any more of trial", trial_id) from None
    except ArtifactDamaged as error:
        raise Damaged(f"the adapter of trial {trial_id} cannot be given out: {error}") from None
    headers = {"Content-Disposition": f'attachment; filename="{trial_id}.zip"', "ETag": f'"{adapter}"'}
    whole = _chunks(content, partial(_exported, store, trial, adapter))
    return StreamingResponse(whole, media_type=ZIP, headers=headers)


@router.get(
    "/merged",
    response_class=StreamingResponse,
    responses={
        **RESPONSES,
        200: {
            "content": {ZIP: {}, EVENTS: {}},
            "description": "the model's folder as a zip; with `Accept: text/event-stream`: `progress` events, then an "
            "`answer` once it can be downloaded",
        },
        409: {"description": "its method does not fold into the base"},
        410: {"description": "what is stored is damaged"},
    },
)
async def get_merged(trial_id: str, request: Request, store: StoreDep, artifacts: ArtifactsDep) -> Response:
    """The adapter folded into its base, as a checkpoint for plain transformers in a zip. Made when it is first asked
    for, on the service's processors, and kept for at least an hour."""
    trial, adapter = await to_thread.run_sync(_foldable, store, trial_id)
    telling = EVENTS in request.headers.get("accept", "")
    kept = await to_thread.run_sync(artifacts.derived, adapter, MERGED)
    if telling or kept is None:
        if kept is None and importlib.util.find_spec("torch") is None:
            raise Unavailable(f"this service has no `workers` installed, and cannot merge; {_elsewhere(trial_id)} can")
        told = await computed(request, merge_trial, {"trial_id": trial_id}, pool=surroundings(request).models)
        if telling or told.status_code != 200:
            return told
        made = MergedView.model_validate_json(bytes(told.body))
        kept = Artifact(sha256=made.sha256, size=made.size)
    content = await to_thread.run_sync(_open_merged, artifacts, trial, kept)
    headers = {
        "Content-Disposition": f'attachment; filename="{trial_id}-merged.zip"',
        "Content-Length": str(kept.size),
        "ETag": f'"{kept.sha256}"',
    }
    whole = _chunks(content, partial(_exported, store, trial, adapter))
    return StreamingResponse(whole, media_type=ZIP, headers=headers)


@costly
def merge_trial(desk: Desk, trial_id: str) -> MergedView:
    """Fold the trial's adapter into its base and store the model, unless that was done before."""
    trial, adapter = _foldable(desk.store, trial_id)
    artifacts = ArtifactStore(desk.settings.artifacts)
    made = artifacts.derived(adapter, MERGED)
    if made is None:
        with TemporaryDirectory(prefix="peftsearch-merged-") as scratch:
            made = artifacts.put_folder(_merged(desk, trial, artifacts, Path(scratch)))
        artifacts.keep_derived(adapter, MERGED, made)
    return MergedView(trial=trial_id, sha256=made.sha256, size=made.size)


def _merged(desk: Desk, trial: Trial, artifacts: ArtifactStore, scratch: Path) -> Path:
    from workers.exports.merging import base_of, merge
    from workers.models.description import count_parameters

    desk.progress("folding the adapter into its base")
    try:
        adapter = artifacts.extract(str(trial.adapter), scratch / "adapter")
    except (ArtifactMissing, ArtifactDamaged) as error:
        raise Damaged(f"the adapter of trial {trial.id} cannot be read: {error}") from None
    try:
        if (size := count_parameters(base_of(adapter))) > MOST_PARAMETERS:
            raise TooCostly(
                f"the base has {size:,} parameters, and this service merges into at most {MOST_PARAMETERS:,}; "
                f"{_elsewhere(trial.id)} does it on a machine with memory for them in float32"
            )
        merge(adapter, scratch / "model")
    except ValueError as refused:  # ours, or of peft
        raise Conflict(f"trial {trial.id} cannot be merged into its base: {refused}") from None
    desk.progress("packing the model")
    return scratch / "model"


def _with_adapter(store: Store, trial_id: str) -> tuple[Trial, str]:
    trial = store.get_trial(trial_id)
    if trial.adapter is None:
        raise NotFound(f"adapter, as the trial is {trial.state}, of trial", trial_id)
    return trial, trial.adapter


def _foldable(store: Store, trial_id: str) -> tuple[Trial, str]:
    """The trial and its adapter. Raises NotFound without one, Conflict where its method never folds into a base."""
    trial, adapter = _with_adapter(store, trial_id)
    known = methods().get(str(trial.config.get("method")))
    if known is not None and not known.mergeable:
        raise Conflict(
            f"trial {trial_id} is of the method {known.name}, which is no change of weights and cannot be merged into "
            "its base: download its adapter, which `peftsearch.load_adapter` puts on the base"
        )
    return trial, adapter


def _open_merged(artifacts: ArtifactStore, trial: Trial, merged: Artifact) -> BinaryIO:
    try:
        return artifacts.open_whole(merged.sha256)
    except ArtifactMissing:
        raise NotFound("merged model any more of trial", trial.id) from None
    except ArtifactDamaged as error:
        artifacts.delete(merged.sha256)
        raise Damaged(f"the merged model of trial {trial.id} was {error}: ask again, it is made anew") from None


def _elsewhere(trial_id: str) -> str:
    return f"`peftsearch export {trial_id} model/ --merged`"


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
