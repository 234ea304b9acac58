"""`conpet`: what was learnt of earlier tasks stays bit for bit, and the selector finds it again."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from peftsearch import load_adapter
from tests.workers.tasks_in_turn import section, trial, write_home
from tests.workers.tiny_models import tiny_base
from workers.artifacts import ArtifactStore
from workers.assignment import Report
from workers.checkpoints import read
from workers.engines.passes import WholePass, measure_in
from workers.errors import InvalidInput
from workers.methods.forms.task_sequence import sequence_of
from workers.methods.registry import method
from workers.models.description import describe_for
from workers.running.preparing import prepare
from workers.running.trial import train
from workers.running.workbench import Workbench
from workers.tasks.catalogue.text_classification import TextClassificationSpec

CONFIG = {"method": "conpet", "weight_decay": 0.1, "label_smoothing": 0.1}


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("in-turn")
    write_home(folder)
    return folder


@pytest.fixture(scope="module")
def bench(home: Path) -> Workbench:
    return Workbench(home, ArtifactStore(home / "artifacts"))


@pytest.mark.parametrize("engine", ["fast", "reference"])
def test_what_was_learnt_earlier_stays_bit_for_bit(bench: Workbench, home: Path, tmp_path: Path, engine: str) -> None:
    one = trial(home, CONFIG | {"top_layers": 1}, engine=engine).model_copy(update={"keep_checkpoints": True})
    saved: list[dict[str, Tensor]] = []

    def keep(report: Report) -> Any:
        assert report.checkpoint is not None
        folder = bench.artifacts.extract(report.checkpoint.sha256, tmp_path / str(len(saved)))
        saved.append(read(folder).tensors)
        return "continue"

    found = train(one, bench, keep)
    assert found.status == "completed", found.reason
    assert [int(tensors["extra/task_sequence.stage"]) for tensors in saved] == [1, 2, 2]
    assert found.adapter is not None
    folder = bench.artifacts.extract(found.adapter.sha256, tmp_path / "adapter")
    loaded = dict(load_adapter(str(home / "encoder"), folder).named_buffers())
    put_away = [name for name in loaded if ".finished_" in name or name.startswith("task_sequence.classifier")]
    assert len(put_away) == 2 * 6 + 2
    for name in put_away:
        first, second = saved[0][f"extra/{name}"][0], saved[1][f"extra/{name}"][1]
        assert first.any()
        assert second.any()
        assert not torch.equal(first, second)
        for later in (saved[1][f"extra/{name}"], saved[2][f"extra/{name}"], loaded[name]):
            assert torch.equal(later[0], first)
        assert torch.equal(loaded[name][1], second)


@pytest.mark.slow
def test_engines_agree_and_an_export_predicts_the_same_elsewhere(bench: Workbench, home: Path, tmp_path: Path) -> None:
    for config in ({"top_layers": 1}, {"top_k": 2}):
        fast = train(one := trial(home, CONFIG | config), bench, lambda _: "continue")
        slow = train(trial(home, CONFIG | config, engine="reference"), bench, lambda _: "continue")
        assert (fast.status, slow.status) == ("completed", "completed"), (fast.reason, slow.reason)
        for name in ("loss", "average_forgetting", "average_accuracy", "task_accuracy"):
            assert fast.metrics[name] == pytest.approx(slow.metrics[name], rel=2e-3, abs=1e-4), name
        assert fast.adapter is not None
        folder = bench.artifacts.extract(fast.adapter.sha256, tmp_path / str(config))
        assert "task_ids" not in (folder / "README.md").read_text()  # it selects by itself
        loaded, rows = load_adapter(str(home / "encoder"), folder), prepare(one, bench).evaluated
        with torch.no_grad():
            again = measure_in(WholePass(loaded, rows), [np.arange(len(rows))]).result()
        assert again == pytest.approx({name: fast.metrics[name] for name in again}, rel=1e-4, abs=1e-5)


def test_each_row_is_read_by_the_adapter_that_was_selected_for_it(bench: Workbench, home: Path, tmp_path: Path) -> None:
    """Alone or beside rows of other tasks; probabilities of classes are those of tasks times those within one."""
    found = train(one := trial(home, CONFIG), bench, lambda _: "continue")
    assert found.adapter is not None, found.reason
    folder = bench.artifacts.extract(found.adapter.sha256, tmp_path / "adapter")
    model, rows = load_adapter(str(home / "encoder"), folder), prepare(one, bench).evaluated
    sequence, every = sequence_of(model), np.arange(0, len(rows), 7)
    assert sequence is not None
    with torch.no_grad():
        together = WholePass(model, rows).outputs(every)
        likely, numbers = sequence._likely.exp(), sequence.numbers
        assert numbers is not None
        apart = torch.cat([WholePass(model, rows).outputs(every[[place]]) for place in range(len(every))])
    assert set(numbers.tolist()) == {0, 1, 2}
    torch.testing.assert_close(apart, together, atol=1e-4, rtol=1e-4)
    torch.testing.assert_close(together.exp().sum(-1), torch.ones(len(every)))
    of_tasks = together.exp().reshape(len(every), 3, 2).sum(-1)  # classes of a task lie side by side here
    torch.testing.assert_close(of_tasks, likely, atol=2e-3, rtol=0)


def test_a_task_by_itself_is_refused() -> None:
    one = TextClassificationSpec(model="builtin:minilm", train="builtin:pydocs")
    with pytest.raises(InvalidInput, match=r"conpet on a task of type text-classification.*continual"):
        method("conpet").require(describe_for(one))


@pytest.mark.parametrize("knobs", [{"rank": 2}, {"rank": 3, "top_k": 2, "targets": "mlp", "top_layers": 1}])
def test_parameters_are_those_of_one_task_however_many_there_are(home: Path, knobs: dict[str, Any]) -> None:
    chosen = method("conpet")
    for base in (tiny_base("bert"), tiny_base("llama")):
        values = chosen.complete(base.description, knobs)
        attached = chosen.attach(base, values, 1, None)
        found = sum(value.numel() for value in attached.parameters().values()) - base.head_size
        assert found == chosen.trainable_parameters(base.description, values)
        attached.detach()
    assert section(home)["tasks"]
