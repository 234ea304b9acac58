"""A base in parts: two ranks on one trial make the steps that the reference makes alone, each with half of the base."""

from __future__ import annotations

import datetime
import itertools
import tempfile
from collections.abc import Callable, Mapping
from contextlib import nullcontext
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from numpy.typing import NDArray
from safetensors.torch import load_file
from torch import multiprocessing, nn
from torch.distributed.tensor import DTensor

from tests.patience import PATIENCE_S
from tests.workers.engines.test_engine_equality import HYPERPARAMETERS, TRAIN, VALIDATION, attach, train
from tests.workers.engines.test_engine_equality import ROWS as METHOD_ROWS
from tests.workers.methods.test_conformance import CASES as METHODS
from tests.workers.strategies.test_strategies import CASES as STRATEGIES
from tests.workers.tiny_models import batch, tiny_base
from workers.costs import layer_bytes, sparsity, training_memory
from workers.engines.batches import StepPlan
from workers.engines.course import TrainStep
from workers.engines.recomputing import recomputing_layers
from workers.engines.reference import reference_trainee
from workers.engines.resident import ResidentBase
from workers.engines.sharded import ShardedTrainee, rank_seed, shard, whole_layers
from workers.engines.trainee import AttachedTrainee
from workers.errors import InvalidInput
from workers.hyperparameters import Hyperparameters
from workers.methods.attached import AdapterCard, Attached
from workers.methods.registry import method, methods
from workers.running.sharding import NEEDS_WHOLE, check_sharded
from workers.strategies.registry import with_strategy_knobs
from workers.strategies.running import run_strategy

pytestmark = [pytest.mark.slow, pytest.mark.long]

RANKS, STEPS = 2, 6
LORA: dict[str, Any] = {"rank": 2, "targets": "all"}
Found = Mapping[str, NDArray[Any]]


@dataclass(frozen=True)
class Setting:
    """One training: a model class, a method with knobs, and whatever else may differ."""

    kind: str = "bert"
    method: str = "lora"
    knobs: dict[str, Any] = field(default_factory=lambda: LORA)
    hyperparameters: Hyperparameters = HYPERPARAMETERS
    recompute: bool = False


def hyperparameters(**changes: Any) -> Hyperparameters:
    return HYPERPARAMETERS.model_copy(update=changes)


KINDS = ("bert", "roberta", "distilbert", "modernbert", "gpt2", "llama", "qwen3", "deberta-v2", "albert")
SETTINGS = {
    **{str(row.id): Setting("bert", *row.values) for row in METHOD_ROWS if row.id not in NEEDS_WHOLE},
    "l4q": Setting("bert", "l4q", METHODS["l4q"][0]),
    **{f"on {kind}": Setting(kind) for kind in KINDS},
    **{
        name: Setting(
            "bert", of, {"rank": 2} if of == "lora" else {}, hyperparameters(strategy=name, strategy_knobs=knobs)
        )
        for name, (of, knobs) in STRATEGIES.items()
    },
    "activations computed again": Setting(recompute=True),
    "batches of one row": Setting(hyperparameters=hyperparameters(batch_size=1, gradient_accumulation=3)),
}


def trained(setting: Setting, sharded: bool) -> dict[str, NDArray[Any]]:
    """What a training came to, and the bytes of the frozen base that this process holds behind it."""
    resident = ResidentBase.of(tiny_base(setting.kind))
    base, own = resident.base, set(resident.base.model.parameters())
    attached = attach(resident, setting.method, setting.knobs, STEPS)
    parameters = attached.parameters()
    with recomputing_layers(base) if setting.recompute else nullcontext():
        if sharded:
            shard(attached.model, base, own)
            torch.manual_seed(rank_seed(11))
        chosen = with_strategy_knobs(setting.hyperparameters, method(setting.method), base.description)
        strategy = run_strategy(chosen, attached, base.description, 3)
        kind = ShardedTrainee if sharded else AttachedTrainee
        trainee = reference_trainee(attached, TRAIN, VALIDATION, chosen, strategy=strategy, kind=kind)
        run = train(trainee, attached, chosen, STEPS)
        memory = training_memory(attached.model, list(parameters.values()), batch())
    return {
        "losses": run.losses,
        "logits": run.logits,
        "metrics": np.array([run.metrics[name] for name in sorted(run.metrics)]),
        "held": np.array(held_bytes(attached.model, set(parameters.values()))),
        "memory": np.array(memory),
        "sparsity": np.array(sparsity(whole_layers(attached.model), base.description.anatomy)),
        "layer_bytes": np.array(layer_bytes(attached.model.modules(), base.description.anatomy)),
        **{f"parameter/{name}": value.numpy() for name, value in run.parameters.items()},
        **{f"file/{name}": value.numpy() for name, value in exported(attached).items()},
    }


