"""The seven stages of a job as they follow from what the store knows."""

from __future__ import annotations

from dataclasses import replace
from datetime import UTC, datetime, timedelta
from typing import Any, get_args

import pytest

from search_spaces.parameters import Int
from search_spaces.space import Space
from service.jobs.stages import Stage, StageName, Told, stages
from service.store.exports import Export
from service.store.provenance import Provenance
from service.store.records import Answer, Job, JobState, Trial
from service.store.states import TRIAL_STATES
from service.store.uses import Refinement
from tests.service.conductor.stored import stored_trial

START = datetime(2026, 1, 1, tzinfo=UTC)
SPACE = Space((Int("rank", 1, 8),))
TASK = {"model": "builtin:minilm", "train": "train.csv", "text": "text", "label": "label"}
SEARCH = {
    "name": "s",
    "objectives": [{"metric": "accuracy", "direction": "maximize"}, {"metric": "loss", "direction": "minimize"}],
    "confirm": {"seeds": 2},
}


def at(minutes: float) -> datetime:
    return START + timedelta(minutes=minutes)


def job(state: JobState = "running", spec: dict[str, Any] | None = None, front: int = 0, **counts: int) -> Job:
    over = state in {"completed", "failed", "cancelled"}
    return Job(
        id="j1",
        name="s",
        state=state,
        spec=SEARCH if spec is None else spec,
        created_at=at(0),
        started_at=None if state == "queued" else at(1),
        finished_at=at(99) if over else None,
        reason=None,
        lease_owner=None,
        lease_until=None,
        version=1,
        counts={one: counts.get(one, 0) for one in TRIAL_STATES},
        front_size=front,
    )


def confirmation(number: int, state: Any, began: float, ended: float | None = None) -> Trial:
    finished = None if ended is None else at(ended)
    return stored_trial(
        number, state, origin="confirmation", confirms="j1-0", started_at=at(began), finished_at=finished
    )


def by_name(told: Told) -> dict[str, Stage]:
    found = stages(told)
    assert [stage.name for stage in found] == list(get_args(StageName))
    return {stage.name: stage for stage in found}


def states(told: Told) -> list[str]:
    return [stage.state for stage in stages(told)]


SAID = Provenance(False, "d" * 64, "b" * 64, 4, at(2), at(20))
AGAIN = Provenance(True, "d" * 64, "b" * 64, 2, at(21), at(30))


def test_a_study_walks_all_stages() -> None:
    ahead, skipped = "ahead", "not asked for"
    assert states(Told(job("queued"))) == [ahead, ahead, "done", ahead, ahead, skipped, skipped]
    begun = Told(job(running=1), [Provenance(False, None, None, 1, at(2), None)])
    assert states(begun) == ["running", "running", "done", "running", ahead, skipped, skipped]
    measured = Told(job(running=1, completed=3, front=2), [SAID])
    assert states(measured) == ["done", "done", "done", "running", ahead, skipped, skipped]
    again = [confirmation(4, "completed", 21, 25), confirmation(5, "running", 22)]
    confirming = Told(job(running=1, completed=5, front=2), [SAID, AGAIN], again)
    assert states(confirming) == ["done"] * 4 + ["running", skipped, skipped]
    again[1] = confirmation(5, "completed", 22, 30)
    over = Told(job("completed", completed=6, front=2), [SAID, AGAIN], again)
    assert states(over) == ["done"] * 5 + [skipped, skipped]
    refining = replace(over, refinements=[Refinement("j2", "smaller", "running", at(40), None)])
    assert states(refining) == ["done"] * 5 + ["running", skipped]
    refined = replace(over, space=SPACE, refinements=[Refinement("j2", "smaller", "completed", at(40), at(50))])
    whole = by_name(replace(refined, exports=[Export("j1-2", "a" * 64, 3, at(60), at(61))]))
    assert {stage.state for stage in whole.values()} == {"done"}
    assert all(stage.products for stage in whole.values())
    shown = {name: [(one.kind, one.text, one.path, one.id) for one in stage.products] for name, stage in whole.items()}
    assert shown == {
        "data": [("rows", "SHA-256 dddddddddddd", "/v1/jobs/j1", "d" * 64)],
        "base": [("weights", "SHA-256 bbbbbbbbbbbb", "/v1/jobs/j1", "b" * 64)],
        "space": [("space", "1 parameter, 8 configurations", "/v1/jobs/j1", None)],
        "search": [("front", "2 on the front", "/v1/jobs/j1/pareto", None)],
        "confirm": [("confirmation", "2 of 2 trainings", "/v1/jobs/j1/confirmation", None)],
        "refine": [("refine job", "smaller: completed", "/v1/jobs/j2", "j2")],
        "export": [("adapter", "trial 2", "/v1/trials/j1-2/adapter", "a" * 64)],
    }
    times = {name: (stage.started_at, stage.finished_at) for name, stage in whole.items()}
    assert times == {
        "data": (at(2), None),
        "base": (at(2), None),
        "space": (at(0), at(0)),
        "search": (at(1), at(20)),
        "confirm": (at(21), at(30)),
        "refine": (at(40), at(50)),
        "export": (at(60), at(61)),
    }


