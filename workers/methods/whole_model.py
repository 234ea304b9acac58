"""A model that is trained as a whole, with no adapter on it: `Attached` for what starts from random weights."""

from __future__ import annotations

from collections.abc import Mapping
from contextlib import AbstractContextManager
from pathlib import Path
from typing import TYPE_CHECKING

from torch import Tensor, nn

from workers.methods.attached import AdapterCard

if TYPE_CHECKING:
    from transformers import PreTrainedModel


class WholeModel:
    """All parameters of `model`, each counted once where the model ties them."""

    lowest_layer = 0

    def __init__(self, model: PreTrainedModel) -> None:
        self.model: nn.Module = model
        self._pretrained = model

    def parameters(self) -> dict[str, nn.Parameter]:
        """Every parameter by its name in the model."""
        return dict(self.model.named_parameters())

    def heads(self) -> dict[str, dict[str, nn.Parameter]]:
        """None that stands apart."""
        return {}

    def rate_factors(self) -> dict[str, float]:
        """All learn at one rate."""
        return {}

    def extra_state(self) -> dict[str, Tensor]:
        """Nothing besides the parameters."""
        return {}

    def load_extra_state(self, state: Mapping[str, Tensor]) -> None:
        """Nothing to take over."""

    def set_training(self, training: bool) -> None:
        """The same either way: the model has no dropout."""

    def auxiliary_loss(self) -> Tensor | None:
        """None."""
        return None

    def after_step(self, step: int) -> Mapping[str, Tensor]:  # noqa: ARG002
        """Nothing becomes something new."""
        return {}

    def tensors(self) -> dict[str, Tensor]:
        """Every weight by its name in the model."""
        return dict(self.model.state_dict())

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `save` wrote."""
        self.model.load_state_dict(dict(tensors))

    def save(self, folder: Path, card: AdapterCard) -> None:  # noqa: ARG002
        """A folder that `from_pretrained` opens; it needs no card, since it stands on no base."""
        self._pretrained.save_pretrained(folder)

    def without(self) -> AbstractContextManager[None]:
        """There is nothing below: raises `TypeError`."""
        raise TypeError("a model that is trained as a whole has no base")

    def detach(self) -> None:
        """Nothing to take off."""
