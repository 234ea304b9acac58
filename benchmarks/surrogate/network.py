"""A transformer that reads measured trials and foretells others, without a step of training on them.

After Kirsch et al. 2022 (GPICL, arXiv 2212.04458) and Müller et al. 2022 (PFN, arXiv 2112.10510): tokens are trials,
(input, value) where it was measured; measured ones look at one another, asked ones at the measured ones. Certain: one
forward pass is the whole of the learning. Choices: a normal distribution is what it says; half of the tasks that it is
trained on are recorded ones, half draw their values from Gaussian processes over recorded inputs.
"""

from __future__ import annotations

import math
import time
from collections.abc import Sequence

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn import functional

from benchmarks.surrogate.recorded import Floats, Recorded
from optimizers.gp.outcomes import scaling
from predictors.matern import matern, squared_distances

WIDTH, LAYERS, HEADS, COLUMNS = 64, 2, 4, 48
TASKS, ASKED, LEAST, MOST = 12, 24, 4, 60  # of a step: tasks, asked trials, least and most measured ones
RATE, WARM = 1e-3, 0.05


class Surrogate(nn.Module):
    """Mean and log variance of asked trials, in units of the measured ones' spread."""

    def __init__(self) -> None:
        super().__init__()
        self.place = nn.Linear(COLUMNS, WIDTH)
        self.value = nn.Linear(1, WIDTH)
        self.asked = nn.Parameter(torch.zeros(WIDTH))
        layer = nn.TransformerEncoderLayer(WIDTH, HEADS, 2 * WIDTH, 0.0, "gelu", batch_first=True, norm_first=True)
        self.layers = nn.TransformerEncoder(layer, LAYERS, enable_nested_tensor=False)
        self.answer = nn.Sequential(nn.LayerNorm(WIDTH), nn.Linear(WIDTH, 2))

    def forward(self, inputs: Tensor, values: Tensor) -> tuple[Tensor, Tensor]:
        """Of `inputs [tasks, trials, COLUMNS]` the first have `values [tasks, measured]`; answers `[tasks, asked]`."""
        measured, trials = values.shape[1], inputs.shape[1]
        told = torch.cat([self.value(values[..., None]), self.asked.expand(len(inputs), trials - measured, -1)], 1)
        hidden = torch.zeros(trials, trials, dtype=torch.bool)
        hidden[:, measured:] = True
        out = self.answer(self.layers(self.place(inputs) + told, mask=hidden))[:, measured:]
        return out[..., 0], out[..., 1].clamp(-8, 4)


def trained(seen: Sequence[Recorded], steps: int, seed: int) -> Surrogate:
    """Meta-train on tables that are seen."""
    torch.manual_seed(seed)
    draw = np.random.default_rng(seed)
    model = Surrogate()
    optimizer = torch.optim.AdamW(model.parameters(), RATE, weight_decay=0.01)
    warm = max(1, round(WARM * steps))
    fall = torch.optim.lr_scheduler.LambdaLR(
        optimizer, lambda n: min(1.0, (n + 1) / warm) * 0.5 * (1 + math.cos(math.pi * n / steps))
    )
    begun, said = time.monotonic(), []
    for step in range(steps):
        inputs, values, wanted = _tasks(seen, draw)
        mean, log_variance = model(inputs, values)
        loss = functional.gaussian_nll_loss(mean, wanted, log_variance.exp())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(model.parameters(), 1.0)
        optimizer.step()
        fall.step()
        said.append(loss.item())
        if (step + 1) % 250 == 0:
            print(f"  {step + 1} steps, {time.monotonic() - begun:.0f} s: {np.mean(said[-250:]):.3f}", flush=True)
    return model.eval()


@torch.no_grad()
def foretold(model: Surrogate, measured: Floats, values: Floats, asked: Floats) -> Floats:
    """Expected values `[asked]`, of values as `scaling` has made them."""
    inputs = _padded(np.concatenate([measured, asked]))[None]
    mean, _ = model(torch.from_numpy(inputs), torch.from_numpy(values[None]).float())
    return np.asarray(mean[0].double().numpy())


def _tasks(seen: Sequence[Recorded], draw: np.random.Generator) -> tuple[Tensor, Tensor, Tensor]:
    """Inputs `[tasks, measured + asked, COLUMNS]`, values `[tasks, measured]` and `[tasks, asked]` of one step."""
    measured = int(np.exp(draw.uniform(np.log(LEAST), np.log(MOST))))
    inputs, values = [], []
    families = sorted({table.family for table in seen})
    for _ in range(TASKS):
        family = families[draw.integers(len(families))]
        table = (own := [one for one in seen if one.family == family])[draw.integers(len(own))]
        rows = draw.choice(len(table.values), min(measured + ASKED, len(table.values)), replace=False)
        rows = np.resize(rows, measured + ASKED)
        known = table.values[rows] if draw.random() < 0.5 else None
        x = table.inputs[rows]
        if known is None:
            x, known = _shuffled(x, draw), _drawn(x, draw)
        inputs.append(_padded(x))
        values.append(scaling(known[:measured])(known))
    both = torch.from_numpy(np.stack(values)).float().clamp(-6, 6)
    return torch.from_numpy(np.stack(inputs)), both[:, :measured], both[:, measured:]


def _drawn(inputs: Floats, draw: np.random.Generator) -> Floats:
    """Values of a Gaussian process over columns of which some do not matter."""
    lengths = np.exp(draw.normal(0.3, 0.8, inputs.shape[1])) * np.where(draw.random(inputs.shape[1]) < 0.3, 20, 1)
    x = inputs / lengths
    covariance = matern(squared_distances(x, x), 5) + 1e-6 * np.eye(len(x))
    noise = np.exp(draw.uniform(np.log(1e-3), np.log(0.3)))
    smooth = np.linalg.cholesky(covariance) @ draw.standard_normal(len(x))
    bent = np.exp(draw.uniform(0, 1) * smooth) if draw.random() < 0.5 else smooth
    return np.asarray(bent + noise * draw.standard_normal(len(x)))


def _shuffled(inputs: Floats, draw: np.random.Generator) -> Floats:
    """Columns in another order, so that drawn values teach no column's meaning."""
    places = draw.permutation(COLUMNS)[: inputs.shape[1]]
    found = np.zeros((len(inputs), COLUMNS))
    found[:, places] = inputs
    return found


def _padded(inputs: Floats) -> NDArray[np.float32]:
    found = np.zeros((len(inputs), COLUMNS), dtype=np.float32)
    found[:, : inputs.shape[1]] = inputs
    return found
