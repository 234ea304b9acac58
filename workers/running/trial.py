"""One trial from assignment to outcome: data, base, method, engine, costs, adapter. Faults become a failed outcome."""

from __future__ import annotations

import tempfile
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from workers import costs
from workers.artifacts import ArtifactDamaged, ArtifactMissing, ArtifactStore
from workers.assignment import Artifact, Assignment, EngineName, Outcome
from workers.checkpoints import Checkpoint, CheckpointError, read, write
from workers.engines.batches import RowIndices, side_by_side
from workers.engines.course import Ending, OnReport, Trainee, Training, course, drive
from workers.engines.fast import fast_trainee
from workers.engines.faults import failure_reason
from workers.engines.frozen import beside_base
from workers.engines.inputs import Inputs
from workers.engines.precision import Precision, base_in_bfloat16, choose
from workers.engines.prefix import upper_layers
from workers.engines.recomputing import recomputing_layers
from workers.engines.reference import reference_trainee
from workers.engines.resident import ResidentBase
from workers.engines.sharded import ShardedTrainee, device_of_rank, rank_seed, shard, whole_layers
from workers.engines.updates import Updates
from workers.generation.evaluation import Written
from workers.hyperparameters import Hyperparameters, split_config
from workers.methods.attached import AdapterCard, Attached, Batch, TrainingSetup, logits_of
from workers.methods.declaration.method import Method
from workers.methods.registry import method
from workers.models.anatomy import Anatomy
from workers.models.description import describe, for_task
from workers.models.half_precision import format_of
from workers.models.quantisation import check_method
from workers.models.token_scores import labelled_scores
from workers.room import when_there_is_room
from workers.running import latency
from workers.running.answering import Asked, answers_of, ask, keep_answers
from workers.running.baseline_trial import baseline_outcome
from workers.running.label_unit import in_label_unit
from workers.running.packing import why_not_fast
from workers.running.ranks import at_rank, lower_ranks
from workers.running.sharding import check_sharded
from workers.running.workbench import PreparedData, Workbench, environment
from workers.strategies.registry import with_strategy_knobs
from workers.strategies.running import run_strategy
from workers.tasks.registry import task_of

Save = Callable[[Path, AdapterCard], None]


def train(assignment: Assignment, workbench: Workbench, on_report: OnReport) -> Outcome:
    """Train one trial. A fault of the trial is not raised: the outcome is `failed` and has a reason."""
    try:
        prepared = prepare(assignment, workbench)
        if (baseline := prepared.evaluated.criterion.baselines.get(prepared.method.name)) is not None:
            return baseline_outcome(assignment, baseline(), prepared.examples, workbench)
        return train_prepared(prepared, workbench, on_report)
    except Exception as error:  # whatever a configuration can provoke must end this trial and no other
        return failed(assignment, failure_reason(error), workbench)


def failed(assignment: Assignment, reason: str, workbench: Workbench) -> Outcome:
    """The outcome of a trial that could not go on."""
    return Outcome(
        trial_id=assignment.trial_id,
        attempt=assignment.attempt,
        status="failed",
        reason=reason,
        environment=environment(precision_of(assignment, "fast", workbench), workbench.device),
    )


@dataclass(frozen=True)
class PreparedTrial:
    """A trial with everything it needs except its adapter."""

    assignment: Assignment
    method: Method
    knobs: dict[str, Any]
    hyperparameters: Hyperparameters
    resident: ResidentBase
    data: PreparedData
    evaluated: Inputs
    base_latency: dict[str, float]
    asked: Asked | None = None
    resume: Checkpoint | None = None
    afresh: str | None = None  # why it does not continue from the checkpoint that it was given

    @property
    def examples(self) -> int:
        """What its metrics are means over."""
        criterion = self.evaluated.criterion
        return len(self.evaluated) // criterion.together if criterion.examples is None else criterion.examples

    def on(self, device: str) -> PreparedTrial:
        """The same with its rows on another device."""
        return replace(self, data=self.data.on(device), evaluated=self.evaluated.on(device))


