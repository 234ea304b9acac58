"""Our side of a preference training: what the untouched base says of the pairs is computed once, within the time that
is measured unless the plan says that an earlier trial has stored it."""

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
from workers.engines.frozen import beside_base
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
from workers.tasks.catalogue.preference import pair_criterion


def prepared(plan: Plan) -> Callable[[], list[float]]:
    """Everything but the training."""
    torch.set_num_threads(1)
    resident = ResidentBase.of(load_base(MODEL, 0, kind=CAUSAL))
    rows, store = _inputs(plan), PrefixStore(Path(tempfile.mkdtemp()), 1 << 33)
    chosen = Hyperparameters(
        learning_rate=plan["learning_rate"],
        batch_size=plan["batch_size"],
        warmup_ratio=0.0,
        weight_decay=0.0,
        dpo_beta=plan["beta"],
    )
    if plan["likelihoods_stored"]:
        beside_base(resident, rows, store)

    def train() -> list[float]:
        steps, lora = int(plan["steps"]) * int(plan["epochs"]), method("lora")
        known = beside_base(resident, rows, store)
        setup = TrainingSetup(steps, _nothing, known.criterion.mean_loss, labelled_scores)
        knobs = lora.complete(resident.base.description, plan["knobs"])
        attached = lora.attach(resident.base, knobs, plan["seed"], setup)
        batches = np.tile(np.arange(len(known)), plan["epochs"]).reshape(steps, -1)
        with fast_trainee(resident, attached, known, known, chosen, store) as trainee:
            return [
                float(trainee.train_step(TrainStep(number, (batch,), learning_rate_at(number, steps, chosen, 1.0))))
                for number, batch in enumerate(batches, start=1)
            ]

    return train


def _inputs(plan: Plan) -> Inputs:
    ids = [np.array(row, dtype=np.int32) for row in plan["input_ids"]]
    targets = [np.array(row, dtype=np.int32) for row in plan["targets"]]
    offsets = np.cumsum([0, *map(len, ids)]).astype(np.int64)
    return Inputs(Tokens(np.concatenate(ids), None, offsets, np.concatenate(targets)), 0, pair_criterion("sigmoid"))


def _nothing(_size: int) -> Iterable[Batch]:
    return ()


if __name__ == "__main__":
    warnings.simplefilter("ignore")
    answer(prepared)
