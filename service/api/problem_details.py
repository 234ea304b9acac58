"""Errors as RFC 9457 problem documents: `type`, `title`, `status`, `detail` and, for bad input, `errors`."""

from __future__ import annotations

import logging
import math
import re
from collections.abc import Mapping
from typing import Any

from fastapi import FastAPI, Request, Response
from fastapi.exceptions import RequestValidationError
from fastapi.responses import JSONResponse
from starlette.exceptions import HTTPException
from starlette.requests import ClientDisconnect

from predictors.answer import OutOfDomain
from service.errors import BadInput, FieldProblem, ServiceError, TooMany
from service.jobs.field_problems import field_problems, short
from service.redaction import redacted

MEDIA_TYPE = "application/problem+json"
_LOG = logging.getLogger(__name__)


def problem(error: ServiceError, headers: Mapping[str, str] | None = None) -> JSONResponse:
    """The answer for an error of ours."""
    body: dict[str, Any] = {
        "type": _type_of(type(error).__name__),
        "title": error.title,
        "status": error.status,
        "detail": redacted(error.detail),
    }
    if isinstance(error, BadInput):
        body["errors"] = [_entry(one) for one in error.errors]
    own = {"Retry-After": str(max(1, math.ceil(error.wait)))} if isinstance(error, TooMany) else {}
    return JSONResponse(body, error.status, {**_headers_for(error.status), **own, **(headers or {})}, MEDIA_TYPE)


def install(app: FastAPI) -> None:
    """Make `app` answer every error as a problem document."""
    app.add_exception_handler(ServiceError, _service_error)
    app.add_exception_handler(OutOfDomain, _out_of_domain)
    app.add_exception_handler(RequestValidationError, _invalid_request)
    app.add_exception_handler(HTTPException, _http_error)
    app.add_exception_handler(ClientDisconnect, _left)
    app.add_exception_handler(Exception, _bug)


def _entry(one: FieldProblem) -> dict[str, Any]:
    return {"field": one.field, "found": short(one.found), "allowed": one.allowed, "message": redacted(one.reason)}


def _type_of(name: str) -> str:
    return "urn:peftsearch:problem:" + re.sub(r"(?<!^)(?=[A-Z])", "-", name).lower()


def _headers_for(status: int) -> dict[str, str]:
    return {401: {"WWW-Authenticate": "Bearer"}, 503: {"Retry-After": "1"}}.get(status, {})


def _service_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, ServiceError)
    return problem(error)


def _out_of_domain(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, OutOfDomain)
    return problem(BadInput(error.field, repr(error.found), error.allowed, str(error)))


def _invalid_request(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, RequestValidationError)
    return problem(BadInput.of(field_problems(error.errors(), skip=1)))


def _http_error(_request: Request, error: Exception) -> JSONResponse:
    assert isinstance(error, HTTPException)
    body = {"type": "about:blank", "title": str(error.detail), "status": error.status_code, "detail": str(error.detail)}
    return JSONResponse(body, error.status_code, error.headers, MEDIA_TYPE)


def _left(request: Request, _error: Exception) -> Response:
    """Nobody reads this answer; its status, the usual one for it, is for logs and counters."""
    _LOG.info("%s %s: the caller left before the body was whole", request.method, request.url.path)
    return Response(status_code=499)


def _bug(request: Request, error: Exception) -> JSONResponse:
    _LOG.error("%s %s failed", request.method, request.url.path, exc_info=error)
    return problem(ServiceError("an error of the server's own; its log says more"))
