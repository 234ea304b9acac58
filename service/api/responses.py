"""Turning views into HTTP answers, with an ETag where the caller may already have them."""

from __future__ import annotations

import hashlib

from fastapi import Request
from pydantic import BaseModel
from starlette.responses import Response

JSON = "application/json"


def answer(view: BaseModel, status: int = 200) -> Response:
    """A view as JSON."""
    return Response(view.model_dump_json(by_alias=True), status, media_type=JSON)


def tagged(request: Request, view: BaseModel, tag: str | None = None) -> Response:
    """A view as JSON with an ETag, or 304 when the caller has this very version.

    `tag` names the version; by default it is a digest of the content.
    """
    content = view.model_dump_json(by_alias=True)
    tag = tag or hashlib.sha256(content.encode()).hexdigest()[:20]
    headers = {"ETag": f'W/"{tag}"', "Cache-Control": "private, no-cache"}
    if has_version(request, tag):
        return Response(status_code=304, headers=headers)
    return Response(content, headers=headers, media_type=JSON)


def has_version(request: Request, tag: str) -> bool:
    """Whether `If-None-Match` names this version (weak comparison, RFC 9110 section 13.1.2)."""
    wanted = request.headers.get("if-none-match", "")
    known = {entry.strip().removeprefix("W/") for entry in wanted.split(",")}
    return "*" in known or f'"{tag}"' in known
