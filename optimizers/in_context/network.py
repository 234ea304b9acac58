"""A transformer that reads measured trials and foretells others, without a step of training on them.

After Kirsch et al. 2022 (GPICL, arXiv 2212.04458) and Müller et al. 2022 (PFN, arXiv 2112.10510): tokens are trials,
(input, value) where it was measured; measured ones look at one another, asked ones at the measured ones alone, so what
is said of one does not hang on the others. Certain: one forward pass is the whole of the learning. Choice: a normal
distribution is what it says.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

Floats = NDArray[np.float64]

WIDTH, LAYERS, HEADS = 64, 2, 4
RATE, WARM, DECAY = 1e-3, 0.05, 0.01
MOST_ASKED = 4096  # of one pass


@dataclass(frozen=True)
class Tasks:
    """Tasks of one step of the meta-training; all have as many trials."""

    measured: Floats  # [tasks, m, columns]
    values: Floats  # [tasks, m]: as `optimizers.gp.outcomes.scaling` has made them
    asked: Floats  # [tasks, k, columns]
    wanted: Floats  # [tasks, k]: on the scale of `values`


class Block(nn.Module):
    """Attention and a feed-forward network, each on normalised states and added to them."""

    def __init__(self) -> None:
        super().__init__()
        self.before, self.between = nn.LayerNorm(WIDTH), nn.LayerNorm(WIDTH)
        self.query, self.seen = nn.Linear(WIDTH, WIDTH), nn.Linear(WIDTH, 2 * WIDTH)
        self.out = nn.Linear(WIDTH, WIDTH)
        self.feed = nn.Sequential(nn.Linear(WIDTH, 2 * WIDTH), nn.GELU(), nn.Linear(2 * WIDTH, WIDTH))

    def forward(self, states: Tensor, context: Tensor) -> Tensor:
        """`states [tasks, n, WIDTH]` after a look at `context [tasks, m, WIDTH]`."""
        key, value = self.seen(self.before(context)).chunk(2, dim=-1)
        query = _heads(self.query(self.before(states)))
        looked = functional.scaled_dot_product_attention(query, _heads(key), _heads(value)).transpose(1, 2).flatten(2)
        states = states + self.out(looked)
        fed: Tensor = states + self.feed(self.between(states))
        return fed


class Network(nn.Module):
    """Mean and log variance of asked trials, in units of the measured ones' spread."""

    def __init__(self, columns: int) -> None:
        super().__init__()
        self.place, self.value = nn.Linear(columns, WIDTH), nn.Linear(1, WIDTH)
        self.asked = nn.Parameter(torch.zeros(WIDTH))
        self.blocks = nn.ModuleList(Block() for _ in range(LAYERS))
        self.answer = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 2))

    def forward(self, measured: Tensor, values: Tensor, asked: Tensor) -> tuple[Tensor, Tensor]:
        """Of `measured [tasks, m, columns]` with `values [tasks, m]`, for `asked [tasks, k, columns]`: `[tasks, k]`."""
        context = self.place(measured) + self.value(values[..., None])
        states = self.place(asked) + self.asked
        for block in self.blocks:
            states, context = block(states, context), block(context, context)
        mean, log_variance = self.answer(states).unbind(-1)
        return mean, log_variance.clamp(-8, 4)


def _heads(part: Tensor) -> Tensor:
    apart: Tensor = part.unflatten(-1, (HEADS, -1)).transpose(1, 2)
    return apart


def trained(
    columns: int, tasks: Callable[[], Tasks], steps: int, seed: int, each: Callable[[int, float], None] | None = None
) -> Network:
    """Meta-train on `steps` draws of `tasks`, on one thread and random numbers of its own; `each` is told number and
    loss of every step."""
    with _alone(seed):
        network = Network(columns)
        optimizer = torch.optim.AdamW(network.parameters(), RATE, weight_decay=DECAY)
        warm = max(1, round(WARM * steps))
        fall = torch.optim.lr_scheduler.LambdaLR(
            optimizer, lambda n: min(1.0, (n + 1) / warm) * 0.5 * (1 + math.cos(math.pi * n / steps))
        )
        for step in range(steps):
            drawn = tasks()
            mean, log_variance = network(*map(_tensor, (drawn.measured, drawn.values, drawn.asked)))
            loss = functional.gaussian_nll_loss(mean, _tensor(drawn.wanted), log_variance.exp())
            optimizer.zero_grad()
            loss.backward()
            nn.utils.clip_grad_norm_(network.parameters(), 1.0)
            optimizer.step()
            fall.step()
            if each is not None:
                each(step, loss.item())
    return network.eval()


@torch.no_grad()
def foretold(network: Network, measured: Floats, values: Floats, asked: Floats) -> tuple[Floats, Floats]:
    """Mean `[k]` and variance `[k]` at `asked [k, columns]`, given `values [m]` at `measured [m, columns]`."""
    parts = [
        network(*(_tensor(one)[None] for one in (measured, values, asked[start : start + MOST_ASKED])))
        for start in range(0, max(len(asked), 1), MOST_ASKED)
    ]
    mean, log_variance = (torch.cat(each, dim=1)[0].double() for each in zip(*parts, strict=True))
    return mean.numpy(), log_variance.exp().numpy()


@torch.no_grad()
def held_out_errors(network: Network, measured: Floats, values: Floats) -> Floats:
    """How far each of `values [m]` at `measured [m, columns]` lies from its mean given all others, `[m]`."""
    others = ~np.eye(len(values), dtype=bool)
    context = np.stack([measured[row] for row in others])
    told = np.stack([values[row] for row in others])
    mean, _ = network(_tensor(context), _tensor(told), _tensor(measured[:, None]))
    return np.asarray(values - mean[:, 0].double().numpy())


def _tensor(array: Floats) -> Tensor:
    return torch.from_numpy(np.asarray(array, dtype=np.float32))


@contextmanager
def _alone(seed: int) -> Iterator[None]:
    """One thread, as the trials need the other cores, and a random stream that `seed` begins; then torch as it was."""
    threads = torch.get_num_threads()
    with torch.random.fork_rng(devices=[]):
        torch.manual_seed(seed)
        torch.set_num_threads(1)
        try:
            yield
        finally:
            torch.set_num_threads(threads)
