"""A span for each request, within the trace that its caller tells of (`traceparent`)."""

from __future__ import annotations

from starlette.datastructures import Headers
from starlette.types import ASGIApp, Message, Receive, Scope, Send

from service.api.route_names import VERSION, route_of
from workers import tracing

UNTOLD = frozenset({f"{VERSION}/healthz", f"{VERSION}/readyz", "/metrics", f"{VERSION}/metrics"})
"""What is asked every few seconds by machines."""


class Traced:
    """ASGI middleware around everything that may log or store."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on in a span of its own, named after the route that took it."""
        if scope["type"] != "http" or scope["path"] in UNTOLD:
            await self.app(scope, receive, send)
            return
        method, parent = scope["method"], Headers(scope=scope).get("traceparent", "")
        told = {"http.request.method": method, "url.path": scope["path"]}
        with tracing.span(method, parent, told, kind="server") as span:

            async def answered(message: Message) -> None:
                if message["type"] == "http.response.start":
                    status, route = int(message["status"]), route_of(scope)
                    span.add({"http.response.status_code": status, "http.route": route})
                    if route is not None:
                        span.rename(f"{method} {route}")
                    if status >= 500:
                        span.fail(f"answered {status}")
                await send(message)

            await self.app(scope, receive, answered)
