"""What the untouched base says of a task's targets: computed once for all trials, and stored as prefixes are."""

from __future__ import annotations

import torch
from torch import nn
from torch.distributed.fsdp import FSDPModule

from workers.engines.batches import EVALUATION_TOKENS, token_budget_batches
from workers.engines.inputs import Inputs
from workers.engines.prefix_store import HiddenStates, PrefixStore
from workers.engines.resident import ResidentBase
from workers.models.token_scores import LIKELIHOOD, token_scores


def beside_base(resident: ResidentBase, inputs: Inputs, store: PrefixStore) -> Inputs:
    """The rows with the base's negative log-likelihood of each target where their task compares with it, in float32."""
    return inputs.beside(base_likelihoods(resident, inputs, store)) if inputs.criterion.frozen else inputs


def base_likelihoods(resident: ResidentBase, inputs: Inputs, store: PrefixStore) -> torch.Tensor:
    """The base's negative log-likelihoods `[tokens]`, 0 where a token has no target.

    The base must carry no adapter. Whoever comes first computes, other trials and processes read; what finds no room in
    the store is computed for this trial alone.
    """

    def compute(values: HiddenStates) -> None:
        _read(_whole(resident), inputs, values)

    key = (resident.weights_hash, inputs.content_hash, inputs.target_hash, "likelihood")
    stored = store.get_or_compute(key, inputs.lengths, 1, torch.float32, compute)
    if stored is None:
        return likelihoods_of(_whole(resident), inputs)
    return stored.flat()[:, 0].clone()


def beside_model(model: nn.Module, inputs: Inputs) -> Inputs:
    """The rows with the negative log-likelihoods of a model as it is now in place of the base's."""
    return inputs.beside(likelihoods_of(model, inputs))


def likelihoods_of(model: nn.Module, inputs: Inputs) -> torch.Tensor:
    """Negative log-likelihoods `[tokens]` of a model as it is now, 0 where a token has no target."""
    values = HiddenStates(torch.empty(int(inputs.lengths.sum()), 1), inputs.lengths)
    _read(model, inputs, values)
    return values.flat()[:, 0].clone()


def _whole(resident: ResidentBase) -> nn.Module:
    """The base, which no pack under way has divided: this rank alone cannot run a part of it."""
    if isinstance(resident.base.model, FSDPModule):
        raise RuntimeError("a base in parts cannot be asked, and the store had no room for what it said when whole")
    return resident.base.model


@torch.no_grad()
def _read(model: nn.Module, inputs: Inputs, values: HiddenStates) -> None:
    for rows in token_budget_batches(inputs.lengths, EVALUATION_TOKENS):
        scores = token_scores(model, inputs.batch(rows), inputs.targets(rows), inputs.wanted(rows))
        values.scatter(rows, scores[..., LIKELIHOOD, None])
