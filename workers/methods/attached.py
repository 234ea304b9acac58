"""A method attached to a base model: what the training engines see. Imports no torch itself."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from contextlib import AbstractContextManager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, Protocol

from workers.models.heads import SEQUENCE, Head

if TYPE_CHECKING:
    from torch import Tensor, nn

Batch = Mapping[str, "Tensor"]


def logits_of(model: nn.Module, batch: Batch) -> Tensor:
    """float32 logits of a model for a batch that may hold `labels`, and the tasks of its rows, too."""
    from workers.models.row_tasks import read_by

    return logits_in(model(**read_by(model, batch))).float()


def logits_in(output: Any) -> Tensor:
    """The logits of a model's output; of a head for questions those of begin and end side by side, `[…, tokens, 2]`."""
    import torch

    if "start_logits" in output:
        return torch.stack([output.start_logits, output.end_logits], dim=-1)
    logits: Tensor = output.logits
    return logits


@dataclass(frozen=True)
class TrainingSetup:
    """What some methods must know before training: how long it will be, and what the data looks like.

    `batches(size)` iterates over training batches of `size` rows: dicts of `input_ids`, `attention_mask`
    (`token_type_ids`) [rows, tokens] and `labels`, the targets of the rows or of their tokens, and `task_ids` [rows]
    where rows are of several tasks.
    `loss(outputs, labels)` is the task's mean loss of the model's outputs for a batch, as `outputs(model, batch)` gives
    them. `knowledge(size)` iterates over batches of what the base can do already, where the job names such data.
    `stage_ends` are the steps behind which another of the row's tasks comes, and the last.
    """

    total_steps: int
    batches: Callable[[int], Iterable[Batch]]
    loss: Callable[[Tensor, Tensor], Tensor]
    outputs: Callable[[nn.Module, Batch], Tensor] = logits_of
    knowledge: Callable[[int], Iterable[Batch]] | None = None
    stage_ends: tuple[int, ...] = ()


class Attached(Protocol):
    """A base model with one adapter on it.

    `model` maps `input_ids`, `attention_mask` (`token_type_ids`) to an output whose `.logits` are those of the head.
    `lowest_layer` is the index of the lowest encoder layer whose computation the adapter changes: everything below it
    is as in the frozen base. It equals the number of layers when only the head is trained, and 0 when embeddings or
    the sequence itself change.
    """

    @property
    def model(self) -> nn.Module:
        """Base and adapter."""
        ...

    @property
    def lowest_layer(self) -> int:
        """The lowest layer that is not as in the frozen base."""
        ...

    def parameters(self) -> dict[str, nn.Parameter]:
        """Every trained parameter by a name that is stable across processes, the head included."""
        ...

    def heads(self) -> dict[str, dict[str, nn.Parameter]]:
        """The trained parameters of the head, by the base's name of their module and then by name inside it."""
        ...

    def rate_factors(self) -> dict[str, float]:
        """Multiples of the trial's learning rate, by the names of the parameters that have one other than 1."""
        ...

    def extra_state(self) -> dict[str, Tensor]:
        """What a checkpoint needs besides `parameters`, by name; usually nothing."""
        ...

    def load_extra_state(self, state: Mapping[str, Tensor]) -> None:
        """Take over what `extra_state` gave."""
        ...

    def set_training(self, training: bool) -> None:
        """Switch the adapter (never the base) between training and evaluation; it starts in training."""
        ...

    def auxiliary_loss(self) -> Tensor | None:
        """A regulariser to add to the training loss of the forward pass just done; never part of a metric."""
        ...

    def after_step(self, step: int) -> Mapping[str, Tensor]:
        """Called after each optimizer step (counted from 1) while gradients are still there.

        Returns by parameter name the flat indices of entries that stand for something new from now on: the optimizer
        forgets what it knew of them.
        """
        ...

    def tensors(self) -> dict[str, Tensor]:
        """Everything that an export holds, by the names in its file."""
        ...

    def load(self, tensors: Mapping[str, Tensor]) -> None:
        """Take over what `save` wrote. Raises `ValueError` when names or shapes do not fit."""
        ...

    def save(self, folder: Path, card: AdapterCard) -> None:
        """Export everything that `load_adapter` or plain `peft` needs on top of the base model."""
        ...

    def without(self) -> AbstractContextManager[None]:
        """Inside, the base is as before; behind it the adapter is on again. Methods that rewrite weights cannot."""
        ...

    def detach(self) -> None:
        """Take the adapter off; the base is bit for bit as before. Nothing else may be called afterwards."""
        ...


@dataclass(frozen=True)
class AdapterCard:
    """What an exported adapter says about itself in its README.md. `labels` names the outputs of its head in order,
    `reading` says more about them where that is needed.
    """

    method: str
    base_model: str
    task: Mapping[str, Any] = field(default_factory=dict)
    config: Mapping[str, Any] = field(default_factory=dict)
    metrics: Mapping[str, float] = field(default_factory=dict)
    labels: tuple[str, ...] = ()
    head: Head = SEQUENCE
    pipeline_tag: str = ""
    reading: str = ""
    trial_id: str = ""
    seed: int | None = None
    position_scale: int = 1  # by what positions of the text are divided when it is served


def factors_by_name(
    names: Iterable[str], factor: Callable[[str, Mapping[str, Any]], float] | None, knobs: Mapping[str, Any]
) -> dict[str, float]:
    """`Attached.rate_factors` from a rule that gives the factor of one parameter."""
    found = {} if factor is None else {name: factor(name, knobs) for name in names}
    return {name: value for name, value in found.items() if value != 1.0}
