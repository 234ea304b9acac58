"""One trial from assignment to outcome: method, engine, course. Faults become a failed outcome."""

from __future__ import annotations

import tempfile
import time
from collections.abc import Callable, Iterator
from contextlib import ExitStack, contextmanager
from dataclasses import replace
from functools import partial
from pathlib import Path
from typing import TypeVar

import torch

from workers.artifacts import ArtifactStore
from workers.assignment import Artifact, Assignment, EngineName, Outcome
from workers.checkpoints import Checkpoint, write
from workers.engines.batches import StepPlan
from workers.engines.course import EndedEarly, Ending, OnReport, Trainee, Training, course, drive
from workers.engines.fast import fast_trainee
from workers.engines.faults import failure_reason
from workers.engines.hints import Hints
from workers.engines.positions import DrawnPositions, drawn_positions
from workers.engines.ranks import device_of_rank
from workers.engines.recomputing import recomputing_layers
from workers.engines.reference import reference_trainee
from workers.engines.sharded import ShardedTrainee, rank_seed, shard
from workers.engines.trainee import AttachedTrainee
from workers.engines.updates import Updates
from workers.methods.attached import Attached, TrainingSetup
from workers.room import when_there_is_room
from workers.running.baseline_trial import baseline_outcome
from workers.running.outcome import failed, flops_of, outcome_of
from workers.running.outputs import outputs_of
from workers.running.packing import why_not_fast, why_rows_apart
from workers.running.preparing import PreparedTrial, precision_of, prepare
from workers.running.ranks import at_rank, lower_ranks
from workers.running.row_filter import after_filter
from workers.running.sampling import times_of
from workers.running.self_training import after_teachers, said_of
from workers.running.stages import stages_of
from workers.running.teaching import Lesson
from workers.running.workbench import Workbench
from workers.strategies.running import run_strategy
from workers.strategies.tensor_adamw import TensorAdamW

_Said = TypeVar("_Said")


def train(assignment: Assignment, workbench: Workbench, on_report: OnReport) -> Outcome:
    """Train one trial. A fault of the trial is not raised: the outcome is `failed` and has a reason."""
    try:
        prepared = prepare(assignment, workbench)
        if (baseline := prepared.evaluated.criterion.baselines.get(prepared.method.name)) is not None:
            return baseline_outcome(assignment, baseline(), prepared.examples, workbench)
        return train_prepared(prepared, workbench, on_report)
    except EndedEarly as error:
        return failed(assignment, str(error), workbench, error.ending.status)
    except Exception as error:  # whatever a configuration can provoke must end this trial and no other
        return failed(assignment, failure_reason(error), workbench)


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
        sequence=prepared.sequence,
        apart=why_rows_apart(prepared.method) is not None,
        times=times_of(data.train.criterion, prepared.hyperparameters),
        interrupted=workbench.interrupted,
        stages=stages_of(data.train.criterion, data.tokens.train.targets, prepared.hyperparameters, assignment.seed),
    )


def attach(prepared: PreparedTrial, steps: int, stage_ends: tuple[int, ...] = ()) -> Attached:
    """Put the trial's adapter, as it is before its first step of `steps`, on the resident base. Its stages, where it
    has several, end at `stage_ends`."""
    train = prepared.data.train
    seed = prepared.assignment.seed
    outputs = outputs_of(train.criterion)
    setup = TrainingSetup(
        steps,
        lambda size: train.labelled_batches(size, seed),
        train.criterion.mean_loss,
        outputs,
        stage_ends=stage_ends,
    )
    if (known := prepared.knowledge) is not None:
        setup = replace(setup, knowledge=lambda size: known.train.labelled_batches(size, seed))
    attached = prepared.method.attach(prepared.resident.base, prepared.knobs, seed, setup)
    for parameter in attached.parameters().values():  # some are copies of the base's, which may be in half precision
        parameter.data = parameter.data.float()
    return attached


def train_prepared(
    prepared: PreparedTrial,
    workbench: Workbench,
    on_report: OnReport,
    start: Callable[[Attached], None] | None = None,
    measure_more: Callable[[Attached], dict[str, float]] | None = None,
) -> Outcome:
    """Train one trial; of a sharded one, this process's part. Raises whatever its configuration provokes.

    `start` gives the adapter other values than its method's before the first step; `measure_more` adds to the metrics
    of what was trained to its end.
    """
    if prepared.hyperparameters.drop_share > 0:
        prepared = after_filter(prepared, partial(_lesson, workbench), workbench.prefixes)
    if prepared.hyperparameters.self_training > 0:
        prepared = after_teachers(
            prepared, lambda teacher, pool: _lesson(workbench, teacher, lambda attached: said_of(attached, pool))
        )
    trial = plan_course(prepared, workbench, on_report)
    engine, why_not = choose_engine(prepared)
    before = time.perf_counter()
    with _ready(prepared, trial.plan(), start) as (attached, strategy, positions):
        probing = 0.0 if prepared.method.probed is None else time.perf_counter() - before
        if prepared.assignment.shards > 1:
            prepared = prepared.on(device_of_rank())
        with trainee_on(engine, prepared, attached, strategy, workbench, positions) as trainee:
            if trial.resume is not None:
                trainee.load(trial.resume.tensors)
            with _computing_with(prepared.assignment.threads):
                ending = drive(course(trial), trainee)
            ending = replace(ending, seconds=ending.seconds + probing)
            if ending.status == "completed":
                ending = replace(ending, metrics=ending.metrics | _at_lower_ranks(prepared, trainee))
        if measure_more is not None and ending.status == "completed":
            ending = replace(ending, metrics=ending.metrics | measure_more(attached))
        remembered = None if strategy is None else strategy.most_kept
        return outcome_of(prepared, ending, attached, engine, why_not, workbench, remembered)


