"""The machines of a Ray cluster as an operator wants to see them: what is taken of each, and how full its GPUs are."""

from __future__ import annotations

from collections.abc import Mapping, Set
from typing import Any

import ray
from ray._private.state import available_resources_per_node
from ray.exceptions import RayError
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from service.store.nodes import GpuMemory, Node, ResourceUse
from workers.running.gpu_memory import gpu_memory


class Cluster:
    """Looks at the machines without waiting for any of them."""

    def __init__(self) -> None:
        self._asked: dict[str, Any] = {}  # by node: the answer of its driver that is on its way
        self._gpus: dict[str, tuple[GpuMemory, ...]] = {}  # by node: the last one that came

    def nodes(self) -> list[Node]:
        """All of them, by name. The memory of GPUs is that of the look before."""
        free: Mapping[str, Mapping[str, float]] = available_resources_per_node()  # type: ignore[no-untyped-call]
        found: list[dict[str, Any]] = ray.nodes()  # type: ignore[no-untyped-call]
        self._forget_all_but({node["NodeID"] for node in found if node["Alive"]})
        return sorted((self._node(node, free.get(node["NodeID"], {})) for node in found), key=lambda one: one.name)

    def _forget_all_but(self, alive: Set[str]) -> None:
        """A node that comes back has another id."""
        for id in self._asked.keys() - alive:
            del self._asked[id]
        for id in self._gpus.keys() - alive:
            del self._gpus[id]

    def _node(self, node: Mapping[str, Any], free: Mapping[str, float]) -> Node:
        id, alive, total = node["NodeID"], bool(node["Alive"]), node["Resources"]
        if alive and total.get("GPU"):
            self._ask(id)
        uses = [ResourceUse(name, round(total[name] - free.get(name, 0.0), 4), total[name]) for name in _plain(total)]
        return Node(node["NodeManagerHostname"], alive, tuple(uses), self._gpus.get(id, ()))

    def _ask(self, id: str) -> None:
        """Take the answer that has come since, and ask anew."""
        if (asked := self._asked.get(id)) is not None:
            ready, _ = ray.wait([asked], timeout=0)
            if not ready:
                return
            try:
                self._gpus[id] = tuple(GpuMemory(*one) for one in ray.get(asked))
            except RayError:  # the machine has gone meanwhile, or has no room for a task
                self._gpus.pop(id, None)
        there = NodeAffinitySchedulingStrategy(id, soft=False)
        self._asked[id] = gpu_memory.options(scheduling_strategy=there).remote()


def _plain(resources: Mapping[str, float]) -> list[str]:
    """What trials ask for: neither the names of nodes nor those of placement groups, which count as resources, too."""
    return [name for name in sorted(resources) if ":" not in name and "_group_" not in name]
