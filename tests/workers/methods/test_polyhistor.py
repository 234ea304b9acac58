"""`polyhistor`: a row's task makes its update, through an embedding that no other task's rows reach."""

from __future__ import annotations

from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from peftsearch import load_adapter
from tests.workers.several_tasks import section, write_home
from tests.workers.tiny_models import batch, tiny_base
from workers.artifacts import ArtifactStore
from workers.assignment import Assignment
from workers.engines.passes import WholePass, measure_in
from workers.methods.attached import Attached
from workers.methods.forms.task_hypernetwork import HyperLora
from workers.methods.registry import method
from workers.models.loading import Base
from workers.models.row_tasks import TASK_IDS
from workers.running.preparing import prepare
from workers.running.trial import train
from workers.running.workbench import Workbench

KNOBS = {"embedding": 8, "inner_rank": 2, "template_rank": 2, "kernel": 2, "alpha": 16, "targets": "all"}


def of_tasks(count: int) -> Base:
    base = tiny_base("bert")
    return replace(base, description=replace(base.description, row_tasks=tuple("abcdef"[:count])))


def attached_to(base: Base, spread: float = 0.3, **knobs: Any) -> Attached:
    """With other values than those at the start, where the second factors are zero."""
    chosen = method("polyhistor")
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


def test_rows_of_one_task_reach_no_embedding_of_another() -> None:
    attached = attached_to(of_tasks(3))
    logits(attached, [1, 1, 1, 1]).square().sum().backward()  # type: ignore[no-untyped-call]
    parameters = attached.parameters()
    own = parameters.pop("hypernetwork.embeddings").grad
    assert own is not None
    assert own[1].any()
    assert not own[[0, 2]].any()
    assert all(value.grad is not None and bool(value.grad.any()) for value in parameters.values())  # all is shared


def test_the_task_of_a_row_decides_whatever_stands_beside_it() -> None:
    attached = attached_to(of_tasks(2))
    with torch.no_grad():
        first, second, mixed = (logits(attached, [0] * 4), logits(attached, [1] * 4), logits(attached, [0, 1, 1, 0]))
    torch.testing.assert_close(mixed, torch.stack([first[0], second[1], second[2], first[3]]), atol=1e-5, rtol=1e-5)
    assert not torch.allclose(first, second)


def test_updates_are_kernels_of_a_layer_times_templates_of_a_task() -> None:
    base = of_tasks(2)
    attached = attached_to(base)
    layer = next(module for module in base.model.modules() if isinstance(module, HyperLora))
    inputs = torch.randn(2, 3, 24, generator=torch.Generator().manual_seed(0))
    tasks = attached.model.get_submodule("row_tasks")
    network, embeddings = attached.model.get_submodule("task_hypernetwork"), attached.parameters()
    with torch.no_grad():
        for task in (0, 1):
            tasks.numbers = torch.tensor([task, task])
            factors = []
            for way, kernel in (("down", layer.down), ("up", layer.up)):
                maps = [
                    value
                    for name, value in embeddings.items()
                    if name.startswith(f"hypernetwork.templates.{layer._kind.replace('.', '_')}_{way}")
                ]
                left, right = (one @ embeddings["hypernetwork.embeddings"][task] / KNOBS["embedding"] for one in maps)
                factors.append(torch.kron(kernel, left @ right))
            update = 16 / 4 * inputs @ factors[0].T @ factors[1].T
            torch.testing.assert_close(layer(inputs) - layer.original(inputs), update, atol=1e-4, rtol=1e-4)
    assert network is not None


@pytest.mark.parametrize("size", [8, 64])
def test_one_rate_moves_updates_as_far_as_that_of_lora(size: int) -> None:
    rate = 1e-3
    attached = attached_to(of_tasks(2), spread=0.0, embedding=size)
    optimizer = torch.optim.Adam(attached.parameters().values(), lr=rate)
    logits(attached, [0, 1, 0, 1]).square().sum().backward()  # type: ignore[no-untyped-call]
    optimizer.step()
    network: Any = attached.model.get_submodule("task_hypernetwork")
    layer = next(module for module in attached.model.modules() if isinstance(module, HyperLora))
    moved = network.template(layer._kind, "up").abs().mean().item()  # from zero, where a LoRA's move by the rate
    assert rate / 3 < moved < 3 * rate


def test_another_task_costs_its_embedding_alone() -> None:
    chosen = method("polyhistor")
    for knobs in ({}, {"kernel": 1}, {"targets": "mlp", "top_layers": 1, "embedding": 16}):
        counts = []
        for tasks in (2, 3, 6):
            base = of_tasks(tasks)
            values = chosen.complete(base.description, KNOBS | knobs)
            attached = attached_to(base, **knobs)
            counts.append(sum(value.numel() for value in attached.parameters().values()) - base.head_size)
            assert counts[-1] == chosen.trainable_parameters(base.description, values)
        assert np.diff(counts).tolist() == [values["embedding"], 3 * values["embedding"]]


def test_the_base_is_as_before_at_the_start_and_at_the_end() -> None:
    base = of_tasks(2)
    base.initialise_head(7)
    with torch.no_grad():
        plain = base.model(**batch()).logits
        attached = attached_to(base, spread=0.0)
        assert torch.equal(logits(attached, [0, 1, 0, 1]), plain[:4])
        attached.detach()
        assert torch.equal(base.model(**batch()).logits, plain)


@pytest.mark.parametrize("model", ["encoder", "decoder"])
def test_engines_agree_and_an_export_predicts_the_same_elsewhere(tmp_path: Path, model: str) -> None:
    write_home(tmp_path)
    store = ArtifactStore(tmp_path / "artifacts")
    bench = Workbench(tmp_path, store)
    config = {"method": "polyhistor", **KNOBS, "learning_rate": 1e-3, "batch_size": 8, "top_layers": 1}
    fields = {"trial_id": "t", "attempt": 1, "epochs": 2, "seed": 1, "measure_latency": False}
    one = Assignment.model_validate({**fields, "task": section(tmp_path, model), "config": config})
    fast = train(one, bench, lambda _: "continue")
    slow = train(one.model_copy(update={"engine": "reference"}), bench, lambda _: "continue")
    assert (fast.status, slow.status) == ("completed", "completed"), (fast.reason, slow.reason)
    names = ("loss", "kind.loss", "size.loss", "words.loss")
    assert [fast.metrics[name] for name in names] == pytest.approx([slow.metrics[name] for name in names], rel=1e-3)
    assert fast.adapter is not None
    folder = store.extract(fast.adapter.sha256, tmp_path / "adapter")
    loaded, rows = load_adapter(str(tmp_path / model), folder), prepare(one, bench).evaluated
    with torch.no_grad():
        again = measure_in(WholePass(loaded, rows), [np.arange(len(rows))]).result()
    for name in ("kind.loss", "words.loss", "kind.accuracy"):  # exports give numbers as written, not in their unit
        assert again[name] == pytest.approx(fast.metrics[name], rel=1e-3), name
