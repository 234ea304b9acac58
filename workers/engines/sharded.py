"""A frozen base that does not fit one device: divided over the ranks of a process group, which train a trial together.

Fully sharded data parallelism (Zhao et al. 2023, arXiv 2304.11277; PyTorch's `fully_shard`): each rank holds its part
of every frozen parameter, and a layer is whole only while it runs. What is trained is small and stays whole on every
rank: optimizers, strategies, checkpoints and exports see ordinary parameters. Each rank takes its part of every batch,
and gradients are summed, so all ranks make the same step, which is the one that the reference engine makes alone.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterator, Sequence
from pathlib import Path
from typing import TypeVar

import torch
import torch.distributed as dist
from torch import Tensor, nn
from torch.distributed.device_mesh import init_device_mesh
from torch.distributed.fsdp import FSDPModule, fully_shard

from workers.artifacts import ArtifactStore
from workers.assignment import Artifact
from workers.checkpoints import random_states, restore_random_states
from workers.engines.accumulation import add_gradients, weight_of
from workers.engines.batches import RowIndices
from workers.engines.course import TrainStep
from workers.engines.passes import evaluation_batches, measure_in
from workers.engines.trainee import AttachedTrainee
from workers.models.loading import Base
from workers.tasks.criterion import Measure

_Value = TypeVar("_Value")


def device_of_rank() -> str:
    """Where this rank trains: on its GPU where the ranks talk through NCCL."""
    return "cuda" if dist.get_backend() == "nccl" else "cpu"


def shard(model: nn.Module, base: Base, own: Collection[nn.Parameter]) -> None:
    """Divide what is frozen of `own`, the parameters of `base`, over all ranks; there is no way back.

    `model` is the base with an adapter. What the adapter brought stays whole, frozen or not: exports read it. Layers
    are moved to the rank's device one after another, and of each only this rank's part stays.
    """
    device = device_of_rank()
    mesh = init_device_mesh(device, (dist.get_world_size(),))
    whole = {value for value in model.parameters() if value.requires_grad or value not in own}
    layers = base.model.get_submodule(base.description.anatomy.layers_path)
    for part in (*layers.children(), model):
        # The outermost part too: embeddings would else stay whole from one step to the next.
        fully_shard(part, mesh=mesh, reshard_after_forward=True, ignored_params=whole)
    for parameter in whole:
        parameter.data = parameter.data.to(device)


def rank_seed(seed: int) -> int:
    """The seed of this rank's dropout: ranks have different rows, so they need different masks."""
    return seed + (dist.get_rank() << 32)


def whole_layers(model: nn.Module) -> Iterator[nn.Module]:
    """Every module of `model`; on a sharded one those of its layers, each while it is whole (all ranks must ask)."""
    sharded = [part for part in model.modules() if isinstance(part, FSDPModule) and part is not model]
    if not sharded:
        yield from model.modules()
    for layer in sharded:
        layer.unshard()
        yield from layer.modules()
        layer.reshard()


def from_first(make: Callable[[], _Value]) -> _Value:
    """What `make` returns on the first rank, on every rank; the others do not call it."""
    box = [make() if dist.get_rank() == 0 else None]
    dist.broadcast_object_list(box, src=0)
    return box[0]  # type: ignore[return-value]  # filled by the first rank


class FirstRankStore(ArtifactStore):
    """Every rank asks to store the same folder, the first one does it."""

    def put_folder(self, folder: Path) -> Artifact:
        """As `ArtifactStore.put_folder`; all ranks must call it."""
        return from_first(lambda: super(FirstRankStore, self).put_folder(folder))


class ShardedTrainee(AttachedTrainee):
    """One rank's part in training on a sharded base. All ranks must be sent the same requests in the same order."""

    def _measured(self) -> dict[str, float]:
        """The metrics of all rows; batches are dealt out to the ranks."""
        batches, rank, ranks = evaluation_batches(self._validation), dist.get_rank(), dist.get_world_size()
        mine = batches[rank::ranks]
        measures: list[Measure] = [measure_in(self._validation, mine)] * ranks
        if len(mine) < len(batches[::ranks]):
            # A rank without a batch of its own runs the first again: layers are whole only if all ranks ask for them.
            self._validation.outputs(batches[0])
        dist.all_gather_object(measures, measures[rank])
        first, *others = measures
        for other in others:
            first.merge(other)
        return first.result()

    def save(self) -> dict[str, Tensor]:
        """What the reference engine saves, and the random states of the further ranks."""
        states: list[dict[str, Tensor]] = [{} for _ in range(dist.get_world_size())]
        dist.all_gather_object(states, random_states())
        others = {_of_rank(rank, name): state for rank, own in enumerate(states) if rank for name, state in own.items()}
        return super().save() | others

    def load(self, saved: dict[str, Tensor]) -> None:
        """Continue from what `save` returned."""
        super().load(saved)
        if rank := dist.get_rank():
            start = _of_rank(rank, "")
            restore_random_states({name.removeprefix(start): v for name, v in saved.items() if name.startswith(start)})

    def _gradients(self, step: TrainStep) -> float:
        mean = add_gradients(step, weight_of(step, self._train.inputs), self._part_of_loss)
        found = (parameter.grad for parameter in self._attached.parameters().values())
        return _sum_over_ranks(mean, [grad for grad in found if grad is not None], self._train.inputs.device)

    def _total(self, step: TrainStep) -> float:
        own = sum(self._part_of_loss(rows).item() for rows in step.micro_batches)
        return _sum_over_ranks(own, [], self._train.inputs.device)

    def _part_of_loss(self, rows: RowIndices) -> Tensor:
        """What this rank's rows add to the loss of `rows`: a rank must run, even where no row is left for it."""
        together = self._train.inputs.criterion.together
        groups = rows.reshape(-1, together)
        mine = groups[dist.get_rank() :: dist.get_world_size()].reshape(-1)
        return self._loss(mine) if len(mine) else self._loss(rows[:together]) * 0


def _of_rank(rank: int, name: str) -> str:
    return f"rank/{rank}/{name}"


def _sum_over_ranks(loss: float, gradients: Sequence[Tensor], device: torch.device) -> float:
    """The sum of `loss` over all ranks; in the same exchange each gradient becomes its sum over all ranks."""
    flat = torch.cat([torch.tensor([loss], device=device), *(gradient.flatten() for gradient in gradients)])
    dist.all_reduce(flat)
    summed, *parts = flat.split([1, *(gradient.numel() for gradient in gradients)])
    for gradient, part in zip(gradients, parts, strict=True):
        gradient.copy_(part.view_as(gradient))
    return float(summed)
