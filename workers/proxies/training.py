"""Training a proxy on a mixture and measuring what it learnt of each domain."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from itertools import islice

import torch
from torch import Tensor

from workers.assignment import Decision
from workers.engines.schedule import learning_rate_at
from workers.hyperparameters import Hyperparameters
from workers.proxies.corpus import Corpus
from workers.proxies.model import Proxy
from workers.proxies.sampling import batches, windows
from workers.proxies.spec import ProxySpec

REPORTS = 2  # evaluations of a run, evenly spaced
WARM_UP = 0.05  # share of the steps
EVALUATED = 64  # sequences of each domain
_ROWS = 64  # sequences evaluated at once
OnProgress = Callable[[int, float, dict[str, float]], Decision]  # step, seconds of training, metrics


@dataclass(frozen=True)
class Run:
    """How a training ended: after its last step, stopped, or `diverged` at a step."""

    steps: int
    seconds: float
    metrics: dict[str, float]
    ending: str  # completed, stopped or diverged


def new_proxy(spec: ProxySpec, vocabulary: int, seed: int) -> Proxy:
    """A proxy with weights drawn from `seed`."""
    torch.manual_seed(seed)
    return Proxy(spec, vocabulary)


def train(
    proxy: Proxy, batch_stream: Iterator[Tensor], spec: ProxySpec, measure: Callable[[], dict[str, float]],
    on_progress: OnProgress, steps: int | None = None,
) -> Run:  # fmt: skip
    """Train in place for `steps` (None: the spec's), measuring twice."""
    total = spec.steps if steps is None else steps
    schedule = Hyperparameters(learning_rate=spec.learning_rate, warmup_ratio=WARM_UP, schedule="cosine")
    optimizer = torch.optim.AdamW(proxy.parameters(), betas=(0.9, 0.95), weight_decay=0.1, foreach=True)
    due = {math.ceil(total * n / REPORTS) for n in range(1, REPORTS + 1)}
    seconds = 0.0
    metrics: dict[str, float] = {}
    losses: list[Tensor] = []
    for step, sequences in enumerate(islice(batch_stream, total), start=1):
        started = time.perf_counter()
        for group in optimizer.param_groups:
            group["lr"] = learning_rate_at(step + 1, total + 1, schedule, spec.batch * spec.context)
        optimizer.zero_grad(set_to_none=True)
        loss = proxy.loss(sequences)
        loss.backward()
        torch.nn.utils.clip_grad_norm_(proxy.parameters(), 1.0)
        optimizer.step()
        losses.append(loss.detach())
        seconds += time.perf_counter() - started
        if step in due:
            train_loss = float(torch.stack(losses).mean())
            if not math.isfinite(train_loss):
                return Run(step, seconds, metrics, "diverged")
            losses.clear()
            metrics = measure() | {"train_loss": train_loss}
            if on_progress(step, seconds, metrics) != "continue" and step < total:
                return Run(step, seconds, metrics, "stopped")
    return Run(total, seconds, metrics, "completed")


def mixed(
    corpus: Corpus, first: Mapping[str, float], share: float, then: Mapping[str, float], spec: ProxySpec, seed: int
) -> Iterator[Tensor]:
    """Batches of a run that reads `first` for a `share` of its steps and `then` afterwards."""
    if share:
        yield from islice(batches(corpus, first, spec.batch, spec.context, seed), round(share * spec.steps))
    yield from batches(corpus, then, spec.batch, spec.context, seed + 1 if share else seed)


def domain_losses(proxy: Proxy, corpus: Corpus, split: str, context: int) -> dict[str, float]:
    """Mean loss in nats a token on up to 64 sequences of each domain."""
    return {
        domain: _mean_loss(proxy, windows(splits[split], context, EVALUATED))
        for domain, splits in corpus.splits.items()
    }


def quality(
    proxy: Proxy, corpus: Corpus, target: Sequence[str], context: int, splits: Sequence[str]
) -> dict[str, float]:
    """`loss` (the mean over the target's domains) and `loss.<domain>`; on the test split `test_loss` alike."""
    metrics: dict[str, float] = {}
    for split in splits:
        name = "loss" if split == "validation" else f"{split}_loss"
        losses = domain_losses(proxy, corpus, split, context)
        metrics[name] = sum(losses[domain] for domain in target) / len(target)
        metrics |= {f"{name}.{domain}": loss for domain, loss in losses.items()}
    return metrics


@torch.no_grad()
def _mean_loss(proxy: Proxy, sequences: Tensor) -> float:
    parts = [(float(proxy.loss(rows)), len(rows)) for rows in sequences.split(_ROWS)]
    return sum(loss * rows for loss, rows in parts) / sum(rows for _, rows in parts)
