"""How a trial comes aboard a pack: what its adapter changes is read once, and is plain data from then on."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

import torch
from torch import Tensor

from workers.engines.course import Training, course
from workers.engines.pack_member import Member
from workers.engines.ranks import Ranks
from workers.engines.stacked.reading import read_updates
from workers.engines.stacked.sampling import Strategy
from workers.engines.stacked.stack import Stack
from workers.engines.stacked.update import Update
from workers.engines.trainee import EXTRA
from workers.running.outcome import training_memory
from workers.running.preparing import PreparedTrial
from workers.running.trial import attach
from workers.strategies.running import StrategyOf, strategy_of


@dataclass(frozen=True)
class Start:
    """A member before its first step; what it consists of is told in `Member`."""

    updates: tuple[Update, ...]
    rate_factors: Mapping[str, float]
    lowest_layer: int
    extra: Mapping[str, Tensor]
    strategy: StrategyOf | None
    bytes_needed: float


@dataclass(frozen=True)
class Joined:
    """A trial in the pack. `companions` are the trials that it has shared a pass with."""

    prepared: PreparedTrial
    steps: int
    strategy: Strategy | None = None
    companions: set[str] = field(default_factory=set)

    @property
    def trial_id(self) -> str:
        """Which it is."""
        return self.prepared.assignment.trial_id


def start_of(prepared: PreparedTrial, trial: Training, accounted: bool) -> Start:
    """Attach the method as alone, take over what it changes and where, and take it off again.

    `accounted`: measure what its training needs. Raises whatever the configuration provokes.
    """
    seed, own = prepared.assignment.seed, prepared.hyperparameters
    attached = attach(prepared, trial.plan().steps)
    try:
        strategy = strategy_of(own, attached, prepared.resident.base.description, seed)
        extra = {f"{EXTRA}{name}": value for name, value in attached.extra_state().items()}
        if trial.resume is not None:  # before it is read: what an adapter starts from may be in there
            saved = trial.resume.tensors
            extra = {name: saved[name] for name in extra}
            attached.load_extra_state({name.removeprefix(EXTRA): value for name, value in extra.items()})
        updates = tuple(read_updates(attached, prepared.resident.base))
        needed = training_memory(prepared, attached) if accounted else 0.0
        return Start(updates, attached.rate_factors(), attached.lowest_layer, extra, strategy, needed)
    finally:
        attached.detach()


def board(
    start: Start, prepared: PreparedTrial, trial: Training, stack: Stack, ranks: Ranks
) -> tuple[Member, Strategy | None]:
    """Give a member its place in the stack, on all ranks or on none; and the strategy that it follows."""
    seed = prepared.assignment.seed
    torch.manual_seed(seed)
    state = torch.get_rng_state()
    taken: list[Member] = []

    def take() -> Strategy | None:
        member = Member(
            course(trial),
            prepared.hyperparameters,
            start.updates,
            state,
            start.rate_factors,
            start.lowest_layer,
            stack,
            seed,
            start.extra,
            start.bytes_needed / ranks.count,
        )
        taken.append(member)
        running = None if start.strategy is None else member.follow(start.strategy)
        if trial.resume is not None:
            member.load(trial.resume.tensors)
        return running

    try:
        running = ranks.agreed(take)
    except BaseException:
        for member in taken:
            member.leave()
        raise
    return taken[0], running
