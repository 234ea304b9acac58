"""The REST API as an ASGI app. Imports neither torch nor ray."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from importlib.metadata import version

from fastapi import APIRouter, FastAPI
from starlette.middleware.gzip import GZipMiddleware
from starlette.responses import RedirectResponse

from service.answering.pool import AnswerPool
from service.api import problem_details
from service.api.audit_trail import Audited, AuditTrail
from service.api.body_limit import BodyLimit
from service.api.dashboard import Guarded, dashboard
from service.api.dependencies import Clock, Surroundings
from service.api.event_feed import EventFeed
from service.api.no_route import METHODS, NoRoute
from service.api.openapi import Api
from service.api.prometheus import Numbers, RequestTimer
from service.api.rate_limit import RateLimit
from service.api.request_guard import RequestGuard
from service.api.route_names import VERSION
from service.api.routes import (
    audit,
    chat,
    checks,
    confirmation,
    courses,
    events,
    exports,
    follow_ups,
    fronts,
    health,
    imports,
    insights,
    jobs,
    laws,
    methods,
    mixtures,
    predict,
    recommend,
    remarks,
    search_methods,
    spaces,
    stages,
    surfaces,
    system,
    tasks,
    tokens,
    trials,
    uploads,
    webhooks,
    work,
)
from service.api.tracing import Traced
from service.jobs.search.outside_scheduling import OutsideScheduling
from service.settings import Settings
from service.store.store import Store
from workers import tracing
from workers.artifacts import ArtifactStore

ROUTERS: tuple[APIRouter, ...] = (
    jobs.router,
    stages.router,
    checks.router,
    uploads.router,
    trials.router,
    exports.router,
    follow_ups.router,
    courses.router,
    remarks.router,
    imports.router,
    fronts.router,
    insights.router,
    surfaces.router,
    confirmation.router,
    chat.router,
    events.router,
    work.router,
    spaces.router,
    methods.router,
    tasks.router,
    search_methods.router,
    predict.router,
    laws.router,
    mixtures.router,
    mixtures.of_job,
    recommend.router,
    tokens.router,
    audit.router,
    system.router,
    webhooks.router,
    health.router,
)


MODELS_WAITING, MODEL_MEMORY, MODEL_SECONDS = 4, 16 << 30, 600.0
"""Answers of whole models: how many may wait for the one that is made, and bytes and seconds that it may take."""


def create_app(
    settings: Settings, store: Store, artifacts: ArtifactStore, clock: Clock = lambda: datetime.now(UTC)
) -> FastAPI:
    """The API on a store and its artifacts, with the dashboard at `/`. `clock` gives aware UTC times."""
    pool, trail = AnswerPool(settings.as_environment()), AuditTrail(store, clock)
    models = AnswerPool(
        settings.as_environment(), 1, MODEL_SECONDS, waiting=MODELS_WAITING, memory=MODEL_MEMORY, kept=False
    )

    @asynccontextmanager
    async def life(_: FastAPI) -> AsyncIterator[None]:
        yield
        await pool.close()
        await models.close()
        await trail.close()

    app = Api(
        title="peftsearch",
        version=version("peftsearch"),
        summary="AutoML search for parameter-efficient fine-tuning",
        openapi_url="/v1/openapi.json",
        docs_url=None,  # Swagger UI comes with the dashboard: FastAPI's page fetches it from another server
        redoc_url=None,
        lifespan=life,
    )
    rates = RateLimit(settings.rate_limit)
    feed, scheduling = EventFeed(store), OutsideScheduling(store)
    app.state.surroundings = Surroundings(settings, store, artifacts, clock, feed, pool, models, rates, scheduling)
    app.state.numbers = Numbers()
    problem_details.install(app)
    app.add_middleware(Audited, trail=trail)
    app.add_middleware(BodyLimit)
    app.add_middleware(GZipMiddleware, minimum_size=1000, compresslevel=6)  # leaves event streams and zips alone
    app.add_middleware(RequestGuard)
    app.add_middleware(Guarded)
    app.add_middleware(RequestTimer, numbers=app.state.numbers)
    if tracing.on():
        app.add_middleware(Traced)
    for router in ROUTERS:
        app.include_router(router, prefix=VERSION)
    app.include_router(health.unversioned)
    app.add_api_route("/v1/docs", _reference, include_in_schema=False)
    no_route = NoRoute([*app.routes])
    app.router.add_route(
        "/v1/{rest:path}", no_route.answer, [*METHODS, "OPTIONS", "TRACE", "HEAD"], include_in_schema=False
    )
    app.mount("/", dashboard(), name="dashboard")
    return app


async def _reference() -> RedirectResponse:
    return RedirectResponse("../reference.html")
