"""Which sequences a proxy reads: domains in exact proportion, texts of a domain in the same order for every mixture.

Both keep noise out of comparisons: two mixtures differ in how much they read of a domain, not in which luck they had.
"""

from __future__ import annotations

from collections.abc import Iterator, Mapping

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from workers.proxies.corpus import Corpus, Documents


def batches(corpus: Corpus, weights: Mapping[str, float], size: int, context: int, seed: int) -> Iterator[Tensor]:
    """Endless batches `[size, context + 1]` of training tokens, mixed by `weights` (they sum to one).

    In every stretch of the run each domain's count is within one sequence of its share.
    """
    domains = [name for name, weight in weights.items() if weight > 0]
    shares = np.array([weights[name] for name in domains], dtype=np.float64)
    streams = [_windows(corpus.splits[name]["train"], context, _seed(seed, name)) for name in domains]
    owed = np.zeros(len(domains))
    while True:
        rows = []
        for _ in range(size):
            owed += shares
            chosen = int(np.argmax(owed))
            owed[chosen] -= 1.0
            rows.append(next(streams[chosen]))
        yield torch.from_numpy(np.stack(rows).astype(np.int64))


def windows(documents: Documents, context: int, most: int) -> Tensor:
    """Up to `most` sequences `[n, context + 1]` that cover the documents evenly, for evaluation."""
    length = context + 1
    whole = len(documents.tokens) // length
    if not whole:
        return torch.from_numpy(np.resize(documents.tokens, (1, length)).astype(np.int64))
    chosen = np.unique(np.linspace(0, whole - 1, min(most, whole)).astype(np.int64))
    return torch.from_numpy(
        np.stack([documents.tokens[n * length : (n + 1) * length] for n in chosen]).astype(np.int64)
    )


def _windows(documents: Documents, context: int, seed: list[int]) -> Iterator[NDArray[np.int32]]:
    """Sequences at random offsets, epoch after epoch without repetition within one."""
    rng, length = np.random.default_rng(seed), context + 1
    tokens = documents.tokens if len(documents.tokens) > 2 * length else np.resize(documents.tokens, 2 * length)
    while True:
        offset = int(rng.integers(length))
        for start in rng.permutation((len(tokens) - offset) // length):
            yield tokens[offset + start * length : offset + (start + 1) * length]


def _seed(seed: int, domain: str) -> list[int]:
    return [seed, *domain.encode()]
