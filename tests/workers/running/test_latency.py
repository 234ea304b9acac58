"""Latency does not depend on when a trial ran: on a clock that counts work, on a slowing machine, and for real."""

from __future__ import annotations

import random
from contextlib import nullcontext
from pathlib import Path
from typing import Any

import pytest
import torch
from torch import nn
from torch.utils._python_dispatch import TorchDispatchMode

from tests.workers.methods.test_conformance import attach
from tests.workers.tiny_models import batch, tiny_base
from workers.artifacts import ArtifactStore
from workers.engines.resident import ResidentBase
from workers.methods.registry import method, methods
from workers.running.latency import Ratio, milliseconds, times_longer
from workers.running.workbench import Workbench

TOKENS = 12


class WorkClock(TorchDispatchMode):
    """Seconds that torch's operations would take: one per operation and per thousand numbers it writes.

    Each takes a tenth more or less, at random. The machine gets slower: whatever comes later takes longer, by
    `slowing` for each thousand operations.
    """

    def __init__(self, slowing: float = 0.0) -> None:
        super().__init__()
        self.slowing, self.operations, self.now = slowing, 0, 0.0
        self._random = random.Random(0)

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        result = func(*args, **(kwargs or {}))
        written = result.numel() if isinstance(result, torch.Tensor) else 0
        self.operations += 1
        self.now += self._random.uniform(0.9, 1.1) * (1 + written / 1000) * (1 + self.slowing * self.operations / 1000)
        return result

    def __call__(self) -> float:
        return self.now


def _bench(home: Path, clock: WorkClock | None = None) -> Workbench:
    more = {} if clock is None else {"latency_clock": clock}
    return Workbench(home, ArtifactStore(home / "artifacts"), **more)


def _over_base(bench: Workbench, name: str, knobs: dict[str, Any], seed: int = 7) -> Ratio:
    base = tiny_base("bert")
    attached, _ = attach(base, name, knobs, seed)
    attached.set_training(False)
    found = bench.latency_over_base(attached, base, TOKENS)["latency_ms"]
    attached.detach()
    return found


@pytest.mark.parametrize("slowing", [0.0, 1.0])
def test_equal_trials_are_equal_and_costlier_ones_costlier_however_slow_the_machine_grows(
    tmp_path: Path, slowing: float
) -> None:
    with WorkClock(slowing) as clock:
        bench = _bench(tmp_path, clock)
        first = _over_base(bench, "adapter_pfeiffer", {"size": 3})
        mams = _over_base(bench, "mam", {"size": 24, "prefix_length": 32})
        both = _over_base(bench, "adapter_houlsby", {"size": 3})
        second = _over_base(bench, "adapter_pfeiffer", {"size": 3}, seed=8)
        one_layer = _over_base(bench, "adapter_pfeiffer", {"size": 3, "top_layers": 1})
    assert first.low <= second.high
    assert second.low <= first.high
    assert first.value == pytest.approx(second.value, rel=0.03)
    assert 1 < one_layer.low <= one_layer.high < second.low <= second.high < both.low <= both.high < mams.low


def test_a_slowing_machine_would_have_misled_a_plain_measurement() -> None:
    """What this replaces: the same base is measured at very different latencies, by when it is measured."""
    base = tiny_base("bert")
    with WorkClock(slowing=1.0) as clock:
        early, *_, late = (milliseconds(base.model, base.description.anatomy, 1, TOKENS, clock) for _ in range(5))
    assert late > 1.5 * early


@pytest.mark.parametrize(("pass_seconds", "passes"), [(2.0, 12), (0.2, 32)])
def test_slow_passes_are_measured_in_few_blocks_all_of_which_count(pass_seconds: float, passes: int) -> None:
    """The adapter's passes take three times the base's, in the first block four times."""
    plain, adapted = tiny_base("bert").model, tiny_base("bert").model
    ran: list[nn.Module] = []
    for model in (plain, adapted):
        model.register_forward_hook(lambda module, *_: ran.append(module))

    def clock() -> float:
        longer = [1 if module is plain else 4 if place < 4 else 3 for place, module in enumerate(ran)]
        return pass_seconds * sum(longer)

    found = times_longer(adapted, plain, nullcontext, tiny_base("bert").description.anatomy, 1, TOKENS, clock)
    assert len(ran) == passes
    most = 4.0 if pass_seconds == 2.0 else 3.0
    assert (found.low, found.value, found.high) == pytest.approx((3.0, 3.0, most))


def test_a_machine_measures_its_base_once_for_all_its_processes(tmp_path: Path) -> None:
    resident = ResidentBase.of(tiny_base("bert"))
    with WorkClock(slowing=1.0) as clock:
        first = _bench(tmp_path, clock).base_latency(resident, TOKENS)
        again = _bench(tmp_path, clock).base_latency(resident, TOKENS)
        longer = _bench(tmp_path, clock).base_latency(resident, 3 * TOKENS)
        elsewhere = _bench(tmp_path / "other", clock).base_latency(resident, TOKENS)
    assert first == again
    assert first["latency_ms"] < first["latency_batch_ms"]
    assert longer["latency_batch_ms"] > first["latency_batch_ms"]
    assert elsewhere["latency_ms"] > first["latency_ms"]
    assert [file.suffix for file in (tmp_path / "cache" / "latency").iterdir()] == [".json", ".json"]


@pytest.mark.parametrize("name", sorted(name for name, one in methods().items() if not one.mergeable and not one.tasks))
def test_an_adapter_is_taken_off_and_put_back_as_it_was(name: str) -> None:
    base = tiny_base("bert")
    knobs = method(name).complete(base.description, {})
    with torch.no_grad():
        base.initialise_head(7)
        plain = base.model(**batch()).logits
        attached = method(name).attach(base, knobs, 7, None)
        for value in attached.parameters().values():
            value.add_(0.05)
        attached.set_training(False)
        adapted = attached.model(**batch()).logits
        with attached.without():
            assert torch.equal(base.model(**batch()).logits, plain)
        assert torch.equal(attached.model(**batch()).logits, adapted)
    assert all(value.requires_grad for value in attached.parameters().values())
    attached.detach()
    assert not torch.equal(adapted, plain)


def test_what_doubles_the_work_of_a_layer_is_slower_for_real(tmp_path: Path) -> None:
    """Experts on every matrix of a tiny model more than double its operations: a fifth must show on any machine."""
    found = _over_base(_bench(tmp_path), "mola", {"rank": 2, "targets": "all"})
    assert found.value > 1.2
    assert found.low <= found.value <= found.high
