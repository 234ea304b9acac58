"""`python -m service.offline`: answers one request of the API without a server, then ends.

For questions that depend on nothing stored: published laws, the catalogues of methods, strategies and spaces. The app
is the one that `serve` runs, on an empty home that is gone afterwards. Reads `{"method", "target", "body"}` as JSON
from stdin, writes `{"status", "body"}` to stdout. Imports neither torch nor ray.
"""

from __future__ import annotations

import asyncio
import json
import sys
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Any

import httpx

from service.api.app import create_app
from service.settings import Settings
from service.store.store import open_store
from workers.artifacts import ArtifactStore


def main() -> None:
    """Answer what stands on stdin."""
    json.dump(answer(json.load(sys.stdin)), sys.stdout)


def answer(request: dict[str, Any]) -> dict[str, Any]:
    """The status and the body of the API's answer."""
    with TemporaryDirectory(prefix="peftsearch-offline-") as home:
        settings = Settings(home=Path(home), no_auth=True)
        store = open_store(f"sqlite:///{home}/empty.db")
        try:
            app = create_app(settings, store, ArtifactStore(f"{home}/artifacts"))
            response = asyncio.run(_sent(httpx.ASGITransport(app), request))
        finally:
            store.close()
    return {"status": response.status_code, "body": response.text}


async def _sent(transport: httpx.ASGITransport, request: dict[str, Any]) -> httpx.Response:
    async with httpx.AsyncClient(transport=transport, base_url="http://127.0.0.1") as client:
        headers = {"Content-Type": "application/json"} if request["body"] else {}
        return await client.request(request["method"], request["target"], content=request["body"], headers=headers)


if __name__ == "__main__":
    main()
