"""A head that retrieves: training rows near a row in the model's last states vote beside its classifier. Needs torch.

p = (1 - λ)·softmax(logits) + λ·p_near over the k nearest training rows, each with the weight exp(-d²/mean of the k d²).
After Li et al. 2023, "Retrieval-augmented meta learning for low-resource text classification" (RAML), arXiv 2309.04979.
Certain: evidence of retrieved texts is fused with the classifier's. Choices: what is retrieved from are the training
rows, states are compared by their direction, and the weights are those of kNN-LM (arXiv 1911.00172) in the scale of the
row's own neighbours, so that there is no temperature to search.
"""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Sequence
from contextlib import contextmanager
from dataclasses import dataclass
from functools import cached_property
from pathlib import Path
from typing import Any

import torch
from safetensors import safe_open
from safetensors.torch import save_file
from torch import Tensor, nn
from torch.nn.functional import log_softmax, normalize

from workers.methods.head_states import HeadStates

NEIGHBOURS_FILE = "adapter_neighbours.safetensors"
_CARD = """
## Neighbours
What it was measured by is no classifier alone: {count} training rows near a row count {share:g} beside it. They are in
`{file}`, as states; `peftsearch.load_adapter` puts them on, plain peft does not.
"""
_SMALLEST = 1e-12


@dataclass(frozen=True)
class Memory:
    """Directions of the training rows' states, float16 `[rows, width]`, and their classes `[rows]`."""

    states: Tensor
    classes: Tensor
    count: int
    share: float

    def beside(self, logits: Tensor, states: Tensor) -> Tensor:
        """Logarithms of what classifier and neighbours say together `[rows, classes]`."""
        votes = logits.new_zeros(logits.shape, dtype=torch.float32)
        near = _directions(states) @ self._columns  # [rows, training rows] cosines
        cosines, places = near.topk(min(self.count, near.shape[1]), dim=-1)
        distances = (2 - 2 * cosines).clamp(min=0)
        weights = torch.softmax(-distances / distances.mean(-1, keepdim=True).clamp(min=_SMALLEST), dim=-1)
        votes.scatter_add_(-1, self.classes[places], weights)
        own = log_softmax(logits.float(), dim=-1)
        share = torch.tensor(self.share, device=own.device)
        return torch.logaddexp(own + torch.log1p(-share), (share * votes).log())

    @cached_property
    def _columns(self) -> Tensor:
        """The directions `[width, rows]` in float32, for the products of every batch."""
        return self.states.float().T

    def save(self, folder: Path, heads: Sequence[str]) -> None:
        """Write it beside an exported adapter whose base has heads of these names, and say so on the card."""
        told = {"count": self.count, "share": self.share, "heads": list(heads)}
        tensors = {"states": self.states.cpu().contiguous(), "classes": self.classes.cpu().contiguous()}
        save_file(tensors, folder / NEIGHBOURS_FILE, {"peftsearch": json.dumps(told)})
        with (folder / "README.md").open("a", encoding="utf-8") as card:
            card.write(_CARD.format(count=self.count, share=self.share, file=NEIGHBOURS_FILE))


def remember_neighbours(model: nn.Module, folder: Path) -> None:
    """Have a loaded model look at the rows that its adapter's folder holds, where it holds any."""
    if not (folder / NEIGHBOURS_FILE).is_file():
        return
    with safe_open(folder / NEIGHBOURS_FILE, "pt") as file:
        told = json.loads(file.metadata()["peftsearch"])
        memory = Memory(file.get_tensor("states"), file.get_tensor("classes"), told["count"], told["share"])
    _Lookup(model, told["heads"]).use(memory)


@contextmanager
def looking_up(
    model: nn.Module, heads: Iterable[str], batches: Iterable[tuple[Any, Tensor]], count: int, share: float
) -> Iterator[Memory]:
    """Inside, the model's logits are what it and its neighbours say together.

    `batches` run training rows through the model, one batch for each item that is asked for: (anything, classes
    `[rows]`). `heads` are the names of the base's head modules.
    """
    lookup = _Lookup(model, list(heads))
    try:
        found = [(lookup.states(), classes) for _, classes in batches]
        states = torch.cat([_directions(one).half() for one, _ in found])
        memory = Memory(states, torch.cat([classes for _, classes in found]).long(), count, share)
        lookup.use(memory)
        yield memory
    finally:
        lookup.remove()


class _Lookup:
    """Answers for a model once it has a memory."""

    def __init__(self, model: nn.Module, heads: Sequence[str]) -> None:
        self._memory: Memory | None = None
        self._head = HeadStates(model, heads).__enter__()
        self._handle = model.register_forward_hook(self._answer)  # behind the one that sees the states

    def use(self, memory: Memory) -> None:
        self._memory = memory

    def states(self) -> Tensor:
        """States `[rows, width]` of the last pass."""
        return self._head.states.detach()

    def remove(self) -> None:
        self._handle.remove()
        self._head.__exit__()

    def _answer(self, _model: nn.Module, _given: Any, output: Any) -> Any:
        if self._memory is not None:
            output["logits"] = self._memory.beside(output["logits"], self.states())
        return output


def _directions(states: Tensor) -> Tensor:
    return normalize(states.float(), dim=-1)
