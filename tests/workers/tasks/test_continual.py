"""Tasks in turn: which rows train when, what is kept of earlier ones, and what is said of forgetting."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tests.workers.tasks_in_turn import TASKS, section, trial, write_home
from workers.artifacts import ArtifactStore
from workers.assignment import Outcome, Report
from workers.engines.passes import WholePass, measure_in
from workers.errors import InvalidInput
from workers.running.preparing import prepare
from workers.running.stages import memory
from workers.running.trial import attach, plan_course, train
from workers.running.workbench import Workbench
from workers.tasks.catalogue.continual.criterion import compare
from workers.tasks.coded_targets import tasks_of
from workers.tasks.registry import task


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("in-turn")
    write_home(folder)
    return folder


@pytest.fixture(scope="module")
def bench(home: Path) -> Workbench:
    return Workbench(home, ArtifactStore(home / "artifacts"))


def trained(bench: Workbench, home: Path, config: dict[str, Any], **changes: Any) -> tuple[Outcome, list[Report]]:
    reports: list[Report] = []
    found = train(trial(home, config, **changes), bench, lambda report: (reports.append(report), "continue")[1])
    assert found.status == "completed", found.reason
    return found, reports


def test_definitions_are_those_of_the_papers() -> None:
    behind = [
        {"a.accuracy": 0.1, "b.accuracy": 0.2, "c.accuracy": 0.3},
        {"a.accuracy": 0.8, "b.accuracy": 0.3, "c.accuracy": 0.1},
        {"a.accuracy": 0.9, "b.accuracy": 0.7, "c.accuracy": 0.5},
        {"a.accuracy": 0.5, "b.accuracy": 0.6, "c.accuracy": 0.9},
    ]
    found = compare("abc", behind)
    assert found["backward_transfer"] == pytest.approx((0.5 - 0.8 + 0.6 - 0.7) / 2)
    assert found["average_forgetting"] == pytest.approx((0.9 - 0.5 + 0.7 - 0.6) / 2)
    assert found["forward_transfer"] == pytest.approx((0.3 - 0.2 + 0.5 - 0.3) / 2)
    assert set(compare("abc", behind[:2]).values()) == {0.0}  # of the first task there is nothing to compare yet
    assert compare("abc", behind[:3])["average_forgetting"] == pytest.approx(0.8 - 0.9)


def test_tasks_train_in_turn_beside_what_is_kept_of_earlier_ones(bench: Workbench, home: Path) -> None:
    for replay in (0, 12):
        prepared = prepare(trial(home, {"replay": replay}), bench)
        plan = plan_course(prepared, bench, lambda _: "continue").plan()
        assert plan.steps == plan.ends[-1]
        tasks, steps = tasks_of(prepared.data.tokens.train.targets), list(plan.after(0))
        start = 0
        for stage, end in enumerate(plan.ends):
            seen = np.concatenate([rows for step in steps[start:end] for rows in step])
            new = np.flatnonzero(tasks == stage)
            assert sorted(seen[tasks[seen] == stage]) == sorted(np.tile(new, 3))  # each row once in each of 3 epochs
            earlier = seen[tasks[seen] != stage]
            assert len(earlier) == (3 * replay if stage else 0)
            assert set(tasks[earlier]) <= set(range(stage))
            assert plan.within(end) == (end - start, end - start)
            start = end
        for done in (1, plan.ends[0], plan.ends[0] + 1, plan.ends[1]):  # a trial that resumes goes on with the same
            assert all(
                np.array_equal(left, right)
                for step, other in zip(plan.after(done), steps[done:], strict=True)
                for left, right in zip(step, other, strict=True)
            )


def test_a_memory_is_bounded_even_and_gets_nothing_back(bench: Workbench, home: Path) -> None:
    targets = prepare(trial(home), bench).data.tokens.train.targets
    tasks = tasks_of(targets)
    for size in (1, 10, 12, 500):
        kept = [memory(tasks, targets, task, size, 3) for task in range(4)]
        assert len(kept[0]) == 0
        for number in (1, 2, 3):
            assert len(kept[number]) == min(size, int((tasks < number).sum()))
            assert set(kept[number]) <= {*kept[number - 1], *np.flatnonzero(tasks == number - 1)}
            classes = np.unique(targets[kept[number]], return_counts=True)[1]
            assert classes.max() - classes.min() <= 1


@pytest.mark.long
def test_training_the_tasks_one_after_another_forgets_more_than_either_way_of_keeping_them(
    bench: Workbench, home: Path
) -> None:
    """What a lazy imitation would do is the first."""
    own = {"rank": 8, "learning_rate": 3e-3}
    lazy, kept, apart = (
        trained(bench, home, own | config, epochs=20)[0].metrics
        for config in ({}, {"replay": 120}, {"method": "conpet"})
    )
    assert lazy["average_forgetting"] > 0.4
    for found in (kept, apart):
        assert found["average_forgetting"] < lazy["average_forgetting"] - 0.3
        assert found["average_accuracy"] > lazy["average_accuracy"] + 0.2
    assert apart["task_accuracy"] > 0.9
    assert lazy["task_accuracy"] == pytest.approx(1 / 3, abs=0.1)  # it knows the last task's classes alone


def test_what_is_compared_was_measured_before_all_training_and_behind_each_task(bench: Workbench, home: Path) -> None:
    found, reports = trained(bench, home, {"replay": 120})
    prepared = prepare(trial(home, {"replay": 120}), bench)
    ends = plan_course(prepared, bench, lambda _: "continue").plan().ends
    behind = [report.metrics for report in reports if report.step in ends]
    assert len(behind) == len(TASKS)
    attached = attach(prepared, 1)
    try:
        whole = WholePass(attached.model, prepared.evaluated)
        with torch.no_grad():
            before = measure_in(whole, [np.arange(len(prepared.evaluated))]).result()
    finally:
        attached.detach()
    expected = compare(tuple(TASKS), [before, *behind])
    assert {name: found.metrics[name] for name in expected} == pytest.approx(expected)
    mean = np.mean([found.metrics[f"{name}.accuracy"] for name in TASKS])
    assert found.metrics["average_accuracy"] == pytest.approx(mean)


@pytest.mark.parametrize("config", [{"replay": 20}, {"method": "conpet", "top_layers": 1}])
def test_a_trial_that_pauses_ends_as_one_that_does_not(bench: Workbench, home: Path, config: dict[str, Any]) -> None:
    whole, _ = trained(bench, home, config)
    checkpoint, stretches = None, 0
    while True:  # 3 epochs over three tasks: a pause falls within tasks and between them
        one = trial(home, config, pause_every=0.7, checkpoint=checkpoint)
        found = train(one, bench, lambda _: "continue")
        stretches += 1
        if found.status != "paused":
            break
        checkpoint = found.checkpoint
    assert (found.status, stretches) == ("completed", 5)
    for name in ("loss", "average_forgetting", "backward_transfer", "forward_transfer", "average_accuracy"):
        assert found.metrics[name] == pytest.approx(whole.metrics[name], rel=1e-4, abs=1e-5), name


def test_sections_that_cannot_be_are_refused_by_field(home: Path) -> None:
    kind, good = task("continual").section, section(home)
    parts = good["tasks"]
    for wrong, said in (
        ({"one": parts["one"]}, "at least 2 items"),
        (parts | {"a b": parts["one"]}, "letters, digits"),
        (parts | {"two": parts["two"] | {"text_pair": ["a", "b"]}}, "text_pair of two and not of one"),
        (parts | {"two": parts["two"] | {"classes": []}}, "at least 1 item"),
        (parts | {"two": parts["two"] | {"type": "causal-lm"}}, "text-classification"),
    ):
        with pytest.raises(ValidationError, match=said):
            kind.model_validate(good | {"tasks": wrong})
    one = {"train": str(home / "train.jsonl")}
    for field, fields in (
        ("tasks.two.classes", {"classes": ["plum", "sow"]}),
        ("tasks.two.train_rows", {"classes": ["plum", "saw"], "train_rows": 300}),
        ("tasks.two.validation", {"classes": ["plum"], "validation": str(home / "nowhere.jsonl")}),
    ):
        with pytest.raises(InvalidInput) as caught:
            task("continual").read(kind.model_validate(good | {"tasks": parts | {"two": one | fields}}), 0)
        assert caught.value.field == field


def test_classes_that_are_named_alike_are_the_same_class(home: Path, tmp_path: Path) -> None:
    rows = {name: [{"text": f"a {word}", "label": word} for word in words * 4] for name, words in {
        "one": ("pear", "apple"), "two": ("saw", "pear"),
    }.items()}  # fmt: skip
    for name, own in rows.items():
        (tmp_path / f"{name}.jsonl").write_text("".join(json.dumps(row) + "\n" for row in own))
    tasks = {name: {"train": str(tmp_path / f"{name}.jsonl"), "validation": 0.5} for name in rows}
    data = task("continual").read(task("continual").section.model_validate(section(home, tasks=tasks)), 0)
    assert data.labels == ("apple", "pear", "saw")
    assert data.train.domains == ("one",) * 4 + ("two",) * 4


def test_what_it_has_no_use_for_fails_by_name(bench: Workbench, home: Path) -> None:
    found = train(trial(home, {"method": "conpet", "replay": 20}), bench, lambda _: "continue")
    assert "replay: found '20 with conpet'; allowed: 0" in str(found.reason)
    one = trial(home, {"replay": 20})
    alone = {"type": "text-classification", **section(home)["tasks"]["one"]}
    alone.pop("classes")
    other = one.model_copy(update={"task": task("text-classification").section(model=one.task.model, **alone)})
    assert "replay: found 20; allowed: 0" in str(train(other, bench, lambda _: "continue").reason)