def _lesson(
    workbench: Workbench,
    teacher: PreparedTrial,
    asked: Callable[[Attached], _Said],
    start: Callable[[Attached], None] | None = None,
) -> Lesson[_Said]:
    """Train a teacher to its end and ask it. Raises `EndedEarly`."""
    with trained_quietly("teacher", teacher, workbench, start) as (attached, ending):
        tokens = float(teacher.data.train.lengths.sum()) * ending.epoch
        return Lesson(ending.seconds, flops_of(teacher, attached, ending), tokens, asked(attached))


@contextmanager
def trained_quietly(
    part: str, prepared: PreparedTrial, workbench: Workbench, start: Callable[[Attached], None] | None = None
) -> Iterator[tuple[Attached, Ending]]:
    """A training that is a `part` of a trial and reports to nobody: inside, what came out of it. Raises `EndedEarly`.

    `start` gives the adapter other values than its method's before the first step.
    """
    silent = {"reports_per_epoch": 0, "report_at": (), "pause_every": None, "keep_checkpoints": False}
    prepared = replace(prepared, assignment=prepared.assignment.model_copy(update=silent), resume=None)
    trial = plan_course(prepared, workbench, lambda _report: "continue")
    with _ready(prepared, trial.plan(), start) as (attached, strategy, positions):
        with trainee_on(choose_engine(prepared)[0], prepared, attached, strategy, workbench, positions) as trainee:
            ending = drive(course(trial), trainee)
        if ending.status != "completed":
            raise EndedEarly(part, ending)
        yield attached, ending


@contextmanager
def _ready(
    prepared: PreparedTrial, plan: StepPlan, start: Callable[[Attached], None] | None = None
) -> Iterator[tuple[Attached, TensorAdamW | None, DrawnPositions | None]]:
    """The adapter on the base as before the first step of its plan, its training strategy, and how it draws positions.

    Inside, the generators of random numbers are those of its training. Afterwards the base is as it was, but for a
    sharded one: there the process ends with its trial.
    """
    seed, sharded = prepared.assignment.seed, prepared.assignment.shards > 1
    base = prepared.resident.base
    own = set(base.model.parameters())
    with ExitStack() as undo:
        attached = attach(prepared, plan.steps, plan.ends)
        if not sharded:
            undo.callback(attached.detach)
        if start is not None:
            start(attached)
        if prepared.assignment.gradient_checkpointing:
            undo.enter_context(recomputing_layers(base))
        if sharded:
            shard(attached.model, base, own)
        positions = _positions(prepared)
        strategy = run_strategy(prepared.hyperparameters, attached, base.description, seed)
        torch.manual_seed(rank_seed(seed) if sharded else seed)
        yield attached, strategy, positions


@contextmanager
def _computing_with(threads: int | None) -> Iterator[None]:
    """Inside, torch computes with so many threads; None: with those that it has."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads or before)
    try:
        yield
    finally:
        torch.set_num_threads(before)


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


def choose_engine(prepared: PreparedTrial) -> tuple[EngineName, str | None]:
    """The engine, and why it is not the fast one."""
    if prepared.method.family == "none":
        return "reference", "nothing is trained"
    why_not = why_not_fast(prepared.assignment, prepared.resident.base.description)
    return ("fast", None) if why_not is None else ("reference", why_not)


@contextmanager
def trainee_on(
    engine: EngineName,
    prepared: PreparedTrial,
    attached: Attached,
    strategy: Updates | None,
    workbench: Workbench,
    positions: DrawnPositions | None = None,
) -> Iterator[Trainee]:
    data, resident, hyperparameters = prepared.data, prepared.resident, prepared.hyperparameters
    precision = precision_of(prepared.assignment, engine, workbench, resident.base.description.anatomy)
    sequence = prepared.sequence if why_rows_apart(prepared.method) is None else 0
    if engine == "reference" or prepared.assignment.shards > 1:
        view = prepared.view
        yield reference_trainee(
            attached,
            data.train,
            prepared.evaluated,
            hyperparameters,
            precision,
            strategy,
            sequence,
            positions,
            None if view is None else Hints(resident.base, attached, data.train, view, hyperparameters),
            ShardedTrainee if prepared.assignment.shards > 1 else AttachedTrainee,
        )
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
        sequence,
        positions,
    ) as trainee:
        yield trainee


def _positions(prepared: PreparedTrial) -> DrawnPositions | None:
    base, longest = prepared.resident.base, prepared.assignment.task.max_length
    return drawn_positions(prepared.hyperparameters, base, prepared.window, longest, prepared.assignment.seed)


def _keep(checkpoint: Checkpoint, artifacts: ArtifactStore) -> Artifact:
    with tempfile.TemporaryDirectory() as folder:
        return artifacts.put_folder(when_there_is_room(lambda: write(checkpoint, Path(folder) / "checkpoint")))
