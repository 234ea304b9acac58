"""The reference engine: plain PyTorch around a Hugging Face model. Every method works on it; others must equal it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from workers.checkpoints import random_states, restore_random_states
from workers.engines.accumulation import add_gradients
from workers.engines.batches import EVALUATION_TOKENS, Rows, token_budget_batches
from workers.engines.course import TrainStep, extra_state, in_row_order
from workers.engines.inputs import Inputs
from workers.engines.precision import Precision
from workers.engines.torch_adamw import TorchAdamW
from workers.engines.updates import Updates
from workers.hyperparameters import Hyperparameters
from workers.methods.attached import Attached


class ReferenceTrainee:
    """One attached model with its data and its AdamW or training strategy; answers the requests of a course."""

    def __init__(
        self,
        attached: Attached,
        train: Inputs,
        validation: Inputs,
        hyperparameters: Hyperparameters,
        precision: Precision = "fp32",
        strategy: Updates | None = None,
    ) -> None:
        self._attached, self._train, self._validation = attached, train, validation
        self._hyperparameters, self._precision = hyperparameters, precision
        self._updates: Updates = strategy or TorchAdamW(
            attached.parameters(), hyperparameters.weight_decay, attached.rate_factors()
        )

    def train_step(self, step: TrainStep) -> float:
        """One optimizer step; the mean loss over its rows, auxiliary loss included."""
        self._updates.begin(step.number, lambda: self._probe(step))
        total = self._gradients(step)
        self._updates.clip(self._hyperparameters.max_grad_norm)
        self._updates.step(step.learning_rate)
        self._updates.forget(self._attached.after_step(step.number))
        self._updates.clear_gradients()
        return total

    @torch.no_grad()
    def evaluate(self) -> NDArray[np.float32]:
        """Validation logits `[rows, classes]`, in float32 always: what is reported must hold where it is reloaded."""
        batches = token_budget_batches(self._validation.lengths, EVALUATION_TOKENS)
        self._attached.set_training(False)
        logits = [self._attached.model(**self._validation.batch(rows)).logits.float() for rows in batches]
        self._attached.set_training(True)
        return in_row_order(torch.cat(logits), batches)

    def save(self) -> dict[str, Tensor]:
        """Parameters, moments and random states by name; the fast engine saves the same names."""
        extra = {f"extra/{name}": value for name, value in self._attached.extra_state().items()}
        return self._updates.save() | extra | random_states()

    def load(self, saved: dict[str, Tensor]) -> None:
        """Continue from what `save` returned."""
        self._updates.load(saved)
        self._attached.load_extra_state(extra_state(saved))
        restore_random_states(saved)

    def _gradients(self, step: TrainStep) -> float:
        return add_gradients(step, self._loss)

    @torch.no_grad()
    def _probe(self, step: TrainStep) -> float:
        """The loss of a step's rows as things are, in evaluation mode."""
        self._attached.set_training(False)
        losses = [self._loss(rows).item() * len(rows) for rows in step.micro_batches]
        self._attached.set_training(True)
        return sum(losses) / sum(len(rows) for rows in step.micro_batches)

    def _loss(self, rows: Rows) -> Tensor:
        with self._autocast():
            logits = self._attached.model(**self._train.batch(rows)).logits
        loss = cross_entropy(
            logits.float(), self._train.targets(rows), label_smoothing=self._hyperparameters.label_smoothing
        )
        auxiliary = self._attached.auxiliary_loss()
        return loss if auxiliary is None else loss + auxiliary

    def _autocast(self) -> AbstractContextManager[object]:
        return torch.autocast(self._train.device.type, torch.bfloat16) if self._precision == "bf16" else nullcontext()
