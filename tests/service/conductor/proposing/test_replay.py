"""Stored trials become the history that an optimizer sees."""

from __future__ import annotations

import json
from dataclasses import replace

from optimizers.problem import (
    CompletedTrial,
    FailedTrial,
    History,
    Objective,
    OutcomeConstraint,
    PastJob,
    PendingTrial,
    Problem,
    StoppedTrial,
)
from search_spaces.parameters import Categorical, Int, Ordinal
from search_spaces.space import Space
from service.conductor.proposing.replay import from_json, history, to_json
from tests.service.conductor.stored import stored_trial

PROBLEM = Problem(Space((Int("rank", 1, 64),)), (Objective("accuracy", "maximize"),))


def test_every_state_becomes_its_kind_of_evidence_in_the_order_of_numbers() -> None:
    trials = [
        stored_trial(5, "paused"),
        stored_trial(0, "completed", metrics={"accuracy": 0.5}),
        stored_trial(1, "stopped", metrics={"accuracy": 0.2}),
        stored_trial(2, "failed", reason="nan_loss: at step 3"),
        stored_trial(4, "running"),
        stored_trial(3, "queued"),
    ]
    found = history(trials, PROBLEM, {"jx-1": 1.5})
    assert found == History(
        completed=(CompletedTrial("jx-0", {"rank": 1}, {"accuracy": 0.5}),),
        stopped=(StoppedTrial("jx-1", {"rank": 2}, {"accuracy": 0.2}, 1.5),),
        failed=(FailedTrial("jx-2", {"rank": 4}, "nan_loss: at step 3"),),
        pending=(
            PendingTrial("jx-3", {"rank": 8}),
            PendingTrial("jx-4", {"rank": 16}),
            PendingTrial("jx-5", {"rank": 32}),
        ),
    )


def test_a_completed_trial_without_its_objective_counts_as_failed() -> None:
    found = history([stored_trial(0, "completed", metrics={"loss": 1.0})], PROBLEM, {})
    assert found.completed == ()
    assert found.failed == (FailedTrial("jx-0", {"rank": 1}, "unmeasured: accuracy is missing or not finite"),)


def test_trials_outside_the_space_stay_as_they_are() -> None:
    head = stored_trial(0, "completed", origin="reference", config={"method": "head"}, metrics={"accuracy": 0.4})
    assert history([head], PROBLEM, {}).completed == (CompletedTrial("jx-0", {"method": "head"}, {"accuracy": 0.4}),)


def test_trials_from_before_a_parameter_was_added_have_its_implied_value() -> None:
    grown = replace(PROBLEM, space=PROBLEM.space.add(Int("warmup", 0, 9)))
    found = history([stored_trial(0, "running")], grown, {}, {"warmup": 3})
    assert found.pending == (PendingTrial("jx-0", {"rank": 1, "warmup": 3}),)


def test_a_history_survives_its_way_to_the_proposer() -> None:
    trials = [
        stored_trial(0, "completed", metrics={"accuracy": 0.1 + 0.2}),
        stored_trial(1, "stopped", metrics={"accuracy": 0.2}),
        stored_trial(2, "failed", reason="x"),
        stored_trial(3, "running"),
    ]
    past = PastJob("jp", 0.5, (CompletedTrial("jp-1", {"rank": 3}, {"accuracy": 0.7}),))
    evidence = replace(history(trials, PROBLEM, {"jx-1": 0.75}), past=(past,))
    assert from_json(json.loads(json.dumps(to_json(evidence)))) == evidence


def test_what_one_training_shows_about_lower_ranks_is_evidence_too() -> None:
    space = Space((Categorical("method", ("dylora",)), Ordinal("rank", (2, 4, 8)), Int("alpha", 1, 9)))
    objectives = (Objective("accuracy", "maximize"), Objective("trainable_params", "minimize"))
    problem = Problem(space, objectives, known={"trainable_params": lambda config: 10.0 * config["rank"]})
    metrics = {"accuracy": 0.9, "trainable_params": 80.0, "train_seconds": 3.0, "adapter_bytes": 400.0}
    lower = {f"accuracy_at_rank_{rank}": value for rank, value in ((1, 0.5), (2, 0.6), (4, 0.8))}
    config = {"method": "dylora", "rank": 8, "alpha": 3}
    found = history([stored_trial(0, "completed", config=config, metrics=metrics | lower)], problem, {}).completed
    assert [one.config["rank"] for one in found] == [8, 2, 4]  # 1 is not in the space
    assert dict(found[2].metrics) == {"accuracy": 0.8, "trainable_params": 40.0, "train_seconds": 3.0}
    bounded = replace(problem, constraints=(OutcomeConstraint("adapter_bytes", max=500.0),))
    assert (
        len(history([stored_trial(0, "completed", config=config, metrics=metrics | lower)], bounded, {}).completed) == 1
    )
