"""On a GPU: the numbers of the CPU, on both engines and in packs. Needs one; the rest of the suite does not.

Runs where nothing can be fetched and neither Ray nor the service is installed, on models that it makes itself:
`pytest --noconftest tests/workers/test_gpu.py` (pytest's conftest here imports the service).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.service.tiny_task import tiny_job
from tests.workers.engines.packs import Made, Tiny, language_model, pairs, tagger, train_alone, train_together
from tests.workers.engines.test_stacked_forms import FAMILY_MEMBERS, SPLITS
from tests.workers.tiny_models import tiny_base
from workers.artifacts import ArtifactStore
from workers.assignment import Assignment, Outcome
from workers.engines.inputs import Inputs
from workers.engines.prefix_store import PrefixStore
from workers.engines.resident import ResidentBase
from workers.engines.stacked.capture import Capture, capture_on
from workers.engines.stacked.way import ON_GPU
from workers.machine_speed import measure
from workers.methods.registry import method, methods
from workers.models.half_precision import hold_in_bfloat16
from workers.running.trial import train
from workers.running.trial_pack import train_by_itself, train_pack
from workers.running.workbench import Workbench
from workers.tasks.catalogue.text_classification import TextClassificationSpec

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")]
CONFIGS: dict[str, dict[str, Any]] = {
    "all": {"method": "lora", "rank": 4, "targets": "all"},
    "top": {"method": "lora", "rank": 2, "top_layers": 1},
    "head": {"method": "head", "learning_rate": 1e-2},
    "prefix": {"method": "prefix_tuning", "length": 3},
    "bitfit": {"method": "bitfit", "top_layers": 1},
}


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> TextClassificationSpec:
    """A model of two layers and 64 rows of words that tell their class."""
    job = tiny_job(tmp_path_factory.mktemp("task"), trials=1, train_rows=64)
    return TextClassificationSpec.model_validate(job["task"])


@pytest.fixture(scope="module")
def benches(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Workbench]:
    home = tmp_path_factory.mktemp("home")
    return {device: Workbench(home, ArtifactStore(home / "artifacts"), device=device) for device in ("cpu", "cuda")}


def trial(task: TextClassificationSpec, name: str, **changes: Any) -> Assignment:
    given = {"epochs": 2, "seed": 1, "measure_latency": False, "precision": "fp32", "config": CONFIGS.get(name)}
    return Assignment(trial_id=name, attempt=1, task=task, **{**given, **changes})


def assert_alike(one: Outcome, other: Outcome) -> None:
    assert one.status == other.status == "completed", (one.reason, other.reason)
    assert one.metrics["loss"] == pytest.approx(other.metrics["loss"], rel=2e-3)


@pytest.mark.parametrize("engine", ["fast", "reference"])
@pytest.mark.parametrize("name", CONFIGS)
def test_a_trial_on_a_gpu_learns_what_it_learns_on_a_cpu(
    benches: dict[str, Workbench], task: TextClassificationSpec, name: str, engine: Any
) -> None:
    on = {
        device: train(trial(task, name, engine=engine), bench, lambda _: "continue")
        for device, bench in benches.items()
    }
    assert_alike(on["cuda"], on["cpu"])
    assert on["cuda"].environment["gpu"]


def test_a_trial_by_itself_is_a_captured_pack_of_one(
    benches: dict[str, Workbench], task: TextClassificationSpec
) -> None:
    outcome = train_by_itself(trial(task, "all", epochs=4), benches["cuda"], lambda _: "continue")
    assert_alike(outcome, train(trial(task, "all", epochs=4), benches["cpu"], lambda _: "continue"))
    assert "not_captured" not in outcome.environment


@pytest.mark.parametrize("name", [name for name, one in methods().items() if one.forms is not None])
def test_every_method_with_a_form_learns_in_a_captured_pack_what_it_learns_alone(
    benches: dict[str, Workbench], task: TextClassificationSpec, name: str
) -> None:
    """Beside a LoRA of another rank and rate; rows are enough that passes of a length come again and are replayed."""
    lora = {"method": "lora", "rank": 4, "targets": "all", "learning_rate": 1e-3}
    configs = ({"method": name}, {"method": name, "learning_rate": 2e-3}, lora)
    members = [trial(task, str(seed), config=one, seed=seed, epochs=4) for seed, one in enumerate(configs)]
    together = {one.trial_id: one for one in train_pack(members, benches["cuda"], lambda _: "continue")}
    for one in members:
        assert_alike(together[one.trial_id], train(one, benches["cuda"], lambda _: "continue"))
        assert "not_captured" not in together[one.trial_id].environment


def classifier(kind: str) -> tuple[ResidentBase, tuple[Inputs, Inputs]]:
    return ResidentBase.of(tiny_base(kind)), (SPLITS[0], SPLITS[1])


LORA = Tiny("lora", {"rank": 4, "targets": "all"}, {"label_smoothing": 0.1}, 1)
TASKS: dict[str, tuple[Callable[[PrefixStore], tuple[ResidentBase, tuple[Inputs, Inputs]]], tuple[Tiny, ...]]] = {
    "language": (lambda _: language_model(), (LORA, Tiny("ia3", {}, {}, 2))),
    "pairs": (pairs, (replace(LORA, training={"batch_size": 4, "dpo_beta": 0.5}), Tiny("ia3", {}, {"batch_size": 4}))),
    "tags": (lambda _: tagger(), (LORA, Tiny("head", {}, {}, 2))),
    **{
        kind: (lambda _, kind=kind: classifier(kind), FAMILY_MEMBERS[1:])
        for kind in ("bert", "modernbert", "gpt2", "llama")
    },
}


@pytest.mark.parametrize("unpadding", [0.0, 1e9], ids=["unpadded", "padded"])
@pytest.mark.parametrize("half", [False, True], ids=["float32", "bfloat16"])
@pytest.mark.parametrize("name", TASKS)
def test_packs_of_every_type_of_task_are_captured_and_train_as_alone_on_a_cpu(
    name: str, half: bool, unpadding: float, tmp_path: Path
) -> None:
    """On a base in bfloat16, too, where attention takes rows of unequal lengths as they lie (PyTorch 2.13)."""
    make, members = TASKS[name]
    store, (resident, splits) = PrefixStore(tmp_path, 1 << 30), make(PrefixStore(tmp_path / "own", 1 << 30))
    members = tuple(one for one in members if method(one.method).supports(resident.base.description))
    alone = [train_alone(resident, tiny, splits, 16, store) for tiny in members]
    torch.nn.Module.to(resident.base.model, "cuda")
    resident = ResidentBase(hold_in_bfloat16(resident.base) if half else resident.base, f"{name}, {half}")
    rows = splits[0].on("cuda"), splits[1].on("cuda")
    way, capture = replace(ON_GPU, unpadding=unpadding), capture_on(torch.device("cuda"), wanted=True)
    made = train_together(resident, members, rows, 16, store, way, capture)
    assert capture.reason is None
    assert any(shape.recorded for shape in capture._shapes.values())
    for mine, theirs in zip(made, alone, strict=True):
        assert isinstance(mine, Made), mine
        np.testing.assert_allclose(mine.losses, theirs.losses, rtol=0.1 if half else 1e-3)


def test_a_pack_that_is_not_captured_makes_the_same_steps(tmp_path: Path) -> None:
    store, (resident, splits) = PrefixStore(tmp_path, 1 << 30), classifier("bert")
    torch.nn.Module.to(resident.base.model, "cuda")
    rows, losses = (splits[0].on("cuda"), splits[1].on("cuda")), []
    for capture in (capture_on(torch.device("cuda"), wanted=True), Capture(None, "switched off")):
        made = train_together(resident, FAMILY_MEMBERS, rows, 16, store, ON_GPU, capture)
        losses.append([one.losses for one in made if isinstance(one, Made)])
    np.testing.assert_allclose(losses[0], losses[1], rtol=1e-4)


def test_packing_pays_on_a_gpu() -> None:
    assert measure().pack_gain > 1.2
