"""The service as an operator sees it: who works on what, what waits, where everything lies, how much room is left."""

from __future__ import annotations

import os
import shutil
from collections import Counter
from collections.abc import Iterator
from datetime import datetime
from importlib.metadata import PackageNotFoundError, version
from pathlib import Path

from fastapi import APIRouter, Response
from pydantic import Field
from sqlalchemy.engine import make_url

from service.api.dependencies import ADMIN, SettingsDep, StoreDep
from service.api.prometheus import jobs_of
from service.api.responses import answer
from service.api.views import View
from service.processes.disk_room import nearest_folder
from service.settings import Settings
from service.store.nodes import Seen
from service.store.store import Store
from service.store.under_way import Lease

router = APIRouter(tags=["health"], dependencies=[ADMIN])
PACKAGES = ("peftsearch", "torch", "transformers", "peft", "ray", "botorch", "fastapi", "sqlalchemy")


class LeaseView(View):
    """`holder` works on `target` and is believed to until `until`, unless it is heard from before."""

    holder: str
    target: str = Field(description="id of a job, for a conductor, or of a trial, for a worker")
    since: datetime | None
    until: datetime

    @classmethod
    def of(cls, lease: Lease) -> LeaseView:
        """The public form of a lease."""
        return cls(**vars(lease))


class RoomView(View):
    """A folder of the service, and the disk that it lies on."""

    what: str
    path: str
    free_bytes: int
    total_bytes: int


class ResourceView(View):
    """How much of something a machine gives out, and how much of it is taken; memory in bytes."""

    name: str = Field(examples=["CPU"])
    used: float
    total: float


class NodeView(View):
    """A machine that a conductor trains on, as it saw it at `seen_at`: what Ray counts, and how full its GPUs are."""

    conductor: str
    seen_at: datetime
    name: str
    alive: bool
    resources: list[ResourceView]
    gpus: list[ResourceView] = Field(description="memory in bytes, as the driver says; empty until it has")

    @classmethod
    def of(cls, seen: Seen) -> NodeView:
        """The public form of a machine."""
        node = seen.node
        resources, gpus = ([ResourceView(**vars(one)) for one in some] for some in (node.resources, node.gpus))
        return cls(
            conductor=seen.conductor,
            seen_at=seen.seen_at,
            name=node.name,
            alive=node.alive,
            resources=resources,
            gpus=gpus,
        )


class DatabaseView(View):
    """Where jobs and trials are kept; the password is left out."""

    url: str
    schema_revision: str | None
    size_bytes: int | None = Field(description="of the file and its log; null for a database server")


class SystemView(View):
    """The whole service, of all projects. `load` of 1 is one program that wants a core."""

    version: str
    versions: dict[str, str]
    conductors: list[LeaseView]
    workers: list[LeaseView]
    nodes: list[NodeView] = Field(description="machines that conductors have seen within the last minute")
    jobs: dict[str, int] = Field(description="by state")
    trials: dict[str, int] = Field(description="by state")
    database: DatabaseView
    storage: list[RoomView]
    cores: int
    load: float
    ray: str = Field(description="address of the Ray cluster; `local`: the conductor starts one")
    hub: str
    rate_limit: float
    tokens_asked: bool = Field(description="false for a service that answers without a token")


@router.get("/system", response_model=SystemView)
def get_system(store: StoreDep, settings: SettingsDep) -> Response:
    """Who works on what, what waits, versions, database, disks and the settings that matter; no secrets."""
    jobs, trials = Counter[str](), Counter[str]()
    for job in jobs_of(store, None):
        jobs[job.state] += 1
        trials.update(job.counts)
    conductors, workers = store.leases_held()
    return answer(
        SystemView(
            version=version("peftsearch"),
            versions=dict(_versions()),
            conductors=[LeaseView.of(lease) for lease in conductors],
            workers=[LeaseView.of(lease) for lease in workers],
            nodes=[NodeView.of(one) for one in store.nodes_seen()],
            jobs=dict(jobs),
            trials=dict(trials),
            database=_database(store, settings),
            storage=list(_storage(settings)),
            cores=os.cpu_count() or 1,
            load=round(os.getloadavg()[0], 2),
            ray=settings.ray or "local",
            hub=settings.hub,
            rate_limit=settings.rate_limit,
            tokens_asked=not settings.no_auth,
        )
    )


def _versions() -> Iterator[tuple[str, str]]:
    """Of what is installed beside the API; nothing is imported for it."""
    for package in PACKAGES:
        try:
            yield package, version(package)
        except PackageNotFoundError:
            continue


def _database(store: Store, settings: Settings) -> DatabaseView:
    url = make_url(settings.database)
    files = [Path(f"{url.database}{suffix}") for suffix in ("", "-wal")] if url.get_backend_name() == "sqlite" else []
    size = sum(file.stat().st_size for file in files if file.is_file()) if files else None
    return DatabaseView(
        url=url.render_as_string(hide_password=True), schema_revision=store.schema_revision(), size_bytes=size
    )


def _storage(settings: Settings) -> Iterator[RoomView]:
    folders = [("home", settings.home)]
    if "://" not in settings.artifacts:
        folders.append(("artifacts", Path(settings.artifacts).absolute()))
    for what, folder in folders:
        room = shutil.disk_usage(nearest_folder(folder))
        yield RoomView(what=what, path=str(folder), free_bytes=room.free, total_bytes=room.total)
