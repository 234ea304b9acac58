"""Our side: the fast engine. Hidden states below the trained layers are computed within the time that is measured,
unless the plan says that an earlier trial has stored them."""

from __future__ import annotations

import tempfile
import warnings
from collections.abc import Callable, Iterable
from pathlib import Path

import numpy as np
import torch

from benchmarks.sft.clock import answer
from benchmarks.sft.plan import MODEL, Plan
from workers.data.tokens import Tokens
from workers.engines.course import TrainStep
from workers.engines.fast import fast_trainee
from workers.engines.inputs import Inputs
from workers.engines.prefix_store import PrefixStore
from workers.engines.resident import ResidentBase
from workers.engines.schedule import learning_rate_at
from workers.hyperparameters import Hyperparameters
from workers.methods.attached import Batch, TrainingSetup
from workers.methods.registry import method
from workers.models.heads import CAUSAL
from workers.models.loading import load_base
from workers.models.token_scores import labelled_scores
from workers.tasks.catalogue.causal_lm import TASK


def prepared(plan: Plan) -> Callable[[], list[float]]:
    """Everything but the training."""
    torch.set_num_threads(1)
    resident = ResidentBase.of(load_base(MODEL, 0, kind=CAUSAL))
    rows, one = _inputs(plan, len(plan["input_ids"])), _inputs(plan, 1)
    chosen = Hyperparameters(
        learning_rate=plan["learning_rate"], batch_size=plan["batch_size"], warmup_ratio=0.0, weight_decay=0.0
    )
    lora, steps = method("lora"), int(plan["steps"]) * int(plan["epochs"])
    setup = TrainingSetup(steps, _nothing, rows.criterion.mean_loss, labelled_scores)
    attached = lora.attach(resident.base, lora.complete(resident.base.description, plan["knobs"]), plan["seed"], setup)

    store = PrefixStore(Path(tempfile.mkdtemp()), 1 << 33)

    def train() -> list[float]:
        batches = np.tile(np.arange(len(rows)), plan["epochs"]).reshape(steps, -1)
        with fast_trainee(resident, attached, rows, one, chosen, store, plan["precision"]) as trainee:
            return [
                float(trainee.train_step(TrainStep(number, (batch,), learning_rate_at(number, steps, chosen, 1.0))))
                for number, batch in enumerate(batches, start=1)
            ]

    if plan["states_stored"]:
        with fast_trainee(resident, attached, rows, one, chosen, store):
            pass
    return train


def _inputs(plan: Plan, rows: int) -> Inputs:
    ids = [np.array(row, dtype=np.int32) for row in plan["input_ids"][:rows]]
    targets = [np.array(row, dtype=np.int32) for row in plan["targets"][:rows]]
    offsets = np.concatenate([[0], np.cumsum([len(row) for row in ids])])
    return Inputs(Tokens(np.concatenate(ids), None, offsets, np.concatenate(targets)), 0, TASK.criterion(None, ()))


def _nothing(_size: int) -> Iterable[Batch]:
    return ()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    answer(prepared)
