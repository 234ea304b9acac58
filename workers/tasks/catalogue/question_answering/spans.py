"""Loss and measure of spans in windows. Needs torch."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Self

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers.data.rows import Rows
from workers.data.tokens import Tokens
from workers.hyperparameters import Hyperparameters
from workers.tasks.catalogue.question_answering.answers import Language, exact_match, f1_token
from workers.tasks.catalogue.question_answering.windows import BEGINS, ENDS
from workers.tasks.criterion import IGNORED, ROLES


def span_loss(outputs: Tensor, targets: Tensor, hyperparameters: Hyperparameters) -> Tensor:
    """Mean of the cross-entropies of begin and end over a window's candidates, in nats, summed over the windows.

    Args:
        outputs: logits `[rows, tokens, 2]`.
        targets: `[rows, tokens]`, bits of what a candidate is, `IGNORED` for other tokens.
        hyperparameters: of which label smoothing counts.
    """
    smoothing = hyperparameters.label_smoothing
    candidate = targets != IGNORED
    role = targets.where(candidate, 0) % ROLES
    total = outputs.new_zeros(())
    for side, bit in enumerate((BEGINS, ENDS)):
        # The smallest number, not −∞: rows that pad a pack have no candidate, and would have no softmax.
        logits = outputs[..., side].masked_fill(~candidate, torch.finfo(outputs.dtype).min)
        likely = logits.log_softmax(-1).masked_fill(~candidate, 0.0)
        wanted = likely.masked_fill((role // bit) % 2 == 0, 0.0).sum()
        even = (likely.sum(-1) / candidate.sum(-1).clamp(min=1)).sum()
        total = total - (1 - smoothing) * wanted - smoothing * even
    return total / 2


@dataclass(frozen=True)
class Wanted:
    """What the answers to one split's questions are read from and compared with.

    `contexts` and `right` answers `[examples]`; the windows' `examples` `[windows]` and `offsets` `[windows + 1]`; the
    `spans` of their tokens `[tokens, 2]`.
    """

    contexts: tuple[str, ...]
    right: tuple[tuple[str, ...], ...]
    examples: NDArray[np.int32]
    offsets: NDArray[np.int64]
    spans: NDArray[np.int32]
    language: Language
    longest: int

    @classmethod
    def of(cls, rows: Rows, tokens: Tokens, language: Language, longest: int) -> Wanted:
        """Of a split's rows and their windows."""
        assert rows.pairs is not None
        assert tokens.examples is not None
        assert tokens.spans is not None
        right = tuple(
            tuple(context[begin:end] for begin, end in spans.reshape(-1, 2))
            for context, spans in zip(rows.pairs, rows.targets, strict=True)
        )
        return cls(rows.pairs, right, tokens.examples, tokens.offsets, tokens.spans, language, longest)


class AnswerMeasure:
    """F1 and exact match of the likeliest answer of each question over all of its windows, and the loss of windows.

    An answer's score is the sum of its begin's and its end's logit; none is given where that of the window's own token
    is higher in every window, in data that have questions without an answer.
    """

    def __init__(self, wanted: Wanted) -> None:
        examples = len(wanted.contexts)
        self._wanted = wanted
        self._score = np.full(examples, -np.inf)  # of the likeliest answer
        self._answer = np.zeros((examples, 2), dtype=np.int64)  # its first character and end
        self._none = np.full(examples, np.inf)  # score of no answer, inf where no window was seen
        self._loss, self._windows = 0.0, 0

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in logits `[rows, tokens, 2]` and targets `[rows, tokens]`, which number their windows."""
        self._loss += float(span_loss(outputs.double(), targets, Hyperparameters()))
        self._windows += len(targets)
        scores, codes = outputs.double().cpu().numpy(), targets.cpu().numpy()
        windows, spans, none = spans_of_windows(self._wanted, codes)
        inside = spans[..., 1] > 0
        empty = np.where(none, scores.sum(-1), -np.inf).max(-1)
        best, first, last = likeliest(scores, inside, self._wanted.longest)
        rows = np.arange(len(windows))
        found = np.stack([spans[rows, first, 0], spans[rows, last, 1]], axis=-1)
        for row, example in enumerate(self._wanted.examples[windows]):
            self._take(int(example), best[row], found[row], empty[row])

    def _take(self, example: int, score: float, answer: NDArray[np.int64], none: float) -> None:
        # Equal scores: the answer that stands first, whatever the order of the windows.
        if (score, *-answer) > (self._score[example], *-self._answer[example]):
            self._score[example], self._answer[example] = score, answer
        self._none[example] = min(self._none[example], none)

    def merge(self, other: Self) -> None:
        """Take in the windows of another part."""
        for example in np.flatnonzero(other._none < np.inf):
            self._take(int(example), other._score[example], other._answer[example], other._none[example])
        self._loss += other._loss
        self._windows += other._windows

    def result(self) -> dict[str, float]:
        """The metrics of all questions of which a window was seen."""
        seen = np.flatnonzero(self._none < np.inf).tolist()
        given = self.answers()
        right, language = self._wanted.right, self._wanted.language
        f1 = [f1_token(given[one], right[one], language) for one in seen]
        exact = [exact_match(given[one], right[one], language) for one in seen]
        return {
            "f1_token": float(np.mean(f1)),
            "exact_match": float(np.mean(exact)),
            "loss": self._loss / self._windows,
        }

    def answers(self) -> Sequence[str]:
        """The answer `[examples]` to each question, empty where there is none."""
        may_be_none = any(not one for one in self._wanted.right)
        silent = (self._none > self._score) if may_be_none else np.zeros(len(self._none), dtype=bool)
        places = zip(self._wanted.contexts, self._answer, silent, strict=True)
        return ["" if nothing else context[begin:end].strip() for context, (begin, end), nothing in places]


def spans_of_windows(
    wanted: Wanted, codes: NDArray[np.int64]
) -> tuple[NDArray[np.int64], NDArray[np.int64], NDArray[np.bool_]]:
    """Of a batch's targets `[rows, tokens]`: the windows `[rows]`, the spans of characters of their tokens
    `[rows, tokens, 2]`, [0, 0] outside of the context, and the tokens `[rows, tokens]` that stand for no answer."""
    windows = codes.max(-1) // ROLES
    spans = np.zeros((*codes.shape, 2), dtype=np.int64)
    for row, window in enumerate(windows):
        begin, end = wanted.offsets[window : window + 2]
        spans[row, : end - begin] = wanted.spans[begin:end]
    return windows, spans, (codes != IGNORED) & ~(spans[..., 1] > 0)


def likeliest(
    scores: NDArray[np.float64], inside: NDArray[np.bool_], longest: int
) -> tuple[NDArray[np.float64], NDArray[np.int64], NDArray[np.int64]]:
    """Score, first and last token `[rows]` of the likeliest span of at most `longest` tokens.

    Args:
        scores: of begin and end `[rows, tokens, 2]`.
        inside: tokens of the context `[rows, tokens]`, no others are in a span.
        longest: tokens of a span.
    """
    masked = np.where(inside[..., None], scores, -np.inf)
    rows, tokens = inside.shape
    best, first, last = np.full(rows, -np.inf), np.zeros(rows, dtype=np.int64), np.zeros(rows, dtype=np.int64)
    every = np.arange(rows)
    for more in range(min(longest, tokens)):
        sums = masked[:, : tokens - more, 0] + masked[:, more:, 1]
        at = sums.argmax(-1)
        better = sums[every, at] > best
        best = np.where(better, sums[every, at], best)
        first, last = np.where(better, at, first), np.where(better, at + more, last)
    return best, first, last
