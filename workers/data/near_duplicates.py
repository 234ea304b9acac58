"""Find texts that say nearly the same, exactly: Jaccard similarity of word trigrams at or above a threshold.

Prefix filtering (Chaudhuri et al. 2006, Bayardo et al. 2007): two sets can only reach the threshold if they share one
of their few rarest members, so only those are indexed. No false negatives, no randomness.
"""

from __future__ import annotations

import re
from collections import Counter, defaultdict
from collections.abc import Sequence
from math import ceil

_WORD = re.compile(r"[a-z]+")


def first_of_each(texts: Sequence[str], threshold: float) -> list[int]:
    """Indices of the texts to keep, ascending: each is less than `threshold` similar to every one kept before it.

    Digits, case and punctuation do not count; texts that differ in nothing else are duplicates.
    """
    sets = [_shingles(text) for text in texts]
    frequency = Counter(shingle for one in sets for shingle in one)
    index: dict[str, list[int]] = defaultdict(list)
    kept: list[int] = []
    for position, shingles in enumerate(sets):
        ordered = sorted(shingles, key=lambda shingle: (frequency[shingle], shingle))
        prefix = ordered[: len(ordered) - ceil(threshold * len(ordered)) + 1]
        candidates = {other for shingle in prefix for other in index[shingle]}
        if any(_jaccard(shingles, sets[other]) >= threshold for other in candidates):
            continue
        kept.append(position)
        for shingle in prefix:
            index[shingle].append(position)
    return kept


def _shingles(text: str) -> frozenset[str]:
    words = _WORD.findall(text.lower())
    if len(words) < 3:
        return frozenset([" ".join(words)])
    return frozenset(" ".join(words[start : start + 3]) for start in range(len(words) - 2))


def _jaccard(left: frozenset[str], right: frozenset[str]) -> float:
    shared = len(left & right)
    return shared / (len(left) + len(right) - shared)
