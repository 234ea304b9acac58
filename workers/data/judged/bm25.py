"""Documents ranked for queries by the words that they share: BM25 (Robertson et al. 1994), as Lucene weighs it.

k₁ 1.5 and b 0.75; words in lower case, not stemmed, none left out, so that it knows no language; signs of Chinese,
Japanese and Korean stand by themselves. Needs bm25s.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
from numpy.typing import NDArray

_WORDS = r"(?u)[\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]|[^\W\u3040-\u30ff\u3400-\u9fff\uac00-\ud7af]+"


class Bm25:
    """An index over documents `[documents]`."""

    def __init__(self, documents: Sequence[str]) -> None:
        import bm25s

        self._size = len(documents)
        self._index = bm25s.BM25(k1=1.5, b=0.75, method="lucene")
        words = _words(documents)
        self._empty = not any(len(one) for one in words.ids)
        if not self._empty:  # nothing to count
            self._index.index(words, show_progress=False)

    def scores(self, query: str) -> NDArray[np.float32]:
        """The score of every document `[documents]`, 0 where no word is shared."""
        if self._empty:
            return np.zeros(self._size, dtype=np.float32)
        known = self._index.vocab_dict
        words = [word for word in _words([query], ids=False)[0] if word in known]
        if not words:
            return np.zeros(self._size, dtype=np.float32)
        found: NDArray[np.float32] = np.asarray(self._index.get_scores(words), dtype=np.float32)
        return found

    def best(self, query: str, count: int) -> NDArray[np.int64]:
        """The `count` documents of the highest scores, best first; of equal scores those that come first."""
        return np.argsort(-self.scores(query), kind="stable")[:count]


def _words(texts: Sequence[str], ids: bool = True) -> Any:
    import bm25s

    return bm25s.tokenize(
        list(texts), token_pattern=_WORDS, stopwords=None, return_ids=ids, show_progress=False, leave=False
    )
