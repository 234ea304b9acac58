"""The machines that conductors train on, each as its conductor saw them last."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import asdict, dataclass
from datetime import datetime, timedelta
from typing import Any

from sqlalchemy import Connection, delete, insert, select

from service.store.rows import CLUSTERS

AGE = 60.0
"""Seconds after which what a conductor saw says nothing any more."""


@dataclass(frozen=True)
class ResourceUse:
    """How much of something a machine gives out, and how much of it is taken."""

    name: str
    used: float
    total: float


@dataclass(frozen=True)
class GpuMemory:
    """Bytes of a GPU's memory, whoever holds them."""

    name: str
    used: int
    total: int


@dataclass(frozen=True)
class Node:
    """A node of a Ray cluster: its `resources` as Ray counts them, and the memory of its GPUs as their driver does
    (empty where there are none or the driver has not answered yet)."""

    name: str
    alive: bool
    resources: tuple[ResourceUse, ...]
    gpus: tuple[GpuMemory, ...] = ()


@dataclass(frozen=True)
class Seen:
    """`node` as `conductor` saw it at `seen_at`."""

    conductor: str
    seen_at: datetime
    node: Node


def tell(connection: Connection, conductor: str, nodes: Sequence[Node], now: datetime) -> None:
    """Replace what the conductor had seen, and forget what is too old to count."""
    gone = (CLUSTERS.c.conductor == conductor) | (CLUSTERS.c.seen_at < now - timedelta(seconds=AGE))
    connection.execute(delete(CLUSTERS).where(gone))
    if nodes:
        row = {"conductor": conductor, "seen_at": now, "nodes": [asdict(one) for one in nodes]}
        connection.execute(insert(CLUSTERS).values(row))


def seen(connection: Connection, now: datetime) -> tuple[Seen, ...]:
    """The machines of conductors that have looked of late, by conductor."""
    fresh = CLUSTERS.c.seen_at >= now - timedelta(seconds=AGE)
    rows = connection.execute(
        select(CLUSTERS.c.conductor, CLUSTERS.c.seen_at, CLUSTERS.c.nodes).where(fresh).order_by(CLUSTERS.c.conductor)
    )
    return tuple(Seen(conductor, at, _node(one)) for conductor, at, nodes in rows for one in nodes)


def _node(told: dict[str, Any]) -> Node:
    uses = tuple(ResourceUse(**one) for one in told["resources"])
    return Node(told["name"], told["alive"], uses, tuple(GpuMemory(**one) for one in told["gpus"]))