def prepare(assignment: Assignment, workbench: Workbench) -> PreparedTrial:
    """Check the configuration and load what the trial needs. Raises `InvalidInput`."""
    name, knobs, hyperparameters = split_config(assignment.config)
    data = workbench.data(assignment.task, assignment.data_seed)
    if assignment.quantise is not None:
        check_method(assignment.quantise, name)
    check_sharded(name, assignment.shards)
    kind = task_of(assignment.task).head
    half = _base_in_bfloat16(assignment, workbench)
    resident = workbench.base(assignment.task.model, len(data.tokens.labels), assignment.quantise, kind, half)
    chosen = method(name)
    values = chosen.complete(for_task(resident.base.description, assignment.task), knobs)
    hyperparameters = with_strategy_knobs(hyperparameters, chosen, resident.base.description)
    # Measured now: later the base carries an adapter.
    base_latency = workbench.base_latency(resident, _typical_tokens(data)) if assignment.measure_latency else {}
    evaluated = beside_base(resident, data.split(assignment.evaluate_on), workbench.prefixes)
    data = replace(data, train=beside_base(resident, data.train, workbench.prefixes))
    asked = ask(assignment.task, data, assignment.evaluate_on, resident, assignment.shards, workbench)
    resume, afresh = _resumption(assignment, workbench.artifacts)
    return PreparedTrial(
        assignment, chosen, values, hyperparameters, resident, data, evaluated, base_latency, asked, resume, afresh
    )


def _base_in_bfloat16(assignment: Assignment, workbench: Workbench) -> bool:
    model = describe(assignment.task.model)
    if why_not_fast(assignment, model) is not None:
        return False
    return base_in_bfloat16(precision_of(assignment, "fast", workbench, model.anatomy), workbench.device)


def plan_course(prepared: PreparedTrial, workbench: Workbench, on_report: OnReport) -> Training:
    """What the trial's course needs to know."""
    assignment, data = prepared.assignment, prepared.data
    return Training(
        assignment,
        prepared.hyperparameters,
        data.train.lengths,
        data.train.weights,
        on_report,
        lambda checkpoint: _keep(checkpoint, workbench.artifacts),
        prepared.resume,
        untrained=prepared.method.family == "none",
        together=data.train.criterion.together,
        interrupted=workbench.interrupted,
    )


def attach(prepared: PreparedTrial, steps: int) -> Attached:
    """Put the trial's adapter, as it is before its first step of `steps`, on the resident base."""
    train = prepared.data.train
    seed = prepared.assignment.seed
    outputs = labelled_scores if train.criterion.scored else logits_of
    setup = TrainingSetup(steps, lambda size: _labelled_batches(train, size, seed), train.criterion.mean_loss, outputs)
    attached = prepared.method.attach(prepared.resident.base, prepared.knobs, seed, setup)
    for parameter in attached.parameters().values():  # some are copies of the base's, which may be in half precision
        parameter.data = parameter.data.float()
    return attached


def train_prepared(
    prepared: PreparedTrial, workbench: Workbench, on_report: OnReport, start: Callable[[Attached], None] | None = None
) -> Outcome:
    """Train one trial; of a sharded one, this process's part. Raises whatever its configuration provokes.

    `start` gives the adapter other values than its method's before the first step.
    """
    trial = plan_course(prepared, workbench, on_report)
    engine, why_not = choose_engine(prepared)
    seed, sharded = prepared.assignment.seed, prepared.assignment.shards > 1
    own = set(prepared.resident.base.model.parameters())
    with ExitStack() as undo:
        attached = attach(prepared, trial.plan().steps)
        if not sharded:  # where it is, the process ends with its trial
            undo.callback(attached.detach)
        if start is not None:
            start(attached)
        if prepared.assignment.gradient_checkpointing:
            undo.enter_context(recomputing_layers(prepared.resident.base))
        if sharded:
            shard(attached.model, prepared.resident.base, own)
            prepared = prepared.on(device_of_rank())
        strategy = run_strategy(prepared.hyperparameters, attached, prepared.resident.base.description, seed)
        torch.manual_seed(rank_seed(seed) if sharded else seed)
        with trainee_on(engine, prepared, attached, strategy, workbench) as trainee:
            if trial.resume is not None:
                trainee.load(trial.resume.tensors)
            ending = drive(course(trial), trainee)
            if ending.status == "completed":
                ending = replace(ending, metrics=ending.metrics | _at_lower_ranks(prepared, trainee))
        remembered = None if strategy is None else strategy.most_kept
        return outcome_of(prepared, ending, attached, engine, why_not, workbench, remembered)


