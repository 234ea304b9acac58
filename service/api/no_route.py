"""What is under `/v1` and no route: 405 where another method would do, else 404. The dashboard has no say in it."""

from __future__ import annotations

from collections.abc import Sequence

from starlette.exceptions import HTTPException
from starlette.requests import Request
from starlette.responses import Response
from starlette.routing import BaseRoute, Match

METHODS = ("GET", "POST", "PUT", "PATCH", "DELETE")


class NoRoute:
    """The last route of the API, for every method and path that no other one took."""

    def __init__(self, routes: Sequence[BaseRoute]) -> None:
        self._routes = routes

    async def answer(self, request: Request) -> Response:
        """Raise HTTPException: 405 with `Allow`, or 404."""
        allowed = [method for method in METHODS if self._takes(request, method)]
        if allowed:
            told = f"{request.method} is not allowed here; allowed: {', '.join(allowed)}"
            raise HTTPException(405, told, {"Allow": ", ".join(allowed)})
        raise HTTPException(404, "Not Found")

    def _takes(self, request: Request, method: str) -> bool:
        scope = {**request.scope, "method": method}
        return any(route.matches(scope)[0] is Match.FULL for route in self._routes)
