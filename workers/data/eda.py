"""EDA: altered copies of training rows, with four easy changes of their words. Imports neither torch nor transformers.

Wei & Zou 2019, "EDA: Easy Data Augmentation", arXiv 1901.11196. Certain: each copy has one change, in turn: words are
replaced, inserted, swapped or left out; α of a text's words are touched, at least one, and of what is left out each
word has the chance α. A choice: there is no table of synonyms for every language, so what replaces words or comes in
between is drawn from the words of training rows of the same class, as often as it stands there; in pairs, one of the
two texts is altered.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass

import numpy as np

from workers.data.rows import Rows

_Random = np.random.Generator
_Change = Callable[[list[str], int, Sequence[str], _Random], list[str]]


@dataclass(frozen=True)
class Eda:
    """How many altered copies of each row stand beside it, and the share of a text's words that a change touches."""

    copies: int
    share: float


def augmented(rows: Rows, eda: Eda, seed: int) -> Rows:
    """The rows, then their altered copies, with the targets of their originals. Texts are strings, targets classes."""
    random = np.random.default_rng([seed, eda.copies])
    words = _words_of_classes(rows)
    texts, pairs = list(rows.texts), None if rows.pairs is None else list(rows.pairs)
    for copy in range(eda.copies):
        for row, target in enumerate(rows.targets):
            change = _CHANGES[(row + copy) % len(_CHANGES)]
            second = pairs is not None and bool(random.integers(2))
            old = pairs[row] if pairs is not None and second else rows.texts[row]
            new = _changed(str(old), change, eda.share, words[int(target)], random)
            texts.append(rows.texts[row] if second else new)
            if pairs is not None:
                pairs.append(new if second else pairs[row])
    times = eda.copies + 1
    domains = None if rows.domains is None else rows.domains * times
    seconds = None if pairs is None else tuple(pairs)
    return Rows(tuple(texts), seconds, np.tile(rows.targets, times), domains=domains)


def _words_of_classes(rows: Rows) -> dict[int, list[str]]:
    found: dict[int, list[str]] = {}
    for place, target in enumerate(rows.targets):
        own = (rows.texts[place], *(() if rows.pairs is None else (rows.pairs[place],)))
        found.setdefault(int(target), []).extend(word for text in own for word in str(text).split())
    return found


def _changed(text: str, change: _Change, share: float, pool: Sequence[str], random: _Random) -> str:
    words = text.split()
    if not words:
        return text
    return " ".join(change(words, max(1, round(share * len(words))), pool, random))


def _replace(words: list[str], count: int, pool: Sequence[str], random: _Random) -> list[str]:
    for place in random.choice(len(words), min(count, len(words)), replace=False):
        words[place] = pool[int(random.integers(len(pool)))]
    return words


def _insert(words: list[str], count: int, pool: Sequence[str], random: _Random) -> list[str]:
    for _ in range(count):
        words.insert(int(random.integers(len(words) + 1)), pool[int(random.integers(len(pool)))])
    return words


def _swap(words: list[str], count: int, _pool: Sequence[str], random: _Random) -> list[str]:
    for _ in range(count):
        first, second = random.integers(len(words), size=2)
        words[first], words[second] = words[second], words[first]
    return words


def _leave_out(words: list[str], count: int, _pool: Sequence[str], random: _Random) -> list[str]:
    kept = [word for word in words if random.random() >= count / len(words)]
    return kept or [words[int(random.integers(len(words)))]]


_CHANGES: tuple[_Change, ...] = (_replace, _insert, _swap, _leave_out)
