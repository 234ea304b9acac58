"""What both sides train: rows in the order of their batches, the adapter, and the steps. Plain JSON."""

from __future__ import annotations

from typing import Any

import numpy as np

from workers.engines.precision import Precision
from workers.methods.registry import method
from workers.models.description import describe
from workers.models.loading import load_tokenizer
from workers.models.references import resolve
from workers.tasks.catalogue.causal_lm import TASK
from workers.tasks.catalogue.preference import TASK as PREFERENCE
from workers.tasks.criterion import IGNORED

MODEL = "builtin:smollm2"
MAX_LENGTH = 128
RANK = 8
Plan = dict[str, Any]


def plan(
    steps: int, epochs: int, batch_size: int, top_layers: int | None, states_stored: bool, precision: Precision = "fp32"
) -> Plan:
    """LoRA on all linear layers of the uppermost `top_layers` (None: all) of SmolLM2, on the built-in pairs.

    Weights are float32; with `precision` bf16 both sides multiply under autocast, as TRL does unless told otherwise.
    With `states_stored` our side has the states below from an earlier trial, as all but the first of a search have.
    """
    section = {"model": MODEL, "train": "builtin:pysft", "prompt": "prompt", "completion": "completion"}
    rows = steps * batch_size
    task = TASK.section.model_validate({**section, "max_length": MAX_LENGTH, "train_rows": rows, "overlong": "drop"})
    data = TASK.read(task, 0).train
    encoded = TASK.encode(data, load_tokenizer(MODEL), MAX_LENGTH)
    lengths = np.array([len(ids) for ids in encoded["input_ids"]])
    # Rows of like length share a batch, on both sides alike: the order of batches is random.
    order = np.random.default_rng(0).permutation(rows // batch_size)
    batches = np.argsort(-lengths, kind="stable").reshape(-1, batch_size)[order]
    chosen = batches.ravel()
    return {
        "input_ids": [np.asarray(encoded["input_ids"][row]).tolist() for row in chosen],
        "targets": [np.asarray(encoded["targets"][row]).tolist() for row in chosen],
        **_adapter(top_layers),
        "learning_rate": 1e-3,
        "batch_size": batch_size,
        "rows_per_step": batch_size,
        "steps": steps,  # of an epoch
        "epochs": epochs,
        "states_stored": states_stored,
        "likelihoods_stored": True,  # none are needed
        "precision": precision,
        "seed": 7,
    }


def pairs_plan(steps: int, epochs: int, pairs: int, likelihoods_stored: bool) -> Plan:
    """DPO of the same adapter on all layers, on so many of the built-in pairs a step, in float32.

    A pair is two rows in turn, the better answer first. With `likelihoods_stored` our side has what the base says of
    the pairs from an earlier trial; TRL's asks the base anew in every step, which is its default.
    """
    rows = steps * pairs
    task = PREFERENCE.section.model_validate(
        {"model": MODEL, "train": "builtin:pyprefs", "max_length": MAX_LENGTH, "train_rows": rows, "overlong": "drop"}
    )
    encoded = PREFERENCE.encode(PREFERENCE.read(task, 0).train, load_tokenizer(MODEL), MAX_LENGTH)
    return {
        "input_ids": [np.asarray(row).tolist() for row in encoded["input_ids"]],
        "targets": [np.asarray(row).tolist() for row in encoded["targets"]],
        **_adapter(None),
        "learning_rate": 1e-4,
        "beta": 0.1,
        "batch_size": pairs,
        "rows_per_step": 2 * pairs,
        "steps": steps,  # of an epoch
        "epochs": epochs,
        "states_stored": True,  # no layers lie below those that are trained
        "likelihoods_stored": likelihoods_stored,
        "precision": "fp32",
        "seed": 7,
    }


def _adapter(top_layers: int | None) -> Plan:
    model, lora = describe(MODEL), method("lora")
    knobs = {"rank": RANK, "alpha": 2 * RANK, "targets": "all", "top_layers": top_layers or model.shape.layers}
    assert lora.peft_config is not None
    _, arguments = lora.peft_config(model, lora.complete(model, knobs))
    return {"folder": str(resolve(MODEL)), "ignored": IGNORED, "knobs": knobs, "lora": arguments}
