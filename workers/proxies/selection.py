"""Which documents to keep before mixing: by perplexity (METHODS.md row 76) or by what a target gains (row 55)."""

from __future__ import annotations

import copy
from typing import TYPE_CHECKING

import numpy as np
import torch
from numpy.typing import NDArray
from torch.nn import functional

from workers.assignment import Decision, Report
from workers.proxies.corpus import END, Corpus, Documents
from workers.proxies.sampling import mixture
from workers.proxies.spec import ProxyAssignment
from workers.proxies.training import quality, train

if TYPE_CHECKING:
    from transformers import PreTrainedModel

TUNING = 0.25  # steps of the tuning on the target, relative to those of the prior model
TUNING_RATE = 0.3  # peak rate of the tuning, likewise: at the full rate the model forgets more than it learns
_ROWS = 256  # documents scored at once


def select(given: ProxyAssignment, corpus: Corpus, prior: PreTrainedModel) -> dict[str, list[int]]:
    """Indices of the documents to keep in each domain: `keep` of them, those with the lowest score.

    `prior` was trained on the natural mixture.
    """
    assert given.filter is not None
    keep = given.filter.keep
    return {domain: lowest(scores, keep) for domain, scores in document_scores(given, corpus, prior).items()}


def lowest(scores: NDArray[np.float64], share: float) -> list[int]:
    """Indices of exactly the lowest `share` (at least one), ascending."""
    count = max(1, round(share * len(scores)))
    return [int(index) for index in np.sort(np.argsort(scores, kind="stable")[:count])]


def document_scores(given: ProxyAssignment, corpus: Corpus, prior: PreTrainedModel) -> dict[str, NDArray[np.float64]]:
    """By domain: nats a token of each training document `[documents]` under a model of the natural mixture, and for
    `color_filter` its loss under that model tuned on the target minus its loss under the model itself."""
    assert given.filter is not None
    context = given.proxy.context
    found = {domain: _losses(prior, splits["train"], context) for domain, splits in corpus.splits.items()}
    if given.filter.method == "ppl_filter":
        return found
    tuned = _tuned(given, corpus, prior)
    return {domain: _losses(tuned, corpus.splits[domain]["train"], context) - found[domain] for domain in found}


def _tuned(given: ProxyAssignment, corpus: Corpus, prior: PreTrainedModel) -> PreTrainedModel:
    """The prior after a short training on equal shares of the target's domains."""
    tuned, spec = copy.deepcopy(prior), given.proxy
    even = dict.fromkeys(given.target, 1 / len(given.target))
    steps = max(1, round(TUNING * spec.steps))
    gentle = spec.model_copy(update={"learning_rate": TUNING_RATE * spec.learning_rate})
    read = mixture(corpus, even, steps * spec.batch, spec.context, given.seed + 1)
    ending = train(tuned, read, gentle, given, lambda: quality(tuned, corpus, given, ("validation",)), _quiet)
    if ending.status != "completed":
        raise ValueError(f"the model did not survive its tuning on the target: {ending.reason}")
    return tuned


def _quiet(_report: Report) -> Decision:
    return "continue"


@torch.no_grad()
def _losses(model: PreTrainedModel, documents: Documents, context: int) -> NDArray[np.float64]:
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
        sequences, mask = torch.from_numpy(rows).to(model.device), torch.from_numpy(real).to(model.device)
        logits = model(input_ids=sequences[:, :-1]).logits
        each = functional.cross_entropy(logits.flatten(0, 1), sequences[:, 1:].flatten(), reduction="none").view(
            mask.shape
        )
        found.append(((each * mask).sum(1) / mask.sum(1)).double().cpu().numpy())
    return np.concatenate(found)
