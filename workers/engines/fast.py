"""The fast engine: the reference's mathematics with the waste removed.

What is gone: the frozen layers below the lowest trained one (their outputs are stored once and read back, over epochs
and trials), the tokens of the last layer that the head never sees, and the optimizer's per-tensor overhead.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import ExitStack, contextmanager

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor
from torch.nn.functional import cross_entropy

from workers.checkpoints import random_states, restore_random_states
from workers.engines.accumulation import add_gradients
from workers.engines.batches import EVALUATION_TOKENS, Rows, token_budget_batches
from workers.engines.course import TrainStep, extra_state, in_row_order
from workers.engines.flat_adamw import FlatAdamW
from workers.engines.inputs import Inputs
from workers.engines.one_token import last_layer_for_one_token
from workers.engines.passes import Pass, WholePass, upper_passes
from workers.engines.precision import Precision, computing_in
from workers.engines.prefix_store import PrefixStore
from workers.engines.resident import ResidentBase
from workers.engines.updates import Updates
from workers.hyperparameters import Hyperparameters
from workers.methods.attached import Attached


class FastTrainee:
    """One attached model with its passes and its optimizer; answers the requests of a course."""

    def __init__(
        self,
        attached: Attached,
        train: Pass,
        validation: Pass,
        hyperparameters: Hyperparameters,
        precision: Precision = "fp32",
        strategy: Updates | None = None,
    ) -> None:
        self._attached, self._train, self._validation = attached, train, validation
        self._hyperparameters, self._precision = hyperparameters, precision
        self._updates: Updates = strategy or FlatAdamW(
            attached.parameters(), hyperparameters.weight_decay, attached.rate_factors()
        )

    def train_step(self, step: TrainStep) -> float:
        """One optimizer step; the mean loss over its rows, auxiliary loss included."""
        self._updates.begin(step.number, lambda: self._probe(step))
        total = add_gradients(step, self._loss)
        self._updates.clip(self._hyperparameters.max_grad_norm)
        self._updates.step(step.learning_rate)
        self._updates.forget(self._attached.after_step(step.number))
        self._updates.clear_gradients()
        return total

    @torch.no_grad()
    def evaluate(self) -> NDArray[np.float32]:
        """Validation logits `[rows, classes]`, in float32 always: what is reported must hold where it is reloaded."""
        batches = token_budget_batches(self._validation.inputs.lengths, EVALUATION_TOKENS)
        self._attached.set_training(False)
        logits = [self._validation.logits(rows).float() for rows in batches]
        self._attached.set_training(True)
        return in_row_order(torch.cat(logits), batches)

    def save(self) -> dict[str, Tensor]:
        """Parameters, moments and random states by name; the reference engine saves the same names."""
        extra = {f"extra/{name}": value for name, value in self._attached.extra_state().items()}
        return self._updates.save() | extra | random_states()

    def load(self, saved: dict[str, Tensor]) -> None:
        """Continue from what `save` returned."""
        self._updates.load(saved)
        self._attached.load_extra_state(extra_state(saved))
        restore_random_states(saved)

    @torch.no_grad()
    def _probe(self, step: TrainStep) -> float:
        """The loss of a step's rows as things are, in evaluation mode."""
        self._attached.set_training(False)
        losses = [self._loss(rows).item() * len(rows) for rows in step.micro_batches]
        self._attached.set_training(True)
        return sum(losses) / sum(len(rows) for rows in step.micro_batches)

    def release(self) -> None:
        """Give the parameters back their own memory."""
        self._updates.release()

    def _loss(self, rows: Rows) -> Tensor:
        with computing_in(self._precision, self._train.inputs.device.type):
            logits = self._train.logits(rows)
        targets = self._train.inputs.targets(rows)
        loss = cross_entropy(logits.float(), targets, label_smoothing=self._hyperparameters.label_smoothing)
        auxiliary = self._attached.auxiliary_loss()
        return loss if auxiliary is None else loss + auxiliary


@contextmanager
def fast_trainee(
    resident: ResidentBase,
    attached: Attached,
    train: Inputs,
    validation: Inputs,
    hyperparameters: Hyperparameters,
    store: PrefixStore,
    precision: Precision = "fp32",
    strategy: Updates | None = None,
) -> Iterator[FastTrainee]:
    """A trainee that skips every layer it may. On leaving, base and adapter are whole again."""
    with ExitStack() as undo:
        passes: tuple[Pass, Pass] | None = None
        if attached.lowest_layer < resident.base.description.anatomy.layers:
            undo.enter_context(last_layer_for_one_token(resident.base))
        if attached.lowest_layer > 0:
            passes = undo.enter_context(
                upper_passes(resident, attached.model, (train, validation), attached.lowest_layer, store, torch.float32)
            )
        if passes is None:  # nothing lies below, or no room for its states: the rest of the gain stays
            passes = (WholePass(attached.model, train), WholePass(attached.model, validation))
        trainee = FastTrainee(attached, *passes, hyperparameters, precision, strategy)
        try:
            yield trainee
        finally:
            trainee.release()
