"""One attached model in training: the mathematics that the reference and the fast engine share.

They differ in how rows go through the model (a pass), in which number format, and in what makes a step of gradients.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import AbstractContextManager, nullcontext

import torch
from torch import Tensor

from workers.checkpoints import random_states, restore_random_states
from workers.engines.accumulation import add_gradients, weight_of
from workers.engines.batches import RowIndices
from workers.engines.course import TrainStep
from workers.engines.hints import Hints
from workers.engines.low_bit import multiplying, products_of
from workers.engines.neighbours import beside_neighbours
from workers.engines.passes import Pass, evaluation_batches, measure_in
from workers.engines.positions import DrawnPositions
from workers.engines.updates import Updates
from workers.hyperparameters import Hyperparameters
from workers.methods.attached import Attached
from workers.methods.head_states import HeadStates
from workers.tasks.losses import supervised_contrast

EXTRA = "extra/"  # where the method's own part of saved tensors is filed


class AttachedTrainee:
    """One attached model with its passes and what updates it; answers the requests of a course.

    `computing` opens the number format of a training pass.
    """

    def __init__(
        self,
        attached: Attached,
        passes: tuple[Pass, Pass],
        updates: Updates,
        hyperparameters: Hyperparameters,
        computing: Callable[[], AbstractContextManager[object]],
        positions: DrawnPositions | None = None,
        hints: Hints | None = None,
    ) -> None:
        self._attached, self._updates = attached, updates
        self._train, self._validation = passes
        self._hyperparameters, self._computing, self._positions = hyperparameters, computing, positions
        self._hints = hints
        self._products = products_of(hyperparameters)
        self._head = HeadStates(attached.model, attached.heads()) if hyperparameters.contrast > 0 else None

    def train_step(self, step: TrainStep) -> float:
        """One optimizer step; the mean loss over its targets, auxiliary loss included."""
        with nullcontext() if self._positions is None else self._positions.drawn_for(step.number):
            known = self._updates.begin(step.number, lambda: self._probe(step))
            total = self._gradients(step) if known is None else known
        self._updates.clip(self._hyperparameters.max_grad_norm)
        self._updates.step(step.learning_rate)
        self._updates.forget(self._attached.after_step(step.number))
        self._updates.clear_gradients()
        return total

    @torch.no_grad()
    def evaluate(self) -> dict[str, float]:
        """The metrics of the validation rows."""
        self._attached.set_training(False)
        metrics = self._measured()
        self._attached.set_training(True)
        return metrics

    def save(self) -> dict[str, Tensor]:
        """Parameters, moments and random states by name, which are the same on every engine."""
        extra = {f"{EXTRA}{name}": value for name, value in self._attached.extra_state().items()}
        return self._updates.save() | extra | random_states()

    def load(self, saved: dict[str, Tensor]) -> None:
        """Continue from what `save` returned."""
        self._updates.load(saved)
        extra = {name.removeprefix(EXTRA): value for name, value in saved.items() if name.startswith(EXTRA)}
        self._attached.load_extra_state(extra)
        restore_random_states(saved)

    def release(self) -> None:
        """Give the parameters back their own memory."""
        self._updates.release()

    def _gradients(self, step: TrainStep) -> float:
        """Add the gradients of the step's mean loss to the parameters; that mean."""
        return add_gradients(step, weight_of(step, self._train.inputs), self._loss)

    def _measured(self) -> dict[str, float]:
        batches = evaluation_batches(self._validation)
        if self._hyperparameters.neighbours == 0:
            return measure_in(self._validation, batches).result()
        with beside_neighbours(self._attached, self._train, self._hyperparameters):
            return measure_in(self._validation, batches).result()

    @torch.no_grad()
    def _probe(self, step: TrainStep) -> float:
        """The loss of a step's rows as things are, in evaluation mode."""
        self._attached.set_training(False)
        mean = self._total(step) / weight_of(step, self._train.inputs)
        self._attached.set_training(True)
        return mean

    def _total(self, step: TrainStep) -> float:
        return sum(self._loss(rows).item() for rows in step.micro_batches)

    def _loss(self, rows: RowIndices) -> Tensor:
        """The loss summed over the rows' targets; the method's own part counts for each of them."""
        train = self._train.inputs
        with self._computing(), multiplying(self._products), self._head or nullcontext():
            outputs = self._train.outputs(rows)
        loss = train.loss(outputs, rows, self._hyperparameters)
        if self._head is not None:
            contrast = supervised_contrast(self._head.states, train.targets(rows))
            loss = loss + self._hyperparameters.contrast * contrast * train.weight(rows)
        auxiliary = self._attached.auxiliary_loss()
        if auxiliary is not None:
            loss = loss + auxiliary * train.weight(rows)
        return loss if self._hints is None else self._beside_hints(loss, self._hints, rows)

    def _beside_hints(self, loss: Tensor, hints: Hints, rows: RowIndices) -> Tensor:
        """The loss with that of the rows' images that have hints in them, each by its share."""
        with self._computing():
            outputs = hints.outputs(rows)
        share = self._hyperparameters.hint_share
        return (1 - share) * loss + share * self._train.inputs.loss(outputs, rows, self._hyperparameters)
