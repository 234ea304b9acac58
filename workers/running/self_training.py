"""Self-training: a teacher names the classes of texts without labels, and a student learns from the surest of them.

Wang et al. 2021, "LiST: Lite Prompted Self-training Makes Parameter-Efficient Few-shot Learners", arXiv 2110.06274.
Certain: few labels and a pool of texts without, rounds of teacher and student, of which only the small modules are
trained and every student begins anew; it is the teacher of the next round. Choices: a head reads the class, no prompt;
in place of weights that are learnt for rows, of each class that a teacher gives those rows are taken that it is surest
of; and a teacher of few rows makes as many steps as the student.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import replace

import numpy as np
import torch
from numpy.typing import NDArray

from workers.data.tokens import with_rows
from workers.engines.inputs import Inputs
from workers.engines.passes import WholePass, evaluation_batches
from workers.methods.attached import Attached
from workers.running.preparing import PreparedTrial
from workers.running.teaching import Lesson

FloatArray = NDArray[np.float64]


Teach = Callable[[PreparedTrial, Inputs], Lesson[FloatArray]]
"""Trains a teacher, and has it say of a pool the probabilities `[rows, classes]`."""


def after_teachers(prepared: PreparedTrial, teach: Teach) -> PreparedTrial:
    """The trial with the rows that its teachers have named among those it trains on. Raises what `teach` raises."""
    own, pool = prepared.data, prepared.data.pool
    assert pool is not None, "a task without a pool was refused"
    unnamed, labelled = own.train.like(pool), own.tokens.train
    student, taught = prepared, prepared.before
    for number in range(prepared.hyperparameters.self_training):
        lesson = teach(_as_long(student, prepared, len(pool)) if number == 0 else student, unnamed)
        rows = surest(lesson.said, prepared.hyperparameters.pool_share)
        tokens = with_rows(labelled, pool, rows, lesson.said[rows].argmax(axis=1))
        taught = replace(taught.and_lessons([lesson]), rows=len(rows))
        data = replace(own, train=own.train.like(tokens), tokens=replace(own.tokens, train=tokens))
        student = replace(prepared, data=data, taught=taught)
    return student


def surest(classes: FloatArray, share: float) -> NDArray[np.int64]:
    """Rows `[n]` of probabilities `[rows, classes]`: of those given to a class a `share`, at least one, ascending."""
    given, sureness = classes.argmax(axis=1), classes.max(axis=1)
    kept = []
    for one in np.unique(given):
        own = np.flatnonzero(given == one)
        count = max(1, round(share * len(own)))
        kept.append(own[np.argsort(-sureness[own], kind="stable")[:count]])
    return np.sort(np.concatenate(kept))


@torch.no_grad()
def said_of(attached: Attached, pool: Inputs) -> FloatArray:
    """Probabilities `[rows, classes]` that a trained model gives rows."""
    attached.set_training(False)
    split = WholePass(attached.model, pool)
    found: FloatArray | None = None
    try:
        for rows in evaluation_batches(split):
            part = torch.softmax(split.outputs(rows).double(), dim=-1).cpu().numpy()
            found = np.zeros((len(pool), part.shape[1])) if found is None else found
            found[rows] = part
    finally:
        attached.set_training(True)
    assert found is not None, "a pool has rows"
    return found


def _as_long(teacher: PreparedTrial, student: PreparedTrial, pool: int) -> PreparedTrial:
    """The first teacher with as many passes over its few rows as make a student's steps."""
    few = len(teacher.data.train)
    more = (few + student.hyperparameters.pool_share * pool) / few
    assignment = teacher.assignment.model_copy(update={"epochs": teacher.assignment.epochs * more})
    return replace(teacher, assignment=assignment)
