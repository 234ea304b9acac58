"""Training a proxy on the common course, and measuring what it learnt of each domain."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from contextlib import nullcontext
from typing import TYPE_CHECKING, Self

import torch
from torch import Tensor, nn
from torch.nn.functional import cross_entropy

from workers.assignment import Artifact
from workers.checkpoints import Checkpoint
from workers.engines.course import Assigned, Ending, OnReport, Training, course, drive
from workers.engines.flat_adamw import FlatAdamW
from workers.engines.passes import WholePass, evaluation_batches, measure_in
from workers.engines.trainee import AttachedTrainee
from workers.hyperparameters import Hyperparameters
from workers.methods.whole_model import WholeModel
from workers.models.fresh import fresh_decoder
from workers.proxies.corpus import Corpus, Documents
from workers.proxies.sampling import Sequences, Windows, evenly, mixture
from workers.proxies.spec import ProxyAssignment, ProxySpec
from workers.tasks.criterion import Criterion
from workers.tasks.losses import classification_loss

if TYPE_CHECKING:
    from transformers import PreTrainedModel

WARM_UP = 0.05  # share of the steps
DECAY = 0.1  # of weights, not of biases and norms
EVALUATED = 64  # sequences of each domain
Measured = Callable[[], dict[str, float]]


class MeanLoss:
    """Mean cross-entropy in nats a token of logits `[rows, tokens, vocabulary]`."""

    def __init__(self) -> None:
        self._loss, self._tokens = 0.0, 0

    def add(self, outputs: Tensor, targets: Tensor) -> None:
        """Take in logits and the tokens `[rows, tokens]` that follow."""
        self._loss += float(cross_entropy(outputs.flatten(0, 1), targets.flatten(), reduction="sum"))
        self._tokens += targets.numel()

    def merge(self, other: Self) -> None:
        """Take in the rows of another part."""
        self._loss += other._loss
        self._tokens += other._tokens

    def result(self) -> dict[str, float]:
        """`loss` of all rows."""
        return {"loss": self._loss / self._tokens}


NEXT_TOKEN = Criterion("token", classification_loss, MeanLoss)


class ProxyTrainee(AttachedTrainee):
    """A proxy in training: all of its parameters learn, and `measure` says what it is worth."""

    def __init__(
        self, model: PreTrainedModel, train: Windows, hyperparameters: Hyperparameters, measure: Measured
    ) -> None:
        whole, rows = WholeModel(model), WholePass(model, train)
        updates = FlatAdamW(whole.parameters(), hyperparameters.weight_decay)
        super().__init__(whole, (rows, rows), updates, hyperparameters, nullcontext)
        self._measure = measure

    def _measured(self) -> dict[str, float]:
        return self._measure()


def new_proxy(spec: ProxySpec, vocabulary: int, seed: int, device: str = "cpu") -> PreTrainedModel:
    """A proxy with weights drawn from `seed`."""
    model = fresh_decoder(spec.layers, spec.width, spec.heads, spec.context, vocabulary, seed)
    nn.Module.to(model, device)  # typed, unlike the `to` that transformers wraps
    return model


def train(
    model: PreTrainedModel, sequences: Sequences, spec: ProxySpec, given: Assigned, measure: Measured,
    on_report: OnReport,
) -> Ending:  # fmt: skip
    """Train in place on the sequences in their order, once."""
    windows = Windows(sequences, spec.context, NEXT_TOKEN, str(model.device))
    hyperparameters = Hyperparameters(
        learning_rate=spec.learning_rate, batch_size=spec.batch, warmup_ratio=WARM_UP, schedule="cosine",
        weight_decay=DECAY,
    )  # fmt: skip
    # A proxy that is lost starts afresh: it never pauses, so it has no checkpoint.
    training = Training(
        given, hyperparameters, windows.lengths, windows.weights, _or_stop(on_report), _refuse, in_order=True
    )
    trainee = ProxyTrainee(model, windows, hyperparameters, measure)
    try:
        return drive(course(training), trainee)
    finally:
        trainee.release()


def _or_stop(on_report: OnReport) -> OnReport:
    return lambda report: "continue" if on_report(report) == "continue" else "stop"


def _refuse(_checkpoint: Checkpoint) -> Artifact:
    raise AssertionError("a proxy has no checkpoint")


def mixed(given: ProxyAssignment, corpus: Corpus) -> Sequences:
    """What a run reads: `shared_weights` for its `shared` share of the steps, first, and `weights` afterwards."""
    spec, seed = given.proxy, given.seed
    first = round(given.shared * spec.steps)
    then = mixture(
        corpus, given.weights, (spec.steps - first) * spec.batch, spec.context, seed + 1 if given.shared else seed
    )
    if not first:
        return then
    return mixture(corpus, given.shared_weights, first * spec.batch, spec.context, seed).followed_by(then)


def quality(model: PreTrainedModel, corpus: Corpus, given: ProxyAssignment, splits: Sequence[str]) -> dict[str, float]:
    """`loss` (the mean over the target's domains) and `loss.<domain>`; on the test split `test_loss` alike."""
    metrics: dict[str, float] = {}
    context, target = given.proxy.context, given.target
    for split in splits:
        name = "loss" if split == "validation" else f"{split}_loss"
        losses = {domain: _mean_loss(model, own[split], context) for domain, own in corpus.splits.items()}
        metrics[name] = sum(losses[domain] for domain in target) / len(target)
        metrics |= {f"{name}.{domain}": loss for domain, loss in losses.items()}
    return metrics


@torch.no_grad()
def _mean_loss(model: PreTrainedModel, documents: Documents, context: int) -> float:
    """Nats a token on up to 64 sequences."""
    windows = Windows(evenly(documents, context, EVALUATED), context, NEXT_TOKEN, str(model.device))
    rows = WholePass(model, windows)
    return measure_in(rows, evaluation_batches(rows)).result()["loss"]
