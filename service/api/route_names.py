"""What a request's route is called, in metrics, traces and the audit trail."""

from __future__ import annotations

from starlette.types import Scope

VERSION = "/v1"


def route_of(scope: Scope) -> str | None:
    """The pattern of the route that took a request, as OpenAPI writes it (`/v1/jobs/{job_id}`); None where none did."""
    route: str | None = getattr(scope.get("route"), "path", None)
    if route is None:
        return None
    # Of a router that was included, the route knows its own part of the path only.
    prefix = VERSION if scope["path"].startswith(f"{VERSION}/") and not route.startswith(f"{VERSION}/") else ""
    return prefix + route
