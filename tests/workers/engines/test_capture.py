"""Captured passes: what is replayed reads what it is given; what cannot be captured runs as ever and says why."""

from __future__ import annotations

from collections.abc import Callable

import pytest
import torch
from torch import Tensor

from tests.workers.engines.packs import Made, Tiny, assert_alike, split, train_alone, train_together
from tests.workers.tiny_models import CLASSES, VOCABULARY, tiny_base
from workers.engines.prefix_store import PrefixStore
from workers.engines.resident import ResidentBase
from workers.engines.stacked.capture import Capture, Recording, capture_on
from workers.engines.stacked.way import Way
from workers.tasks.catalogue.text_classification import TASK


class Replayed:
    """Runs again in place of a graph, into the same result."""

    def __init__(self, run: Callable[[], Tensor]) -> None:
        self.run, self.count = run, 0
        self.result = torch.zeros(0)

    def replay(self) -> None:
        self.count += 1
        found = self.run()
        self.result.resize_(found.shape).copy_(found)


class StandIn:
    """What records passes where there is no GPU."""

    def __init__(self, failing: str | None = None) -> None:
        self.made: list[Replayed] = []
        self._failing = failing

    def record(self, run: Callable[[], Tensor]) -> tuple[Recording, Tensor]:
        if self._failing is not None:
            raise RuntimeError(self._failing)
        self.made.append(Replayed(run))
        return self.made[-1], self.made[-1].result


def test_a_shape_is_captured_after_a_few_passes_and_reads_its_new_inputs() -> None:
    graphs = StandIn()
    capture = Capture(graphs)
    for number in range(8):
        for key in ("short", "long"):
            given = {"x": torch.full((2,), float(number))}
            assert capture.run(key, given, lambda own: 2 * own["x"]).tolist() == [2.0 * number] * 2
    assert [one.count for one in graphs.made] == [5, 5]
    capture.begin(1)
    capture.run("short", {"x": torch.zeros(2)}, lambda own: own["x"])
    assert len(graphs.made) == 2


def test_what_cannot_be_captured_runs_as_ever_and_says_why() -> None:
    capture = Capture(StandIn("operation not permitted when stream is capturing"))
    for number in range(6):
        assert float(capture.run("key", {"x": torch.tensor(float(number))}, lambda own: own["x"] + 1)) == number + 1
    assert capture.graphs is None
    assert capture.reason == (
        "a pass could not be captured: RuntimeError: operation not permitted when stream is capturing"
    )


def test_without_a_gpu_or_with_the_switch_off_nothing_is_captured() -> None:
    assert capture_on(torch.device("cpu"), wanted=False).reason == "switched off"
    assert (capture_on(torch.device("cpu"), wanted=True).reason or "").startswith("no GPU")


def test_replayed_passes_train_members_as_alone(tmp_path_factory: pytest.TempPathFactory) -> None:
    """All that a pass depends on goes through the tensors that a captured one reads."""
    graphs = StandIn()
    criterion = TASK.criterion(None, tuple(map(str, range(CLASSES))))
    splits = split(64, 0, criterion, VOCABULARY, CLASSES), split(20, 1, criterion, VOCABULARY, CLASSES)
    resident, store = ResidentBase.of(tiny_base("bert")), PrefixStore(tmp_path_factory.mktemp("p"), 1 << 30)
    members = [
        Tiny("lora", {"rank": 4, "targets": "all"}, {"label_smoothing": 0.1}, 1),
        Tiny("ia3", {"top_layers": 1}, {}, 2),
        Tiny("autopeft", {"serial_size": 6, "parallel_size": 3, "prefix_length": 3}, {}, 3),
    ]
    way = Way(False, float("inf"), 4096, host_streams=True, captured=True)
    together = train_together(resident, members, splits, 20, store, way, Capture(graphs))
    assert sum(one.count for one in graphs.made) > 10
    for tiny, made in zip(members, together, strict=True):
        assert isinstance(made, Made)
        assert_alike(made, train_alone(resident, tiny, splits, 20, store))
