"""Several tasks on one backbone: whose rows reach which parameters, how often they come, and what is measured."""

from __future__ import annotations

from collections.abc import Callable
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from pydantic import ValidationError

from tests.workers.several_tasks import rows, section, with_answers, write_home
from workers.artifacts import ArtifactStore
from workers.assignment import Assignment
from workers.data import tokens as tokenising
from workers.engines.batches import StepPlan
from workers.engines.passes import WholePass
from workers.errors import InvalidInput
from workers.hyperparameters import Hyperparameters
from workers.models.loading import load_processor
from workers.running.preparing import prepare
from workers.running.sampling import times_of
from workers.running.trial import attach, train
from workers.running.workbench import Workbench
from workers.tasks.coded_targets import coded, indices_in, numbers_in, tasks_of
from workers.tasks.criterion import IGNORED
from workers.tasks.registry import metrics_for, task

LORA = {"method": "lora", "rank": 4, "alpha": 8, "targets": "all", "learning_rate": 1e-2, "batch_size": 8}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("several")
    write_home(folder)
    return folder


def trial(home: Path, config: dict[str, Any] | None = None, **changes: Any) -> Assignment:
    fields = {"trial_id": "t", "attempt": 1, "epochs": 2, "seed": 1, "measure_latency": False}
    return Assignment.model_validate({**fields, "task": section(home, **changes), "config": LORA | (config or {})})


def bench(home: Path) -> Workbench:
    return Workbench(home, ArtifactStore(home / "artifacts"))


@pytest.mark.parametrize(
    ("changed", "columns"),
    [
        (lambda _home: {}, {"kind": slice(0, 2), "size": slice(2, 3), "words": slice(3, 6)}),
        (
            lambda home: {"tasks": with_answers(home)},
            {"kind": slice(0, 2), "answers": slice(2, 4), "words": slice(4, 7)},
        ),
    ],
    ids=["numbers", "answers"],
)
def test_rows_of_one_task_reach_no_output_of_another(
    home: Path, changed: Callable[[Path], dict[str, Any]], columns: dict[str, slice]
) -> None:
    prepared = prepare(trial(home, **changed(home)), bench(home))
    data, labels = prepared.data.train, prepared.data.tokens.labels
    assert {label.partition(":")[0] for label in labels[2 : columns["words"].start]} == {list(columns)[1]}
    for number, name in enumerate(columns):
        attached = attach(prepared, 1)
        try:
            mine = np.flatnonzero(data.criterion.tasks == number)
            data.loss(WholePass(attached.model, data).outputs(mine), mine, prepared.hyperparameters).backward()  # type: ignore[no-untyped-call]
            (head,) = attached.heads().values()
            for parameter in (head["weight"], head["bias"]):
                assert parameter.grad is not None
                inside = torch.zeros(len(parameter), dtype=torch.bool)
                inside[columns[name]] = True
                assert not parameter.grad[~inside].any()
                assert parameter.grad[inside].any()
            shared = [one for key, one in attached.parameters().items() if "lora_B" in key]
            assert any(one.grad is not None and bool(one.grad.any()) for one in shared)
        finally:
            attached.detach()


def test_targets_of_all_tasks_lie_in_one_array() -> None:
    numbers = np.array([0.0, -1.5, 3.14159, 1e-7, -2.5e8], dtype=np.float32)
    for number in (0, 7, 15):
        codes = coded(number, numbers)
        assert codes.dtype == np.int32
        assert (codes >= 0).all()
        assert set(tasks_of(codes)) == {number}
        assert numbers_in(codes) == pytest.approx(numbers, rel=2e-5)
        assert list(indices_in(coded(number, np.array([0, 5, 150_000])))) == [0, 5, 150_000]
    assert tasks_of(np.array([IGNORED])) < 0


