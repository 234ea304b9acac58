"""Waiting in tests: what is found, what is said of what never came, and that there is no second way."""

from __future__ import annotations

import re
from pathlib import Path

import pytest

from tests import patience
from tests.patience import at_rest, wait_until


def test_the_first_value_that_is_true_is_waited_for() -> None:
    values, done = iter([0, "", "found", "later"]), list[int]()
    assert wait_until(lambda: next(values), "a word", every=0, meanwhile=lambda: done.append(1)) == "found"
    assert len(done) == 2


def test_what_never_comes_is_named_with_what_is_the_case_instead(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(patience, "PATIENCE_S", -1.0)
    with pytest.raises(AssertionError, match=r"a worker comes up \(found: \[\]\)"):
        wait_until(list, "a worker comes up")
    with pytest.raises(AssertionError, match="the job ends: running"):
        wait_until(lambda: False, lambda: "the job ends: running")
    assert wait_until(lambda: True, "what is there already") is True


def test_rest_is_what_two_looks_agree_on() -> None:
    looks = iter([1, 0, 2, 0, 0, 3])
    assert at_rest(lambda: next(looks), "a number", every=0) == 0


def test_no_test_has_a_deadline_of_its_own() -> None:
    tests = Path(__file__).parent
    own = [path for path in tests.rglob("*.py") if re.search(r"monotonic\(\) \+ ", path.read_text())]
    assert own == [tests / "patience.py"]
