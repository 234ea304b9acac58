"""What won on alike past jobs is tried first; without a past the optimizer says so and goes on as `auto`."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
import pytest

from optimizers.errors import BadOption
from optimizers.problem import CompletedTrial, Config, History, OutcomeConstraint, PastJob
from optimizers.registry import optimizer
from optimizers.transfer import winners
from tests.optimizers.computed_problems import ACCURACY, LATENCY, MIXED, PROBLEMS, TWO, completed, metrics

ONE = PROBLEMS["one objective"]
DRAWN = MIXED.sample(30, np.random.default_rng(5))


def past_job(name: str, configs: list[Config], likeness: float = 0.9) -> PastJob:
    return PastJob(name, likeness, tuple(completed(i, config) for i, config in enumerate(configs)))


def accuracy(config: Config) -> float:
    return metrics(config)["accuracy"]


def test_begins_with_the_winner_of_each_job_in_turn() -> None:
    past = (past_job("a", DRAWN[:15]), past_job("b", DRAWN[15:]))
    expected = [max(DRAWN[:15], key=accuracy), max(DRAWN[15:], key=accuracy)]
    assert winners(ONE, past, 2) == expected
    proposal = optimizer("transfer").propose(ONE, History(past=past), 2, np.random.default_rng(0))
    assert list(proposal.configs) == expected
    assert "a (0.90 alike), b (0.90 alike)" in proposal.notes[0]


def test_with_several_objectives_the_whole_front_wins() -> None:
    found = winners(TWO, (past_job("a", DRAWN),), 4)
    values = np.array([[-metrics(config)["accuracy"], metrics(config)["trainable_params"]] for config in DRAWN])
    for config in found:
        own = np.array([-metrics(config)["accuracy"], metrics(config)["trainable_params"]])
        assert not ((values <= own).all(axis=1) & (values < own).any(axis=1)).any()


def test_winners_that_were_asked_already_are_not_asked_again_and_the_search_goes_on() -> None:
    past = (past_job("a", DRAWN),)
    first = winners(ONE, past, 5)
    history = History(completed=tuple(completed(i, config) for i, config in enumerate(first)), past=past)
    proposal = optimizer("transfer").propose(ONE, history, 3, np.random.default_rng(0))
    assert len(proposal.configs) == 3
    assert proposal.notes == ()
    assert not any(dict(config) in first for config in proposal.configs)


def test_trials_that_have_no_place_or_break_a_limit_or_lack_a_metric_do_not_win() -> None:
    foreign = CompletedTrial("f", {"method": "head"}, {"accuracy": 1.0, "latency_ms": 1.0})
    unmeasured = CompletedTrial("u", DRAWN[0], {"accuracy": 2.0})
    limited = replace(ONE, constraints=(OutcomeConstraint("latency_ms", max=1.0),))
    job = PastJob("a", 1.0, (foreign, unmeasured, *(completed(i, config) for i, config in enumerate(DRAWN))))
    assert winners(limited, (job,), 5) == []
    assert winners(replace(ONE, objectives=(ACCURACY, LATENCY)), (PastJob("a", 1.0, (foreign, unmeasured)),), 5) == []


NOTHING_FITS = PastJob("a", 0.5, (CompletedTrial("x", {"method": "head"}, {}),))


@pytest.mark.parametrize("past", [(), (NOTHING_FITS,)])
def test_without_a_relevant_past_it_behaves_as_auto_and_says_so(past: tuple[PastJob, ...]) -> None:
    mine = optimizer("transfer").propose(TWO, History(past=past), 2, np.random.default_rng(0))
    autos = optimizer("auto").propose(TWO, History(), 2, np.random.default_rng(0))
    assert mine.configs == autos.configs
    assert "no past job" in mine.notes[0]


def test_auto_begins_with_the_winners_too() -> None:
    past = (past_job("a", DRAWN),)
    proposal = optimizer("auto").propose(ONE, History(past=past), 1, np.random.default_rng(0))
    assert list(proposal.configs) == winners(ONE, past, 1)


def test_refuses_to_begin_with_nothing() -> None:
    with pytest.raises(BadOption, match="starts"):
        optimizer("transfer", starts=0)
