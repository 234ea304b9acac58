"""ROUGE-L (Lin, 2004): the longest common subsequence of words of an answer and its reference. Imports no torch."""

from __future__ import annotations

import re

_PARTS = re.compile(r"[^\W_]+|[\u3040-\u30ff\u3400-\u9fff]", re.UNICODE)
_NO_SPACES = re.compile(r"([\u3040-\u30ff\u3400-\u9fff])")


def rouge_l(answer: str, reference: str) -> float:
    """F1 of the longest common subsequence, 0 to 1; two texts without a word are equal.

    Words are runs of letters and digits of any script in lower case, and single signs where a script has no spaces
    (the package rouge-score knows `a` to `z` and digits alone; for such texts both give the same).
    """
    left, right = words(answer), words(reference)
    if not left or not right:
        return float(left == right)
    common = _common(left, right)
    return 2 * common / (len(left) + len(right))


def words(text: str) -> list[str]:
    """The words of a text."""
    return _PARTS.findall(_NO_SPACES.sub(r" \1 ", text.lower()))


def _common(left: list[str], right: list[str]) -> int:
    """Length of the longest common subsequence, by one row of its table at a time."""
    row = [0] * (len(right) + 1)
    for word in left:
        diagonal = 0
        for place, other in enumerate(right, start=1):
            above = row[place]
            row[place] = diagonal + 1 if word == other else max(above, row[place - 1])
            diagonal = above
    return row[-1]
