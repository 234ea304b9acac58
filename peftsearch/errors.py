"""What can go wrong on the client's side of the API.

PeftsearchError
├── Unreachable          no answer: the server is not running, or the address is wrong
├── Refused              the server answered with a problem (RFC 9457); `status`, `title`, `detail`, `problems`
│   ├── BadInput         422, 400, 413: the caller can act; each entry of `problems` names field, found and allowed
│   ├── NotAllowed       401, 403: the token is missing, wrong or lacks the scope
│   ├── NotFound         404: no such job, trial or adapter
│   ├── Conflict         409: the state of the job or trial does not allow it (a stale attempt, a finished job)
│   └── Unavailable      429, 503: try again later
├── NotMade               what cannot be made of an adapter, such as a merged checkpoint
├── NoPandas             `.to_dataframe()` without pandas installed
└── MissingExtra         a format or a service that needs a package which is not installed
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any


@dataclass(frozen=True)
class Problem:
    """One thing wrong with the input: the `field`, what was `found`, what is `allowed` and a sentence saying so."""

    field: str
    found: Any
    allowed: Any
    message: str


class PeftsearchError(Exception):
    """Everything that this package raises on purpose."""


class Unreachable(PeftsearchError):
    """No server answered at `url`."""

    def __init__(self, url: str, cause: str) -> None:
        self.url = url
        super().__init__(f"no peftsearch server answers at {url} ({cause}); start one with `peftsearch serve`")


class Refused(PeftsearchError):
    """The server refused a request; the message is its own."""

    def __init__(self, status: int, title: str, detail: str, problems: Sequence[Problem] = ()) -> None:
        self.status, self.title, self.detail, self.problems = status, title, detail, tuple(problems)
        lines = [f"{problem.field}: {problem.message}" for problem in self.problems]
        if len(lines) > 1:
            lines = [f"{title}, {len(lines)} problems:", *(f"  {line}" for line in lines)]
        super().__init__("\n".join(lines or [detail or title]))


class BadInput(Refused):
    """The request itself is at fault."""


class NotAllowed(Refused):
    """The token is missing, unknown or lacks the scope."""


class NotFound(Refused):
    """There is no such thing."""


class Conflict(Refused):
    """The present state of the job or trial does not allow it."""


class Unavailable(Refused):
    """The server cannot answer now."""


class NoPandas(PeftsearchError):
    """A data frame was asked for and pandas is not installed."""

    def __init__(self) -> None:
        super().__init__("to_dataframe() needs pandas; install it with `pip install pandas`")


class NotMade(PeftsearchError):
    """What was asked for cannot be made of this adapter; the message says why and what would do."""


class MissingExtra(PeftsearchError):
    """`what` was asked for and `package` is not installed."""

    def __init__(self, what: str, package: str) -> None:
        super().__init__(f"{what} needs {package}; install it with `pip install {package}`")


_BY_STATUS: Mapping[int, type[Refused]] = {
    400: BadInput,
    401: NotAllowed,
    403: NotAllowed,
    404: NotFound,
    409: Conflict,
    413: BadInput,
    422: BadInput,
    429: Unavailable,
    503: Unavailable,
}


def refusal(status: int, body: Mapping[str, Any]) -> Refused:
    """The error for a problem document, or for any other answer with a status of 400 or more."""
    problems = [
        Problem(
            field=str(entry.get("field", "")),
            found=entry.get("found"),
            allowed=entry.get("allowed"),
            message=str(entry.get("message", "")),
        )
        for entry in body.get("errors", ())
    ]
    title = str(body.get("title") or f"HTTP {status}")
    return _BY_STATUS.get(status, Refused)(status, title, str(body.get("detail") or ""), problems)
