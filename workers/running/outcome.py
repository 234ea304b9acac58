"""What a trial that ended has to say: costs, latency, the stored adapter; or why it could not go on."""

from __future__ import annotations

import tempfile
from collections.abc import Callable
from pathlib import Path
from typing import Literal

import numpy as np
import torch

from workers import costs
from workers.artifacts import ArtifactStore
from workers.assignment import Artifact, Assignment, EngineName, Outcome
from workers.engines.course import Ending, Status
from workers.engines.hints import beside_hints
from workers.engines.neighbours import keep_neighbours
from workers.engines.positions import serving_scale
from workers.engines.prefix import upper_layers
from workers.engines.sharded import whole_layers
from workers.generation.evaluation import Written
from workers.methods.attached import AdapterCard, Attached
from workers.models.half_precision import format_of
from workers.room import when_there_is_room
from workers.running import latency
from workers.running.answering import answers_of, keep_answers
from workers.running.label_unit import in_label_unit
from workers.running.outputs import outputs_of
from workers.running.packing import why_not_packed, why_rows_apart
from workers.running.predictions import keep_predictions
from workers.running.preparing import PreparedTrial, precision_of
from workers.running.workbench import Workbench, environment
from workers.strategies.registry import losses_of_step
from workers.tasks.registry import task_of

Save = Callable[[Path, AdapterCard], None]


def failed(assignment: Assignment, reason: str, workbench: Workbench, status: Status = "failed") -> Outcome:
    """The outcome of a trial that could not go on."""
    return Outcome(
        trial_id=assignment.trial_id,
        attempt=assignment.attempt,
        status=status,
        reason=reason,
        environment=environment(precision_of(assignment, "fast", workbench), workbench.device),
    )


def outcome_of(
    prepared: PreparedTrial,
    ending: Ending,
    attached: Attached,
    engine: EngineName,
    why_not_fast: str | None,
    workbench: Workbench,
    remembered: int | None = None,
    save: Save | None = None,
) -> Outcome:
    """Costs, export and everything else that a finished trial reports; `attached` carries the trained parameters.

    `remembered` is the number of elements that gradients and optimizer state had at most, where it is not AdamW's;
    `save` exports the adapter in another form than its own.
    """
    assignment = prepared.assignment
    anatomy = prepared.resident.base.description.anatomy
    where = environment(precision_of(assignment, engine, workbench, anatomy), prepared.data.train.device.type)
    where |= _rows(prepared) | _why_alone(assignment, workbench, prepared)
    if assignment.threads is not None:
        where["threads"] = str(assignment.threads)
    if assignment.shards > 1:
        where["shards"] = str(assignment.shards)
    if prepared.sequence and (why_apart := why_rows_apart(prepared.method)):
        where["not_packed"] = why_apart
    if prepared.afresh is not None:
        where["started_afresh"] = prepared.afresh
    before = prepared.before
    where |= {"pool_rows": str(before.rows)} if before.rows else {}
    where |= {"dropped_rows": str(before.dropped)} if before.dropped else {}
    metrics = dict(ending.metrics) | {"train_seconds": ending.seconds + before.seconds}
    adapter, written = None, None
    if ending.status in ("completed", "stopped"):
        metrics |= _costs(prepared, attached, ending, remembered)
        if metrics["train_seconds"] > 0:
            metrics["tokens_per_second"] = metrics["train_tokens"] / metrics["train_seconds"]
        longer = _latency(prepared, attached, workbench)
        metrics |= {name: prepared.base_latency[name] * ratio.value for name, ratio in longer.items()}
        where |= {f"{name}_over_base": str(ratio) for name, ratio in longer.items()}
        if prepared.knowledge is not None and ending.status == "completed":
            lost, told = prepared.knowledge.forgetting(attached, prepared.resident.base)
            metrics, where = metrics | lost, where | told
        if prepared.asked is not None and ending.status == "completed":
            written = answers_of(attached, prepared.asked)
            metrics |= written.metrics
            where |= {f"unmeasured_{name}": why[:1000] for name, why in written.unmeasured.items()}
        exported = _export(prepared, attached, metrics, written, workbench.artifacts, save or attached.save)
        metrics["adapter_bytes"], adapter = exported
    status, reason = _ending_of(ending, written, assignment, workbench)
    return Outcome(
        trial_id=assignment.trial_id,
        attempt=assignment.attempt,
        status=status,
        metrics=metrics,
        adapter=adapter,
        checkpoint=ending.checkpoint,
        engine=engine,
        engine_reason=why_not_fast,
        environment=where | {"evaluated_on": assignment.evaluate_on},
        evaluated_rows=prepared.examples,
        reason=reason,
    )


