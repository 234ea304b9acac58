"""A frozen base that does not fit one device: divided over the ranks of a process group, which train a trial together.

Fully sharded data parallelism (Zhao et al. 2023, arXiv 2304.11277; PyTorch's `fully_shard`): each rank holds its part
of every frozen parameter, and a layer is whole only while it runs. What is trained is small and stays whole on every
rank: optimizers, strategies, checkpoints and exports see ordinary parameters. Each rank takes its part of every batch,
and gradients are summed, so all ranks make the same step, which is the one that the reference engine makes alone.
"""

from __future__ import annotations

import itertools
from collections.abc import Collection, Iterator, Sequence
from contextlib import contextmanager
from functools import cached_property
from pathlib import Path

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
from workers.engines.passes import evaluation_batches
from workers.engines.ranks import RankGroup, device_of_rank, from_first
from workers.engines.trainee import AttachedTrainee
from workers.models.loading import Base


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


@contextmanager
def whole_at(model: nn.Module, place: str) -> Iterator[None]:
    """Inside, the parameters of a module of `model` are whole on a sharded one (all ranks must ask)."""
    above = ["", *itertools.accumulate(place.split("."), "{}.{}".format)]
    parts = [part for name in above if isinstance(part := model.get_submodule(name), FSDPModule)]
    if not parts:
        yield
        return
    parts[-1].unshard()
    try:
        yield
    finally:
        parts[-1].reshard()


class FirstRankStore(ArtifactStore):
    """Every rank asks to store the same folder, the first one does it."""

    def put_folder(self, folder: Path) -> Artifact:
        """As `ArtifactStore.put_folder`; all ranks must call it."""
        return from_first(lambda: super(FirstRankStore, self).put_folder(folder))


class ShardedTrainee(AttachedTrainee):
    """One rank's part in training on a sharded base. All ranks must be sent the same requests in the same order."""

    @cached_property
    def _ranks(self) -> RankGroup:
        return RankGroup()

    def _measured(self) -> dict[str, float]:
        """The metrics of all rows; batches are dealt out to the ranks."""
        split = self._validation
        measure = split.inputs.criterion.measure()
        for part in self._ranks.dealt(evaluation_batches(split)):
            outputs = split.outputs(part.rows)
            if part.counts:
                split.inputs.add_to(measure, outputs, part.rows)
        return self._ranks.merged([measure])[0].result()

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
        return self._summed(mean, [grad for grad in found if grad is not None])

    def _total(self, step: TrainStep) -> float:
        return self._summed(sum(self._part_of_loss(rows).item() for rows in step.micro_batches), [])

    def _part_of_loss(self, rows: RowIndices) -> Tensor:
        """What this rank's rows add to the loss of `rows`: a rank must run, even where no row is left for it."""
        part = self._ranks.part(rows, self._train.inputs.criterion.together)
        loss = self._loss(part.rows)
        return loss if part.counts else loss * 0

    def _summed(self, loss: float, gradients: Sequence[Tensor]) -> float:
        """The sum of `loss` over all ranks; in the same exchange each gradient becomes its sum over all ranks."""
        own = torch.tensor([loss], device=self._train.inputs.device)
        self._ranks.add_up([own, *gradients])
        return float(own)


def _of_rank(rank: int, name: str) -> str:
    return f"rank/{rank}/{name}"