def test_tasks_come_by_their_rows_to_a_power_or_by_a_mixture(home: Path) -> None:
    criterion = prepare(trial(home), bench(home)).data.train.criterion
    assert criterion.tasks is not None
    counts = np.bincount(criterion.tasks)
    assert list(counts) == [90, 40, 20]
    assert times_of(criterion, Hyperparameters()) is None

    def share(**hyperparameters: Any) -> list[float]:
        times = times_of(criterion, Hyperparameters(**hyperparameters))
        assert times is not None
        plan = StepPlan(np.full(150, 5), 10, 1, 40, 0, times=times)
        drawn = np.concatenate([batch for step in plan.after(0) for batch in step])
        assert len(drawn) == 150 * 40
        first = next(iter(plan.after(3)))[0]
        assert np.array_equal(first, list(plan.after(0))[3][0])  # a resumed trial goes on with the same rows
        return list(np.bincount(criterion.tasks[drawn], minlength=3) / len(drawn))  # type: ignore[index]

    assert share(task_sampling=0.0) == pytest.approx([1 / 3] * 3, abs=0.01)
    root = np.sqrt(counts) / np.sqrt(counts).sum()
    assert share(task_sampling=0.5) == pytest.approx(root, abs=0.01)
    assert share(task_weights=(0.2, 0.0, 0.8)) == pytest.approx([0.2, 0.0, 0.8], abs=0.01)
    every = StepPlan(np.full(150, 5), 10, 1, 1, 0)
    assert sorted(np.concatenate([batch for step in every.after(0) for batch in step])) == list(range(150))


@pytest.mark.parametrize(
    ("config", "field"),
    [
        ({"task_weights": [0.5, 0.5]}, "task_weights"),
        ({"task_weights": [0.0, 0.0, 0.0]}, "task_weights"),
        ({"task_sampling": 0.5, "batch_tokens": 64}, "batch_tokens"),
    ],
)
def test_a_mixture_that_cannot_be_fails_its_trial_by_name(home: Path, config: dict[str, Any], field: str) -> None:
    found = train(trial(home, config), bench(home), lambda _: "continue")
    assert found.status == "failed"
    assert f"{field}: found" in str(found.reason)


def test_mean_and_worst_are_those_of_the_tasks_and_each_is_measured_as_alone(home: Path) -> None:
    found = train(trial(home, {"task_weights": [0.4, 0.2, 0.4]}), bench(home), lambda _: "continue")
    assert found.status == "completed", found.reason
    first = [found.metrics[name] for name in ("kind.accuracy", "size.spearman", "words.f1_span")]
    assert found.metrics["mean"] == pytest.approx(np.mean(first))
    assert found.metrics["worst"] == pytest.approx(min(first))
    usable = metrics_for(trial(home).task)
    assert usable["size.rmse"].direction == "minimize"
    prepared = prepare(trial(home), bench(home))
    prepared.resident.base.initialise_head(0)
    data, model = prepared.evaluated, prepared.resident.base.model
    with torch.no_grad():
        measure = data.criterion.measure()
        every = np.arange(len(data))
        data.add_to(measure, WholePass(model, data).outputs(every), every)
        mine = np.flatnonzero(data.criterion.tasks == 0)
        logits = model(**data.batch(mine)).logits[:, 0, :2]  # the first token of each text
    wanted = [("fruit", "tool").index(row["label"]) for row in rows(30)]
    right = float((logits.argmax(-1).numpy() == np.array(wanted)).mean())
    assert measure.result()["kind.accuracy"] == pytest.approx(right)


def test_answers_are_learnt_and_measured_as_alone(home: Path) -> None:
    several = trial(home, tasks=with_answers(home))
    prepared = prepare(several, bench(home))
    assert prepared.data.tokens.labels[2:4] == ("answers: start", "answers: end")
    part = several.task.parts()["answers"]
    alone = prepare(Assignment.model_validate(several.model_dump() | {"task": part.model_dump()}), bench(home))
    for together, own in ((prepared.data.train, alone.data.train), (prepared.evaluated, alone.evaluated)):
        assert together.criterion.tasks is not None
        every, mine = np.arange(len(together)), np.flatnonzero(together.criterion.tasks == 1)
        assert len(mine) == len(own) > 21  # long texts make several windows
        assert mine[0] > 0
        longest = int(together.lengths.max())
        outputs = torch.randn(len(together), longest, 7, generator=torch.Generator().manual_seed(0))
        found = together.criterion.loss(outputs[mine], together.targets(mine, longest), Hyperparameters())
        targets = own.targets(np.arange(len(own)), longest)
        assert torch.equal(found, own.criterion.loss(outputs[mine, :, 2:4], targets, Hyperparameters()))
    measure, behind, wanted = (one.criterion.measure() for one in (together, together, own))
    for one, chosen in zip((measure, behind), np.array_split(every, 2), strict=True):
        one.add(outputs[chosen], together.targets(chosen, longest))
    measure.merge(behind)
    wanted.add(outputs[mine, :, 2:4], targets)
    for name, value in wanted.result().items():
        assert measure.result()[f"answers.{name}"] == pytest.approx(value)
    assert 0 < wanted.result()["f1_token"] < 1


