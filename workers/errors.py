"""The one error that workers raise about what a user wrote. The service turns it into a 422; a trial into `failed`."""

from __future__ import annotations

from collections.abc import Iterable


class InvalidInput(ValueError):
    """Something in a job cannot be used as written.

    `field` is the JobSpec field (`train`, `model`, `rank`, …), `found` what it holds, `allowed` what would do.
    """

    def __init__(self, field: str, found: object, allowed: str | Iterable[object], message: str | None = None) -> None:
        self.field = field
        self.found = found
        self.allowed = allowed if isinstance(allowed, str) else ", ".join(str(one) for one in allowed)
        self.message = message or f"{field}: found {found!r}; allowed: {self.allowed}"
        super().__init__(self.message)
