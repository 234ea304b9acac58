"""`python -m benchmarks.sft.packing`: what rows that share sequences cost beside the same rows apart.

The same steps of LoRA on SmolLM2, on rows of uneven length, computed in three ways in turn on one core: sequences
shared, rows apart in passes of like length (what `batch_tokens` does), and rows apart in one padded pass of random rows
(what a plain trainer does). Processor time; the record goes to `benchmarks/results/packing.json`.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path

import numpy as np
import torch

from workers.data.tokens import tokenise
from workers.engines.batches import RowIndices, StepPlan
from workers.engines.course import TrainStep
from workers.engines.inputs import Inputs
from workers.engines.reference import reference_trainee
from workers.engines.resident import ResidentBase
from workers.engines.trainee import AttachedTrainee
from workers.hyperparameters import Hyperparameters
from workers.methods.registry import method
from workers.models.heads import CAUSAL
from workers.models.loading import load_base, load_tokenizer
from workers.tasks.catalogue.causal_lm import TASK

MODEL, RANK = "builtin:smollm2", 8
RESULTS = Path(__file__).parents[1] / "results" / "packing.json"
Steps = list[tuple[RowIndices, ...]]


def main() -> None:
    """Measure and print the record."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sft.packing", description=__doc__)
    parser.add_argument("--max-length", type=int, default=256)
    parser.add_argument("--sequences", type=int, default=4, help="sequences of a step")
    parser.add_argument("--steps", type=int, default=3)
    given = parser.parse_args()
    torch.set_num_threads(1)
    rows, base = _rows(given.max_length), ResidentBase.of(load_base(MODEL, 0, kind=CAUSAL))

    def steps(apart: bool) -> Steps:
        plan = StepPlan(rows.lengths, given.sequences, 1, 1.0, 0, sequence=given.max_length, apart=apart)
        return [step for step, _ in zip(plan.after(0), range(given.steps), strict=False)]

    shared, alike = steps(apart=False), steps(apart=True)
    size = len(shared[0][0])
    random = np.random.default_rng(0).permutation(np.concatenate([np.concatenate(step) for step in shared]))
    padded: Steps = [(part,) for part in np.array_split(random, max(1, len(random) // size))]
    tokens = int(rows.lengths[random].sum())
    ways: dict[str, tuple[Steps, int]] = {
        "shared": (shared, given.max_length),
        "apart, alike": (alike, 0),
        "apart, padded": (padded, 0),
    }
    timed = {name: _timed(base, rows, *way) for name, way in ways.items()}
    record = {
        "model": MODEL,
        "max_length": given.max_length,
        "tokens": tokens,
        "rows": len(random),
        "lengths": np.quantile(rows.lengths[random], [0, 0.25, 0.5, 0.75, 1]).tolist(),
        "padding of random rows": sum(len(one) * int(rows.lengths[one].max()) for (one,) in padded) / tokens,
        "tokens_per_second": {name: tokens / seconds for name, (seconds, _) in timed.items()},
        "losses": {name: losses for name, (_, losses) in timed.items()},
    }
    RESULTS.write_text(json.dumps(record, indent=1) + "\n")
    print(json.dumps(record, indent=1))


def _rows(max_length: int) -> Inputs:
    section = {"model": MODEL, "train": "builtin:pysft", "prompt": "prompt", "completion": "completion"}
    task = TASK.section.model_validate({**section, "max_length": max_length, "train_rows": 400, "overlong": "drop"})
    tokenizer = load_tokenizer(MODEL)
    tokens = tokenise(TASK.read(task, 0).train, tokenizer, max_length, TASK.encode)
    return Inputs(tokens, int(tokenizer.pad_token_id), TASK.criterion(task, ()))


def _timed(base: ResidentBase, rows: Inputs, steps: Steps, sequence: int) -> tuple[float, list[float]]:
    """Processor seconds of the steps, one more before them not counted, and their losses."""
    lora = method("lora")
    knobs = lora.complete(base.base.description, {"rank": RANK, "alpha": 2 * RANK, "targets": "all"})
    attached = lora.attach(base.base, knobs, 7, None)
    try:
        trainee: AttachedTrainee = reference_trainee(attached, rows, rows, Hyperparameters(), sequence=sequence)
        trainee.train_step(TrainStep(1, (steps[0][0][:2],), 1e-4))
        started = time.process_time()
        losses = [trainee.train_step(TrainStep(number, parts, 1e-4)) for number, parts in enumerate(steps, start=2)]
        return time.process_time() - started, losses
    finally:
        attached.detach()


if __name__ == "__main__":
    main()
