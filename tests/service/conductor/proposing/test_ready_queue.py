"""The queue of ready suggestions stays full and fresh, whatever happens while the optimizer works."""

from __future__ import annotations

from typing import Any

import pytest

from optimizers.problem import Objective, Problem
from search_spaces.parameters import Int
from search_spaces.space import Space
from service.conductor.mirror import TrialMirror
from service.conductor.proposing.proposer import Reply, Request
from service.conductor.proposing.ready_queue import (
    AT_MOST,
    AT_ONCE,
    FALLBACKS,
    LATELY,
    TRIES_PER_OPTIMIZER,
    Suggestions,
)
from service.jobs.search.spec import JobSpec
from service.jobs.seeds import trial_seed
from service.store.records import NewTrial, Trial
from tests.service.conductor.stored import stored_trial

PROBLEM = Problem(Space((Int("rank", 1, 64),)), (Objective("accuracy", "maximize"),))


def suggestions(trials: int = 20, optimizer: str = "gp") -> Suggestions:
    document = {
        "name": "t",
        "task": {"model": "builtin:minilm", "train": "builtin:pydocs"},
        "space": {"parameters": [{"type": "int", "name": "rank", "low": 1, "high": 64}]},
        "objectives": [{"metric": "accuracy", "direction": "maximize"}],
        "optimizer": {"name": optimizer, "options": {"warmup": 3}},
        "budget": {"trials": trials},
        "seed": 7,
    }
    return Suggestions(JobSpec.model_validate(document), document, PROBLEM)


def by_id(*trials: Trial) -> TrialMirror:
    return TrialMirror(trials)


def nowhere() -> dict[str, float]:
    return {}


def ask(asked: Suggestions, trials: TrialMirror, ahead: int = 2) -> Request:
    request = asked.request("jx", trials, ahead, nowhere)
    assert request is not None
    return request


def ranks(*values: int) -> tuple[dict[str, Any], ...]:
    return tuple({"rank": value} for value in values)


def test_asks_once_for_what_is_missing_and_numbers_the_answer() -> None:
    asked = suggestions()
    request = ask(asked, by_id())
    assert (request.n, request.optimizer, request.options) == (2, "gp", {"warmup": 3})
    assert asked.request("jx", by_id(), 2, nowhere) is None  # an answer is under way
    refill = asked.accept(Reply(request, ranks(8, 16)), by_id(stored_trial(4, "completed", config={"rank": 3})))
    assert refill.drop == ()
    assert refill.add == (
        NewTrial({"rank": 8}, "optimizer", trial_seed(7, 5)),
        NewTrial({"rank": 16}, "optimizer", trial_seed(7, 6)),
    )
    assert asked.no_more is None


def test_fresh_suggestions_are_left_alone() -> None:
    asked = suggestions()
    trials = by_id(stored_trial(0, "queued"), stored_trial(1, "queued"))
    assert asked.request("jx", trials, 2, nowhere) is None


def test_newer_evidence_replaces_what_nobody_has_claimed() -> None:
    asked = suggestions()
    done = stored_trial(0, "completed", metrics={"accuracy": 0.5})
    trials = by_id(done, stored_trial(1, "queued"), stored_trial(2, "queued"))
    request = ask(asked, trials)
    assert request.n == 2
    assert [trial.id for trial in request.history.completed] == ["jx-0"]
    assert request.history.pending == ()  # what may be replaced does not stand in its own way
    refill = asked.accept(Reply(request, ranks(2, 33)), trials)  # rank 2 is what jx-1 has already
    assert refill.drop == ("jx-2",)
    assert refill.add == (NewTrial({"rank": 33}, "optimizer", trial_seed(7, 2)),)  # it takes the number of jx-2
    asked.stored([stored_trial(2, "queued", config={"rank": 33})], refill.evidence)
    trials.put(stored_trial(2, "queued", config={"rank": 33}))
    assert asked.request("jx", trials, 2, nowhere) is None  # both are as new as the evidence


@pytest.mark.parametrize("optimizer", ["random", "sobol", "grid"])
def test_what_does_not_learn_from_evidence_replaces_nothing(optimizer: str) -> None:
    asked = suggestions(optimizer=optimizer)
    done = stored_trial(0, "completed", metrics={"accuracy": 0.5})
    assert asked.request("jx", by_id(done, stored_trial(1, "queued")), 1, nowhere) is None


def test_a_suggestion_claimed_while_the_optimizer_worked_is_refilled_not_replaced() -> None:
    asked = suggestions()
    trials = by_id(stored_trial(0, "completed", metrics={"accuracy": 0.5}), stored_trial(1, "queued"))
    request = ask(asked, trials, ahead=1)
    trials.put(stored_trial(1, "running"))  # rank 2, claimed meanwhile
    refill = asked.accept(Reply(request, ranks(33)), trials)
    assert refill.drop == ()
    assert [new.config for new in refill.add] == [{"rank": 33}]


def test_the_same_configuration_is_never_queued_twice() -> None:
    asked = suggestions()
    trials = by_id(stored_trial(0, "completed", metrics={"accuracy": 0.5}), stored_trial(1, "queued"))
    request = ask(asked, trials, ahead=1)
    trials.put(stored_trial(1, "running"))
    refill = asked.accept(Reply(request, ranks(2)), trials)  # what jx-1 trains by now
    assert refill.add == ()
    assert refill.drop == ()


