"""The dashboard's static files at `/`, and the headers on every answer that keep other sites out."""

from __future__ import annotations

from pathlib import Path

from starlette.responses import HTMLResponse, Response
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


def dashboard() -> ASGIApp:
    """The app that answers everything outside the API."""
    folder = next((place for place in PLACES if (place / "index.html").is_file()), None)
    return _not_built if folder is None else StaticFiles(directory=folder, html=True)


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
