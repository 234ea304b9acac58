"""What a trial needs before anything of it is built: its configuration checked, base and data loaded."""

from __future__ import annotations

import tempfile
from collections.abc import Iterable
from dataclasses import dataclass, replace
from pathlib import Path
from typing import Any

from workers.artifacts import ArtifactDamaged, ArtifactMissing, ArtifactStore
from workers.assignment import Assignment, EngineName
from workers.checkpoints import Checkpoint, CheckpointError, read
from workers.data.eda import Eda
from workers.data.transforms import Transforms
from workers.engines.frozen import beside_base
from workers.engines.hints import BaseView, view_of
from workers.engines.inputs import Inputs
from workers.engines.precision import Precision, base_in_bfloat16, choose
from workers.engines.resident import ResidentBase
from workers.errors import InvalidInput
from workers.hyperparameters import Hyperparameters, split_config
from workers.methods.declaration.method import Method
from workers.methods.registry import method
from workers.models.anatomy import Anatomy
from workers.models.description import ModelDescription, describe, for_task
from workers.models.positions import check_scaled
from workers.models.quantisation import check_method
from workers.running.answering import Asked, ask
from workers.running.knowledge import Knowledge, knowledge_of
from workers.running.packing import check_packing, why_not_fast
from workers.running.sharding import WHOLE_BATCH, check_sharded, needs_whole_batch
from workers.running.stages import check_replay
from workers.running.teaching import Lesson
from workers.running.workbench import PreparedData, Workbench
from workers.strategies.registry import with_strategy_knobs
from workers.tasks.registry import task_of

_WHOLE_MODEL = ("neighbours", "self_training", "drop_share", "mixup", "contrast", "hint_share")
"""Hyperparameters that ask for more than one pass of a batch through a base that is in one piece; 0 is off."""


@dataclass(frozen=True)
class Taught:
    """What went before a trial's last training: rows of the pool that it learns from, training rows that it leaves out,
    and what its teachers or earlier rounds cost."""

    rows: int = 0
    seconds: float = 0.0
    flops: float = 0.0
    tokens: float = 0.0
    dropped: int = 0

    def and_lessons(self, lessons: Iterable[Lesson[object]]) -> Taught:
        """With the costs of these lessons."""
        found = self
        for lesson in lessons:
            seconds, flops = found.seconds + lesson.seconds, found.flops + lesson.flops
            found = replace(found, seconds=seconds, flops=flops, tokens=found.tokens + lesson.tokens)
        return found


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
    knowledge: Knowledge | None = None
    afresh: str | None = None  # why it does not continue from the checkpoint that it was given
    taught: Taught | None = None  # what teachers or earlier rounds have done for it
    view: BaseView | None = None  # what the untouched base sees in the training rows, where hints come from it

    @property
    def examples(self) -> int:
        """What its metrics are means over."""
        criterion = self.evaluated.criterion
        return len(self.evaluated) // criterion.together if criterion.examples is None else criterion.examples

    @property
    def before(self) -> Taught:
        """What teachers have done for it, nothing among it."""
        return self.taught or Taught()

    @property
    def sequence(self) -> int:
        """Tokens of a sequence that rows share; 0 where each has its own."""
        return self.assignment.task.max_length if self.hyperparameters.packing == "bfd" else 0

    @property
    def window(self) -> int:
        """Tokens that a training row has at most."""
        task = self.assignment.task
        return task.training_window() or task.max_length

    def on(self, device: str) -> PreparedTrial:
        """The same with its rows on another device."""
        return replace(self, data=self.data.on(device), evaluated=self.evaluated.on(device))


