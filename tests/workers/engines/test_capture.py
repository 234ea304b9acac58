"""Captured passes: what is replayed reads what it is given; what cannot be captured runs as ever and says why."""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import Tensor

from tests.workers.engines.packs import (
    Made,
    Tiny,
    assert_alike,
    language_model,
    pairs,
    split,
    tagger,
    train_alone,
    train_together,
)
from tests.workers.tiny_models import CLASSES, VOCABULARY, tiny_base
from workers.engines.prefix_store import PrefixStore
from workers.engines.resident import ResidentBase
from workers.engines.stacked.capture import Capture, Recording, capture_on
from workers.engines.stacked.losses import common_numbers, differing_numbers
from workers.engines.stacked.way import Way
from workers.hyperparameters import Hyperparameters
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
    for _ in range(4):
        capture.run("short", {"x": torch.zeros(2)}, lambda own: own["x"])
    assert len(graphs.made) == 3
    capture.forget()  # memory has run out
    capture.run("short", {"x": torch.zeros(2)}, lambda own: own["x"])
    assert [one.count for one in graphs.made] == [5, 5, 2]


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


CRITERION = TASK.criterion(None, tuple(map(str, range(CLASSES))))
EVEN = tuple(split(rows, seed, CRITERION, VOCABULARY, CLASSES, longest=5) for rows, seed in ((64, 0), (20, 1)))
UNEVEN = tuple(split(rows, seed, CRITERION, VOCABULARY, CLASSES) for rows, seed in ((64, 0), (20, 1)))
WAY = Way(False, float("inf"), 4096, host_streams=True, captured=True)
MEMBERS = [
    Tiny("lora", {"rank": 4, "targets": "all"}, {"label_smoothing": 0.1}, 1),
    Tiny("ia3", {"top_layers": 1}, {}, 2),
    Tiny("autopeft", {"serial_size": 6, "parallel_size": 3, "prefix_length": 3}, {}, 3),
]


@pytest.fixture(scope="module")
def resident() -> ResidentBase:
    return ResidentBase.of(tiny_base("bert"))


@pytest.fixture
def store(tmp_path: Path) -> PrefixStore:
    return PrefixStore(tmp_path, 1 << 30)


@pytest.mark.parametrize("way", [WAY, replace(WAY, unpadding=0.0)], ids=["padded", "unpadded"])
def test_replayed_passes_train_members_as_alone(resident: ResidentBase, store: PrefixStore, way: Way) -> None:
    """All that a pass depends on goes through the tensors that a captured one reads."""
    graphs = StandIn()
    together = train_together(resident, MEMBERS, UNEVEN, 20, store, way, Capture(graphs))
    assert sum(one.count for one in graphs.made) > 10
    for tiny, made in zip(MEMBERS, together, strict=True):
        assert isinstance(made, Made)
        assert_alike(made, train_alone(resident, tiny, UNEVEN, 20, store))


TASKS: dict[str, tuple[Callable[[PrefixStore], tuple[ResidentBase, Any]], list[Tiny]]] = {
    "language": (
        lambda _store: language_model(),
        [Tiny("lora", {"rank": 4, "targets": "all"}, {"label_smoothing": 0.1}, 1), Tiny("ia3", {}, {}, 2)],
    ),
    "pairs": (
        pairs,
        [Tiny("lora", {"rank": 4}, {"batch_size": 4, "dpo_beta": 0.5}, 1), Tiny("ia3", {}, {"batch_size": 4}, 2)],
    ),
    "tags": (lambda _store: tagger(), [Tiny("lora", {"rank": 4}, {}, 1), Tiny("head", {}, {}, 2)]),
}


@pytest.mark.parametrize("way", [WAY, replace(WAY, unpadding=0.0)], ids=["padded", "unpadded"])
@pytest.mark.parametrize("task", TASKS)
def test_replayed_passes_of_every_type_of_task_train_members_as_alone(task: str, store: PrefixStore, way: Way) -> None:
    """Language models, too: how many of their positions have a target is told, not asked."""
    make, members = TASKS[task]
    (resident, splits), graphs = make(store), StandIn()
    together = train_together(resident, members, splits, 24, store, way, Capture(graphs))
    assert sum(one.count for one in graphs.made if one.result.ndim == 1) >= 4
    for tiny, made in zip(members, together, strict=True):
        assert_alike(made, train_alone(resident, tiny, splits, 24, store))


