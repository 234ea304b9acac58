"""Hyperparameters that belong to some types of task alone, and what they need of the task."""

from __future__ import annotations

from typing import Any

from service.jobs.search.space_checks import check_owned, foreign_to, read_space
from service.jobs.search.spec import JobSpec
from workers.models.description import describe


def spec(**task: Any) -> JobSpec:
    return JobSpec.model_validate(
        {
            "name": "t",
            "task": {"model": "builtin:minilm", "train": "builtin:pydocs", **task},
            "space": {"preset": "lora", "overrides": {"self_training": {"type": "ordinal", "values": [0, 1]}}},
            "objectives": [{"metric": "accuracy", "direction": "maximize"}],
        }
    )


def test_what_several_types_own_is_foreign_to_the_others_alone() -> None:
    assert "demos" not in foreign_to("text-classification")
    assert "demos" not in foreign_to("causal-lm")
    assert set(foreign_to("token-classification")["demos"].split(" or ")) == {"text-classification", "causal-lm"}
    assert foreign_to("causal-lm")["self_training"] == "text-classification"


def test_self_training_needs_texts_without_labels() -> None:
    model = describe("builtin:minilm")
    for given, fields in ((spec(), ["task.unlabelled"]), (spec(unlabelled="builtin:pydocs"), [])):
        space = read_space(given.space, model)
        assert not isinstance(space, list)
        assert [problem.field for problem in check_owned(given, space)] == fields


def test_a_filter_by_trusted_rows_needs_them() -> None:
    model = describe("builtin:minilm")
    by = {"type": "categorical", "choices": ["perplexity", "color"]}
    for task, choices, fields in (
        ({}, by, ["task.trusted"]),
        ({}, by | {"choices": ["perplexity", "random"]}, []),
        ({"trusted": "builtin:pydocs", "trusted_rows": 50}, by, []),
    ):
        given = spec(**task)
        overrides = {"drop_share": {"type": "ordinal", "values": [0.0, 0.3]}, "drop_by": choices}
        given = given.model_copy(update={"space": given.space.model_copy(update={"overrides": overrides})})
        space = read_space(given.space, model)
        assert not isinstance(space, list)
        assert [problem.field for problem in check_owned(given, space)] == fields
