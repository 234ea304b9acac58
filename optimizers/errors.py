"""What can go wrong when an optimizer or scheduler is chosen. All of it is bad input, found when a job is submitted."""

from __future__ import annotations

from collections.abc import Iterable


class UnknownName(ValueError):
    """No optimizer or scheduler of this name; the message lists those there are."""

    def __init__(self, what: str, found: str, allowed: Iterable[str]) -> None:
        super().__init__(f"{what}: found {found!r}, allowed: {', '.join(allowed)}")
        self.found = found


class BadOption(ValueError):
    """An option that the optimizer or scheduler does not have, or a value that it cannot use."""

    def __init__(self, option: str, found: object, allowed: str) -> None:
        super().__init__(f"options.{option}: found {found!r}, allowed: {allowed}")
        self.option, self.found, self.allowed = option, found, allowed


class UnsupportedProblem(ValueError):
    """The optimizer or scheduler cannot work on this problem; says why and what would do."""

    def __init__(self, name: str, reason: str) -> None:
        super().__init__(f"{name}: {reason}")
        self.name, self.reason = name, reason


class MissingExtra(ValueError):
    """The optimizer, or the `option` of it that was asked for, needs packages that an extra of ours installs."""

    def __init__(self, option: str | None, missing: Iterable[str], extra: str) -> None:
        super().__init__(f"needs {', '.join(missing)}; the service's operator runs: pip install 'peftsearch[{extra}]'")
        self.option, self.extra = option, extra
