"""The API for a server of your own, set up by the `PEFTSEARCH_*` variables, in as many processes as you like:

    uvicorn --factory service.api.asgi:app --workers 4 --port 8765

Conductors run beside it: `peftsearch serve --only conductor`.
"""

from __future__ import annotations

from fastapi import FastAPI

from service.admin_token import admin_token
from service.api.app import create_app
from service.processes.home import keep_private
from service.processes.logs import log_to_stderr
from service.settings import Settings
from service.store.store import open_store
from workers import tracing
from workers.artifacts import ArtifactStore


def app() -> FastAPI:
    """One process's app. Raises SettingsError and Unavailable."""
    settings = Settings.read()
    log_to_stderr("api", settings.log)
    tracing.begin("api")
    keep_private(settings.home)
    store = open_store(settings.database)
    admin_token(settings, store)
    return create_app(settings, store, ArtifactStore(settings.artifacts))
