"""A pack over a base in parts: two ranks make the steps that its members make alone, each with half of the base."""

from __future__ import annotations

import datetime
import json
import pickle
from collections.abc import Callable
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import Any

import pytest
import torch
import torch.distributed as dist
from torch import multiprocessing

from tests.patience import PATIENCE_S
from tests.service.tiny_task import tiny_job
from tests.workers.engines.packs import (
    Made,
    Tiny,
    assert_alike,
    language_model,
    tagger,
    train_alone,
    train_together,
)
from tests.workers.engines.test_sampled_members import MEMBERS as SAMPLED
from tests.workers.engines.test_sharded import held_bytes
from tests.workers.engines.test_stacked_forms import FAMILY_MEMBERS, SPLITS
from tests.workers.tiny_models import tiny_base
from workers.artifacts import ArtifactStore
from workers.assignment import Assignment, Outcome
from workers.engines.faults import failure_reason
from workers.engines.inputs import Inputs
from workers.engines.prefix_store import PrefixStore
from workers.engines.ranks import RankGroup, backend_on, from_first
from workers.engines.resident import ResidentBase
from workers.engines.stacked.in_parts import in_parts
from workers.engines.stacked.way import IN_PARTS
from workers.methods.registry import method
from workers.running.packing import Arrivals
from workers.running.trial import train
from workers.running.trial_pack import train_pack
from workers.running.workbench import Workbench

pytestmark = [pytest.mark.slow, pytest.mark.long]

RANKS, STEPS = 2, 6
Rows = tuple[Inputs, Inputs]


def classifier(kind: str) -> tuple[ResidentBase, Rows]:
    return ResidentBase.of(tiny_base(kind)), (SPLITS[0], SPLITS[1])


@dataclass(frozen=True)
class Setting:
    """A pack: what makes base and rows, its members, and how many of them share a pass."""

    make: Callable[[], tuple[ResidentBase, Rows]]
    members: tuple[Tiny, ...]
    steps: int | tuple[int, ...] = STEPS
    places: int | None = None


DROPPED = Tiny("lora", {"rank": 4, "targets": "all", "dropout": 0.3}, {"gradient_accumulation": 2, "batch_size": 5}, 5)
PLAIN = tuple(one if one.knobs.get("dropout") is None else Tiny("lora", {"rank": 4}, seed=1) for one in FAMILY_MEMBERS)
SETTINGS = {
    **{f"every form on {kind}": Setting(partial(classifier, kind), PLAIN) for kind in ("bert", "modernbert", "gpt2")},
    "fifty steps, one that is nan, one that ends and one that follows": Setting(
        partial(classifier, "bert"),
        (
            Tiny("rslora", {"rank": 1, "targets": "all"}, {"batch_size": 1, "gradient_accumulation": 3}, 1),
            Tiny("ia3", {}, {"learning_rate": 1e30, "max_grad_norm": 0.0}, 2),
            Tiny("lora", {"rank": 8, "targets": "qv"}, {"batch_size": 5}, 3),
            Tiny("autopeft", {"serial_size": 6, "parallel_size": 3, "prefix_length": 3}, {}, 4),
        ),
        (50, 3, 9, 20),
        places=3,
    ),
    "strategies that sample": Setting(partial(classifier, "bert"), tuple(SAMPLED)),
    "dropout": Setting(partial(classifier, "bert"), (DROPPED, Tiny("head", {}, {}, 2))),
    "a language model": Setting(language_model, (Tiny("lora", {"rank": 4, "targets": "all"}, {}, 1), Tiny("ia3"))),
    "a target for every token": Setting(tagger, (Tiny("dora", {"rank": 2}, {}, 1), Tiny("head", {}, {}, 2))),
}


def fitting(setting: Setting, resident: ResidentBase) -> list[Tiny]:
    return [one for one in setting.members if method(one.method).supports(resident.base.description)]


def rank_main(rank: int, folder: str) -> None:
    """One of two processes that train every setting together; what each made goes into files."""
    torch.set_num_threads(1)
    rendezvous, timeout = f"file://{folder}/rendezvous", datetime.timedelta(seconds=PATIENCE_S)
    dist.init_process_group(backend_on("cpu"), init_method=rendezvous, rank=rank, world_size=RANKS, timeout=timeout)
    found: dict[str, Any] = {"told": exchanged(rank), "trials": outcomes_of_a_pack(Path(folder))}
    store = PrefixStore(Path(folder) / f"prefixes-{rank}", 1 << 30)
    for name, setting in SETTINGS.items():
        (resident, splits), (whole, _) = setting.make(), setting.make()
        divided = in_parts(resident, splits[0])
        members = fitting(setting, whole)
        together, places = RankGroup(), setting.places
        made = train_together(
            divided, members, splits, setting.steps, store, IN_PARTS, None, places, ranks=together, whole=whole
        )
        found[name] = made, held_bytes(divided.base.model, set()), held_bytes(resident.base.model, set())
    (Path(folder) / f"{rank}.pickle").write_bytes(pickle.dumps(found))
    dist.barrier()
    dist.destroy_process_group()


TRIALS: dict[str, dict[str, Any]] = {
    "plain": {"method": "lora", "rank": 4, "batch_size": 5},
    "reads weights": {"method": "pissa", "rank": 2},
    "unfit": {"method": "lora", "top_layers": 99},
    "late": {"method": "mam", "size": 4, "prefix_length": 3},
}