def _at_lower_ranks(prepared: PreparedTrial, trainee: Trainee) -> dict[str, float]:
    """What the adapter reaches at lower ranks, where its method trains these as well."""
    serve, base = prepared.method.serve, prepared.resident.base
    found: dict[str, float] = {}
    if serve is not None:
        whole = int(prepared.knobs["rank"])
        for rank in lower_ranks(whole):
            serve(base, rank)
            found |= at_rank(trainee.evaluate(), rank)
        serve(base, whole)
    return found


def precision_of(
    assignment: Assignment, engine: EngineName, workbench: Workbench, anatomy: Anatomy | None = None
) -> Precision:
    """The number format that a trial trains in, on a model of this anatomy where it is known."""
    if assignment.precision != "auto":
        return assignment.precision
    if anatomy is not None and not anatomy.mixed_precision:
        return "fp32"
    return choose(workbench.precision, workbench.device) if engine == "fast" else "fp32"


def choose_engine(prepared: PreparedTrial) -> tuple[EngineName, str | None]:
    """The engine, and why it is not the fast one."""
    if prepared.method.family == "none":
        return "reference", "nothing is trained"
    why_not = why_not_fast(prepared.assignment, prepared.resident.base.description)
    return ("fast", None) if why_not is None else ("reference", why_not)


@contextmanager
def trainee_on(
    engine: EngineName, prepared: PreparedTrial, attached: Attached, strategy: Updates | None, workbench: Workbench
) -> Iterator[Trainee]:
    data, resident, hyperparameters = prepared.data, prepared.resident, prepared.hyperparameters
    precision = precision_of(prepared.assignment, engine, workbench, resident.base.description.anatomy)
    if prepared.assignment.shards > 1:
        yield reference_trainee(
            attached, data.train, prepared.evaluated, hyperparameters, precision, strategy, ShardedTrainee
        )
        return
    if engine == "reference":
        yield reference_trainee(attached, data.train, prepared.evaluated, hyperparameters, precision, strategy)
        return
    with fast_trainee(
        resident,
        attached,
        data.train,
        prepared.evaluated,
        hyperparameters,
        workbench.prefixes,
        precision,
        strategy,
    ) as trainee:
        yield trainee


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
    if assignment.shards > 1:
        where["shards"] = str(assignment.shards)
    if prepared.afresh is not None:
        where["started_afresh"] = prepared.afresh
    metrics = dict(ending.metrics) | {"train_seconds": ending.seconds}
    adapter = None
    if ending.status in ("completed", "stopped"):
        metrics |= _costs(prepared, attached, ending, remembered)
        longer = _latency(prepared, attached, workbench)
        metrics |= {name: prepared.base_latency[name] * ratio.value for name, ratio in longer.items()}
        where |= {f"{name}_over_base": str(ratio) for name, ratio in longer.items()}
        written = None
        if prepared.asked is not None and ending.status == "completed":
            written = answers_of(attached, prepared.asked)
            metrics |= written.metrics
        exported = _export(prepared, attached, metrics, written, workbench.artifacts, save or attached.save)
        metrics["adapter_bytes"], adapter = exported
    return Outcome(
        trial_id=assignment.trial_id,
        attempt=assignment.attempt,
        status=ending.status,
        metrics=metrics,
        adapter=adapter,
        checkpoint=ending.checkpoint,
        engine=engine,
        engine_reason=why_not_fast,
        environment=where | {"evaluated_on": assignment.evaluate_on},
        evaluated_rows=prepared.examples,
        reason=ending.reason,
    )


def _costs(prepared: PreparedTrial, attached: Attached, ending: Ending, remembered: int | None) -> dict[str, float]:
    base, train = prepared.resident.base, prepared.data.train
    lengths = train.lengths
    adapter = prepared.method.trainable_parameters(base.description, prepared.knobs)
    anatomy = base.description.anatomy
    flops = costs.training_flops(anatomy, attached.lowest_layer, adapter, lengths, ending.epoch, train.scored)
    return {
        "trainable_params": float(adapter),
        "head_params": float(base.head_size),
        "peak_memory_mb": training_memory(prepared, attached, remembered) / costs.MEBIBYTE,
        "sparsity": costs.sparsity(whole_layers(attached.model), anatomy),
        "train_tflops": flops / 1e12,
        "train_tokens": float(lengths.sum()) * _passes(prepared.assignment, ending),
    }


