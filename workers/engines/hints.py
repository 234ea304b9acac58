"""Training images with hints of what the base confuses, in the patches that training dwells on. Needs torch.

Hint-Aug (Yu et al. 2023, arXiv 2304.12520) for few-shot tuning of a vision transformer. Certain: patches are detected
by how attention differs between the tuned model and the untouched base, at most a few of an image; they are moved by a
perturbation that leads towards the classes which the base takes for the image's own, within a bound on each pixel; the
image keeps its label. Choices: attention is what a patch receives in the last layer, mean over heads and queries, and a
patch is detected where it has risen by a share of the mean; confusions are those of the nearest mean of a class among
the states that the base's head reads; the perturbation is one step of the sign of the gradient; both images of a row
count in one step, by a share.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.functional import normalize

from workers.engines.batches import RowIndices
from workers.engines.inputs import Inputs
from workers.engines.passes import WholePass, evaluation_batches
from workers.errors import InvalidInput
from workers.hyperparameters import Hyperparameters
from workers.methods.attached import Attached, Batch, logits_in
from workers.methods.head_states import HeadStates
from workers.models.loading import Base

_SHARPNESS = 10.0
"""By what cosines between states and means of classes are multiplied before they become shares of classes."""


@dataclass(frozen=True)
class BaseView:
    """What the untouched base sees in the training rows.

    Attributes:
        attention: what each patch receives, float32 `[rows, patches]`.
        hints: for which other classes it would take rows of a class, float32 `[classes, classes]`; 0 for the class
            itself, and each row sums to 1.
    """

    attention: Tensor
    hints: Tensor


def view_of(base: Base, train: Inputs) -> BaseView:
    """What a base without an adapter sees. Raises `InvalidInput` where its attention cannot be looked at."""
    whole = WholePass(base.model, train)
    anatomy = base.description.anatomy
    received = torch.zeros(len(train), anatomy.positions - anatomy.special_tokens)
    states: list[Tensor] = []
    order: list[RowIndices] = []
    with torch.no_grad(), HeadStates(base.model, anatomy.head) as head, watched(base) as attention:
        for rows in evaluation_batches(whole):
            whole.outputs(rows)
            received[torch.from_numpy(rows)] = attention.received().cpu()
            states.append(head.states.float())
            order.append(rows)
    targets = train.targets(np.concatenate(order))
    return BaseView(received.to(train.device), confusions(torch.cat(states), targets))


def confusions(states: Tensor, targets: Tensor) -> Tensor:
    """`BaseView.hints` of states `[rows, width]` with their classes `[rows]`."""
    centred = states - states.mean(0)
    of_class = torch.nn.functional.one_hot(targets).to(centred.dtype)  # [rows, classes]
    means = normalize(of_class.T @ centred, dim=-1)
    alike = _SHARPNESS * normalize(centred, dim=-1) @ means.T
    lacking = of_class.sum(0) == 0
    others = alike.masked_fill(of_class.bool() | lacking, -torch.inf).softmax(-1)
    return of_class.T @ others / of_class.sum(0).clamp(min=1)[:, None]


class PatchAttention:
    """What patches receive in the last layer of the passes that it watches."""

    def __init__(self, base: Base) -> None:
        anatomy = base.description.anatomy
        self._heads, self._scale, self._special = anatomy.heads, anatomy.head_size**-0.5, anatomy.special_tokens
        self._expected = anatomy.positions
        self.seen: dict[str, Tensor] = {}

    def received(self) -> Tensor:
        """float32 `[rows, patches]`; an image's whole tokens would sum to 1. Raises `InvalidInput` where a method has
        merged patches."""
        query, key = (self.seen[name].detach().float().unflatten(-1, (self._heads, -1)) for name in ("query", "key"))
        if query.shape[1] != self._expected:
            found = f"a method under which the last layer has {query.shape[1]} of {self._expected} tokens"
            raise InvalidInput("hint_share", found, "0, or a method that keeps all patches of an image")
        scores = torch.einsum("rqhs,rkhs->rhqk", query, key) * self._scale
        received: Tensor = scores.softmax(-1).mean((1, 2))
        return received[:, self._special :]


@contextmanager
def watched(base: Base) -> Iterator[PatchAttention]:
    """Inside, the last layer's queries and keys are seen, of the base as it is then: with an adapter or without."""
    anatomy, attention = base.description.anatomy, PatchAttention(base)
    handles = []
    for group in ("query", "key"):
        names = [linear.name for linear in anatomy.linears if linear.groups == {group}]
        if not names or not anatomy.patch:
            found = f"a {anatomy.model_type} model"
            raise InvalidInput("hint_share", found, "0, or a vision transformer with a query and a key projection")
        module = base.model.get_submodule(base.description.path(anatomy.layers - 1, names[0]))

        def see(_module: nn.Module, _given: object, output: Tensor, group: str = group) -> None:
            attention.seen[group] = output

        handles.append(module.register_forward_hook(see))
    try:
        yield attention
    finally:
        for handle in handles:
            handle.remove()


