"""The course of a refine job as a pure function."""

from __future__ import annotations

from typing import Any

import pytest

from predictors.answer import OutOfDomain
from service.conductor.agendas.plan import plan_run
from service.conductor.training.placement import Machine
from service.jobs.plan import Measured
from service.jobs.refine.plan import RefinePlan
from service.jobs.refine.spec import RefineSpec
from service.store.records import Job, NewTrial, Trial
from workers.refining.spec import RefineAssignment

LORA = {"method": "lora", "rank": 4, "alpha": 8, "targets": "qv"}
ACCURACY = [{"metric": "accuracy", "direction": "maximize"}]


def plan(*steps: dict[str, Any], **changes: Any) -> RefinePlan:
    spec = {
        "name": "x",
        "kind": "refine",
        "source": {"configs": [LORA, LORA | {"rank": 2}]},
        "task": {"model": "builtin:minilm", "train": "builtin:pydocs"},
        "steps": list(steps),
        "objectives": ACCURACY,
        **changes,
    }
    return RefinePlan(RefineSpec.model_validate(spec))


def over(new: list[NewTrial], first: int, accuracy: list[float], state: Any = "completed") -> list[Measured]:
    return [
        Measured(first + n, one.label, state, one.config, {"accuracy": accuracy[n]}, one.seed, "a" * 64, 1)
        for n, one in enumerate(new)
    ]


def test_steps_follow_one_another_from_the_best_and_soups_take_all() -> None:
    course = plan({"step": "soup"}, {"step": "compress", "keep": [0.1, 0.2]})
    trials = over(course.opening(), 0, [0.5, 0.7])
    soups = list(course.conclude(trials).more)
    assert [(one.label, one.config["refine.of"], one.config["rank"]) for one in soups] == [("soup", "1+0", 6)]
    trials += over(soups, 2, [0.8])
    compressed = list(course.conclude(trials).more)
    assert [(one.label, one.config["refine.of"]) for one in compressed] == [("compress", "2")] * 2
    assert {one.seed for one in compressed} == {soups[0].seed}
    trials += over(compressed, 3, [0.6, 0.75])
    answer = course.conclude(trials).answer
    assert answer is not None
    assert [(one["step"], one["trial"]) for one in answer["steps"]] == [("source", 1), ("soup", 2), ("compress", 4)]


def test_a_step_may_be_silent_for_long_however_quickly_its_sources_were_measured() -> None:
    """A step tries dozens of candidates before it says a word; its worker was taken for dead after two minutes."""
    spec = plan({"step": "compress"}).spec
    job = Job(**dict.fromkeys(Job.__dataclass_fields__) | {"id": "j", "spec": spec.model_dump()})
    run = plan_run(job, spec, (), Machine(2, 0, 8e9), None)
    run.silences.ended(2.0)  # a source was measured
    assert not run.silences.too_long(1800, run.packs.expected_silence([]))
    assert run.silences.too_long(3601, run.packs.expected_silence([]))


def test_a_step_without_a_result_ends_the_job() -> None:
    course = plan({"step": "soup"})
    with pytest.raises(OutOfDomain):
        course.conclude(over(course.opening(), 0, [0.5, 0.7], "failed"))


def test_d90_is_the_smallest_dimension_whose_mean_reaches_the_share() -> None:
    course = plan({"step": "d90", "dimensions": [10, 100, 1000], "seeds": 2})
    trials = over(course.opening(), 0, [0.5, 0.8])
    subspaces = list(course.conclude(trials).more)
    assert [one.config["dimensions"] for one in subspaces] == [10, 10, 100, 100, 1000, 1000]
    assert {one.config["method"] for one in subspaces} == {"said"}
    assert len({one.seed for one in subspaces}) == 2
    trials += over(subspaces, 2, [0.4, 0.5, 0.73, 0.69, 0.71, 0.75])
    answer = course.conclude(trials).answer
    assert answer is not None
    (told,) = answer["steps"][1]["dimensions"]
    assert (told["source"], told["full"], told["d90"], told["bytes"]) == (1, 0.8, 1000, 4000)
    assert [one["mean"] for one in told["curve"]] == pytest.approx([0.45, 0.71, 0.73])


def test_d90_is_told_of_each_projection_with_all_that_a_training_has_found() -> None:
    step = {"step": "d90", "dimensions": [10, 100], "seeds": 1, "projection": ["sparse", "fastfood"]}
    course = plan(step | {"layer_scales": [True, False]})
    trials = over(course.opening(), 0, [0.5, 0.8])
    subspaces = list(course.conclude(trials).more)
    assert {(one.config["projection"], one.config["layer_scales"]) for one in subspaces} == {
        (projection, scaled) for projection in ("sparse", "fastfood") for scaled in (True, False)
    }
    reached = [0.75 if one.config["projection"] == "fastfood" else one.config["dimensions"] / 125 for one in subspaces]
    made = over(subspaces, 2, reached)
    for one in made:
        one.metrics["adapter_bytes"] = 4 * one.config["dimensions"] + 144 * one.config["layer_scales"] + 3080
    answer = course.conclude(trials + made).answer
    assert answer is not None
    told = {(one["projection"], one["layer_scales"]): one for one in answer["steps"][1]["dimensions"]}
    assert {how: one["d90"] for how, one in told.items()} == {
        ("sparse", True): 100,
        ("sparse", False): 100,
        ("fastfood", True): 10,
        ("fastfood", False): 10,
    }
    assert told["fastfood", False]["description_bytes"] == 40 + 3080 + 8
    assert told["sparse", True]["description_bytes"] == 400 + 144 + 3080 + 8


def test_a_winner_of_a_search_over_all_methods_gives_its_hyperparameters_to_another_method() -> None:
    """There, names stand behind their method's, which another one would take for knobs that it does not have."""
    winner = {"method": "lora", "lora.rank": 4, "lora.alpha": 8, "lora.targets": "qv", "lora.learning_rate": 5e-3}
    course = plan({"step": "prune_retrain"}, source={"configs": [winner | {"batch_size": 8}]})
    (pruned,) = course.conclude(over(course.opening(), 0, [0.5])).more
    assert pruned.config["learning_rate"] == 1e-3
    assert (pruned.config["rank"], pruned.config["batch_size"]) == (4, 8)
    assert not any(name.startswith("lora.") for name in pruned.config)


def test_sources_are_measured_with_the_head_that_the_first_step_gives_them() -> None:
    spec = plan({"step": "warm_start"}).spec
    stored = [{"config": LORA, "seed": 3, "sha256": "a" * 64, "size": 1}]
    for steps, head in ((spec.steps, "fresh"), (plan({"step": "soup"}).spec.steps, "kept")):
        changed = spec.model_dump() | {"source": {"trials": ["t-0"]}, "adapters": stored}
        course = RefinePlan(RefineSpec.model_validate(changed | {"steps": [step.model_dump() for step in steps]}))
        (begin,) = course.opening()
        trial = Trial(**dict.fromkeys(Trial.__dataclass_fields__) | _as_trial(begin))
        given = course.assignment(trial, [])
        assert isinstance(given, RefineAssignment)
        assert given.options == {"head": head}


def _as_trial(new: NewTrial) -> dict[str, Any]:
    return {"id": "j-0", "number": 0, "attempt": 1, "config": new.config, "seed": new.seed, "label": new.label}
