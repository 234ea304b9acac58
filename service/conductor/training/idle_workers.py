"""Workers between two trials: ready for the next, and cheaper the longer it does not come."""

from __future__ import annotations

from collections.abc import Callable, Iterator
from dataclasses import dataclass
from typing import Any

from service.conductor.training.placement import Shape

REST_AFTER = 60.0
"""Seconds without work after which a worker gives back its base models and data: the next trial loads them again."""
END_AFTER = 300.0
"""Seconds without work after which all workers but one end: importing torch and its friends takes a new one seconds."""


@dataclass
class _Idle:
    actor: Any
    shape: Shape
    since: float  # the moment of its last work
    rested: bool = False


class IdleWorkers:
    """The pool. `end` ends an actor, `rest` makes one give back what it keeps between trials; `clock` is in seconds.

    `lives` tells whether an actor still does: one that died while it had no work must not cost the next trial an
    attempt.
    """

    def __init__(
        self,
        end: Callable[[Any], None],
        rest: Callable[[Any], None],
        lives: Callable[[Any], bool],
        clock: Callable[[], float],
    ) -> None:
        self._end, self._rest, self._lives, self._clock = end, rest, lives, clock
        self._idle: list[_Idle] = []  # the one that worked last is the last

    def put(self, actor: Any, shape: Shape, rested: bool = False) -> None:
        """The actor has no work any more, or (`rested`) never had any."""
        self._idle.append(_Idle(actor, shape, self._clock(), rested))

    def take(self, shape: Shape) -> Any | None:
        """The living worker of this shape that worked last, whose base is the likeliest to be wanted; or None."""
        for place in range(len(self._idle) - 1, -1, -1):
            if self._idle[place].shape == shape and self._lives(actor := self._idle.pop(place).actor):
                return actor
        return None

    def shapes(self) -> Iterator[Shape]:
        """What each of them occupies."""
        return (worker.shape for worker in self._idle)

    def end_one(self) -> Shape | None:
        """End the one that worked longest ago; what it occupied, or None when there is none."""
        if not self._idle:
            return None
        worker = self._idle.pop(0)
        self._end(worker.actor)
        return worker.shape

    def tidy(self) -> None:
        """Let those rest that have long had no work, and end them later, all but the one that worked last."""
        now = self._clock()
        while len(self._idle) > 1 and now - self._idle[0].since >= END_AFTER:
            self.end_one()
        for worker in self._idle:
            if not worker.rested and now - worker.since >= REST_AFTER:
                worker.rested = True
                self._rest(worker.actor)
