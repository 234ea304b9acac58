"""Data sent to the service, for jobs of the token's project."""

from __future__ import annotations

import hashlib
import re
import uuid
from pathlib import Path
from typing import Annotated

from anyio import to_thread
from fastapi import APIRouter, Query, Request, Response
from pydantic import Field

from service.api.dependencies import SUBMIT, CallerDep, SettingsDep
from service.api.responses import answer
from service.api.views import View
from service.errors import BadInput, Conflict, Unavailable
from service.jobs.uploads import MOST_BYTES, MOST_OF_PROJECT, PARTIAL, folder_of, keep, taken
from service.processes.disk_room import full_disk
from service.settings import Settings
from workers.data.encoding import kind_of
from workers.data.files import SUFFIXES

router = APIRouter(tags=["jobs"], dependencies=[SUBMIT])
_NAME = re.compile(r"\w[\w .()+-]{0,99}")


class UploadView(View):
    """A file that was sent. Jobs name it by its `path`."""

    path: str = Field(examples=["5f70bf18a086007016e948b04aed3b82/train.csv"])
    bytes: int
    sha256: str


@router.post(
    "/uploads",
    response_model=UploadView,
    status_code=201,
    openapi_extra={
        "requestBody": {
            "required": True,
            "content": {"application/octet-stream": {"schema": {"type": "string", "format": "binary"}}},
        }
    },
)
async def upload(
    request: Request,
    settings: SettingsDep,
    caller: CallerDep,
    name: Annotated[str, Query(max_length=100, description="of the file; its end says what is in it")],
) -> Response:
    """Send a file of data as the body, up to 512 MiB. Jobs of the project name it by the `path` of the answer. It is
    kept as long as a job names it, and a day before one does."""
    folder = await to_thread.run_sync(_place, settings, caller.project, name)
    partial = folder / f"{PARTIAL}{uuid.uuid4().hex}"
    digest, size = hashlib.sha256(), 0
    try:
        with partial.open("wb") as file:
            async for chunk in request.stream():
                digest.update(chunk)
                size += len(chunk)
                await to_thread.run_sync(file.write, chunk)
        if size == 0:
            raise BadInput("(body)", "nothing", "the bytes of a file")
        target = await to_thread.run_sync(keep, partial, folder, digest.hexdigest(), name)
    except OSError as error:
        raise Unavailable(f"the file could not be stored: {error.strerror or error}") from error
    finally:
        partial.unlink(missing_ok=True)
    path = str(target.relative_to(folder))
    return answer(UploadView(path=path, bytes=size, sha256=digest.hexdigest()), 201)


def _place(settings: Settings, project: str, name: str) -> Path:
    """The project's folder, if it may take a file of this name."""
    if not _NAME.fullmatch(name) or kind_of(Path(name)) not in SUFFIXES:
        allowed = f"a name of letters, digits, spaces and . ( ) + - that ends in {', '.join(SUFFIXES)} (text also .gz)"
        raise BadInput("name", name, allowed)
    folder = folder_of(settings, project)
    if folder is None:
        raise Conflict("this service keeps its artifacts in no folder, and so takes no files: name data by a path")
    folder.mkdir(parents=True, exist_ok=True)
    if (full := full_disk(settings)) is not None:
        raise Unavailable(full)
    if (used := taken(folder)) > MOST_OF_PROJECT - MOST_BYTES:
        raise Conflict(f"the files of project {project} take {used >> 20} MiB: delete jobs that use them")
    return folder
