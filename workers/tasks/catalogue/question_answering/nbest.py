"""The likeliest answers to each question with their scores, in the form of SQuAD's scripts. Needs torch.

Files and fields are those of transformers' `run_qa.py` (`postprocess_qa_predictions`): probabilities are a softmax over
the answers of a question; where data have questions without an answer, "" stands among them, its score the least that a
window gives it, and `null_odds.json` says by how much that is above the likeliest span's.
"""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import Any

import numpy as np
from numpy.typing import NDArray
from torch import Tensor

from workers.tasks.catalogue.question_answering.spans import Wanted, spans_of_windows

Logits = tuple[float, float]
"""Of an answer's begin and end; their sum is its score."""


@dataclass
class _Found:
    """What is known of a question so far: spans of characters, and no answer."""

    spans: dict[tuple[int, int], Logits] = field(default_factory=dict)
    none: Logits = (np.inf, np.inf)


class NBest:
    """The `most` likeliest spans of each question over all of its windows, a span of characters once."""

    def __init__(self, wanted: Wanted, names: tuple[str, ...], most: int) -> None:
        self._wanted, self._names, self._most = wanted, names, most
        self._found: dict[int, _Found] = {}

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in logits `[rows, tokens, 2]` and targets `[rows, tokens]`, which number their windows."""
        scores = outputs.double().cpu().numpy()
        windows, spans, none = spans_of_windows(self._wanted, targets.cpu().numpy())
        inside = spans[..., 1] > 0
        first, last = n_likeliest(scores, inside, self._wanted.longest, self._most)
        for row, example in enumerate(self._wanted.examples[windows].tolist()):
            one = self._found.setdefault(example, _Found())
            empty = scores[row][none[row]]
            if len(empty) and empty[0].sum() < sum(one.none):
                one.none = (float(empty[0, 0]), float(empty[0, 1]))
            for begin, end in zip(first[row].tolist(), last[row].tolist(), strict=True):
                if inside[row, begin] and inside[row, end]:
                    place = int(spans[row, begin, 0]), int(spans[row, end, 1])
                    logits = float(scores[row, begin, 0]), float(scores[row, end, 1])
                    one.spans[place] = max(one.spans.get(place, logits), logits, key=sum)
            one.spans = dict(sorted(one.spans.items(), key=lambda item: (-sum(item[1]), item[0]))[: self._most])

    def files(self) -> dict[str, Any]:
        """Of each question by its name: the answer, the likeliest ones, and how much likelier none is."""
        may_be_none = any(not one for one in self._wanted.right)
        answers, likeliest, odds = {}, {}, {}
        for example, one in sorted(self._found.items()):
            name, context = self._names[example], self._wanted.contexts[example]
            texts = [(context[begin:end].strip(), logits) for (begin, end), logits in one.spans.items()]
            best = texts[0] if texts else ("", one.none)
            answers[name] = best[0]
            if may_be_none:
                odds[name] = sum(one.none) - sum(best[1])
                answers[name] = "" if odds[name] > 0 else best[0]
                texts = sorted([*texts, ("", one.none)], key=lambda found: -sum(found[1]))
            likeliest[name] = _as_written(texts)
        files = {"predictions.json": answers, "nbest_predictions.json": likeliest}
        return files | ({"null_odds.json": odds} if may_be_none else {})


def _as_written(texts: list[tuple[str, Logits]]) -> list[dict[str, Any]]:
    scores = np.array([sum(logits) for _, logits in texts])
    shares = np.exp(scores - scores.max())
    return [
        {
            "text": text,
            "probability": float(share),
            "score": sum(logits),
            "start_logit": logits[0],
            "end_logit": logits[1],
        }
        for (text, logits), share in zip(texts, shares / shares.sum(), strict=True)
    ]


def n_likeliest(
    scores: NDArray[np.float64], inside: NDArray[np.bool_], longest: int, most: int
) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
    """First and last tokens `[rows, most]` of the likeliest spans of at most `longest` tokens, the likeliest first.

    Args:
        scores: of begin and end `[rows, tokens, 2]`.
        inside: tokens of the context `[rows, tokens]`; spans with others stand last.
        longest: tokens of a span.
        most: spans of a row; fewer where it has no more.
    """
    masked = np.where(inside[..., None], scores, -np.inf)
    rows, tokens = inside.shape
    sums = np.full((rows, min(longest, tokens), tokens), -np.inf)
    for more in range(sums.shape[1]):
        sums[:, more, : tokens - more] = masked[:, : tokens - more, 0] + masked[:, more:, 1]
    at = np.argsort(-sums.reshape(rows, -1), axis=1, kind="stable")[:, :most]
    beyond, first = np.divmod(at, tokens)
    return first, np.minimum(first + beyond, tokens - 1)