def _passes(assignment: Assignment, ending: Ending) -> float:
    """As asked for, so that trainings of one size read as one size: a step's rows do not divide every epoch."""
    return assignment.epochs if ending.status == "completed" and ending.epoch > 0 else ending.epoch


def training_memory(prepared: PreparedTrial, attached: Attached, remembered: int | None = None) -> float:
    """Bytes that training with the largest batch adds to the base: linear in the rows, so two small batches tell.

    Frozen layers below the lowest trained one keep nothing for a backward pass, so they need not run.
    """
    train, trained = prepared.data.train, list(attached.parameters().values())
    longest, base = int(np.argmax(train.lengths)), prepared.resident.base
    hidden = base.description.anatomy.hidden_size
    outputs = labelled_scores if train.criterion.scored else logits_of
    found = []
    with upper_layers(base, attached.lowest_layer) as entry:
        for rows in (1, 2):
            batch = _labelled(train, np.full(rows * train.criterion.together, longest))
            if entry is not None:
                entry.set(torch.zeros(*batch["input_ids"].shape, hidden, device=train.device, dtype=format_of(base)))
            found.append(costs.training_memory(attached.model, trained, batch, remembered, outputs))
    one, two = found
    chosen, together = prepared.hyperparameters, train.criterion.together
    budget = chosen.batch_tokens // (together * int(train.lengths[longest]))
    rows = max(1, budget) if chosen.batch_tokens else chosen.batch_size
    return one + (two - one) * (min(rows, len(train) // together) - 1)


def _latency(prepared: PreparedTrial, attached: Attached, workbench: Workbench) -> dict[str, latency.Ratio]:
    """Times over the base's as served: what merges into the base is as fast as the base."""
    if not prepared.assignment.measure_latency:
        return {}
    if prepared.method.mergeable:
        return dict.fromkeys(latency.ROWS, latency.Ratio(1.0, 1.0, 1.0))
    attached.set_training(False)
    measured = workbench.latency_over_base(attached, prepared.resident.base, _typical_tokens(prepared.data))
    attached.set_training(True)
    return measured


def _typical_tokens(data: PreparedData) -> int:
    return int(np.median(data.validation.lengths))


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
        trial_id=assignment.trial_id,
        seed=assignment.seed,
    )
    unit = prepared.data.train.criterion.unit
    with tempfile.TemporaryDirectory() as folder, in_label_unit(attached, unit):
        when_there_is_room(lambda: save(Path(folder), card))
        if written is not None and prepared.asked is not None:
            keep_answers(Path(folder), written, prepared.asked)
        return float(costs.adapter_bytes(Path(folder))), artifacts.put_folder(Path(folder))


def _keep(checkpoint: Checkpoint, artifacts: ArtifactStore) -> Artifact:
    with tempfile.TemporaryDirectory() as folder:
        return artifacts.put_folder(when_there_is_room(lambda: write(checkpoint, Path(folder) / "checkpoint")))


def _resumption(assignment: Assignment, artifacts: ArtifactStore) -> tuple[Checkpoint | None, str | None]:
    """The checkpoint to continue from, or why the trial starts afresh although it was given one."""
    if assignment.checkpoint is None:
        return None, None
    try:
        with tempfile.TemporaryDirectory() as folder:
            return read(artifacts.extract(assignment.checkpoint.sha256, Path(folder) / "checkpoint")), None
    except (ArtifactMissing, ArtifactDamaged, CheckpointError) as error:
        return None, f"its checkpoint cannot be read: {error}"


def _labelled_batches(inputs: Inputs, size: int, seed: int) -> Iterator[Batch]:
    """Batches of random rows, with labels, for methods that look at the data before training: files may be sorted."""
    together = inputs.criterion.together
    order = torch.randperm(len(inputs) // together, generator=torch.Generator().manual_seed(seed))
    for groups in order.split(size):
        yield _labelled(inputs, side_by_side(groups.numpy(), together))


def _labelled(inputs: Inputs, rows: RowIndices) -> dict[str, Tensor]:
    return {**inputs.batch(rows), "labels": inputs.targets(rows)}
