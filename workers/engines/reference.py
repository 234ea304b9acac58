"""The reference engine: plain PyTorch around a Hugging Face model. Every method works on it; others must equal it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn
from torch.nn.functional import cross_entropy
from torch.nn.utils import clip_grad_norm_

from workers.checkpoints import random_states, restore_random_states
from workers.engines.batches import Rows, token_budget_batches
from workers.engines.course import TrainStep, extra_state, in_row_order
from workers.engines.flat_adamw import forget_entries
from workers.engines.inputs import Inputs
from workers.engines.precision import Precision
from workers.hyperparameters import Hyperparameters
from workers.methods.attached import Attached

# A pass without gradients keeps one layer's activations, so a few thousand tokens fit anywhere and fill the cores.
EVALUATION_TOKENS = 4096


class ReferenceTrainee:
    """One attached model with its data and its AdamW; answers the requests of a course."""

    def __init__(
        self,
        attached: Attached,
        train: Inputs,
        validation: Inputs,
        hyperparameters: Hyperparameters,
        precision: Precision = "fp32",
    ) -> None:
        self._attached, self._train, self._validation = attached, train, validation
        self._hyperparameters, self._precision = hyperparameters, precision
        self._parameters = attached.parameters()
        self._optimizer = torch.optim.AdamW(self._groups(), lr=0.0)

    def train_step(self, step: TrainStep) -> float:
        """One optimizer step; the mean loss over its rows, auxiliary loss included."""
        rows_in_step = sum(len(rows) for rows in step.micro_batches)
        total = 0.0
        for rows in step.micro_batches:
            loss = self._loss(rows) * (len(rows) / rows_in_step)
            loss.backward()
            total += loss.item()
        if self._hyperparameters.max_grad_norm > 0:
            clip_grad_norm_(self._parameters.values(), self._hyperparameters.max_grad_norm)
        for group in self._optimizer.param_groups:
            group["lr"] = step.learning_rate * group["factor"]
        self._optimizer.step()
        for name, entries in self._attached.after_step(step.number).items():
            state = self._optimizer.state[self._parameters[name]]
            forget_entries(state["exp_avg"], state["exp_avg_sq"], entries)
        self._optimizer.zero_grad()
        return total

    @torch.no_grad()
    def evaluate(self) -> NDArray[np.float32]:
        """Validation logits `[rows, classes]`."""
        batches = token_budget_batches(self._validation.lengths, EVALUATION_TOKENS)
        self._attached.set_training(False)
        with self._autocast():
            logits = [self._attached.model(**self._validation.batch(rows)).logits.float() for rows in batches]
        self._attached.set_training(True)
        return in_row_order(torch.cat(logits), batches)

    def save(self) -> dict[str, Tensor]:
        """Parameters, moments and random states by name; the fast engine saves the same names."""
        saved = {f"parameter/{name}": p.detach().clone() for name, p in self._parameters.items()}
        steps = 0
        for name, parameter in self._parameters.items():
            state = self._optimizer.state[parameter]
            saved[f"mean/{name}"], saved[f"square/{name}"] = state["exp_avg"].clone(), state["exp_avg_sq"].clone()
            steps = int(state["step"])
        saved |= {f"extra/{name}": value for name, value in self._attached.extra_state().items()}
        return saved | {"steps": torch.tensor(steps)} | random_states()

    def load(self, saved: dict[str, Tensor]) -> None:
        """Continue from what `save` returned."""
        with torch.no_grad():
            for name, parameter in self._parameters.items():
                parameter.copy_(saved[f"parameter/{name}"])
                self._optimizer.state[parameter] = {
                    "step": saved["steps"].float(),
                    "exp_avg": saved[f"mean/{name}"].clone(),
                    "exp_avg_sq": saved[f"square/{name}"].clone(),
                }
        self._attached.load_extra_state(extra_state(saved))
        restore_random_states(saved)

    def _groups(self) -> list[dict[str, Any]]:
        """Parameters by whether they decay and by their multiple of the learning rate."""
        factors = self._attached.rate_factors()
        members: dict[tuple[bool, float], list[nn.Parameter]] = {}
        for name, parameter in self._parameters.items():
            # Weight decay is for matrices: decaying norms and biases pulls them to values that mean nothing.
            members.setdefault((parameter.ndim >= 2, factors.get(name, 1.0)), []).append(parameter)
        decay = self._hyperparameters.weight_decay
        return [
            {"params": own, "weight_decay": decay if matrices else 0.0, "factor": factor}
            for (matrices, factor), own in members.items()
        ]

    def _loss(self, rows: Rows) -> Tensor:
        with self._autocast():
            logits = self._attached.model(**self._train.batch(rows)).logits
        loss = cross_entropy(
            logits.float(), self._train.targets(rows), label_smoothing=self._hyperparameters.label_smoothing
        )
        auxiliary = self._attached.auxiliary_loss()
        return loss if auxiliary is None else loss + auxiliary

    def _autocast(self) -> AbstractContextManager[object]:
        return torch.autocast("cpu", torch.bfloat16) if self._precision == "bf16" else nullcontext()