def test_the_budget_is_never_exceeded() -> None:
    asked = suggestions(trials=3)
    trials = by_id(stored_trial(0, "running"), stored_trial(1, "running"))
    request = ask(asked, trials)
    assert request.n == 1
    refill = asked.accept(Reply(request, ranks(40, 41)), trials)
    assert len(refill.add) == 1


def test_an_exhausted_space_ends_the_asking() -> None:
    asked = suggestions()
    request = ask(asked, by_id())
    asked.accept(Reply(request, ranks(1)), by_id())
    assert asked.no_more == "the space is exhausted after 1 configurations"
    assert asked.request("jx", by_id(), 2, nowhere) is None


def test_a_failing_optimizer_gives_way_with_a_note_and_the_job_ends_when_all_fail() -> None:
    asked = suggestions()
    tried, notes = [], []
    while (request := asked.request("jx", by_id(), 2, nowhere)) is not None:
        tried.append(request.optimizer)
        notes += asked.accept(Reply(request, error="boom"), by_id()).notes
    expected = [name for name in ("gp", *FALLBACKS) for _ in range(TRIES_PER_OPTIMIZER)]
    assert tried == expected
    assert notes[1] == "optimizer gp failed: boom; sobol proposes instead"
    assert asked.broken == "no optimizer could propose a trial: boom"


def test_the_jobs_own_optimizer_is_tried_again_after_a_fallback_helped_out() -> None:
    asked = suggestions()
    for _ in range(TRIES_PER_OPTIMIZER):
        asked.accept(Reply(ask(asked, by_id()), error="boom"), by_id())
    fallback = ask(asked, by_id())
    assert (fallback.optimizer, fallback.options) == ("sobol", {})
    asked.accept(Reply(fallback, ranks(1, 2)), by_id())
    assert ask(asked, by_id()).optimizer == "gp"


def test_notes_of_the_optimizer_are_passed_on() -> None:
    asked = suggestions()
    request = ask(asked, by_id())
    assert asked.accept(Reply(request, ranks(1, 2), ("the fit failed",)), by_id()).notes == ("the fit failed",)


@pytest.mark.parametrize("ahead", [1, 3])
def test_lost_and_reference_trials_in_the_queue_count_but_are_not_replaced(ahead: int) -> None:
    asked = suggestions()
    trials = by_id(
        stored_trial(0, "completed", metrics={"accuracy": 0.5}),
        stored_trial(1, "queued", attempt=1),
        stored_trial(2, "queued", origin="reference"),
    )
    request = asked.request("jx", trials, ahead, nowhere)
    assert (request.n if request else 0) == max(0, ahead - 2)


def test_suggestions_that_have_no_place_in_a_changed_space_are_replaced_even_by_a_blind_optimizer() -> None:
    asked = suggestions(optimizer="random")
    trials = by_id(stored_trial(0, "queued", config={"rank": 100}), stored_trial(1, "queued"))
    request = ask(asked, trials)
    assert request.n == 1
    refill = asked.accept(Reply(request, ranks(5)), trials)
    assert refill.drop == ("jx-0",)
    assert [new.config for new in refill.add] == [{"rank": 5}]


@pytest.mark.parametrize(("optimizer", "ended", "n"), [("random", 1, 64), ("gp", 0, 64), ("gp", 1, AT_ONCE)])
def test_the_whole_gap_is_asked_for_where_nothing_can_be_learned(optimizer: str, ended: int, n: int) -> None:
    done = [stored_trial(number, "completed", metrics={"accuracy": 0.5}) for number in range(ended)]
    assert ask(suggestions(trials=100, optimizer=optimizer), by_id(*done), ahead=64).n == n


def test_a_model_is_asked_for_as_many_as_workers_take_in_the_meantime() -> None:
    asked, trials = suggestions(trials=500), by_id(stored_trial(0, "completed", metrics={"accuracy": 0.5}))
    counts = []
    for taken in (0, 4, 8, 16, 64, *((LATELY + 1) * [1])):
        for number in range(len(trials), len(trials) + taken):
            trials.put(stored_trial(number, "running"))
        request = ask(asked, trials, ahead=100)
        counts.append(request.n)
        asked.accept(Reply(request, error="only the number of them matters here"), trials)
        asked.failures = 0
    assert counts == [4, 8, 16, 32, *((LATELY + 1) * [AT_MOST]), AT_ONCE]


def test_few_are_asked_for_at_once_the_missing_first_then_the_next_to_be_claimed() -> None:
    asked = suggestions(trials=30)
    ended = stored_trial(0, "completed", metrics={"accuracy": 0.5})
    queued = [stored_trial(number, "queued") for number in range(1, 10)]
    request = ask(asked, by_id(ended, *queued), ahead=10)
    assert request.n == AT_ONCE
    kept = [trial.id for trial in request.history.pending]
    assert kept == [f"jx-{number}" for number in range(AT_ONCE, 10)]  # one was missing, three are asked for again
