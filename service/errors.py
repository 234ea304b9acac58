"""Everything the service can refuse, on one page. The API turns each into an RFC 9457 problem with the same status.

ServiceError
├── BadInput      422  the caller can mend the request: names every field, what was found and what is allowed
├── Unauthorized  401  the caller must present a valid token
├── Forbidden     403  the token is valid but its scopes do not reach so far
├── NotFound      404  there is no such job, trial, artifact …
├── Damaged       410  what is asked for is there, but no longer what was stored
├── TooMany       429  the token asks more often than it may; the answer says when to come again
├── Conflict      409  the request does not fit the present state; reading the state again tells why
│   └── StaleAttempt   the trial has moved on to another attempt: drop the work, ask for a new trial
└── Unavailable   503  the caller can try again later: the database, Ray or the disk does not answer
    ├── Busy           503  too many costly answers are asked for at once
    └── TooCostly      503  the answer would take more time or memory than one may have
"""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass
from typing import Any, Self


class ServiceError(Exception):
    """A refusal with a message for people. `title` and `status` are the same for every error of a class."""

    title = "The service failed"
    status = 500

    def __init__(self, detail: str) -> None:
        super().__init__(detail)
        self.detail = detail


@dataclass(frozen=True)
class FieldProblem:
    """One field that cannot be accepted: its dotted path, what was found there and what would do."""

    field: str
    found: Any
    allowed: str
    message: str

    @property
    def reason(self) -> str:
        """The message without the name of the field in front of it: whoever shows it names the field."""
        for name in (self.field, self.field.rpartition(".")[2]):
            if self.message.startswith(f"{name}: "):
                return self.message.removeprefix(f"{name}: ")
        return self.message

    @property
    def sentence(self) -> str:
        """The field, once, and what is wrong with it."""
        return f"{self.field}: {self.reason}"


class BadInput(ServiceError):
    """The request cannot be accepted as it is. `errors` lists every problem found, not only the first."""

    title = "The request is not valid"
    status = 422

    def __init__(self, field: str, found: Any, allowed: str, message: str | None = None) -> None:
        text = message if message is not None else f"{field}: found {found!r}, allowed: {allowed}"
        problem = FieldProblem(field, found, allowed, text)
        super().__init__(problem.sentence)
        self.errors: tuple[FieldProblem, ...] = (problem,)

    @classmethod
    def of(cls, problems: Iterable[FieldProblem]) -> Self:
        """Make one error of several problems (at least one)."""
        first, *rest = problems
        error = cls(first.field, first.found, first.allowed, first.message)
        error.errors = (first, *rest)
        error.detail = "; ".join(problem.sentence for problem in error.errors)
        error.args = (error.detail,)
        return error


class Unauthorized(ServiceError):
    """No token, or one that is unknown, expired or revoked."""

    title = "A valid token is needed"
    status = 401


class Forbidden(ServiceError):
    """The token is known but lacks the scope, or the operator did not allow the address or path."""

    title = "Not allowed"
    status = 403


class NotFound(ServiceError):
    """Nothing has this id."""

    title = "Not found"
    status = 404

    def __init__(self, kind: str, id: str) -> None:
        super().__init__(f"there is no {kind} {id!r}")
        self.kind = kind
        self.id = id


class Damaged(ServiceError):
    """What was stored can no longer be read as it was; asking again does not help."""

    title = "What was stored is damaged"
    status = 410


class Conflict(ServiceError):
    """The request does not fit the present state of what it names."""

    title = "The request conflicts with the present state"
    status = 409


class StaleAttempt(Conflict):
    """A report or outcome of an attempt that is no longer the current one; it changed nothing."""

    title = "The attempt is no longer current"

    def __init__(self, trial_id: str, attempt: int, current: int, state: str) -> None:
        super().__init__(f"attempt {attempt} of trial {trial_id} is over: it is now {state} in attempt {current}")
        self.trial_id = trial_id
        self.attempt = attempt
        self.current = current


class TooMany(ServiceError):
    """The token has used up its leave; it comes again in `wait` seconds."""

    title = "Too many requests"
    status = 429

    def __init__(self, detail: str, wait: float) -> None:
        super().__init__(detail)
        self.wait = wait


class Unavailable(ServiceError):
    """Something the service depends on does not answer now."""

    title = "Not available now"
    status = 503


class Busy(Unavailable):
    """As many costly answers as fit are computed or waited for."""

    title = "Too much is asked at once"


class TooCostly(Unavailable):
    """An answer was given up: it took more time or memory than one may have."""

    title = "The answer costs too much"