def beside_hints(outputs: Callable[[nn.Module, Batch], Tensor]) -> Callable[[nn.Module, Batch], Tensor]:
    """What a step has to keep at once: the pass of the plain images beside one that gives the gradient of pixels."""

    def both(model: nn.Module, batch: Batch) -> Tensor:
        asked = {name: value.clone().requires_grad_(value.is_floating_point()) for name, value in batch.items()}
        return torch.cat([outputs(model, batch), outputs(model, asked)])

    return both


class Hints:
    """Makes the second image of each training row."""

    def __init__(
        self, base: Base, attached: Attached, train: Inputs, view: BaseView, hyperparameters: Hyperparameters
    ) -> None:
        self._base, self._attached, self._train, self._view = base, attached, train, view
        self._hyperparameters = hyperparameters

    def outputs(self, rows: RowIndices) -> Tensor:
        """The head's outputs `[rows, classes]` for the second images."""
        name = next(iter(self._train.batch(rows)))
        return logits_in(self._attached.model(**{name: self.images(rows)}))

    def images(self, rows: RowIndices) -> Tensor:
        """The second images `[rows, channels, height, width]`, in the numbers that the model reads.

        Only detected patches differ from the first ones, each pixel by at most `hint_bound` of the range of pixels.
        """
        name, plain = next(iter(self._train.batch(rows).items()))
        moved = plain.clone().requires_grad_()
        self._attached.set_training(False)
        try:
            with torch.enable_grad(), watched(self._base) as attention:
                likelihoods = logits_in(self._attached.model(**{name: moved})).float().log_softmax(-1)
                away = -(self._view.hints[self._train.targets(rows)] * likelihoods).sum()
                gradient = torch.autograd.grad(away, moved)[0]
        finally:
            self._attached.set_training(True)
        chosen = self._spread(self._detected(attention.received(), rows))
        low, high, bound = self._limits(plain)
        return torch.where(chosen, (plain - bound * gradient.sign()).clamp(low, high), plain)

    def _detected(self, received: Tensor, rows: RowIndices) -> Tensor:
        """The patches `[rows, patches]` whose attention has risen most, and far enough."""
        before = self._view.attention[torch.from_numpy(rows).to(received.device)]
        risen = (received - before) / before.mean(-1, keepdim=True)
        most = risen.topk(min(self._hyperparameters.hint_patches, risen.shape[1]), dim=-1)
        far = most.values > self._hyperparameters.hint_threshold
        return torch.zeros_like(risen, dtype=torch.bool).scatter(1, most.indices, far)

    def _spread(self, chosen: Tensor) -> Tensor:
        """Patches `[rows, patches]` as pixels `[rows, 1, height, width]`; behind the last whole patch nothing is."""
        anatomy = self._base.description.anatomy
        _, height, width = anatomy.input_shape
        (tall, wide), across = anatomy.patch, width // anatomy.patch[1]
        grid: Tensor = chosen.unflatten(1, (-1, across)).repeat_interleave(tall, 1).repeat_interleave(wide, 2)
        pixels = grid.new_zeros(len(grid), 1, height, width)
        pixels[:, 0, : grid.shape[1], : grid.shape[2]] = grid
        return pixels

    def _limits(self, plain: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The numbers of black, of white, and of the bound, each `[channels, 1, 1]`."""
        scale = self._train.scale
        assert scale is not None, "images come with the scale of their pixels"
        mean, spread = scale[0].to(plain.device), scale[1].to(plain.device)
        return -mean / spread, (255 - mean) / spread, 255 * self._hyperparameters.hint_bound / spread
