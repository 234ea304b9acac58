"""Answers that a trial's model wrote at the end of its training, as its adapter keeps them beside the base's."""

from __future__ import annotations

from zipfile import BadZipFile, ZipFile

from service.api.views import View
from workers.artifacts import ArtifactMissing, ArtifactStore
from workers.generation.section import ANSWERS_FILE

Scores = dict[str, float]


class BaseAnswerView(View):
    """What the base answered."""

    answer: str
    scores: Scores


class AnswerView(View):
    """One held-out row: what was asked, what was expected, and what both wrote."""

    row: int
    prompt: str
    reference: str
    answer: str
    scores: Scores
    base: BaseAnswerView


class GenerationsView(View):
    """Scores over all `rows` that were answered, and the few answers that were kept; empty where none were written."""

    rows: int
    metrics: Scores
    base_metrics: Scores
    answers: list[AnswerView]


def read_generations(artifacts: ArtifactStore, adapter: str | None) -> GenerationsView:
    """What the adapter with this hash holds of answers; nothing for a trial without one."""
    nothing = GenerationsView(rows=0, metrics={}, base_metrics={}, answers=[])
    if adapter is None:
        return nothing
    try:
        with artifacts.open(adapter) as stored, ZipFile(stored) as folder:
            text = folder.read(ANSWERS_FILE)
    except (ArtifactMissing, KeyError, BadZipFile):  # gone, written before there were answers, or damaged
        return nothing
    return GenerationsView.model_validate_json(text)
