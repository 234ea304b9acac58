"""Train a trial again outside a job: what the snippets of the service call. Needs torch.

`encoded_rows` is for a training loop of your own, `train_again` for what public libraries cannot express: methods of
our own, training strategies, configurations that change on the way. It runs the search's own engine.
"""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import pairwise
from pathlib import Path
from typing import Any

from workers.artifacts import ArtifactStore
from workers.assignment import Artifact, Assignment, Decision, Outcome, Report
from workers.data.tokens import Tokens, tokenise_data
from workers.models.loading import load_processor
from workers.running.trial import train
from workers.running.workbench import Workbench
from workers.tasks.registry import task as task_named
from workers.tasks.section import TaskSection

Schedule = Sequence[tuple[float | None, Mapping[str, Any]]]


@dataclass(frozen=True)
class Repeated:
    """What a training gave: its metrics by the names of the search, and the folder of the adapter."""

    metrics: dict[str, float]
    folder: Path


def encoded_rows(
    task: Mapping[str, Any], seed: int
) -> tuple[tuple[str, ...], list[dict[str, Any]], list[dict[str, Any]]]:
    """Names of the outputs, training and validation rows of a job's `task`, split, sampled and cut with the job's seed.

    A row has `input_ids`, `token_type_ids` where the model has them, `attention_mask` and `labels`, not padded.
    """
    section = _section(task)
    kind = task_named(section.type)
    rows = kind.rows_to_train_on(section, seed)
    processor = load_processor(section.model, kind.head, section.added_tokens())
    data = tokenise_data(rows, processor, section.max_length, kind.encoding(section))
    of_tokens = kind.criterion(section, data.labels).targets == "token"
    return data.labels, _rows(data.train, of_tokens), _rows(data.validation, of_tokens)


def train_again(
    task: Mapping[str, Any],
    schedule: Schedule,
    folder: str | Path,
    *,
    epochs: float,
    seed: int,
    data_seed: int,
    pause_every: float | None = None,
    **resources: Any,
) -> Repeated:
    """Train as the search did and leave the adapter in `folder`.

    `schedule` holds (until this epoch, configuration); the last goes on to the end (None). `pause_every` is the number
    of epochs after which the configuration may change; `resources` are those of an assignment (`precision`, `engine`,
    `quantise`, `gradient_checkpointing`). Raises `RuntimeError` with the reason where the training fails.
    """
    with tempfile.TemporaryDirectory() as home:
        bench = Workbench(Path(home), ArtifactStore(Path(home) / "artifacts"))
        common = {"trial_id": "again", "attempt": 1, "task": _section(task), "epochs": epochs, "seed": seed}
        common |= {"data_seed": data_seed, "pause_every": pause_every, "measure_latency": False, **resources}
        outcome = _through(schedule, common, bench)
        if outcome.status != "completed":
            raise RuntimeError(f"the training {outcome.status}: {outcome.reason}")
        if outcome.adapter is None:  # a baseline leaves nothing
            return Repeated(outcome.metrics, Path(folder))
        return Repeated(outcome.metrics, bench.artifacts.extract(outcome.adapter.sha256, Path(folder)))


def _through(schedule: Schedule, common: Mapping[str, Any], bench: Workbench) -> Outcome:
    """Train from pause to pause, each stretch with the configuration of its epochs."""
    checkpoint: Artifact | None = None
    reached = 0.0

    def on_report(report: Report) -> Decision:
        nonlocal reached
        reached = report.epoch
        return "continue"

    while True:
        config = next(config for until, config in schedule if until is None or reached < until - 1e-6)
        assignment = Assignment(**common, config=dict(config), checkpoint=checkpoint)
        outcome = train(assignment, bench, on_report)
        if outcome.status != "paused":
            return outcome
        checkpoint = outcome.checkpoint


def _section(task: Mapping[str, Any]) -> TaskSection:
    return task_named(task["type"]).section(**task)


def _rows(tokens: Tokens, of_tokens: bool) -> list[dict[str, Any]]:
    rows = []
    for number, (start, end) in enumerate(pairwise(tokens.offsets)):
        row = {"input_ids": tokens.input_ids[start:end].tolist(), "attention_mask": [1] * int(end - start)}
        if tokens.token_type_ids is not None:
            row["token_type_ids"] = tokens.token_type_ids[start:end].tolist()
        labels = tokens.targets[start:end] if of_tokens else tokens.targets[number]
        rows.append(row | {"labels": labels.tolist()})
    return rows
