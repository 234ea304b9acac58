"""Which trials may share a pass, and how they come aboard. Imports neither torch nor ray: dispatchers ask here."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Callable
from typing import Protocol

from workers.assignment import Assignment
from workers.errors import InvalidInput
from workers.hyperparameters import NO_STRATEGY, Hyperparameters, split_config
from workers.methods.declaration.method import Method
from workers.methods.registry import method
from workers.models.description import ModelDescription
from workers.strategies.registry import strategy
from workers.tasks.registry import task_of

PackKey = tuple[str, int, str, str]
"""What trials of one pack have in common: task as JSON, seed of its data, split to evaluate on, precision."""


def pack_key(assignment: Assignment) -> PackKey:
    """Trials with equal keys train, and are evaluated, on the same rows of the same base."""
    return assignment.task.model_dump_json(), assignment.data_seed, assignment.evaluate_on, assignment.precision


def why_not_packed(assignment: Assignment, model: ModelDescription) -> str | None:
    """Why a trial must train alone; None when it may join a pack. Raises `InvalidInput` as `split_config` does."""
    name, _, hyperparameters = split_config(assignment.config)
    chosen = method(name)
    if assignment.pack == 1:
        return "the job asks for a pass of its own for each trial"
    if task_of(assignment.task).compares_batch(assignment.task):
        return "rows of a batch are compared with each other, and a pass that trials share holds those of others"
    if assignment.threads is not None:
        return "it computes with a number of threads of its own"
    if hyperparameters.spike_score > 0:
        return "a guard against spikes sets a trial back on its own"
    if hyperparameters.eda_copies > 0:
        return "its training rows have altered copies beside them"
    if hyperparameters.demos > 0:
        return "training rows stand before its texts"
    if hyperparameters.mixup > 0 or hyperparameters.contrast > 0:
        return "rows of a batch are mixed or compared, and a pass that trials share holds those of others"
    if hyperparameters.self_training > 0:
        return "teachers train before it"
    if hyperparameters.drop_share > 0:
        return "it leaves training rows out that others read"
    if hyperparameters.neighbours > 0:
        return "it is measured beside training rows that are near in its own states"
    if hyperparameters.position_scale > 1:
        return "positions of its steps are drawn for it alone"
    if hyperparameters.packing != "none":
        return "its rows share sequences, which members of a pack do not"
    if assignment.task.trains_embeddings:
        return "embeddings of tokens are trained, which packs cannot stack"
    if hyperparameters.strategy != NO_STRATEGY and not strategy(hyperparameters.strategy).samples:
        return f"strategy {hyperparameters.strategy} updates parameters in a way of its own"
    if chosen.forms is None:
        return f"{chosen.name} trains something of a form that packs cannot stack"
    if chosen.forms and model.anatomy.projects_positions:
        return "adapted projections also read a table of positions, which has no rows of a member"
    return _why_reference(assignment, model)


def in_a_pack_of_one(assignment: Assignment, device: str, describe: Callable[[str], ModelDescription]) -> bool:
    """Whether a trial by itself trains as a pack of one: on a GPU that has what a single model lacks there, captured
    passes and an optimizer in few kernels. What is wrong with a configuration shows when it is attached."""
    if device == "cpu" or assignment.shards > 1:
        return False
    try:
        return why_not_packed(assignment, describe(assignment.task.model)) is None
    except InvalidInput:
        return False


def why_not_fast(assignment: Assignment, model: ModelDescription) -> str | None:
    """Why a trial by itself needs the reference engine; None when the fast one takes it. Raises `InvalidInput` as
    `split_config` does."""
    if assignment.shards > 1:
        return "a sharded base is trained on by the reference engine"
    return _why_reference(assignment, model)


def _why_reference(assignment: Assignment, model: ModelDescription) -> str | None:
    """The same where packs can do it as well."""
    if assignment.engine == "reference":
        return "the job asks for the reference engine"
    if split_config(assignment.config)[2].products != "full":
        return "products in few bits are simulated by the reference engine"
    if assignment.gradient_checkpointing:
        return "gradient checkpointing is done by the reference engine"
    if split_config(assignment.config)[2].hint_share > 0:
        return "images with hints run through all layers anew, on the reference engine"
    if assignment.quantise is not None:
        return "a quantised base is trained on by the reference engine"
    if model.anatomy.reads is None:
        return f"stored hidden states do not stand for the lower layers of a {model.anatomy.model_type} model"
    return None


def check_packing(hyperparameters: Hyperparameters, model: ModelDescription) -> None:
    """Raise `InvalidInput` where rows are to share sequences on a class of model that would mix them up."""
    if hyperparameters.packing == "none" or (model.anatomy.causal and model.anatomy.tells_rows_apart):
        return
    found = f"{hyperparameters.packing} on a {model.anatomy.model_type} model"
    allowed = "none, or a decoder with a family (docs/models.md)"
    message = f"packing: found {found}, whose code is not known to keep rows of one sequence apart; allowed: {allowed}"
    raise InvalidInput("packing", found, allowed, message)


def why_rows_apart(chosen: Method) -> str | None:
    """Why rows cannot share sequences under a method; None where they can."""
    if chosen.takes_positions or chosen.whole_rows:
        return f"{chosen.name} has to see each row by itself"
    return None


class Boarding(Protocol):
    """Where a pack looks for further trials."""

    @property
    def waiting(self) -> bool:
        """Whether somebody waits."""

    def take(self) -> Assignment | None:
        """The trial that has waited longest, if any waits."""

    def close(self) -> bool:
        """Take no more, unless somebody waits (then False, and whoever closes must go on)."""


class Arrivals:
    """Trials that wait to come aboard a pack that is under way. Safe between threads."""

    def __init__(self) -> None:
        self._waiting: deque[Assignment] = deque()
        self._open = True
        self._lock = threading.Lock()

    def add(self, assignment: Assignment) -> bool:
        """Let a trial wait for a place; False when the pack has ended and it must go elsewhere."""
        with self._lock:
            if self._open:
                self._waiting.append(assignment)
            return self._open

    def take(self) -> Assignment | None:
        """The trial that has waited longest, if any waits."""
        with self._lock:
            return self._waiting.popleft() if self._waiting else None

    def close(self) -> bool:
        """Take no more, unless somebody waits (then False, and whoever closes must go on)."""
        with self._lock:
            self._open = bool(self._waiting)
            return not self._open

    @property
    def waiting(self) -> bool:
        """Whether somebody waits."""
        return bool(self._waiting)
