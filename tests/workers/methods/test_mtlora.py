"""`mtlora`: the task of a row decides which factors it reads, and so which ones learn from it."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from peftsearch import load_adapter
from tests.workers.several_tasks import TASKS, section, write_home
from tests.workers.tiny_models import batch, tiny_base
from workers.artifacts import ArtifactStore
from workers.assignment import Assignment
from workers.engines.passes import WholePass
from workers.errors import InvalidInput
from workers.methods.attached import AdapterCard, Attached
from workers.methods.compressed import Compressed, start_tensors
from workers.methods.registry import method
from workers.methods.ternary_file import Recipe, TernaryChange, changing, start_of
from workers.models.description import describe_for
from workers.models.loading import Base
from workers.models.row_tasks import TASK_IDS
from workers.running.preparing import prepare
from workers.running.trial import attach, train
from workers.running.workbench import Workbench
from workers.tasks.catalogue.text_classification import TextClassificationSpec

KNOBS = {"rank": 4, "task_rank": 2, "alpha": 8, "targets": "all"}
SHARINGS = ("none", "half", "all")


def of_tasks(*names: str) -> Base:
    base = tiny_base("bert")
    return replace(base, description=replace(base.description, row_tasks=names))


def attached_to(base: Base, spread: float = 0.3, **knobs: Any) -> Attached:
    """With other values than those at the start, where B is zero."""
    chosen = method("mtlora")
    attached = chosen.attach(base, chosen.complete(base.description, KNOBS | knobs), 7, None)
    generator = torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in attached.parameters().values():
            value += spread * torch.randn(value.shape, generator=generator)
    attached.set_training(False)
    return attached


def logits(attached: Attached, numbers: list[int]) -> Tensor:
    rows = {name: value[: len(numbers)] for name, value in batch().items()}
    found: Tensor = attached.model(**rows, **{TASK_IDS: torch.tensor(numbers)}).logits
    return found


@pytest.mark.parametrize("sharing", SHARINGS)
def test_rows_of_one_task_reach_no_factor_of_another(sharing: str) -> None:
    attached = attached_to(of_tasks("a", "b", "c"), sharing=sharing)
    logits(attached, [1, 1, 1, 1]).square().sum().backward()  # type: ignore[no-untyped-call]
    for name, value in attached.parameters().items():
        if ".task_" not in name:
            continue
        assert value.grad is not None
        shared = sharing == "all" or (sharing == "half" and name.endswith("first"))
        assert len(value) == (1 if shared else 3)
        assert value.grad[0 if shared else 1].any()
        if not shared:
            assert not value.grad[[0, 2]].any()
    common = [value.grad for name, value in attached.parameters().items() if name.endswith((".first", ".second"))]
    assert common
    assert all(one is not None and bool(one.any()) for one in common)


@pytest.mark.parametrize("sharing", SHARINGS)
def test_the_task_of_a_row_decides_whatever_stands_beside_it(sharing: str) -> None:
    attached = attached_to(of_tasks("a", "b"), sharing=sharing)
    with torch.no_grad():
        first, second, mixed = (logits(attached, [0] * 4), logits(attached, [1] * 4), logits(attached, [0, 1, 1, 0]))
    torch.testing.assert_close(mixed, torch.stack([first[0], second[1], second[2], first[3]]), atol=1e-5, rtol=1e-5)
    assert torch.equal(first, second) == (sharing == "all")


def test_parameters_are_counted_and_grow_by_the_tasks() -> None:
    chosen, counts = method("mtlora"), {}
    for sharing in SHARINGS:
        for names in (("a", "b"), ("a", "b", "c", "d")):
            for knobs in ({}, {"rank": 0}, {"task_layers": 1}, {"targets": "mlp", "top_layers": 1}):
                base = of_tasks(*names)
                values = chosen.complete(base.description, KNOBS | knobs | {"sharing": sharing})
                attached = attached_to(base, **values)
                found = sum(value.numel() for value in attached.parameters().values()) - base.head_size
                assert found == chosen.trainable_parameters(base.description, values)
                counts[sharing, len(names), str(knobs)] = found
    assert counts["all", 2, "{}"] == counts["all", 4, "{}"]
    assert counts["all", 2, "{}"] < counts["half", 2, "{}"] < counts["none", 2, "{}"]
    assert counts["half", 4, "{}"] - counts["half", 2, "{}"] < counts["none", 4, "{}"] - counts["none", 2, "{}"]


def test_the_base_is_as_before_at_the_start_and_at_the_end() -> None:
    base = of_tasks("a", "b")
    base.initialise_head(7)
    with torch.no_grad():
        plain = base.model(**batch()).logits
        attached = attached_to(base, spread=0.0)
        assert torch.equal(logits(attached, [0, 1, 0, 1]), plain[:4])
        with attached.without():
            assert torch.equal(base.model(**batch()).logits, plain)
        attached.detach()
        assert torch.equal(base.model(**batch()).logits, plain)


@pytest.mark.parametrize(
    ("numbers", "said"),
    [
        (None, "task_ids: found None.*each of the 4 rows.*0 to 1"),
        (torch.tensor([0]), r"task_ids: found a tensor of shape \[1\]"),
        (torch.tensor([0, 1, 2, 0]), r"task_ids: found \[0, 1, 2, 0\]"),
    ],
)
def test_a_model_that_is_not_told_the_tasks_says_so(numbers: Tensor | None, said: str) -> None:
    attached = attached_to(of_tasks("a", "b"))
    rows = {name: value[:4] for name, value in batch().items()}
    with pytest.raises(ValueError, match=said):
        attached.model(**rows, **({} if numbers is None else {TASK_IDS: numbers}))


def test_a_task_by_itself_is_refused() -> None:
    one = TextClassificationSpec(model="builtin:minilm", train="builtin:pydocs")
    with pytest.raises(InvalidInput, match=r"mtlora on a task of type text-classification.*multi-task"):
        method("mtlora").require(describe_for(one))


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("several")
    write_home(folder)
    return folder


def trial(home: Path, model: str = "encoder", **changes: Any) -> Assignment:
    config = {"method": "mtlora", **KNOBS, "learning_rate": 1e-2, "batch_size": 8, "task_sampling": 0.5}
    fields = {"trial_id": "t", "attempt": 1, "epochs": 2, "seed": 1, "measure_latency": False}
    named = {name: changes.pop(name) for name in ("engine", "gradient_checkpointing") if name in changes}
    return Assignment.model_validate({**fields, **named, "task": section(home, model), "config": config | changes})


@pytest.mark.parametrize("model", ["encoder", "decoder"])
def test_engines_agree_and_an_export_predicts_the_same_elsewhere(home: Path, tmp_path: Path, model: str) -> None:
    store = ArtifactStore(home / "artifacts")
    bench = Workbench(home, store)
    one = trial(home, model, top_layers=1)
    fast = train(one, bench, lambda _: "continue")
    assert fast.status == "completed", fast.reason
    slow = train(
        trial(home, model, top_layers=1, engine="reference", gradient_checkpointing=True), bench, lambda _: "continue"
    )
    for name in ("loss", "kind.loss", "size.loss", "words.loss"):
        assert fast.metrics[name] == pytest.approx(slow.metrics[name], rel=1e-3)
    assert fast.adapter is not None
    folder = store.extract(fast.adapter.sha256, tmp_path / "adapter")
    card = (folder / "README.md").read_text()
    assert f"`{TASK_IDS}`" in card
    assert "0 = kind, 1 = size, 2 = words" in card
    loaded = load_adapter(str(home / model), folder)
    prepared = prepare(one, bench)
    rows, every = prepared.evaluated, np.arange(len(prepared.evaluated))
    measure = rows.criterion.measure()
    with torch.no_grad():
        found = WholePass(loaded, rows).outputs(every)
        columns = [output.startswith("size") for output in prepared.data.tokens.labels]
        unit = rows.criterion.units[columns.index(True)]
        found[..., columns] = (found[..., columns] - unit.mean) / unit.spread  # exports give numbers as written
        rows.add_to(measure, found, every)
    told = measure.result()
    for name in ("kind.loss", "size.rmse", "words.loss"):  # ranks and counts may turn on the last digit
        assert told[name] == pytest.approx(fast.metrics[name], rel=1e-3), name
    assert prepared.resident.base.description.row_tasks == TASKS


def test_a_compressed_one_loads_with_its_tasks(home: Path, tmp_path: Path) -> None:
    prepared = prepare(trial(home), Workbench(home, ArtifactStore(home / "artifacts")))
    base, knobs, labels = prepared.resident.base, prepared.knobs, prepared.data.tokens.labels
    fresh = start_tensors(base, "mtlora", knobs, 1)
    change = TernaryChange(
        np.resize(np.array([1, 0, -1], dtype=np.int8), sum(value.numel() for value in changing(fresh).values())),
        np.full(len(changing(fresh)), 0.1, dtype=np.float32),
        start_of(fresh),
    )
    attached, rows = prepared.method.attach(base, knobs, 1, None), np.arange(20)
    try:
        recipe = Recipe("mtlora", knobs, 1, base.head, base.kind.key, len(labels))
        Compressed(attached, change, recipe, 0).save(tmp_path / "small", AdapterCard("mtlora", "", labels=labels))
        attached.load(change.applied(fresh))
        attached.set_training(False)
        with torch.no_grad():
            expected = WholePass(attached.model, prepared.evaluated).outputs(rows)
    finally:
        attached.detach()
    loaded = load_adapter(str(home / "encoder"), tmp_path / "small")
    with torch.no_grad():
        torch.testing.assert_close(WholePass(loaded, prepared.evaluated).outputs(rows), expected)
    assert "0 = kind, 1 = size, 2 = words" in (tmp_path / "small" / "README.md").read_text()


def test_training_on_one_task_leaves_the_factors_of_others_as_they_were(home: Path) -> None:
    prepared = prepare(trial(home), Workbench(home, ArtifactStore(home / "artifacts")))
    attached, data = attach(prepared, 1), prepared.data.train
    try:
        mine = np.flatnonzero(data.criterion.tasks == 2)
        with torch.no_grad():
            for value in attached.parameters().values():
                value += 0.1
        data.loss(WholePass(attached.model, data).outputs(mine), mine, prepared.hyperparameters).backward()  # type: ignore[no-untyped-call]
        own = [value.grad for name, value in attached.parameters().items() if ".task_" in name]
        assert own
        assert all(one is not None and bool(one[2].any()) and not bool(one[:2].any()) for one in own)
    finally:
        attached.detach()