def held_bytes(model: nn.Module, trained: set[nn.Parameter]) -> int:
    frozen = (value for value in model.parameters() if value not in trained)
    here = [value.to_local() if isinstance(value, DTensor) else value for value in frozen]
    return sum(value.numel() * value.element_size() for value in here)


def exported(attached: Attached) -> dict[str, torch.Tensor]:
    with tempfile.TemporaryDirectory() as folder:
        attached.save(Path(folder), AdapterCard(method="", base_model="tiny"))
        return {name: value for file in Path(folder).glob("*.safetensors") for name, value in load_file(file).items()}


def continued(interrupted: bool) -> dict[str, NDArray[Any]]:
    """Six steps with dropout, in one go or in two processes' worth."""
    plan = list(itertools.islice(StepPlan(TRAIN.lengths, 8, 1, 1.0, seed=5).after(0), 6))
    saved: dict[str, torch.Tensor] = {}
    for steps in [range(3), range(3, 6)] if interrupted else [range(6)]:
        resident = ResidentBase.of(tiny_base("bert"))
        own = set(resident.base.model.parameters())
        attached = attach(resident, "lora", {**LORA, "dropout": 0.3}, 6)
        shard(attached.model, resident.base, own)
        torch.manual_seed(rank_seed(11))
        trainee = reference_trainee(attached, TRAIN, VALIDATION, HYPERPARAMETERS, kind=ShardedTrainee)
        if saved:
            trainee.load(saved)
        for number in steps:
            trainee.train_step(TrainStep(number + 1, plan[number], 2e-3))
        saved = trainee.save()
    return {name: value.numpy() for name, value in saved.items()}


def rank_main(rank: int, folder: str) -> None:
    """One of two processes that train every setting together; what each found goes into files."""
    torch.set_num_threads(1)
    rendezvous, timeout = f"file://{folder}/rendezvous", datetime.timedelta(seconds=PATIENCE_S)
    dist.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=RANKS, timeout=timeout)
    for name, setting in SETTINGS.items():
        np.savez(Path(folder) / f"{name}-{rank}.npz", **trained(setting, sharded=True))
    np.savez(Path(folder) / f"whole-{rank}.npz", **continued(False))
    np.savez(Path(folder) / f"interrupted-{rank}.npz", **continued(True))
    dist.barrier()
    dist.destroy_process_group()


@pytest.fixture(scope="module")
def found(tmp_path_factory: pytest.TempPathFactory) -> Callable[[str, int], Found]:
    """What a rank found, by setting."""
    folder = tmp_path_factory.mktemp("ranks")
    multiprocessing.spawn(rank_main, (str(folder),), nprocs=RANKS)
    return lambda name, rank: dict(np.load(folder / f"{name}-{rank}.npz"))


@pytest.mark.parametrize("name", SETTINGS)
def test_two_ranks_make_the_steps_of_the_reference_with_half_the_base_each(
    found: Callable[[str, int], Found], name: str
) -> None:
    alone, first, second = trained(SETTINGS[name], sharded=False), found(name, 0), found(name, 1)
    assert first.keys() == second.keys() == alone.keys()
    np.testing.assert_allclose(first["losses"], alone["losses"], rtol=1e-4)
    np.testing.assert_allclose(first["logits"], alone["logits"], rtol=1e-3, atol=1e-3)
    np.testing.assert_array_equal(first["metrics"], second["metrics"])
    np.testing.assert_allclose(first["metrics"], alone["metrics"], rtol=1e-3)
    for key, value in alone.items():
        if key.startswith(("parameter/", "file/")) and not key.endswith("key.bias"):  # its gradient is rounding alone
            np.testing.assert_allclose(first[key], value, rtol=1e-2, atol=2e-3, err_msg=key)
            np.testing.assert_array_equal(first[key], second[key], err_msg=key)
    # Rows of odd numbers do not halve.
    assert max(first["held"], second["held"]) <= 0.52 * alone["held"]
    assert first["memory"] == pytest.approx(alone["memory"], rel=0.1)
    assert first["sparsity"] == alone["sparsity"]
    assert first["layer_bytes"] == alone["layer_bytes"]


def test_a_checkpoint_continues_bit_for_bit_on_every_rank(found: Callable[[str, int], Found]) -> None:
    whole, interrupted = found("whole", 0), found("interrupted", 0)
    assert any(name.startswith("rank/1/") for name in whole)  # the dropout of the second rank goes on, too
    for name, value in whole.items():
        np.testing.assert_array_equal(interrupted[name], value, err_msg=name)


@pytest.mark.parametrize("name", NEEDS_WHOLE)
def test_methods_that_need_the_whole_base_or_batch_are_refused_by_name(name: str) -> None:
    assert name in methods()
    check_sharded(name, 1)
    with pytest.raises(InvalidInput, match=f"shards: found 2; allowed: 1 with {name}"):
        check_sharded(name, 2)
