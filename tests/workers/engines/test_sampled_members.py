"""Members of a pack whose strategy lets tensors rest: LISA, HFT and IST train as alone, whoever is beside them."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch

from tests.workers.engines.packs import Made, Tiny, assert_alike, split, train_alone, train_together
from tests.workers.engines.test_capture import StandIn
from tests.workers.engines.test_stacked_forms import PADDED, SPLITS, UNPADDED
from tests.workers.tiny_models import VOCABULARY, tiny_base
from workers.artifacts import ArtifactStore
from workers.assignment import Assignment, Outcome
from workers.engines.precision import Precision
from workers.engines.prefix_store import PrefixStore
from workers.engines.resident import ResidentBase
from workers.engines.stacked.capture import Capture
from workers.engines.stacked.way import LOOPED, Way
from workers.methods.attached import Attached
from workers.running.trial import train
from workers.running.trial_pack import train_pack
from workers.running.workbench import Workbench
from workers.tasks.catalogue.text_classification import TextClassificationSpec

LORA = {"rank": 3, "targets": "all"}
MEMBERS = [
    Tiny("lora", LORA, {}, 1, ("lisa", {"layers": 1, "interval": 3})),
    Tiny("lora", LORA, {"gradient_accumulation": 2}, 2, ("ist", {"share": 0.5, "interval": 5})),
    Tiny("bitfit", {}, {"weight_decay": 0.1}, 3, ("hft", {"fraction": 0.4, "grain": "tensor", "interval": 5})),
    Tiny("lora", {"rank": 5, "targets": "qv", "dropout": 0.2}, {}, 4),
]


@pytest.fixture(scope="module")
def resident() -> ResidentBase:
    return ResidentBase.of(tiny_base("bert"))


@pytest.mark.parametrize("way", [LOOPED, PADDED, UNPADDED], ids=["looped", "stacked", "unpadded"])
def test_members_that_rest_tensors_train_as_alone(resident: ResidentBase, tmp_path: Path, way: Way) -> None:
    store, steps = PrefixStore(tmp_path, 1 << 30), [24, 20, 24, 12]
    together = train_together(resident, MEMBERS, SPLITS, steps, store, way)
    for tiny, count, made in zip(MEMBERS, steps, together, strict=True):
        assert_alike(made, train_alone(resident, tiny, SPLITS, count, store))
    resting = Tiny("lora", LORA, {}, 1)
    assert not np.allclose(
        made_losses(together[0]), train_alone(resident, resting, SPLITS, 24, store).losses, rtol=1e-3
    )


def made_losses(made: object) -> np.ndarray:  # type: ignore[type-arg]
    assert isinstance(made, Made)
    return made.losses


@dataclass(frozen=True)
class Watched(Tiny):
    """A trial that keeps the losses which its strategy asked for."""

    asked: list[float] = field(default_factory=list)

    def makes_strategy(self, resident: ResidentBase, attached: Attached) -> Any:
        make = super().makes_strategy(resident, attached)

        def watched(parameters: Any) -> Any:
            strategy = make(parameters)
            begin = strategy.begin

            def noting(step: int, probe: Callable[[], float]) -> Any:
                return begin(step, lambda: (self.asked.append(probe()), self.asked[-1])[1])

            strategy.begin = noting
            return strategy

        return watched


def test_what_a_strategy_decides_by_is_computed_in_the_number_format_of_training(
    resident: ResidentBase, tmp_path: Path
) -> None:
    """Rates are so low that only the format tells losses apart."""
    store, found = PrefixStore(tmp_path, 1 << 30), {}
    formats: tuple[Precision, ...] = ("fp32", "bf16")
    for precision in formats:
        alone, packed = (
            Watched("lora", LORA, {"learning_rate": 1e-9}, 2, ("ist", {"share": 0.5, "interval": 5})) for _ in range(2)
        )
        train_alone(resident, alone, SPLITS, 5, store, precision)
        train_together(resident, [packed, MEMBERS[3]], SPLITS, 5, store, PADDED, precision=precision)
        assert packed.asked == pytest.approx(alone.asked, rel=1e-5)
        assert len(packed.asked) == 3
        found[precision] = packed.asked[0]
    assert found["bf16"] != pytest.approx(found["fp32"], rel=1e-4)


def test_captured_steps_take_what_was_drawn(resident: ResidentBase, tmp_path: Path) -> None:
    store, graphs = PrefixStore(tmp_path, 1 << 30), StandIn()
    way = Way(False, float("inf"), 4096, host_streams=True, captured=True)
    even = tuple(split(rows, seed, SPLITS[0].criterion, VOCABULARY, 3, longest=5) for rows, seed in ((64, 0), (20, 1)))
    members = [MEMBERS[0], MEMBERS[1], MEMBERS[0]]
    made = train_together(resident, members, (even[0], even[1]), [16, 24, 12], store, way, Capture(graphs), places=2)
    for tiny, count, one in zip(members, [16, 24, 12], made, strict=True):
        assert_alike(one, train_alone(resident, tiny, (even[0], even[1]), count, store))
    assert sum(one.count for one in graphs.made) > 20


@pytest.mark.slow
def test_a_packed_trial_with_a_strategy_pauses_and_goes_on_alone_or_in_a_pack(tmp_path: Path) -> None:
    """It also tells the memory that it would tell alone: what rests has no moments."""
    torch.set_num_threads(1)
    bench = Workbench(tmp_path, ArtifactStore(tmp_path / "artifacts"))
    task = TextClassificationSpec(
        model="builtin:minilm", train="builtin:pydocs", max_length=24, train_rows=64, validation_rows=32
    )
    config = {"method": "lora", "rank": 2, "targets": "qv", "top_layers": 3, "strategy": "lisa", "lisa.layers": 1}

    def trial(name: str, **more: object) -> Assignment:
        fields = {"epochs": 2, "seed": 1, "measure_latency": False, "config": config | {"lisa.interval": 3}} | more
        return Assignment.model_validate({"trial_id": name, "attempt": 1, "task": task, **fields})

    other = trial("other", config={"method": "head", "learning_rate": 1e-2})
    whole = train(trial("whole"), bench, lambda _: "continue")

    def packed(*trials: Assignment) -> Outcome:
        return {one.trial_id: one for one in train_pack(list(trials), bench, lambda _: "continue")}[trials[0].trial_id]

    found = packed(trial("packed"), other).metrics
    for name in whole.metrics.keys() - {"train_seconds", "tokens_per_second"}:
        assert found[name] == pytest.approx(whole.metrics[name], rel=1e-4), name
    paused = packed(trial("paused", pause_every=1), other)
    alone = train(trial("paused", checkpoint=paused.checkpoint), bench, lambda _: "continue")
    again = packed(trial("paused", checkpoint=paused.checkpoint), other)
    for outcome in (alone, again):
        assert "started_afresh" not in outcome.environment
        assert outcome.metrics["loss"] == pytest.approx(whole.metrics["loss"], rel=1e-4)
