"""Which sequences a proxy reads: domains in exact proportion, texts of a domain in the same order for every mixture.

Both keep noise out of comparisons: two mixtures differ in how much they read of a domain, not in which luck they had.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers.engines.batches import RowIndices
from workers.engines.inputs import Inputs
from workers.proxies.corpus import Corpus, Documents, Tokens
from workers.tasks.criterion import Criterion


@dataclass(frozen=True)
class Sequences:
    """Rows of a run, in their order: row i begins at token `starts[i]` of the text `texts[which[i]]`.

    A text `[tokens]` may be read in part, again, and from any offset, so rows take no memory of their own.
    """

    texts: tuple[Tokens, ...]
    which: NDArray[np.int64]  # [rows]
    starts: NDArray[np.int64]  # [rows]

    def __len__(self) -> int:
        return len(self.starts)

    def followed_by(self, other: Sequences) -> Sequences:
        """These rows, then those of `other`."""
        which = np.concatenate([self.which, other.which + len(self.texts)])
        return Sequences(self.texts + other.texts, which, np.concatenate([self.starts, other.starts]))


class Windows(Inputs):
    """Sequences as batches for a decoder: `context` tokens a row, none of them padding, each with the next as target.

    A batch is cut from the texts when it is asked for: they may be maps of files larger than the memory.
    """

    def __init__(self, sequences: Sequences, context: int, criterion: Criterion, device: str = "cpu") -> None:
        self._sequences, self._context = sequences, context
        self.criterion, self.device = criterion, torch.device(device)
        self.lengths = np.full(len(sequences), context, dtype=np.int64)
        self.weights = np.full(len(sequences), float(context))

    def batch(self, rows: RowIndices) -> dict[str, Tensor]:
        """`input_ids` int64 `[rows, context]`; no mask, since nothing is padded."""
        return {"input_ids": self._cut(rows, 0)}

    def targets(self, rows: RowIndices, length: int | None = None) -> Tensor:  # noqa: ARG002
        """The token behind each, int64 `[rows, context]`."""
        return self._cut(rows, 1)

    def _cut(self, rows: RowIndices, offset: int) -> Tensor:
        given, length = self._sequences, self._context
        starts = given.starts[rows] + offset
        pieces = [given.texts[n][at : at + length] for n, at in zip(given.which[rows], starts, strict=True)]
        return torch.from_numpy(np.stack(pieces).astype(np.int64)).to(self.device)


def mixture(corpus: Corpus, weights: Mapping[str, float], rows: int, context: int, seed: int) -> Sequences:
    """Training sequences of `context` tokens and one more, mixed by `weights` (they sum to one).

    In every stretch of them each domain's count is within one sequence of its share.
    """
    domains = [name for name, weight in weights.items() if weight > 0]
    shares = np.array([weights[name] for name in domains], dtype=np.float64)
    texts = tuple(_text(corpus.splits[name]["train"], context + 1) for name in domains)
    streams = [_starts(len(text), context + 1, _seed(seed, name)) for text, name in zip(texts, domains, strict=True)]
    owed = np.zeros(len(domains))
    which, starts = np.empty(rows, dtype=np.int64), np.empty(rows, dtype=np.int64)
    for row in range(rows):
        owed += shares
        chosen = int(np.argmax(owed))
        owed[chosen] -= 1.0
        which[row], starts[row] = chosen, next(streams[chosen])
    return Sequences(texts, which, starts)


def evenly(documents: Documents, context: int, most: int) -> Sequences:
    """Up to `most` sequences that cover the documents evenly, for evaluation."""
    length = context + 1
    whole = len(documents.tokens) // length
    text = documents.tokens if whole else np.resize(documents.tokens, length)
    chosen = np.unique(np.linspace(0, max(whole, 1) - 1, min(most, max(whole, 1))).astype(np.int64))
    return Sequences((text,), np.zeros(len(chosen), dtype=np.int64), chosen * length)


def _text(documents: Documents, length: int) -> Tokens:
    """The tokens of the documents, again and again where they do not make two sequences."""
    tokens = documents.tokens
    return tokens if len(tokens) > 2 * length else np.resize(tokens, 2 * length)


def _starts(tokens: int, length: int, seed: list[int]) -> Iterator[int]:
    """Sequences at random offsets, epoch after epoch without repetition within one."""
    rng = np.random.default_rng(seed)
    while True:
        offset = int(rng.integers(length))
        for number in rng.permutation((tokens - offset) // length):
            yield offset + int(number) * length


def _seed(seed: int, domain: str) -> list[int]:
    return [seed, *domain.encode()]
