"""Which cases of a test with many run in `make test-slow`; the others run in `make test-long` alone."""

from __future__ import annotations

from collections.abc import Collection, Iterable
from typing import Any

import pytest


def short_form(cases: Iterable[str], chosen: Collection[str]) -> list[Any]:
    """The cases for `pytest.mark.parametrize`, all but the `chosen` marked `long`; every chosen one must be a case."""
    named = list(cases)
    assert set(chosen) <= set(named), f"no such cases: {sorted(set(chosen) - set(named))}"
    return [name if name in chosen else pytest.param(name, marks=pytest.mark.long) for name in named]
