"""Averages of trained proxies: merged domain models in place of a mixture's own (METHODS.md row 52), soups (row 76).

Weights can be averaged because all proxies of a job start from one set of random weights and, for `merge_proxy`, share
the first part of their training.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence

import torch
from torch import Tensor

Weights = dict[str, Tensor]


def average(models: Sequence[Weights], shares: Sequence[float]) -> Weights:
    """Σ share · weight, parameter by parameter; shares are made to sum to one."""
    total = sum(shares)
    return {
        name: torch.stack([share / total * model[name] for model, share in zip(models, shares, strict=True)]).sum(0)
        for name in models[0]
    }


def greedy_soup(models: Sequence[Weights], loss: Callable[[Weights], float]) -> tuple[Weights, list[int]]:
    """Take models in turn, best first, each only where the average with it loses nothing (Wortsman et al. 2022).

    Returns the soup and the indices of its members. Never worse than `models[0]` by `loss`.
    """
    members = [0]
    best = loss(models[0])
    for index in range(1, len(models)):
        tried = loss(average([models[n] for n in (*members, index)], [1.0] * (len(members) + 1)))
        if tried <= best:
            members.append(index)
            best = tried
    return average([models[n] for n in members], [1.0] * len(members)), members
