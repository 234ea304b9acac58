"""What a language model's head says of the tokens that are wanted, without logits of all positions at once.

Logits `[tokens, vocabulary]` of a batch are gigabytes. Here the head runs on positions with a target alone, a chunk at
a time, and of each chunk only three numbers per target stay. Where the head is frozen, the gradient of its input is
formed with the chunk's logits at hand (as Liger does, Hsu et al. 2024, arXiv 2410.10989): per target it is a multiple
of one vector, so the way back needs no logits either. Needs torch.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping
from dataclasses import dataclass, field
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.distributed.fsdp import FSDPModule
from torch.nn.functional import linear
from torch.utils.checkpoint import checkpoint

from workers.tasks.criterion import IGNORED

LIKELIHOOD, EVENNESS, HIT = range(3)
"""Places of a target's scores: its negative log-likelihood, the mean negative log-likelihood of all tokens of the
vocabulary (what label smoothing adds; both in nats), and whether it is the likeliest token (1 or 0)."""
_LOGITS = 1 << 23  # numbers in a chunk: 32 MiB
_COUNTS = 8  # sizes between one number of wanted positions and its double that captured passes have
_LOGITS_ON_GPU = 1 << 28  # 1 GiB: small products leave most of a GPU idle


def token_scores(
    model: nn.Module, batch: Mapping[str, Tensor], targets: Tensor, wanted: Tensor | None = None
) -> Tensor:
    """Scores `[rows, length, 3]` float32 of the tokens that should follow each position; zeros where none is wanted.

    Args:
        model: a causal language model of transformers, with or without an adapter on it.
        batch: its inputs.
        targets: token ids `[rows, length]` or `IGNORED`, of the last `length` positions that the model computes:
            prompts of adapters stand before them.
        wanted: which of the `rows · length` positions have a target, where the host knows it (`wanted_places`); else a
            GPU is waited for to find out how many these are.
    """
    owner: Any = model
    owner = owner.get_base_model() if hasattr(owner, "get_base_model") else owner
    head = owner.get_output_embeddings()
    before = vars(head).get("forward")
    if wanted is None:
        wanted = (targets != IGNORED).flatten().nonzero()[:, 0]
    scoring = _Scoring(head, head.forward, LogitForm.of(owner.config), targets, wanted)
    head.forward = scoring
    try:
        output = model(**batch)
    finally:
        del head.forward
        if before is not None:
            head.forward = before
    assert scoring.scores is not None
    # A sharded model gathers its outermost weights again when the gradient of its output arrives, so it must get one.
    return scoring.scores + output.logits.sum() if isinstance(model, FSDPModule) else scoring.scores


def wanted_places(targets: NDArray[np.bool_], few_counts: bool) -> NDArray[np.int64]:
    """Of which positions of a pass `[rows, length]` scores are wanted `[wanted]`, for `token_scores`.

    With `few_counts` the array is filled up to one of a few sizes with the number behind the last position, so that
    passes of like size have one shape.
    """
    places = np.flatnonzero(targets)
    step = max(1, (1 << (max(1, len(places)).bit_length() - 1)) // _COUNTS) if few_counts else 1
    filled = np.full(max(1, -(-len(places) // step)) * step, targets.size, dtype=np.int64)
    filled[: len(places)] = places
    return filled


def labelled_scores(model: nn.Module, batch: Mapping[str, Tensor]) -> Tensor:
    """The same of a batch that holds its targets as `labels`."""
    inputs = {name: value for name, value in batch.items() if name != "labels"}
    return token_scores(model, inputs, batch["labels"])


@dataclass(frozen=True)
class LogitForm:
    """What a family makes of the head's product: `scale` times it, then `cap` · tanh(it / `cap`) if there is one."""

    scale: float = 1.0
    cap: float | None = None

    @classmethod
    def of(cls, config: Any) -> LogitForm:
        """By the fields of Granite (`logits_scaling` divides), Cohere (`logit_scale`) and Gemma."""
        scale = getattr(config, "logit_scale", None) or 1.0
        return cls(
            scale / (getattr(config, "logits_scaling", None) or 1.0), getattr(config, "final_logit_softcapping", None)
        )

    def logits(self, product: Tensor) -> Tensor:
        """float32 logits from what the head's matrix gives."""
        scaled = product.float() * self.scale
        return scaled if self.cap is None else self.cap * torch.tanh(scaled / self.cap)


