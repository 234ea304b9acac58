"""On a GPU: the numbers of the CPU, on both engines and in packs. Needs one; the rest of the suite does not."""

from __future__ import annotations

from typing import Any

import pytest
import torch

from workers.artifacts import ArtifactStore
from workers.assignment import Assignment, Outcome
from workers.machine_speed import measure
from workers.methods.registry import methods
from workers.running.trial import train
from workers.running.trial_pack import train_pack
from workers.running.workbench import Workbench
from workers.tasks.catalogue.text_classification import TextClassificationSpec

pytestmark = [pytest.mark.gpu, pytest.mark.skipif(not torch.cuda.is_available(), reason="there is no GPU")]

TASK = TextClassificationSpec(
    model="builtin:minilm", train="builtin:pydocs", max_length=24, train_rows=64, validation_rows=32
)
CONFIGS: dict[str, dict[str, Any]] = {
    "all": {"method": "lora", "rank": 4, "targets": "all"},
    "top": {"method": "lora", "rank": 2, "top_layers": 2},
    "head": {"method": "head", "learning_rate": 1e-2},
    "prefix": {"method": "prefix_tuning", "length": 3},
    "bitfit": {"method": "bitfit", "top_layers": 2},
}


@pytest.fixture(scope="module")
def benches(tmp_path_factory: pytest.TempPathFactory) -> dict[str, Workbench]:
    home = tmp_path_factory.mktemp("home")
    return {device: Workbench(home, ArtifactStore(home / "artifacts"), device=device) for device in ("cpu", "cuda")}


def assignment(name: str, **changes: Any) -> Assignment:
    fields = {"epochs": 2, "seed": 1, "measure_latency": False, "precision": "fp32", **changes}
    return Assignment(trial_id=name, attempt=1, task=TASK, config=CONFIGS[name], **fields)


def assert_alike(one: Outcome, other: Outcome) -> None:
    assert one.status == other.status == "completed"
    assert one.metrics["loss"] == pytest.approx(other.metrics["loss"], rel=2e-3)


@pytest.mark.parametrize("engine", ["fast", "reference"])
@pytest.mark.parametrize("name", CONFIGS)
def test_a_trial_on_a_gpu_learns_what_it_learns_on_a_cpu(benches: dict[str, Workbench], name: str, engine: Any) -> None:
    on = {
        device: train(assignment(name, engine=engine), bench, lambda _: "continue") for device, bench in benches.items()
    }
    assert_alike(on["cuda"], on["cpu"])
    assert on["cuda"].environment["gpu"]


def test_a_pack_on_a_gpu_learns_what_its_members_learn_alone(benches: dict[str, Workbench]) -> None:
    names = ("all", "top", "head")
    together = train_pack([assignment(name) for name in names], benches["cuda"], lambda _: "continue")
    for outcome in together:
        assert_alike(outcome, train(assignment(outcome.trial_id), benches["cuda"], lambda _: "continue"))


@pytest.mark.parametrize("name", [name for name, one in methods().items() if one.forms is not None])
def test_every_method_with_a_form_learns_in_a_captured_pack_what_it_learns_alone(
    benches: dict[str, Workbench], name: str
) -> None:
    """Beside a LoRA of another rank and rate; rows are enough that passes of a length come again and are replayed."""
    lora = {"method": "lora", "rank": 4, "targets": "all", "learning_rate": 1e-3}
    members = [
        Assignment(
            trial_id=f"{number}", attempt=1, task=TASK, config=config, seed=number, epochs=4, measure_latency=False,
            precision="fp32",
        )
        for number, config in enumerate(({"method": name}, {"method": name, "learning_rate": 2e-3}, lora))
    ]  # fmt: skip
    together = train_pack(members, benches["cuda"], lambda _: "continue")
    for one, outcome in zip(members, together, strict=True):
        assert_alike(outcome, train(one, benches["cuda"], lambda _: "continue"))


def test_packing_pays_on_a_gpu() -> None:
    assert measure().pack_gain > 1.2
