"""A few rows of numbers on which a small network learns what it learns from all rows. Needs torch.

Shen et al. 2023 (AST, arXiv 2310.10541) on Cazenavette et al. 2022 (MTT, arXiv 2203.11932). Certain: rows are fitted so
that a few steps on them lead from a point of an expert's trajectory to a later one; experts are kept smooth by a
clipped loss and a penalty on the gradient; rows begin as representative real ones. Choices: rows are features of texts,
which have no pixels to fit; the penalty is on the loss's gradient by the parameters; representative rows are those
nearest to the centres of clusters of their class.
"""

from __future__ import annotations

from dataclasses import dataclass

import torch
from torch import Tensor
from torch.nn import functional

Weights = tuple[Tensor, ...]
WIDTH = 32
EXPERTS, EPOCHS, RATE, BATCH = 4, 8, 0.3, 32
CLIP, PENALTY = 2.0, 0.1
ITERATIONS, INNER, AHEAD = 150, 8, 2


@dataclass(frozen=True)
class Data:
    """Features `[rows, width]` and classes `[rows]`."""

    inputs: Tensor
    classes: Tensor

    def take(self, rows: Tensor) -> Data:
        """The rows at `rows` [n]."""
        return Data(self.inputs[rows], self.classes[rows])


def drawn(inputs: int, width: int, classes: int, seed: int) -> Weights:
    """Weights of a network with one hidden layer as it begins."""
    draw = torch.Generator().manual_seed(seed)
    first = torch.randn(inputs, width, generator=draw) / inputs**0.5
    second = torch.randn(width, classes, generator=draw) / width**0.5
    return first, torch.zeros(width), second, torch.zeros(classes)


def logits(weights: Weights, inputs: Tensor) -> Tensor:
    """Scores `[rows, classes]`."""
    first, bias, second, last = weights
    return torch.tanh(inputs @ first + bias) @ second + last


def distilled(data: Data, per_class: int, seed: int) -> Data:
    """As many rows of each class, or as it has, fitted to the trajectories of experts on all rows."""
    classes = int(data.classes.max()) + 1
    tracks = [_expert(data, classes, 1000 * seed + number) for number in range(EXPERTS)]
    start = representative(data, per_class, seed)
    rows = start.inputs.clone().requires_grad_(True)
    rate = torch.tensor(RATE).log().requires_grad_(True)
    fit = torch.optim.Adam([{"params": [rows], "lr": 0.02}, {"params": [rate], "lr": 0.01}])
    draw = torch.Generator().manual_seed(seed)
    for _ in range(ITERATIONS):
        track = tracks[int(torch.randint(EXPERTS, (), generator=draw))]
        at = int(torch.randint(EPOCHS - AHEAD, (), generator=draw))
        weights: Weights = tuple(one.clone().requires_grad_(True) for one in track[at])
        begun, wanted = track[at], track[at + AHEAD]
        for _ in range(INNER):
            loss = functional.cross_entropy(logits(weights, rows), start.classes)
            slopes = torch.autograd.grad(loss, weights, create_graph=True)
            weights = tuple(one - rate.exp() * slope for one, slope in zip(weights, slopes, strict=True))
        fit.zero_grad()
        (_apart(weights, wanted) / _apart(begun, wanted)).backward()
        fit.step()
    return Data(rows.detach(), start.classes)


def _apart(left: Weights, right: Weights) -> Tensor:
    """The squared distance of two points."""
    return torch.stack([((one - other) ** 2).sum() for one, other in zip(left, right, strict=True)]).sum()


def _expert(data: Data, classes: int, seed: int) -> list[Weights]:
    """The weights at the beginning and behind each epoch of a smooth training on all rows."""
    weights = tuple(one.requires_grad_(True) for one in drawn(data.inputs.shape[1], WIDTH, classes, seed))
    draw, track = torch.Generator().manual_seed(seed), [tuple(one.detach().clone() for one in weights)]
    for _ in range(EPOCHS):
        for rows in torch.randperm(len(data.classes), generator=draw).split(BATCH):
            part = data.take(rows)
            each = functional.cross_entropy(logits(weights, part.inputs), part.classes, reduction="none")
            loss = each.clamp(max=CLIP).mean()
            slopes = torch.autograd.grad(loss, weights, create_graph=True)
            whole = loss + PENALTY * sum((slope**2).sum() for slope in slopes)
            for one, slope in zip(weights, torch.autograd.grad(whole, weights), strict=True):
                one.data -= RATE * slope
        track.append(tuple(one.detach().clone() for one in weights))
    return track


def representative(data: Data, per_class: int, seed: int) -> Data:
    """Of each class the rows nearest to the centres of as many clusters."""
    from sklearn.cluster import KMeans

    kept = []
    for one in data.classes.unique():
        own = (data.classes == one).nonzero()[:, 0]
        clusters = KMeans(min(per_class, len(own)), n_init=1, random_state=seed).fit(data.inputs[own].numpy())
        near = torch.cdist(torch.from_numpy(clusters.cluster_centers_).float(), data.inputs[own])
        kept.append(own[near.argmin(1)])
    return data.take(torch.cat(kept))


def random_rows(data: Data, per_class: int, seed: int) -> Data:
    """As many rows of each class, at random."""
    draw = torch.Generator().manual_seed(seed)
    kept = []
    for one in data.classes.unique():
        own = (data.classes == one).nonzero()[:, 0]
        kept.append(own[torch.randperm(len(own), generator=draw)[:per_class]])
    return data.take(torch.cat(kept))