@dataclass
class _Scoring:
    """Stands for the head's `forward` in one pass."""

    head: nn.Module
    original: Callable[[Tensor], Tensor]
    form: LogitForm
    targets: Tensor
    wanted: Tensor
    scores: Tensor | None = field(default=None, init=False)

    def __call__(self, hidden: Tensor) -> Tensor:
        """Take in `[rows, positions, hidden]`; what goes on in place of logits is a zero for each position."""
        length, places = self.targets.shape[1], self.targets.numel()
        own = hidden[:, -length:].flatten(0, 1)
        # Numbers behind all places only fill the array of wanted ones: they compute something, which nobody sees.
        at = self.wanted.clamp(max=places - 1)
        targets = self.targets.flatten().index_select(0, at).clamp(min=0)
        found = self._scores(own.index_select(0, at), targets)
        empty = torch.zeros(places + 1, 3, device=hidden.device)
        self.scores = empty.index_copy(0, self.wanted, found)[:-1].view(*self.targets.shape, 3)
        return torch.zeros(*hidden.shape[:2], 1, device=hidden.device) + 0 * self.scores.sum()

    def _scores(self, hidden: Tensor, targets: Tensor) -> Tensor:
        """Scores `[targets, 3]` from hidden states `[targets, hidden]`."""
        head = self.head
        if type(head) is nn.Linear and self.form.cap is None and not any(p.requires_grad for p in head.parameters()):
            found: Tensor = _FrozenHead.apply(hidden * self.form.scale, targets, head.weight, head.bias)  # type: ignore[no-untyped-call]
            return found
        size = max(1, _LOGITS // self._vocabulary())
        parts = zip(hidden.split(size), targets.split(size), strict=True)
        return torch.cat([checkpoint(self._chunk, *part, use_reentrant=False) for part in parts])

    def _chunk(self, hidden: Tensor, targets: Tensor) -> Tensor:
        return _scores_of(self.form.logits(self.original(hidden)), targets)[0]

    def _vocabulary(self) -> int:
        return int(getattr(self.head, "out_features", 0) or next(self.head.parameters()).shape[0])


def _scores_of(logits: Tensor, targets: Tensor) -> tuple[Tensor, Tensor]:
    """Scores `[n, 3]` of logits `[n, vocabulary]`, and the logarithm of their sum of exponentials `[n, 1]`."""
    total = logits.logsumexp(-1, keepdim=True)
    likelihood = total - logits.gather(-1, targets[:, None])
    evenness = total - logits.mean(-1, keepdim=True)
    hit = logits.detach().argmax(-1, keepdim=True) == targets[:, None]
    return torch.cat([likelihood, evenness, hit.to(logits.dtype)], dim=-1), total


class _FrozenHead(torch.autograd.Function):
    """Scores of a frozen linear head. Logits are made once, the gradient of their input with them."""

    @staticmethod
    def forward(ctx: Any, hidden: Tensor, targets: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """From hidden states `[targets, hidden]` and the head's weight `[vocabulary, hidden]`."""
        kind = hidden.device.type
        number = torch.get_autocast_dtype(kind) if torch.is_autocast_enabled(kind) else hidden.dtype
        matrix, vector = weight.to(number), None if bias is None else bias.to(number)
        wants_gradient = ctx.needs_input_grad[0]
        found = torch.empty(len(targets), 3, device=hidden.device)
        gradients = torch.empty_like(hidden) if wants_gradient else None
        size = max(1, (_LOGITS if kind == "cpu" else _LOGITS_ON_GPU) // len(weight))
        with torch.autocast(kind, enabled=False):
            for start in range(0, len(targets), size):
                part, own = slice(start, start + size), targets[start : start + size]
                logits = linear(hidden[part].to(number), matrix, vector).float()
                found[part], total = _scores_of(logits, own)
                if gradients is not None:
                    shares = logits.sub_(total).exp_()  # softmax
                    shares[torch.arange(len(own), device=own.device), own] -= 1
                    gradients[part] = shares.to(number) @ matrix
        if gradients is not None:
            ctx.save_for_backward(gradients, weight[targets] - weight.mean(0))
        return found

    @staticmethod
    def backward(ctx: Any, gradient: Tensor) -> tuple[Tensor | None, ...]:
        """Of `[targets, 3]`: the evenness of a target differs from its likelihood by a row of the weight."""
        of_likelihood, row = ctx.saved_tensors
        both = gradient[:, LIKELIHOOD] + gradient[:, EVENNESS]
        found = both[:, None] * of_likelihood + gradient[:, EVENNESS, None] * row
        return found.to(of_likelihood.dtype), None, None, None