def prepare(assignment: Assignment, workbench: Workbench) -> PreparedTrial:
    """Check the configuration and load what the trial needs. Raises `InvalidInput`."""
    name, knobs, hyperparameters = split_config(assignment.config)
    data = workbench.data(assignment.task, assignment.data_seed, _transforms(assignment, hyperparameters))
    if assignment.quantise is not None:
        check_method(assignment.quantise, name)
    check_sharded(name, assignment.shards)
    if assignment.shards > 1 and needs_whole_batch(assignment.task):
        raise InvalidInput("shards", assignment.shards, f"1: {WHOLE_BATCH}")
    model = describe(assignment.task.model)
    check_packing(hyperparameters, model)
    check_scaled(hyperparameters.position_scale, model)
    _check_products(assignment, hyperparameters)
    kind, added = task_of(assignment.task).head, assignment.task.added_tokens()
    half = _base_in_bfloat16(assignment, workbench, model)
    resident = workbench.base(assignment.task.model, len(data.tokens.labels), assignment.quantise, kind, half, added)
    seen = for_task(resident.base.description, assignment.task)
    resident = replace(resident, base=replace(resident.base, description=_with_tokens_of(seen, resident)))
    chosen = method(name)
    check_replay(hyperparameters, chosen)
    values = chosen.complete(seen, knobs)
    hyperparameters = with_strategy_knobs(hyperparameters, chosen, resident.base.description)
    # Measured now: later the base carries an adapter.
    base_latency = workbench.base_latency(resident, data.typical_tokens) if assignment.measure_latency else {}
    evaluated = beside_base(resident, data.split(assignment.evaluate_on), workbench.prefixes)
    data = replace(data, train=beside_base(resident, data.train, workbench.prefixes))
    asked = ask(assignment.task, data, assignment.evaluate_on, resident, assignment.shards, workbench)
    resume, afresh = _resumption(assignment, workbench.artifacts)
    return PreparedTrial(
        assignment,
        chosen,
        values,
        hyperparameters,
        resident,
        data,
        evaluated,
        base_latency,
        asked,
        resume,
        knowledge_of(assignment.task, assignment.data_seed, resident, assignment.shards, workbench),
        afresh,
        view=view_of(resident.base, data.train) if hyperparameters.hint_share > 0 else None,
    )


def _check_products(assignment: Assignment, hyperparameters: Hyperparameters) -> None:
    """Raise `InvalidInput` where products in few bits are asked for beside what multiplies in a way of its own."""
    if hyperparameters.products == "full":
        return
    if named := {"quantise", "shards", "gradient_checkpointing"} & set(assignment.chosen()):
        one = min(named)
        raise InvalidInput("products", f"{hyperparameters.products} with `{one}`", f"`full`, or no `{one}`")


def _transforms(assignment: Assignment, hyperparameters: Hyperparameters) -> Transforms:
    """What is done to the rows; raises `InvalidInput` where the type of task does not take it."""
    for name in ("eda_copies", "demos", *_WHOLE_MODEL):
        found = getattr(hyperparameters, name)
        if found and name not in task_of(assignment.task).hyperparameters:
            raise InvalidInput(name, f"{found} on a task of type {assignment.task.type}", "0")
    for name in _WHOLE_MODEL:
        if (found := getattr(hyperparameters, name)) and assignment.shards > 1:
            raise InvalidInput(name, f"{found} with a base in parts", "0, or `shards: 1`")
    if hyperparameters.self_training and getattr(assignment.task, "unlabelled", None) is None:
        raise InvalidInput("unlabelled", None, "a source of texts without labels, which `self_training` needs")
    by_trusted = hyperparameters.drop_share > 0 and hyperparameters.drop_by == "color"
    if by_trusted and getattr(assignment.task, "trusted", None) is None:
        raise InvalidInput("trusted", None, "a source of rows that are known to be right, which `drop_by: color` needs")
    copies = hyperparameters.eda_copies
    return Transforms(Eda(copies, hyperparameters.eda_share) if copies else None, hyperparameters.demos)


def _with_tokens_of(seen: ModelDescription, resident: ResidentBase) -> ModelDescription:
    """The base's description with the tokens whose embeddings a task trains, and the tasks that it is made of."""
    return replace(
        resident.base.description,
        trained_tokens=seen.trained_tokens,
        trained_outputs=seen.trained_outputs,
        untied_output=seen.untied_output,
        row_tasks=seen.row_tasks,
    )


def _base_in_bfloat16(assignment: Assignment, workbench: Workbench, model: ModelDescription) -> bool:
    if why_not_fast(assignment, model) is not None:
        return False
    return base_in_bfloat16(precision_of(assignment, "fast", workbench, model.anatomy), workbench.device)


def precision_of(
    assignment: Assignment, engine: EngineName, workbench: Workbench, anatomy: Anatomy | None = None
) -> Precision:
    """The number format that a trial trains in, on a model of this anatomy where it is known."""
    if assignment.precision != "auto":
        return assignment.precision
    if anatomy is not None and not anatomy.mixed_precision:
        return "fp32"
    return choose(workbench.precision, workbench.device) if engine == "fast" else "fp32"


def _resumption(assignment: Assignment, artifacts: ArtifactStore) -> tuple[Checkpoint | None, str | None]:
    """The checkpoint to continue from, or why the trial starts afresh although it was given one."""
    if assignment.checkpoint is None:
        return None, None
    try:
        with tempfile.TemporaryDirectory() as folder:
            return read(artifacts.extract(assignment.checkpoint.sha256, Path(folder) / "checkpoint")), None
    except (ArtifactMissing, ArtifactDamaged, CheckpointError) as error:
        return None, f"its checkpoint cannot be read: {error}"
