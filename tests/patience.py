"""How tests wait for what is bound to come: one number for all of them, and one way to look out for it."""

from __future__ import annotations

import time
from collections.abc import Callable
from typing import Literal, TypeVar

T = TypeVar("T")

PATIENCE_S = 300.0
"""Seconds that a test waits for an event that is bound to come, on a slow machine that has much else to do. A test that
passes never waits for so long. What shall not come, or is to come soon, has a number of its own where it is tested."""


def wait_until(
    holds: Callable[[], T | Literal[False] | None],
    what: str | Callable[[], object],
    every: float = 0.1,
    meanwhile: Callable[[], object] = lambda: None,
) -> T:
    """The first value of `holds()` that counts as true, looked for every so many seconds with `meanwhile()` in between.

    When PATIENCE_S are over the test fails and names `what` was to come; a function, called then, can tell beside it
    what is the case instead. Beside a string that is the last value found.
    """
    deadline = time.monotonic() + PATIENCE_S
    while not (found := holds()):
        if time.monotonic() > deadline:
            told = f"{what} (found: {found!r})" if isinstance(what, str) else what()
            raise AssertionError(f"within {PATIENCE_S:g} s it did not come to this: {told}")
        meanwhile()
        time.sleep(every)
    return found


def at_rest(look: Callable[[], T], what: str, every: float = 0.1) -> T:
    """What two looks in succession agree on, so many seconds apart; `what` comes to rest."""
    seen = [look()]

    def same() -> bool:
        seen[:] = [seen[-1], look()]
        return seen[0] == seen[1]

    time.sleep(every)
    wait_until(same, lambda: f"{what} comes to rest", every)
    return seen[1]