def test_answers_are_found_beside_other_tasks(home: Path) -> None:
    several = trial(home, {"learning_rate": 2e-2}, tasks=with_answers(home)).model_copy(update={"epochs": 6})
    found = train(several, bench(home), lambda _: "continue")
    assert found.status == "completed", found.reason
    assert found.metrics["answers.f1_token"] > 0.5  # a quarter of the questions have no answer
    assert found.metrics["kind.accuracy"] > 0.8


def test_what_a_job_reads_of_answers_is_read_back(home: Path) -> None:
    kind = task("multi-task")
    given = kind.section.model_validate(section(home, tasks=with_answers(home)))
    assert kind.parted is not None
    parts = kind.parted(given, kind.read(given, 0))
    alone = task("question-answering").read(given.parts()["answers"], 0)
    assert parts["answers"].validation.texts == alone.validation.texts
    assert parts["answers"].validation.pairs == alone.validation.pairs
    targets = zip(parts["answers"].validation.targets, alone.validation.targets, strict=True)
    assert all(np.array_equal(one, other) for one, other in targets)
    assert any(len(one) == 0 for one in alone.validation.targets)


def test_parts_of_a_split_without_questions_go_with_those_that_have_some(
    home: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    kind = task("multi-task")
    given = kind.section.model_validate(section(home, tasks=with_answers(home)))
    rows, tokenizer = kind.read(given, 0).train, load_processor(given.model, kind.head)
    whole = tokenising.tokenise(rows, tokenizer, given.max_length, kind.encode)
    monkeypatch.setattr(tokenising, "_CHUNK", 25)  # the first three hold one task's texts alone
    parts = tokenising.tokenise(rows, tokenizer, given.max_length, kind.encode)
    assert whole.examples is not None
    assert len(whole.examples) > len(rows)
    for name in ("input_ids", "offsets", "targets", "examples", "spans"):
        assert np.array_equal(getattr(parts, name), getattr(whole, name))


def test_a_decoder_is_read_at_the_last_token(home: Path) -> None:
    one = trial(home, model="decoder")
    tokens = bench(home).data(one.task, 0).tokens.train
    for row in (0, 100):  # of the first task, and of the second
        targets = tokens.targets[tokens.offsets[row] : tokens.offsets[row + 1]]
        assert list(targets[:-1]) == [IGNORED] * (len(targets) - 1)
        assert targets[-1] >= 0
    found = train(one, bench(home), lambda _: "continue")
    assert found.status == "completed", found.reason


def test_sections_that_cannot_be_are_refused(home: Path) -> None:
    kind = task("multi-task").section
    good = section(home)
    parts, asked = good["tasks"], with_answers(home)
    test = {"test": str(home / "validation.jsonl")}
    for wrong, said in (
        ({"kind": parts["kind"]}, "at least 2 items"),
        (parts | {"chat": {"type": "causal-lm", "train": "x.jsonl"}}, "causal-lm"),
        (parts | {"a.b": parts["kind"]}, "letters, digits"),
        (parts | {"kind": parts["kind"] | test}, "test of kind and none of size"),
        (parts | {"kind": parts["kind"] | {"domain": "place"}}, "domain of kind"),
        (parts | {"kind": parts["kind"] | {"max_length": 64}}, "max_length of kind"),
        (parts | {"kind": parts["kind"] | {"model": "other"}}, "model of kind"),
        (asked | {"answers": asked["answers"] | {"n_best": 3}}, "n_best of answers"),
        (asked | {"answers": asked["answers"] | {"doc_stride": 3}}, "doc_stride of answers"),
    ):
        with pytest.raises(ValidationError, match=said):
            kind.model_validate(good | {"tasks": wrong})
    with pytest.raises(ValidationError, match="at least 16, as answers needs"):
        kind.model_validate(good | {"tasks": asked, "max_length": 12})
    assert not kind.model_validate(good).holds_out_test()
    assert kind.model_validate(good | {"test": 0.2}).holds_out_test()
    with pytest.raises(InvalidInput) as caught:
        task("multi-task").read(kind.model_validate(section(home) | {"validation_rows": 9999}), 0)
    assert caught.value.field == "tasks.kind.validation_rows"
