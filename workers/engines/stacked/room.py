"""How many members share a pass: as many as memory holds, and no more than the device gains from."""

from __future__ import annotations

import math
import time
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass, field

UNLIMITED = 1 << 30
"""More members than any pack has."""


@dataclass
class Width:
    """The number of members at which a device is full, found on the steps of a training.

    The widest pass is timed first, then one of half as many members, as long as the half is as good as the whole but
    for `worth`: narrower passes need less memory. Steps at a new width do not count until passes are captured.

    Attributes:
        worth: how many times more tokens a second a pass must do to be twice as wide.
        settle: steps at a width before timing, and steps that are timed.
        clock: seconds.
    """

    worth: float = 1.05
    settle: tuple[int, int] = (5, 4)
    clock: Callable[[], float] = time.perf_counter
    _members: int = 0
    _width: int = 0
    _rates: dict[int, float] = field(default_factory=dict)
    _steps: int = 0
    _tokens: int = 0
    _started: float = 0.0
    _found: bool = False

    def of(self, members: int) -> int:
        """Members that a pass of the next step should have, of so many that train."""
        if members > self._members:  # more than it was found with
            self._members, self._width, self._found = members, members, False
            self._rates, self._steps = {}, 0
        return self._width

    def timed(self, tokens: int, wait: Callable[[], None]) -> None:
        """A step of so many tokens was made. `wait` waits for the device, which timing needs at its ends alone."""
        if self._found:
            return
        before, timed = self.settle
        self._steps += 1
        if self._steps == before:
            wait()
            self._started, self._tokens = self.clock(), 0
        elif self._steps > before:
            self._tokens += tokens
        if self._steps == before + timed:
            wait()
            self._decide(self._tokens / max(self.clock() - self._started, 1e-9))

    def _decide(self, rate: float) -> None:
        self._rates[self._width], self._steps = rate, 0
        wider = self._rates.get(2 * self._width) or self._rates.get(2 * self._width - 1)
        if wider is not None and wider > self.worth * rate:
            self._width, self._found = next(width for width, one in self._rates.items() if one == wider), True
        elif self._width == 1:
            self._found = True
        else:
            self._width = (self._width + 1) // 2


@dataclass
class Room:
    """Limits of a pass. One that ran out of memory halves `members`, for as long as the pack lives.

    Attributes:
        members: the most members.
        bytes: what their passes may keep for the way back, and their optimizers for the next step.
        width: how many members the device gains from.
    """

    members: int = UNLIMITED
    bytes: float = math.inf
    width: Width = field(default_factory=Width)

    def groups(self, needed: Mapping[int, float], widest: int = UNLIMITED, taken: float = 0.0) -> Iterator[list[int]]:
        """Slots in groups whose members fit, by what each needs in bytes; who fits nowhere goes by himself.

        Where groups are limited in number, a slot is in the same one whoever else there is: members that come and go
        change their own group, and passes of the others are as they were. `taken` is in use already.
        """
        most, group = min(self.members, widest), list[int]()
        left = self.bytes - taken
        for slot, own in sorted(needed.items()):
            if group and (slot // most != group[0] // most or own > left):
                yield group
                group, left = [], self.bytes - taken
            group.append(slot)
            left -= own
        if group:
            yield group
