"""The dashboard's static files at `/`, and the headers on every answer that keep other sites out."""

from __future__ import annotations

from contextlib import suppress
from http import HTTPStatus
from mimetypes import guess_type
from pathlib import Path
from urllib.parse import quote

from starlette.datastructures import Headers
from starlette.exceptions import HTTPException
from starlette.responses import HTMLResponse, RedirectResponse, Response
from starlette.staticfiles import StaticFiles
from starlette.types import ASGIApp, Message, Receive, Scope, Send

_SERVICE = Path(__file__).resolve().parents[1]
PLACES = (_SERVICE / "static", _SERVICE.parent / "web" / "dist")
"""Where the built dashboard may lie: in an installed package, and in a checkout after `make web`."""

HEADERS = {
    # The page may hold a token: nothing but its own scripts runs in it, and no site frames it or sees its address.
    "Content-Security-Policy": (
        "default-src 'self'; style-src 'self' 'unsafe-inline'; img-src 'self' data:; "
        "frame-ancestors 'none'; base-uri 'none'"
    ),
    "X-Content-Type-Options": "nosniff",
    "Referrer-Policy": "no-referrer",
}
_NOT_BUILT = """<!doctype html>
<html lang="en"><meta charset="utf-8"><title>peftsearch</title>
<body style="font-family: system-ui; max-width: 40rem; margin: 4rem auto; line-height: 1.5">
<h1>The dashboard is not built</h1>
<p>The API is running: see <a href="/v1/openapi.json">/v1/openapi.json</a>. To build the dashboard and the API
reference, run <code>make web</code> in the checkout and reload this page. The command line does everything as well:
<code>peftsearch --help</code>.</p>
"""


KEPT = {"Cache-Control": "public, max-age=31536000, immutable", "Vary": "Accept-Encoding"}
"""Of files whose names carry a hash of what is in them: another content has another name."""
ASKED_AGAIN = {"Cache-Control": "no-cache"}
"""Of the page that names them: the browser asks whether it is still the same."""


def dashboard() -> ASGIApp:
    """The app that answers everything outside the API."""
    folder = next((place for place in PLACES if (place / "index.html").is_file()), None)
    return _not_built if folder is None else Pages(directory=folder, html=True)


class Pages(StaticFiles):
    """The built files. A page that is asked for as if it were a file, as by an address that lost its `#`, is shown by
    the dashboard, which says so where it has none."""

    async def get_response(self, path: str, scope: Scope) -> Response:
        """The file, or the way to the page; raises HTTPException (404) for what no person asks a browser for."""
        headers = Headers(scope=scope)
        if path.startswith("assets") and "gzip" in headers.get("accept-encoding", ""):
            with suppress(HTTPException):  # written so by the build, except for what is small as it is
                response = await super().get_response(f"{path}.gz", scope)
                response.headers.update(KEPT | {"Content-Encoding": "gzip", "Content-Type": _type_of(path)})
                return response
        try:
            response = await super().get_response(path, scope)
        except HTTPException as error:
            wanted = headers.get("accept", "")
            if error.status_code != HTTPStatus.NOT_FOUND or "text/html" not in wanted or Path(path).suffix:
                raise
            return RedirectResponse(_page_of(scope))
        response.headers.update(KEPT if path.startswith("assets") else ASKED_AGAIN)
        return response


def _type_of(path: str) -> str:
    return f"{guess_type(path)[0] or 'application/octet-stream'}; charset=utf-8"


def _page_of(scope: Scope) -> str:
    """`/jobs/j1?tab=best` as the dashboard's own `/#/jobs/j1?tab=best`, told from here: a proxy may put it anywhere."""
    below = str(scope["path"]).removeprefix(str(scope.get("root_path", ""))).lstrip("/")
    query = scope["query_string"].decode("latin-1")
    up = "../" * below.count("/") or "./"
    return f"{up}#/{quote(below)}" + (f"?{query}" if query else "")


class Guarded:
    """Adds the security headers to every answer of an app."""

    def __init__(self, app: ASGIApp) -> None:
        self.app = app

    async def __call__(self, scope: Scope, receive: Receive, send: Send) -> None:
        """Pass the request on."""

        async def with_headers(message: Message) -> None:
            if message["type"] == "http.response.start":
                extra = [(name.lower().encode(), value.encode()) for name, value in HEADERS.items()]
                message["headers"] = [*message.get("headers", ()), *extra]
            await send(message)

        await self.app(scope, receive, with_headers)


async def _not_built(scope: Scope, receive: Receive, send: Send) -> None:
    found = scope["path"].rstrip("/") in {"", "/index.html", "/reference.html"}
    response: Response = HTMLResponse(_NOT_BUILT) if found else Response("Not found", 404, media_type="text/plain")
    await response(scope, receive, send)
