"""How long a worker may be silent before it is taken for dead."""

from __future__ import annotations

from service.conductor.training.silence import Patience, Silences

PATIENCE = Patience(floor=120.0, multiple=10.0, unmeasured=3600.0)


def test_patience_follows_what_was_measured() -> None:
    silences = Silences(PATIENCE)
    assert not silences.too_long(3599, 1.0)  # the first trial of a job loads its model
    assert silences.too_long(3601, 1.0)
    silences.ended(2.0)
    silences.ended(1.0)
    assert not silences.too_long(119, 1.0)
    assert silences.too_long(121, 1.0)
    assert not silences.too_long(299, 30.0)  # a slow trial, by what similar ones measured
    assert silences.too_long(301, 30.0)
    silences.ended(60.0)
    assert not silences.too_long(599, 30.0)


def test_a_trial_of_an_unknown_kind_has_the_patience_of_a_first_one() -> None:
    silences = Silences(PATIENCE)
    silences.ended(2.0)
    assert not silences.too_long(3599, None)
    assert silences.too_long(3601, None)
    silences.ended(500.0)
    assert not silences.too_long(4999, None)
