"""Which training rows a configuration leaves out before it is trained. Needs torch.

By perplexity, as POINTS chooses its data (Liu et al. 2024, arXiv 2409.04828): rows of the highest loss go. By
CoLoR-Filter (Brandfonbrener et al. 2024, arXiv 2406.10670): those of the highest ℓ_cond - ℓ_prior go, the loss after
tuning on a few rows that are known to be right over the loss before. Certain: both scores, and that the lowest are
kept. Choices: of a language model the prior is the base itself; a classifier's base knows no classes, so that for
perplexity each half of the rows is judged by a teacher that was trained on the other, in as many steps as the trial
makes, and for CoLoR the prior is such a teacher of all rows; tuning takes a quarter of the trial's steps; of each class
as large a share goes.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, replace
from functools import partial
from typing import Protocol, TypeVar

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from workers.data.tokens import taken
from workers.engines.frozen import base_likelihoods
from workers.engines.inputs import Inputs
from workers.engines.passes import WholePass, evaluation_batches
from workers.engines.prefix_store import PrefixStore
from workers.methods.attached import Attached
from workers.models.token_scores import LIKELIHOOD
from workers.running.preparing import PreparedTrial
from workers.running.teaching import Lesson

FloatArray = NDArray[np.float64]
_Said = TypeVar("_Said")
Start = Callable[[Attached], None]
TUNING = 0.25
"""Steps of the tuning on trusted rows, relative to those of the trial."""


class Teach(Protocol):
    """Trains a trial to its end, from other values than its method's where `start` gives them, and asks it."""

    def __call__(
        self, teacher: PreparedTrial, ask: Callable[[Attached], _Said], start: Start | None = None
    ) -> Lesson[_Said]: ...


@dataclass(frozen=True)
class _Prior:
    """Losses `[rows]` of the training rows, and what the model was that has them."""

    losses: FloatArray
    values: dict[str, Tensor]


def after_filter(prepared: PreparedTrial, teach: Teach, store: PrefixStore) -> PreparedTrial:
    """The trial without the rows that its configuration leaves out. Raises what `teach` raises."""
    own, hyperparameters = prepared.data, prepared.hyperparameters
    lessons: list[Lesson[object]] = []

    def noted(teacher: PreparedTrial, ask: Callable[[Attached], _Said], start: Start | None = None) -> Lesson[_Said]:
        lesson = teach(teacher, ask, start)
        lessons.append(lesson)
        return lesson

    scores = _SCORES[hyperparameters.drop_by](prepared, noted, store)
    by_class = own.train.criterion.targets == "row"
    classes = own.tokens.train.targets if by_class else np.zeros(len(scores), dtype=np.int32)
    rows = lowest(scores, np.asarray(classes), 1 - hyperparameters.drop_share)
    tokens = taken(own.tokens.train, rows)
    data = replace(own, train=own.train.like(tokens), tokens=replace(own.tokens, train=tokens))
    taught = prepared.before.and_lessons(lessons)
    return replace(prepared, data=data, taught=replace(taught, dropped=len(scores) - len(rows)))


def lowest(scores: FloatArray, classes: NDArray[np.int32], share: float) -> NDArray[np.int64]:
    """Rows `[n]`, ascending: of each class a `share`, at least one, those of the lowest scores `[rows]`."""
    kept = []
    for one in np.unique(classes):
        own = np.flatnonzero(classes == one)
        kept.append(own[np.argsort(scores[own], kind="stable")[: max(1, round(share * len(own)))]])
    return np.sort(np.concatenate(kept))


def _by_perplexity(prepared: PreparedTrial, teach: Teach, store: PrefixStore) -> FloatArray:
    if prepared.data.train.criterion.targets != "row":
        return _losses_of_base(prepared, store)
    rows = prepared.data.tokens.train
    originals = len(rows) // (1 + prepared.hyperparameters.eda_copies)  # a row's altered copies are on its side
    draw = np.random.default_rng([prepared.assignment.seed, 67]).permutation(originals)
    halves = draw[: originals // 2], draw[originals // 2 :]
    scores = np.zeros(len(rows))
    for judged, learnt in (halves, halves[::-1]):
        inside, outside = (np.flatnonzero(np.isin(np.arange(len(rows)) % originals, one)) for one in (judged, learnt))
        unseen = prepared.data.train.like(taken(rows, inside))
        teacher = _of_rows(prepared, prepared.data.train.like(taken(rows, outside)), 1.0)
        scores[inside] = teach(teacher, partial(losses, rows=unseen)).said
    return scores


def _by_color(prepared: PreparedTrial, teach: Teach, store: PrefixStore) -> FloatArray:
    trusted, train = prepared.data.trusted, prepared.data.train
    assert trusted is not None, "a task without trusted rows was refused"
    tuned = _of_rows(prepared, train.like(trusted), TUNING)
    asked = partial(losses, rows=train)
    if train.criterion.targets != "row":
        return teach(tuned, asked).said - _losses_of_base(prepared, store)
    prior = teach(prepared, lambda attached: _Prior(losses(attached, train), _values(attached))).said
    return teach(tuned, asked, partial(_put, values=prior.values)).said - prior.losses


def _at_random(prepared: PreparedTrial, _teach: Teach, _store: PrefixStore) -> FloatArray:
    return np.random.default_rng([prepared.assignment.seed, 66]).random(len(prepared.data.train))


_SCORES: dict[str, Callable[[PreparedTrial, Teach, PrefixStore], FloatArray]] = {
    "perplexity": _by_perplexity,
    "color": _by_color,
    "random": _at_random,
}


def _of_rows(prepared: PreparedTrial, rows: Inputs, steps: float) -> PreparedTrial:
    """The trial on other rows, with passes over them for about a share `steps` of its own steps, at least one."""
    epochs = max(1.0, steps * prepared.assignment.epochs * len(prepared.data.train) / len(rows))
    assignment = prepared.assignment.model_copy(update={"epochs": epochs})
    return replace(prepared, assignment=assignment, data=replace(prepared.data, train=rows))


def _values(attached: Attached) -> dict[str, Tensor]:
    return {name: value.detach().clone() for name, value in attached.parameters().items()}


@torch.no_grad()
def _put(attached: Attached, values: dict[str, Tensor]) -> None:
    for name, parameter in attached.parameters().items():
        parameter.copy_(values[name])


def _losses_of_base(prepared: PreparedTrial, store: PrefixStore) -> FloatArray:
    """Nats a learnt token `[rows]` under the base as it is."""
    train = prepared.data.train
    likelihoods = base_likelihoods(prepared.resident, train, store).double().cpu().numpy()
    ends = train.starts + train.lengths
    running = np.concatenate([[0.0], np.cumsum(likelihoods)])
    return np.asarray((running[ends] - running[train.starts]) / np.maximum(train.weights, 1))


@torch.no_grad()
def losses(attached: Attached, rows: Inputs) -> FloatArray:
    """Nats `[rows]` a target under a trained model."""
    attached.set_training(False)
    split, found = WholePass(attached.model, rows), np.zeros(len(rows))
    try:
        for part in evaluation_batches(split):
            outputs, targets = split.outputs(part), rows.targets(part)
            if rows.criterion.scored:
                found[part] = outputs[..., LIKELIHOOD].double().sum(1).cpu().numpy() / np.maximum(rows.weights[part], 1)
            else:
                found[part] = cross_entropy(outputs.double(), targets, reduction="none").cpu().numpy()
    finally:
        attached.set_training(True)
    return found
