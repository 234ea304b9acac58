"""Self-training: who is taught what, that no held-out row is ever named, what it costs, and how it is refused."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest

from workers.artifacts import ArtifactStore
from workers.assignment import Assignment
from workers.data.demonstrations import said
from workers.data.rows import Rows
from workers.data.tokens import Tokens
from workers.engines.inputs import Inputs
from workers.errors import InvalidInput
from workers.methods.attached import Attached
from workers.models.description import describe
from workers.running import trial, workbench
from workers.running.packing import why_not_packed
from workers.running.preparing import PreparedTrial, prepare
from workers.running.self_training import after_teachers, said_of, surest
from workers.running.teaching import Lesson
from workers.running.trial import attach, train
from workers.running.workbench import Workbench
from workers.tasks.catalogue.text_classification import TASK as CLASSIFICATION
from workers.tasks.catalogue.text_classification import TextClassificationSpec

TASK = TextClassificationSpec(
    model="builtin:minilm",
    train="builtin:pydocs",
    max_length=24,
    train_rows=32,
    validation_rows=32,
    unlabelled="builtin:pydocs",
    unlabelled_rows=60,
)
HEAD = {"method": "head", "learning_rate": 3e-3, "batch_size": 8}


@pytest.fixture
def bench(tmp_path: Path) -> Workbench:
    return Workbench(tmp_path, ArtifactStore(tmp_path / "artifacts"))


def assignment(task: TextClassificationSpec = TASK, **config: Any) -> Assignment:
    return Assignment(trial_id="t", attempt=1, task=task, config=HEAD | config, epochs=2, seed=1, measure_latency=False)


def test_the_surest_rows_of_each_class_are_taken() -> None:
    classes = np.array([[0.9, 0.1], [0.6, 0.4], [0.3, 0.7], [0.95, 0.05], [0.45, 0.55], [0.8, 0.2]])
    assert surest(classes, 0.5).tolist() == [0, 2, 3]  # two of four, one of two
    assert surest(classes, 0.01).tolist() == [2, 3]
    assert surest(classes, 1.0).tolist() == [0, 1, 2, 3, 4, 5]


def test_no_row_of_the_pool_stands_in_a_split(tmp_path: Path) -> None:
    data = CLASSIFICATION.rows_to_train_on(TASK, 0)
    double, own = str(data.validation.texts[0]), "a text of its own"
    file = tmp_path / "pool.jsonl"
    file.write_text("".join(f'{{"text": "{text}"}}\n' for text in (own, "A TEXT: of its own!")))
    pool = CLASSIFICATION.rows_to_train_on(
        TASK.model_copy(update={"unlabelled": str(file), "unlabelled_rows": None}), 0
    ).pool
    assert pool is not None
    assert len(pool) == 2
    table = tmp_path / "pool.csv"
    table.write_text('text\n"' + double.upper().replace('"', '""') + f'!"\n{own}\n')
    found = CLASSIFICATION.rows_to_train_on(
        TASK.model_copy(update={"unlabelled": str(table), "unlabelled_rows": None}), 0
    ).pool
    assert found is not None
    assert found.texts == (own,)
    assert data.pool is not None
    held = {said(data.validation, row) for row in range(len(data.validation))}
    held |= {said(data.train, row) for row in range(len(data.train))}
    assert len(data.pool) == 60
    assert not held & {said(data.pool, row) for row in range(60)}


def test_a_pool_is_encoded_once_for_trials_that_read_it_behind_what_its_texts_are_shown(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    encoded: list[int] = []

    def tokenise(rows: Rows, *given: Any) -> Tokens:
        encoded.append(len(rows))
        return own(rows, *given)

    own = workbench.tokenise
    monkeypatch.setattr(workbench, "tokenise", tokenise)
    plain, shown = (prepare(assignment(demos=demos), bench).data for demos in (0, 2))
    assert encoded == []
    pools = [data.pool for data in (plain, plain, shown.on("cpu"), shown)]
    assert encoded == [60, 60]
    first, again, behind, _ = pools
    assert first is again
    assert first is not None
    assert behind is not None
    assert behind.lengths().sum() > first.lengths().sum()
    assert behind.lengths().max() <= TASK.max_length


def test_each_student_learns_what_its_teacher_was_surest_of_and_teaches_the_next(bench: Workbench) -> None:
    prepared = prepare(assignment(self_training=2, pool_share=0.5), bench)
    seen: list[tuple[int, float]] = []

    def teach(teacher: PreparedTrial, pool: Inputs) -> Lesson:
        seen.append((len(teacher.data.train), teacher.assignment.epochs))
        classes = np.full((len(pool), 4), 0.1)
        classes[:, len(seen)] = np.linspace(0.5, 0.9, len(pool))
        return Lesson(3.0, 5.0, 7.0, classes)

    student = after_teachers(prepared, teach)
    assert seen == [(32, pytest.approx(2 * 62 / 32)), (62, 2)]
    tokens = student.data.tokens.train
    assert tokens.targets[32:].tolist() == [2] * 30  # of the second teacher, not of the first
    pool = prepared.data.pool
    assert pool is not None
    assert np.array_equal(tokens.input_ids[tokens.offsets[32] :], pool.input_ids[pool.offsets[30] :])
    assert len(student.data.train) == 62
    assert student.data.validation is prepared.data.validation
    assert student.taught is not None
    assert (student.taught.rows, student.taught.seconds, student.taught.flops, student.taught.tokens) == (30, 6, 10, 14)


@pytest.mark.parametrize(
    ("interrupted", "rate", "ended"), [(True, 3e-3, "interrupted"), (False, 1e37, "failed")], ids=str
)
def test_a_teacher_that_does_not_come_to_its_end_is_not_asked(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch, interrupted: bool, rate: float, ended: str
) -> None:
    def said_of(_attached: Attached, _pool: Inputs) -> None:
        raise AssertionError("it was asked what it thinks of the pool")

    monkeypatch.setattr(trial, "said_of", said_of)
    bench.interrupted = lambda: interrupted
    outcome = train(assignment(self_training=1, learning_rate=rate), bench, lambda _report: "continue")
    assert outcome.status == ended, outcome.reason
    assert str(outcome.reason).startswith("teacher: ")
    assert outcome.adapter is None


def test_training_goes_on_in_training_mode_after_a_pool_that_could_not_be_read(bench: Workbench) -> None:
    prepared = prepare(assignment(self_training=1, method="lora", rank=2), bench)
    attached = attach(prepared, 1)
    refusal = attached.model.register_forward_pre_hook(_refuse)

    def training() -> list[str]:
        return [name for name, module in attached.model.named_modules() if module.training]

    try:
        before = training()
        with pytest.raises(RuntimeError, match="no pass"):
            said_of(attached, prepared.data.validation)
        assert training() == before != []
    finally:
        refusal.remove()
        attached.detach()


def _refuse(*_: Any) -> None:
    raise RuntimeError("no pass")


def test_a_teacher_draws_positions_as_its_student_does(bench: Workbench, monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[object] = []
    told = trial.trainee_on
    monkeypatch.setattr(trial, "_positions", lambda _prepared: object())

    def trainee_on(*given: Any) -> Any:
        drawn.append(given[5])
        return told(*given[:5])

    monkeypatch.setattr(trial, "trainee_on", trainee_on)
    assert train(assignment(self_training=1), bench, lambda _report: "continue").status == "completed"
    assert len(drawn) == 2
    assert None not in drawn


@pytest.mark.slow
def test_a_trial_tells_what_its_teachers_cost(bench: Workbench) -> None:
    found = {rounds: train(assignment(self_training=rounds), bench, lambda _report: "continue") for rounds in (0, 1)}
    assert {one.status for one in found.values()} == {"completed"}, found
    alone, taught = found[0].metrics, found[1].metrics
    assert 20 <= int(found[1].environment["pool_rows"]) <= 40
    assert {one.environment["train_rows"] for one in found.values()} == {"32"}
    copied = train(assignment(self_training=1, eda_copies=1), bench, lambda _report: "continue")
    assert copied.environment["train_rows"] == "32"
    assert taught["train_tokens"] > 3 * alone["train_tokens"]
    assert taught["train_tflops"] > 3 * alone["train_tflops"]
    assert taught["loss"] != alone["loss"]
    again = train(assignment(self_training=1), bench, lambda _report: "continue")
    assert again.metrics["loss"] == taught["loss"]


def test_such_trials_train_alone_and_need_a_pool(bench: Workbench) -> None:
    assert "teachers train before" in str(why_not_packed(assignment(self_training=1), describe(TASK.model)))
    bare = TASK.model_copy(update={"unlabelled": None})
    with pytest.raises(InvalidInput) as caught:
        prepare(assignment(bare, self_training=1), bench)
    assert caught.value.field == "unlabelled"
    with pytest.raises(InvalidInput) as caught:
        prepare(assignment(self_training=1).model_copy(update={"shards": 2}), bench)
    assert caught.value.field == "self_training"
    with pytest.raises(InvalidInput) as caught:
        CLASSIFICATION.rows_to_train_on(TASK.model_copy(update={"unlabelled_rows": 10**6}), 0)
    assert caught.value.field == "unlabelled_rows"