def _why_alone(assignment: Assignment, workbench: Workbench, prepared: PreparedTrial) -> dict[str, str]:
    """Why the trial shares its passes with no other, where the job asks that trials do, or its worker has a GPU."""
    if assignment.pack == 1 or (assignment.pack == "auto" and workbench.device == "cpu"):
        return {}
    reason = why_not_packed(assignment, prepared.resident.base.description)
    return {} if reason is None else {"not_in_a_pack": reason}


def _rows(prepared: PreparedTrial) -> dict[str, str]:
    """How many training rows the data has, and the tokens of the longest: what a trial's costs are told by; and by
    their hashes, which rows and which frozen weights they were."""
    train, copies = prepared.data.train, prepared.hyperparameters.eda_copies
    own = len(train) + prepared.before.dropped - prepared.before.rows  # those of the pool have no altered copies
    return {
        "train_rows": str(own // train.criterion.together // (1 + copies)),
        "longest_row": str(int(train.lengths.max())),
        "data_sha256": prepared.data.content_hash,
        "base_sha256": prepared.resident.weights_hash,
    }


def _ending_of(
    ending: Ending, written: Written | None, assignment: Assignment, workbench: Workbench
) -> tuple[Literal["completed", "stopped", "paused", "failed", "interrupted"], str | None]:
    """How the trial ended, and why. One whose objective a judge did not give has failed, with all else that it has; if
    that is because its worker had to leave, another worker goes on."""
    missing = [] if written is None else [why for name, why in written.unmeasured.items() if name in assignment.needed]
    if not missing:
        return ending.status, ending.reason
    return ("interrupted" if workbench.interrupted() else "failed"), f"judge_failed: {'; '.join(missing)}"


def _costs(prepared: PreparedTrial, attached: Attached, ending: Ending, remembered: int | None) -> dict[str, float]:
    base, before = prepared.resident.base, prepared.before
    tokens = float(prepared.data.train.lengths.sum()) * _passes(prepared.assignment, ending)
    return {
        "trainable_params": float(prepared.method.trainable_parameters(base.description, prepared.knobs)),
        "head_params": float(base.head_size),
        "peak_memory_mb": training_memory(prepared, attached, remembered) / costs.MEBIBYTE,
        "sparsity": costs.sparsity(whole_layers(attached.model), base.description.anatomy),
        "layer_bytes": costs.layer_bytes(attached.model.modules(), base.description.anatomy),
        "train_tflops": (flops_of(prepared, attached, ending) + before.flops) / 1e12,
        "train_tokens": tokens + before.tokens,
    }


def flops_of(prepared: PreparedTrial, attached: Attached, ending: Ending) -> float:
    """Floating-point operations of a training that ended so, and of what its method learnt from gradients before."""
    base, train = prepared.resident.base, prepared.data.train
    adapter = prepared.method.trainable_parameters(base.description, prepared.knobs)
    anatomy, losses = base.description.anatomy, losses_of_step(prepared.hyperparameters)
    computed = costs.computed_share(attached.model.modules(), anatomy)

    def passes(lowest: int) -> float:
        return costs.training_flops(
            anatomy, lowest, adapter, train.lengths, ending.epoch, train.scored, losses, computed
        )

    found = passes(attached.lowest_layer)
    if prepared.hyperparameters.hint_share > 0:
        found = 2 * found + passes(0)  # both images of a row, and the gradient of its pixels
    if prepared.method.probed is None:
        return found
    share = min(1.0, prepared.method.probed(prepared.knobs) / len(train))
    return found + costs.training_flops(anatomy, 0, adapter, train.lengths, share, train.scored)


def _passes(assignment: Assignment, ending: Ending) -> float:
    """As asked for, so that trainings of one size read as one size: a step's rows do not divide every epoch."""
    return assignment.epochs if ending.status == "completed" and ending.epoch > 0 else ending.epoch


def training_memory(prepared: PreparedTrial, attached: Attached, remembered: int | None = None) -> float:
    """Bytes that training with the largest batch adds to the base: linear in the rows, so two small batches tell.

    Frozen layers below the lowest trained one keep nothing for a backward pass, so they need not run.
    """
    train, trained = prepared.data.train, list(attached.parameters().values())
    if not losses_of_step(prepared.hyperparameters).with_gradients:  # then nothing is kept for a way back
        return float(costs.BYTES_PER_NUMBER * (sum(value.numel() for value in trained) + (remembered or 0)))
    longest, base = int(np.argmax(train.lengths)), prepared.resident.base
    hidden = base.description.anatomy.hidden_size
    outputs, lowest = outputs_of(train.criterion), attached.lowest_layer
    if prepared.hyperparameters.hint_share > 0:
        outputs, lowest = beside_hints(outputs), 0
    found = []
    with upper_layers(base, lowest) as entry:
        for rows in (1, 2):
            batch = train.labelled(np.full(rows * train.criterion.together, longest))
            if entry is not None:
                length = int(train.lengths[longest])
                entry.set(torch.zeros(len(batch["labels"]), length, hidden, device=train.device, dtype=format_of(base)))
            found.append(costs.training_memory(attached.model, trained, batch, remembered, outputs))
    one, two = found
    together = train.criterion.together
    tokens = together * int(train.lengths[longest])
    rows = prepared.hyperparameters.rows_at_once(tokens, prepared.assignment.task.max_length)
    return one + (two - one) * (min(rows, len(train) // together) - 1)


def _latency(prepared: PreparedTrial, attached: Attached, workbench: Workbench) -> dict[str, latency.Ratio]:
    """Times over the base's as served: what merges into the base is as fast as the base."""
    if not prepared.assignment.measure_latency:
        return {}
    if prepared.method.mergeable:
        return dict.fromkeys(latency.ROWS, latency.Ratio(1.0, 1.0, 1.0))
    attached.set_training(False)
    measured = workbench.latency_over_base(attached, prepared.resident.base, prepared.data.typical_tokens)
    attached.set_training(True)
    return measured


def _position_scale(prepared: PreparedTrial) -> int:
    if prepared.hyperparameters.position_scale == 1:
        return 1
    return serving_scale(prepared.assignment.task.max_length, prepared.window)


def _export(
    prepared: PreparedTrial,
    attached: Attached,
    metrics: dict[str, float],
    written: Written | None,
    artifacts: ArtifactStore,
    save: Save,
) -> tuple[float, Artifact]:
    """Bytes of the exported weights, and the stored folder."""
    assignment = prepared.assignment
    task = task_of(assignment.task)
    card = AdapterCard(
        method=prepared.method.name,
        base_model=assignment.task.model,
        task=assignment.task.model_dump(exclude_none=True),
        config=assignment.config,
        metrics=metrics,
        labels=prepared.data.tokens.labels,
        head=task.head,
        pipeline_tag=task.pipeline_tag,
        reading=task.reading,
        trial_id=assignment.trial_id,
        seed=assignment.seed,
        position_scale=_position_scale(prepared),
    )
    criterion = prepared.data.train.criterion
    with tempfile.TemporaryDirectory() as folder, in_label_unit(attached, criterion):
        when_there_is_room(lambda: save(Path(folder), card))
        if prepared.hyperparameters.neighbours > 0:
            keep_neighbours(Path(folder), attached, prepared.data.train, prepared.hyperparameters)
        if prepared.data.bank is not None:
            prepared.data.bank.save(Path(folder))
        keep_predictions(Path(folder), attached, prepared.evaluated)
        if written is not None and prepared.asked is not None:
            keep_answers(Path(folder), written, prepared.asked)
        return float(costs.adapter_bytes(Path(folder))), artifacts.put_folder(Path(folder))