def trial(folder: Path, name: str, **changes: Any) -> Assignment:
    task = json.loads((folder / "job.json").read_text())["task"]
    config = {"learning_rate": 3e-3, **TRIALS[name]}
    given = {"trial_id": name, "attempt": 1, "task": task, "config": config, "epochs": 2, "seed": 1, **changes}
    return Assignment.model_validate({"measure_latency": False, **given})


def outcomes_of_a_pack(folder: Path) -> list[Outcome]:
    """A pack of whole trials, one of which pauses, one cannot begin and one waits outside for a place."""
    bench, arrivals = Workbench(folder / "home", ArtifactStore(folder / "artifacts")), Arrivals()
    arrivals.add(trial(folder, "late", shards=RANKS))
    first = trial(folder, "plain", shards=RANKS, pause_every=1)
    aboard = [first, *(trial(folder, name, shards=RANKS) for name in ("reads weights", "unfit"))]
    return list(train_pack(aboard, bench, lambda _report: "continue", 2, arrivals, RankGroup()))


def exchanged(rank: int) -> list[str]:
    """What a rank hears of faults: its own, and others'."""

    def fail_on(bad: int) -> int:
        if rank == bad:
            raise OSError(f"no room on {bad}")
        return rank

    heard = []
    for ask in (lambda: from_first(lambda: fail_on(0)), lambda: RankGroup().agreed(lambda: fail_on(1))):
        try:
            ask()
        except Exception as error:
            heard.append(f"{type(error).__name__}, {failure_reason(error)}")
    return heard


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("ranks")
    (folder / "job.json").write_text(json.dumps(tiny_job(folder, trials=1, train_rows=40)))
    return folder


@pytest.fixture(scope="module")
def found(folder: Path) -> list[dict[str, Any]]:
    """What each rank made, by setting."""
    multiprocessing.spawn(rank_main, (str(folder),), nprocs=RANKS)
    return [pickle.loads((folder / f"{rank}.pickle").read_bytes()) for rank in range(RANKS)]


@pytest.mark.parametrize("name", SETTINGS)
def test_members_on_two_ranks_make_the_steps_that_they_make_alone(
    found: list[dict[str, Any]], name: str, tmp_path: Path
) -> None:
    setting, store = SETTINGS[name], PrefixStore(tmp_path, 1 << 30)
    resident, splits = setting.make()
    members = fitting(setting, resident)
    steps = [setting.steps] * len(members) if isinstance(setting.steps, int) else setting.steps
    (first, part, whole), (second, other, _) = found[0][name], found[1][name]
    assert len(first) == len(second) == len(members) > 1
    for tiny, count, made, again in zip(members, steps, first, second, strict=True):
        assert made.losses.tolist() == pytest.approx(again.losses.tolist(), nan_ok=True, rel=0)
        if not all(map(torch.isfinite, map(torch.tensor, made.losses))):
            assert tiny.training["learning_rate"] == 1e30
            continue
        assert_alike(made, expected(resident, tiny, splits, count, store))
        for key, value in made.parameters.items():
            assert torch.equal(value, again.parameters[key]), key
    assert max(part, other) <= 0.55 * whole  # rows of odd numbers do not halve


def expected(resident: ResidentBase, tiny: Tiny, splits: Rows, steps: int, store: PrefixStore) -> Made:
    """Alone; with dropout, whose masks are those of counters, as a pack of one on a whole base."""
    if not tiny.knobs.get("dropout"):
        return train_alone(resident, tiny, splits, steps, store)
    (made,) = train_together(resident, [tiny], splits, steps, store, IN_PARTS)
    assert isinstance(made, Made)
    return made


def test_whole_trials_are_attached_stored_and_exported_by_the_first_rank(
    found: list[dict[str, Any]], folder: Path
) -> None:
    bench = Workbench(folder / "home", ArtifactStore(folder / "artifacts"))
    told: list[dict[str, Outcome]] = [{one.trial_id: one for one in rank["trials"]} for rank in found]
    assert told[0].keys() == told[1].keys() == TRIALS.keys()
    outcomes = told[0]
    assert [one.adapter for one in told[1].values()] == [one.adapter for one in outcomes.values()]
    assert (outcomes["unfit"].reason or "").startswith("invalid_config: ")
    assert outcomes["late"].environment["packed_with"] == "plain"
    assert outcomes["plain"].status == "paused"
    engine = {"engine": "reference"}
    rest = train(trial(folder, "plain", checkpoint=outcomes["plain"].checkpoint, **engine), bench, lambda _: "continue")
    assert "started_afresh" not in rest.environment
    for name, outcome in (("plain", rest), *((name, outcomes[name]) for name in ("reads weights", "late"))):
        alone = train(trial(folder, name, **engine), bench, lambda _: "continue")
        assert outcome.status == "completed", outcome.reason
        for metric in ("loss", "accuracy", "trainable_params", "adapter_bytes"):
            assert outcome.metrics[metric] == pytest.approx(alone.metrics[metric], rel=1e-4), (name, metric)
        assert outcome.adapter is not None


def test_a_fault_of_one_rank_is_every_ranks(found: list[dict[str, Any]]) -> None:
    first, second = (one["told"] for one in found)
    assert first == ["OSError, exception: OSError: no room on 0", "PeerFailed, exception: OSError: no room on 1"]
    assert second == ["PeerFailed, exception: OSError: no room on 0", "OSError, exception: OSError: no room on 1"]


def test_ranks_on_gpus_talk_through_nccl() -> None:
    assert (backend_on("cuda"), backend_on("cpu")) == ("nccl", "gloo")
