"""Low-rank updates that one small network makes for each task and layer. Needs torch."""

from __future__ import annotations

import math
from collections.abc import Iterable

import torch
from torch import Tensor, nn

from workers.methods.forms.reweighted import in_float32
from workers.models.anatomy import Linear
from workers.models.row_tasks import RowTasks

_NAME = "task_hypernetwork"


class TaskHypernetwork(nn.Module):
    """An embedding for each task, and of each kind of weight the maps from it to templates of an update's factors.

    A template T_t [m, n] is the product of two that are linear in the embedding e_t [size]: (P·e_t)/size [m, inner]
    and (Q·e_t)/size [inner, n], so that the maps have size · inner · (m + n) numbers in place of size · m · n.

    Divided by size for the learning rate's sake: Adam moves all numbers of a map by the rate, in the signs of e_t, so
    that an entry of an undivided factor would move about size times as far as a LoRA's at the same rate.
    """

    def __init__(
        self, kinds: Iterable[Linear], tasks: RowTasks, sizes: tuple[int, int, int, int], draw: torch.Generator
    ) -> None:
        super().__init__()
        size, inner, rank, kernel = sizes
        self.embeddings = nn.Parameter(torch.empty(tasks.tasks, size).normal_(generator=draw))
        self.templates = nn.ParameterDict()
        self._tasks = (tasks,)  # in a tuple: it is a part of the model already
        for kind in kinds:
            ends = {"down": (rank, kind.in_features // kernel), "up": (kind.out_features // kernel, rank)}
            for way, (outer, last) in ends.items():
                # Entries of a template begin as large as a LoRA's, and those of the second factor at zero.
                level = 1 / math.sqrt(3 * kind.in_features) if way == "down" else 0.0
                for side, shape, spread in (
                    ("left", (outer, inner), math.sqrt(size)),
                    ("right", (inner, last), level * math.sqrt(size / inner)),
                ):
                    drawn = torch.empty(*shape, size).normal_(generator=draw) * spread
                    self.templates[self._key(kind.name, way, side)] = nn.Parameter(drawn)

    @staticmethod
    def _key(kind: str, way: str, side: str) -> str:
        return f"{kind}.{way}.{side}".replace(".", "_")

    def template(self, kind: str, way: str) -> Tensor:
        """Of a kind of weight one factor's template for each task [tasks, m, n]."""
        embeddings = self.embeddings.T / self.embeddings.shape[1]
        left, right = (self.templates[self._key(kind, way, side)] @ embeddings for side in ("left", "right"))
        made: Tensor = left.movedim(-1, 0) @ right.movedim(-1, 0)
        return made

    def of_rows(self, factors: Tensor) -> Tensor:
        """Of factors [tasks, …] each row's [rows, …], or the one [1, …] of a single task."""
        numbers = self._tasks[0].numbers
        return factors if numbers is None else factors[numbers]


class HyperLora(nn.Module):
    """y = Wx + b + s·B_tA_tx, with A_t [r, in] and B_t [out, r] for the task t of a row.

    Each is the Kronecker product of the layer's own kernel [kernel, kernel], `down` and `up`, with the template that
    the network makes for the task.
    """

    def __init__(
        self,
        original: nn.Module,
        kind: str,
        network: TaskHypernetwork,
        kernel: int,
        scale: float,
        draw: torch.Generator,
    ) -> None:
        super().__init__()
        self.original, self.scaling, self._kind = original, scale, kind
        self._network = (network,)  # in a tuple: it is a part of the model already
        self.down, self.up = (nn.Parameter(torch.empty(kernel, kernel).normal_(generator=draw)) for _ in range(2))

    def forward(self, inputs: Tensor) -> Tensor:
        """Inputs [rows, length, in] to outputs [rows, length, out]."""
        network = self._network[0]
        down, up = (
            network.of_rows(torch.stack([torch.kron(kernel, one) for one in network.template(self._kind, way)]))
            for way, kernel in (("down", self.down), ("up", self.up))
        )
        update = (in_float32(inputs) @ down.mT) @ up.mT
        return self.original(inputs) + (self.scaling * update).to(inputs.dtype)  # type: ignore[no-any-return]


def watch(model: nn.Module, network: TaskHypernetwork) -> dict[str, nn.Parameter]:
    """Make the network a part of a model; what is trained of it by name."""
    model.add_module(_NAME, network)
    return {f"hypernetwork.{name}": value for name, value in network.named_parameters()}
