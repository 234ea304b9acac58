"""Which documents to keep before mixing: by perplexity (METHODS.md row 76) or by what a target gains (row 55)."""

from __future__ import annotations

import copy
from collections.abc import Mapping, Sequence
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from workers.assignment import Decision
from workers.proxies.corpus import END, Corpus, Documents
from workers.proxies.model import Proxy
from workers.proxies.sampling import batches
from workers.proxies.spec import FilterSpec, ProxySpec
from workers.proxies.training import OnProgress, new_proxy, train

TUNING = 0.25  # steps of the tuning on the target, relative to those of the prior model
TUNING_RATE = 0.3  # peak rate of the tuning, likewise: at the full rate the model forgets more than it learns
_ROWS = 256  # documents scored at once
Method = Literal["ppl_filter", "color_filter"]


def select(
    corpus: Corpus, spec: ProxySpec, chosen: FilterSpec, target: Sequence[str], natural: Mapping[str, float],
    seed: int, on_progress: OnProgress,
) -> dict[str, list[int]]:  # fmt: skip
    """Indices of the documents to keep in each domain: `keep` of them, those with the lowest score."""
    scores = document_scores(corpus, spec, chosen.method, target, natural, seed, on_progress)
    return {domain: lowest(values, chosen.keep) for domain, values in scores.items()}


def lowest(scores: NDArray[np.float64], share: float) -> list[int]:
    """Indices of exactly the lowest `share` (at least one), ascending."""
    count = max(1, round(share * len(scores)))
    return [int(index) for index in np.sort(np.argsort(scores, kind="stable")[:count])]


def document_scores(
    corpus: Corpus, spec: ProxySpec, method: Method, target: Sequence[str], natural: Mapping[str, float],
    seed: int, on_progress: OnProgress,
) -> dict[str, NDArray[np.float64]]:  # fmt: skip
    """By domain: nats a token of each training document `[documents]` under a model of the natural mixture, and for
    `color_filter` its loss under that model tuned on the target minus its loss under the model itself."""
    prior = new_proxy(spec, corpus.vocabulary, seed)
    train(prior, batches(corpus, natural, spec.batch, spec.context, seed), spec, dict, on_progress)
    trained = {domain: _losses(prior, splits["train"], spec.context) for domain, splits in corpus.splits.items()}
    if method == "ppl_filter":
        return trained
    tuned = copy.deepcopy(prior)
    even = dict.fromkeys(target, 1 / len(target))
    steps = max(1, round(TUNING * spec.steps))
    gentle = spec.model_copy(update={"learning_rate": TUNING_RATE * spec.learning_rate})
    train(tuned, batches(corpus, even, spec.batch, spec.context, seed + 1), gentle, dict, _quiet, steps)
    return {
        domain: _losses(tuned, splits["train"], spec.context) - trained[domain]
        for domain, splits in corpus.splits.items()
    }


def _quiet(_step: int, _seconds: float, _metrics: dict[str, float]) -> Decision:
    return "continue"


@torch.no_grad()
def _losses(proxy: Proxy, documents: Documents, context: int) -> NDArray[np.float64]:
    """Nats a token over the first `context` tokens of each document `[documents]`."""
    found = []
    for at in range(0, len(documents), _ROWS):
        spans = [documents.starts[n : n + 2] for n in range(at, min(at + _ROWS, len(documents)))]
        length = min(context, max(int(end - start) for start, end in spans))
        rows = np.full((len(spans), length + 1), END, dtype=np.int64)
        real = np.zeros((len(spans), length), dtype=bool)
        for row, (start, end) in enumerate(spans):
            piece = documents.tokens[start : min(end, start + length)]
            rows[row, 1 : 1 + len(piece)] = piece  # behind the end of the document before
            real[row, : len(piece)] = True
        sequences, mask = torch.from_numpy(rows), torch.from_numpy(real)
        logits = proxy(sequences[:, :-1])
        each = functional.cross_entropy(logits.flatten(0, 1), sequences[:, 1:].flatten(), reduction="none").view(
            mask.shape
        )
        found.append(((each * mask).sum(1) / mask.sum(1)).double().numpy())
    return np.concatenate(found)