def lora(seed: int, **training: Any) -> Tiny:
    return Tiny("lora", {"rank": 4, "targets": "all"}, training, seed)


def test_whoever_takes_a_place_uses_what_was_captured_for_it(resident: ResidentBase, store: PrefixStore) -> None:
    """Six trials on three places, each with rows of one length and so of one shape: the first three are captured as one
    pass and one update, and when those that follow are of the same kind, nothing is captured again."""
    graphs = StandIn()
    members = [lora(seed, learning_rate=1e-3 * (1 + seed)) for seed in range(6)]
    made = train_together(resident, members, EVEN, [12, 20, 28, 24, 20, 12], store, WAY, Capture(graphs), places=3)
    for tiny, steps, one in zip(members, (12, 20, 28, 24, 20, 12), made, strict=True):
        assert_alike(one, train_alone(resident, tiny, EVEN, steps, store))
    whole = [one for one in graphs.made if one.count > 10]
    assert len(whole) == 2
    # At the end places stay empty: passes of two members and of one, with an update of fewer rows at most.
    assert len(graphs.made) <= 2 + 2 * 2


def test_numbers_that_no_loss_reads_make_no_pass_another_one() -> None:
    plain = Hyperparameters()
    elsewhere = Hyperparameters(task_sampling=0.5, eda_share=0.2, neighbour_share=0.1, pool_share=0.9, spike_score=3.0)
    assert differing_numbers([plain, elsewhere]) == {}
    assert common_numbers(plain, {}) == common_numbers(elsewhere, {})
    smoothed = differing_numbers([plain, Hyperparameters(label_smoothing=0.1)])
    assert {name: values.tolist() for name, values in smoothed.items()} == {"label_smoothing": [0, pytest.approx(0.1)]}
    assert "label_smoothing" not in dict(common_numbers(plain, smoothed))


def test_only_what_members_change_is_captured_anew(resident: ResidentBase, store: PrefixStore) -> None:
    """Dropout that comes aboard changes what a pass is made of; when it has left, passes are what they were."""
    graphs = StandIn()
    members = [lora(0), lora(1), Tiny("lora", {"rank": 4, "targets": "all", "dropout": 0.2}, {}, 2), lora(3)]
    steps = [10, 40, 10, 20]
    made = train_together(resident, members, EVEN, steps, store, WAY, Capture(graphs), places=2)
    for tiny, count, one in zip(members, steps, made, strict=True):
        assert_alike(one, train_alone(resident, tiny, EVEN, count, store))
    assert len([one for one in graphs.made if one.result.ndim == 1]) == 2


def test_what_needs_more_room_than_there_is_loses_what_was_captured(resident: ResidentBase, store: PrefixStore) -> None:
    graphs = StandIn()
    members = [Tiny("lora", {"rank": rank, "targets": "all"}, {}, rank) for rank in (2, 8, 3, 8)]
    made = train_together(resident, members, EVEN, 10, store, WAY, Capture(graphs), places=1)
    for tiny, one in zip(members, made, strict=True):
        assert_alike(one, train_alone(resident, tiny, EVEN, 10, store))
    # Rank 2, then room for rank 8, which stays while rank 3 and 8 follow: two captures of a pass.
    assert len([one for one in graphs.made if one.result.ndim == 1]) == 2


def test_a_member_that_is_expelled_leaves_the_others_passes_as_they_were(
    resident: ResidentBase, store: PrefixStore
) -> None:
    graphs = StandIn()
    broken = lora(1, learning_rate=1e30, max_grad_norm=0.0)
    members = [lora(0), broken, lora(2)]
    made = train_together(resident, members, EVEN, [24, 8, 16], store, WAY, Capture(graphs), places=2)
    for number in (0, 2):
        assert_alike(made[number], train_alone(resident, members[number], EVEN, (24, 8, 16)[number], store))
    assert len([one for one in graphs.made if one.result.ndim == 1 and len(one.result) == 2]) == 1
