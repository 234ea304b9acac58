"""What a model answers to its own training rows: which answers are wrong, and what pairs these make. Needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray
from torch import nn

from workers.data.tokens import Tokens
from workers.generation.answers import answer
from workers.generation.evaluation import Question, questions, scores_of
from workers.generation.section import GenerationSpec
from workers.tasks.criterion import IGNORED

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase

Ids = tuple[int, ...]


@dataclass(frozen=True)
class Failure:
    """A training row that a model answered wrongly.

    Attributes:
        row: its number.
        prompt: token ids of what it was asked.
        reference, written: token ids of the answer that was wanted and of the model's own, each with its end.
    """

    row: int
    prompt: Ids
    reference: Ids
    written: Ids


@dataclass(frozen=True)
class Rehearsal:
    """Training rows that a model is asked, the same in every round, and what counts as a failure.

    Attributes:
        spec: how answers are written and scored; the first of its metrics tells right from wrong.
        failed_below: the least score of an answer that is right.
    """

    tokens: Tokens
    asked: tuple[Question, ...]
    tokenizer: PreTrainedTokenizerBase
    spec: GenerationSpec
    failed_below: float

    @classmethod
    def of(
        cls,
        tokens: Tokens,
        tokenizer: PreTrainedTokenizerBase,
        spec: GenerationSpec,
        tests: Sequence[str] | None,
        rows: int,
        failed_below: float,
    ) -> Rehearsal:
        """At most `rows` rows of a training split, one answer to each. Raises `InvalidInput` where none is whole."""
        one = spec.model_copy(update={"rows": rows, "samples": 1, "k": 1, "metrics": spec.metrics[:1]})
        return cls(tokens, tuple(questions(tokens, tokenizer, one, tests)), tokenizer, one, failed_below)

    def failures(self, model: nn.Module) -> list[Failure]:
        """The rows that a model answers wrongly now, in their order. An answer that is the reference is none."""
        prompts, keys = [one.prompt for one in self.asked], [one.row for one in self.asked]
        answers = answer(model, self.tokenizer, prompts, self.spec, keys)
        scores = scores_of(self.asked, [[one.text] for one in answers], self.spec)[self.spec.metrics[0]]
        found = [
            Failure(question.row, tuple(question.prompt), self._reference(question), one.ids)
            for question, one, score in zip(self.asked, answers, scores, strict=True)
            if score < self.failed_below
        ]
        return [one for one in found if one.written != one.reference]

    def _reference(self, question: Question) -> Ids:
        first, last = (int(self.tokens.offsets[question.row + place]) for place in (0, 1))
        targets = np.asarray(self.tokens.targets[first + len(question.prompt) - 1 : last])
        return tuple(int(one) for one in targets[: int(np.argmax(targets == IGNORED))])

    def rows(self, chosen: Sequence[int]) -> Tokens:
        """Training rows as they are, by their numbers."""
        whole = (np.arange(self.tokens.offsets[row], self.tokens.offsets[row + 1]) for row in chosen)
        places = np.concatenate(list(whole))
        return replace(
            self.tokens,
            input_ids=self.tokens.input_ids[places],
            token_type_ids=None if self.tokens.token_type_ids is None else self.tokens.token_type_ids[places],
            offsets=_offsets(self.tokens.lengths()[list(chosen)]),
            targets=self.tokens.targets[places],
        )


def pairs_of(failures: Sequence[Failure], max_length: int, typed: bool) -> Tokens:
    """Two rows for each failure: with the reference, which is chosen, and with the model's own answer. Cut at their
    end; `typed` where the model has types of tokens."""
    ids: list[NDArray[np.int32]] = []
    targets: list[NDArray[np.int32]] = []
    for one in failures:
        for side in (one.reference, one.written):
            ids.append(np.array([*one.prompt, *side], dtype=np.int32)[:max_length])
            learnt = np.array([IGNORED] * len(one.prompt) + list(side), dtype=np.int32)[:max_length]
            targets.append(np.append(learnt[1:], np.int32(IGNORED)))
    whole = np.concatenate(ids)
    types = np.zeros(len(whole), dtype=np.uint8) if typed else None
    return Tokens(whole, types, _offsets([len(row) for row in ids]), np.concatenate(targets))


def _offsets(lengths: Sequence[int] | NDArray[np.int64]) -> NDArray[np.int64]:
    return np.concatenate([[0], np.cumsum(lengths)]).astype(np.int64)
