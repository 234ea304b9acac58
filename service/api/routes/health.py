"""Whether the service lives, whether it is ready, and its numbers for Prometheus."""

from __future__ import annotations

from importlib.metadata import version

from fastapi import APIRouter, Request, Response

from service.api.dependencies import READ, CallerDep, SettingsDep, StoreDep
from service.api.prometheus import Numbers
from service.api.responses import answer
from service.api.views import HealthView
from service.errors import Unavailable
from service.processes.disk_room import full_disk

router = APIRouter(tags=["health"])
unversioned = APIRouter(tags=["health"])
VERSION = version("peftsearch")


@router.get("/healthz", response_model=HealthView)
async def healthz() -> Response:
    """The process lives. Needs no thread: it is answered when all of them are busy."""
    return answer(HealthView(status="ok", version=VERSION))


@router.get("/readyz", response_model=HealthView)
def readyz(store: StoreDep, settings: SettingsDep) -> Response:
    """The store answers, has its tables, and there is room to write; 503 when it is not so."""
    store.check_tables()
    store.list_jobs(limit=1)
    if (full := full_disk(settings)) is not None:
        raise Unavailable(full)
    return answer(HealthView(status="ready", version=VERSION))


@unversioned.get("/metrics", dependencies=[READ], response_class=Response)
def prometheus(request: Request, store: StoreDep, caller: CallerDep) -> Response:
    """Requests, jobs and trials in the Prometheus text format."""
    numbers: Numbers = request.app.state.numbers
    return Response(numbers.exposition(store, caller.sees), media_type="text/plain; version=0.0.4; charset=utf-8")
