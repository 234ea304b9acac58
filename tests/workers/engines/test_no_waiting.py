"""A step of a pack never waits for its device: shown on PyTorch's device without numbers, where whoever asks fails."""

from __future__ import annotations

import math
from collections.abc import Sequence
from contextlib import nullcontext
from dataclasses import replace
from functools import partial
from typing import Any

import pytest
import torch
from torch import Tensor
from torch.utils._python_dispatch import TorchDispatchMode

from tests.workers.engines import packs
from tests.workers.engines.packs import Tiny
from tests.workers.engines.test_sampled_members import MEMBERS as SAMPLED
from tests.workers.engines.test_stacked_forms import ALONE, FAMILY_MEMBERS, SPLITS
from tests.workers.tiny_models import BUILDERS, tiny_base
from workers.engines import packed
from workers.engines.inputs import Inputs
from workers.engines.packed import Aboard, Pack, pack_on
from workers.engines.prefix_store import PrefixStore
from workers.engines.ranks import OneProcess
from workers.engines.resident import ResidentBase
from workers.engines.stacked.capture import capture_on
from workers.engines.stacked.room import Room
from workers.engines.stacked.stack import Stack
from workers.engines.stacked.unpadding import why_padded
from workers.engines.stacked.way import ON_GPU, Way
from workers.engines.transfers import Staging
from workers.methods.registry import method

META = torch.device("meta")
STEPS = 4
Rows = tuple[Inputs, Inputs]


class Unasked(TorchDispatchMode):
    """Whoever copies to the device must do so from pinned memory without waiting. Reading from it fails by itself."""

    def __init__(self) -> None:
        super().__init__()
        self.sent = 0

    def __torch_dispatch__(self, function: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        options = kwargs or {}
        found = function(*args, **options)
        source = {"aten::_to_copy": 0, "aten::copy_": 1}.get(function._schema.name)
        if source is not None and args[source].device.type == "cpu" and found.device == META:
            assert getattr(args[source], "pinned", False), (
                f"{tuple(found.shape)} were sent from memory that is not pinned"
            )
            assert options.get("non_blocking"), f"{tuple(found.shape)} were sent, and the host waited"
            self.sent += 1
        return found


def pinned(tensor: Tensor) -> Tensor:
    """Stands for a copy in pinned memory where there is no GPU."""
    copy: Any = tensor.clone()
    copy.pinned = True
    return copy  # type: ignore[no-any-return]


class Carrier:
    """Stands for the stream that copies."""

    def carry(self, host: Tensor) -> Tensor:
        return host.pin_memory().to(META, non_blocking=True)


def _beside(known: Any, none: Any, kind: str, *given: Any, **options: Any) -> Any:
    return none if kind == "meta" else known(kind, *given, **options)


@pytest.fixture
def watch(monkeypatch: pytest.MonkeyPatch) -> Unasked:
    """Watches every step of packs."""
    unasked, step = Unasked(), Pack._step

    def watched(self: Pack, steps: Any) -> Any:
        with unasked:
            return step(self, steps)

    monkeypatch.setattr(Pack, "_step", watched)
    monkeypatch.setattr(torch.Tensor, "pin_memory", pinned)
    for name, none in (("autocast", nullcontext()), ("is_autocast_enabled", False)):  # it has no formats of its own
        monkeypatch.setattr(torch, name, partial(_beside, getattr(torch, name), none))
    monkeypatch.setattr(packed, "Staging", partial(Staging, carrier=Carrier()))
    # A pass that fails would go through in halves, and at last be that member's fault.
    monkeypatch.setattr(Pack, "_learn_from", packs._refuse)
    return unasked


def trained_away(resident: ResidentBase, members: Sequence[Tiny], rows: Rows, store: PrefixStore, way: Way) -> None:
    """Some steps of a pack whose base, members and rows are all on the device without numbers."""
    base, stack, aboard = resident.base, Stack(len(members), META), Aboard()
    why_padded(base, rows[0])  # tried once on each base, before its first step
    made = [packs._member(resident, tiny, rows[0], STEPS, stack, [], {}) for tiny in members]
    for tiny, member in zip(members, made, strict=True):
        member.course = _course(tiny, rows[0])
        aboard[member] = None
    base.model.to(META)
    away = rows[0].on("meta"), rows[1].on("meta")
    capture = capture_on(META, way.captured)
    with pack_on(resident, stack, 0, away, store, "fp32", Room(), way, capture, OneProcess()) as pack:
        ended = pack.run(aboard, lambda: False)
    assert {getattr(one, "reason", None) for one in ended.values()} == {None}


def _course(tiny: Tiny, rows: Inputs) -> Any:
    for step in tiny.steps(rows, STEPS):
        trained = yield step
        assert trained.loss.device == META
    return packs.Ending("completed", 0.0, 0.0)


@pytest.fixture(scope="module")
def store(tmp_path_factory: pytest.TempPathFactory) -> PrefixStore:
    return PrefixStore(tmp_path_factory.mktemp("prefixes"), 1 << 30)


UNPADDED, PADDED = replace(ON_GPU, unpadding=0.0), replace(ON_GPU, unpadding=math.inf)
# mpnet's own attention looks at masks.
CLASSES = [(kind, UNPADDED) for kind in sorted(set(BUILDERS) - ALONE - {"mpnet"})]
CLASSES += [(kind, PADDED) for kind in ("bert", "llama", "modernbert")]


@pytest.mark.parametrize(("kind", "way"), CLASSES)
def test_no_form_on_no_class_of_model_waits(kind: str, way: Way, watch: Unasked, store: PrefixStore) -> None:
    resident = ResidentBase.of(tiny_base(kind))
    members = [one for one in FAMILY_MEMBERS if method(one.method).supports(resident.base.description)]
    trained_away(resident, members, (SPLITS[0], SPLITS[1]), store, way)
    assert watch.sent >= STEPS


def test_members_that_rest_tensors_wait_for_nothing_but_what_ist_asks(watch: Unasked, store: PrefixStore) -> None:
    members = [one for one in SAMPLED if one.strategy is None or one.strategy[0] != "ist"]
    trained_away(ResidentBase.of(tiny_base("bert")), members, (SPLITS[0], SPLITS[1]), store, UNPADDED)
    assert watch.sent >= STEPS


TASKS = {
    "language": (lambda _store: packs.language_model(), [FAMILY_MEMBERS[0], Tiny("ia3", {}, {"label_smoothing": 0.1})]),
    "pairs": (
        packs.pairs,
        [
            Tiny("lora", {"rank": 4, "targets": "all"}, {"batch_size": 3, "dpo_beta": 0.5}, 1),
            Tiny("mam", {"size": 6, "prefix_length": 3}, {"batch_size": 2}, 2),
        ],
    ),
    "tags": (lambda _store: packs.tagger(), [FAMILY_MEMBERS[0], FAMILY_MEMBERS[5], Tiny("head")]),
}


@pytest.mark.parametrize("way", [UNPADDED, PADDED], ids=["unpadded", "padded"])
@pytest.mark.parametrize("task", TASKS)
def test_no_type_of_task_waits(task: str, way: Way, watch: Unasked, store: PrefixStore) -> None:
    make, members = TASKS[task]
    resident, rows = make(store)  # type: ignore[operator]
    trained_away(resident, members, rows, store, way)
    assert watch.sent >= STEPS
