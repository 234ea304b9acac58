"""`own_failures`: rounds of preferences over a winner's own wrong answers, as iTool (Zeng et al. 2025, arXiv
2501.09766) calibrates what a fine-tuned model is still deficient in.

Certain: hard rows are found with the model itself, in each round anew; its wrong answers are the rejected side, the
references the chosen one, and the loss is that of direct preferences. Choices: what is hard is told by the score of the
answer, not by perplexity; one answer to a row in place of a tree search, whose steps need tools to act on; the model
that a round begins with is its reference.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, replace

from workers.assignment import Outcome
from workers.engines.course import Ending
from workers.engines.frozen import beside_model
from workers.engines.inputs import Inputs
from workers.methods.attached import Attached
from workers.refining.own_answers import Failure, Rehearsal, pairs_of
from workers.refining.retraining import beside
from workers.refining.scene import UNTRAINED, Scene, Tensors
from workers.running.outcome import flops_of
from workers.running.preparing import PreparedTrial, Taught
from workers.running.trial import trained_quietly
from workers.tasks.catalogue.preference import pair_criterion


@dataclass(frozen=True)
class Stand:
    """What rounds have come to: the adapter, the training behind it, and what the trainings before that cost."""

    tensors: Tensors
    prepared: PreparedTrial
    ending: Ending = UNTRAINED


def own_failures(scene: Scene) -> Outcome:
    """The source after its rounds, and of the rows that it was asked how many are answered wrongly.

    `failed_before` and `failed_after`, `failed_round_2` … in between, `mined_failed_after` of those that the first
    round began with; `start_…` is the quality of the beginning.
    """
    (source,) = scene.stored()
    rehearsal, told, mined = _rehearsal(scene), dict[str, float](), set[int]()
    stand = Stand(source.tensors, scene.prepared)
    for number in range(1, scene.given.options["rounds"] + 1):
        with _as_it_is(scene, stand.tensors) as attached:
            failures = rehearsal.failures(attached.model)
            told[f"failed_round_{number}" if number > 1 else "failed_before"] = float(len(failures))
            lesson = _lesson(scene, rehearsal, failures, attached) if failures else None
        if lesson is None:
            break
        mined = mined or {one.row for one in failures}
        stand = _after_round(scene, stand, lesson, number)
    with scene.attached(scene.given.seed) as attached:
        with scene.measuring(attached) as measured:
            quality = beside("start", measured(source.tensors)) | measured(stand.tensors)
        attached.set_training(False)
        left = {one.row for one in rehearsal.failures(attached.model)}
        told |= {"failed_after": float(len(left)), "mined_failed_after": float(len(left & mined))}
        told |= {"asked_rows": float(len(rehearsal.asked))}
        return replace(scene, prepared=stand.prepared).outcome(attached, quality | told, trained=stand.ending)


def _rehearsal(scene: Scene) -> Rehearsal:
    asked, data, options = scene.prepared.asked, scene.prepared.data, scene.given.options
    assert asked is not None, "a task without answers was refused"
    assert asked.spec is not None, "a task without answers was refused"
    tests, rows = data.pairs.get("train"), options["rows"]
    return Rehearsal.of(data.tokens.train, asked.tokenizer, asked.spec, tests, rows, options["failed_below"])


@contextmanager
def _as_it_is(scene: Scene, tensors: Tensors) -> Iterator[Attached]:
    """The result's adapter with the tensors of an export, ready to answer."""
    with scene.attached(scene.given.seed) as attached:
        scene.put(attached, tensors)
        attached.set_training(False)
        yield attached


def _lesson(scene: Scene, rehearsal: Rehearsal, failures: Sequence[Failure], attached: Attached) -> Inputs:
    """What a round trains on, from the model that it begins with."""
    data, options = scene.prepared.data, scene.given.options
    if options["way"] != "pairs":
        rows = failures if options["way"] == "failed_rows" else rehearsal.asked
        return data.train.like(rehearsal.rows([one.row for one in rows]))
    typed = data.tokens.train.token_type_ids is not None
    pairs = pairs_of(failures, scene.given.task.max_length, typed)
    criterion = pair_criterion(options["loss_type"])
    return beside_model(attached.model, Inputs(pairs, data.tokens.pad_token_id, criterion, str(data.train.device)))


def _after_round(scene: Scene, stand: Stand, lesson: Inputs, number: int) -> Stand:
    """Train on a round's lesson from where the last one ended. Raises `EndedEarly`."""
    before, ending = stand.prepared.before, stand.ending
    prepared = replace(scene.prepared, data=replace(scene.prepared.data, train=lesson))
    with trained_quietly(
        f"round {number}", prepared, scene.workbench, lambda attached: scene.put(attached, stand.tensors)
    ) as (attached, ended):
        if number > 1:
            cost = flops_of(stand.prepared, attached, ending)
            tokens = float(stand.prepared.data.train.lengths.sum()) * ending.epoch
            before = Taught(0, before.seconds + ending.seconds, before.flops + cost, before.tokens + tokens)
        tensors = {name: value.detach().clone() for name, value in attached.tensors().items()}
        return Stand(tensors, replace(prepared, taught=before), ended)