@pytest.mark.parametrize("name", get_args(StageName))
def test_a_stage_without_an_artifact_cannot_be_done(name: StageName) -> None:
    with pytest.raises(ValueError, match=name):
        Stage(name, "done")


@pytest.mark.parametrize("state", ["completed", "failed", "cancelled"])
def test_what_a_job_that_is_over_lacks_is_unfinished(state: JobState) -> None:
    found = by_name(Told(job(state, failed=3)))
    assert [stage.state for stage in found.values()][:5] == [
        "unfinished",
        "unfinished",
        "done",
        "unfinished",
        "unfinished",
    ]
    assert "no trial has told" in found["data"].note


def test_a_search_that_was_cancelled_keeps_its_front_and_is_not_done() -> None:
    search = by_name(Told(job("cancelled", front=1, completed=2), [SAID]))["search"]
    assert (search.state, search.note, [one.kind for one in search.products]) == ("unfinished", "cancelled", ["front"])


def test_trials_that_read_other_rows_are_told_of() -> None:
    other = Provenance(False, "e" * 64, "b" * 64, 1, at(3), at(4))
    found = by_name(Told(job(completed=5), [SAID, other]))
    assert [one.id for one in found["data"].products] == ["d" * 64, "e" * 64]
    assert found["data"].note == "2 that differ: not all trials read the same rows"
    assert (len(found["base"].products), found["base"].note) == (1, "")


def test_a_search_that_was_extended_goes_on_although_some_is_confirmed() -> None:
    told = Told(job(queued=2, completed=5, front=1), [SAID, AGAIN], [confirmation(3, "completed", 21, 30)])
    assert by_name(told)["search"].state == "running"


def test_without_confirm_in_its_spec_nothing_is_confirmed() -> None:
    found = by_name(Told(job("completed", {**SEARCH, "confirm": None}, front=1, completed=1), [SAID]))
    assert (found["search"].state, found["confirm"].state) == ("done", "not asked for")


def test_jobs_that_search_no_space_have_a_plan_and_an_answer() -> None:
    steps = [{"step": "compress", "keep": [0.5]}, {"step": "compress", "keep": [0.25]}]
    refine = {"name": "r", "kind": "refine", "source": {"trials": ["j0-1"]}, "task": TASK, "steps": steps}
    objectives = {"objectives": SEARCH["objectives"]}
    answer = Answer("refine", "r", 1, "j1", {}, at(9))
    found = by_name(Told(job("completed", refine | objectives, front=1, completed=3), [SAID], answer=answer))
    assert [one.text for one in found["space"].products] == ["compress 1, compress 2"]
    assert [one.kind for one in found["search"].products] == ["front", "answer"]
    mixture = {"name": "m", "kind": "mixture"}
    assert by_name(Told(job("queued", mixture)))["space"].state == "ahead"
    told = Told(job(spec=mixture, completed=9), answer=replace(answer, kind="mixture", name="m"))
    assert [one.text for one in by_name(told)["space"].products] == ["9 trials"]
    assert by_name(told)["search"].state == "running"
