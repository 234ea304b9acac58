"""A job's own metrics of what one model wrote, and of the model itself. Needs torch."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
from torch import nn

from workers.errors import InvalidInput
from workers.generation.evaluation import Question, Written
from workers.generation.judging.file_judge import ask_file
from workers.generation.judging.http_judge import Waiting, Way, ask_service
from workers.generation.judging.rows import JudgedRow, JudgeFailed
from workers.generation.judging.section import FileJudge, HarnessJudge, HttpJudge, RowJudge
from workers.outbound.addresses import Allowed
from workers.outbound.tokens import token_for

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Bench:
    """What judges are asked with: the operator's folders and addresses, the worker's home, where their tokens lie, and
    whether the worker has to leave."""

    folders: tuple[str, ...] = ()
    addresses: str = "off"
    home: Path | None = None
    leaving: Callable[[], bool] = lambda: False


@dataclass(frozen=True)
class Panel:
    """The judges of a trial's answers, and the tasks that its model is measured by."""

    judges: tuple[RowJudge, ...]
    tasks: tuple[HarnessJudge, ...]
    bench: Bench

    @classmethod
    def of(cls, judges: Sequence[RowJudge | HarnessJudge], confirming: bool, bench: Bench) -> Panel:
        """Those who are asked in a trial of the search, or in a confirmation."""
        asked = [one for one in judges if confirming or not one.confirm_only]
        return cls(
            tuple(one for one in asked if not isinstance(one, HarnessJudge)),
            tuple(one for one in asked if isinstance(one, HarnessJudge)),
            bench,
        )

    def judged(
        self, written: Written, questions: Sequence[Question], tokenizer: PreTrainedTokenizerBase, patient: bool = True
    ) -> Written:
        """The answers with each judge's scores; a judge that fails is named among `unmeasured`.

        One that is not `patient` asks a silent service once.
        """
        rows = [
            JudgedRow(one.row, str(tokenizer.decode(one.prompt)), text, one.reference)
            for one, texts in zip(questions, written.texts, strict=True)
            for text in texts
        ]
        for judge in self.judges:
            try:
                scores = np.reshape(self._scores(judge, rows, patient), (len(questions), -1)).mean(axis=1)
            except JudgeFailed as error:
                written = replace(written, unmeasured=written.unmeasured | {judge.name: str(error)})
                continue
            kept = [
                one | {"scores": one["scores"] | {judge.name: float(score)}}
                for one, score in zip(written.kept, scores, strict=False)
            ]
            written = replace(written, metrics=written.metrics | {judge.name: float(scores.mean())}, kept=kept)
        return written

    def measured(self, written: Written, model: nn.Module, tokenizer: PreTrainedTokenizerBase) -> Written:
        """The same with what the model reaches by each task."""
        from workers.generation.judging.harness import measure

        for task in self.tasks:
            try:
                value = measure(task, model, tokenizer, self.bench.folders)
                written = replace(written, metrics=written.metrics | {task.name: value})
            except JudgeFailed as error:
                written = replace(written, unmeasured=written.unmeasured | {task.name: str(error)})
        return written

    def _scores(self, judge: RowJudge, rows: Sequence[JudgedRow], patient: bool) -> list[float]:
        if isinstance(judge, FileJudge):
            return ask_file(judge, rows, self.bench.folders)
        asked: HttpJudge = judge if patient else judge.model_copy(update={"patience": 0.0})
        allowed, home = Allowed(self.bench.addresses, setting="judges"), self.bench.home
        try:
            way = Way(allowed, None if home is None else token_for(judge.url, home))
        except (InvalidInput, OSError) as error:
            raise JudgeFailed(f"{judge.name}: {error}") from None
        return ask_service(asked, rows, way, Waiting(give_up=self.bench.leaving))
