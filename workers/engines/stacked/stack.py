"""The numbers of all members of a pack, one row for each: what they train, and AdamW on it as vectors over members.

A row holds everything one member trains, each tensor zero-padded to the largest that any member has at its place; so a
tensor stacked over members is a view of columns, and clipping, rates, decay and step numbers are one number a row. What
padding holds stays zero: its gradients are zero in every form.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable, Hashable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from workers.engines.stacked.sampling import Moments, Sampled, Strategy
from workers.engines.stacked.update import Part, Update
from workers.engines.stacked.vector_adamw import adamw_by_rows, no_step, one_step, vector_adamw
from workers.engines.transfers import to_device
from workers.methods.declaration.update_forms import Form

# Columns of a row-major buffer are no contiguous tensors, and need not be: nothing exchanges these gradients.
warnings.filterwarnings("ignore", message="grad and param do not obey the gradient layout contract")

Key = tuple[str, Form, str]
"""Place, form, role."""


@dataclass(frozen=True)
class Tenant:
    """What has a slot: a member's updates, and how it trains. Rates are multiples of the trial's, by name."""

    updates: tuple[Update, ...]
    weight_decay: float
    rate_factors: Mapping[str, float]
    max_grad_norm: float

    def parts(self) -> Iterable[tuple[Key, Part]]:
        """All of its tensors."""
        return (
            ((update.place, update.form, role), part) for update in self.updates for role, part in update.parts.items()
        )


@dataclass
class _Stacked:
    """One role at one place: a tensor `[slots, *shape]`, trained at columns `start` on or frozen (None)."""

    tensor: Tensor
    shape: tuple[int, ...]
    start: int | None
    present: Tensor  # bool [slots]: who has it


class Stack:
    """Room for `slots` members. `generation` counts how often their tensors moved in memory; as long as it stays, and
    `structure` with it, a pass over some slots is made of the same operations on the same memory."""

    def __init__(self, slots: int, device: torch.device) -> None:
        self.slots, self.device, self.generation = slots, device, 0
        self.tenants: dict[int, Tenant] = {}
        self._stacked: dict[Key, _Stacked] = {}
        self._owners: dict[Key, list[int]] = {}
        self._updates: dict[tuple[str, Form], dict[int, Update]] = {}
        self._numbers: dict[tuple[str, Form, str], Tensor] = {}
        self._buffers = {kind: torch.zeros(slots, 0, device=device) for kind in _KINDS}
        self._gradients = self._buffers["parameter"].clone()
        self._factors = self._gradients.clone()  # multiples of the rate, 0 where a row has something frozen
        self._decay = self._gradients.clone()
        self._varied = self._decayed = False  # whether any factor is not 1, any decay not 0
        self._steps = [0] * slots
        self._sampled: dict[int, Sampled] = {}
        self._trained_keys: dict[Key, int] = {}
        self._key_of_column = torch.zeros(0, dtype=torch.int64, device=device)
        self._structures: dict[Hashable, int] = {}
        self.structure = 0

    def add(self, tenant: Tenant) -> int:
        """Give a member a slot; what it starts from is copied."""
        slot = next(number for number in range(self.slots) if number not in self.tenants)
        self.tenants[slot] = tenant
        if not all(self._holds(key, part) for key, part in tenant.parts()):
            self._rebuild()
        self._steps[slot] = 0
        for buffer in self._buffers.values():
            buffer[slot] = 0
        for key, part in tenant.parts():
            stacked = self._stacked[key]
            with torch.no_grad():
                _corner(stacked.tensor[slot], part.value.shape).copy_(part.value)
        self._describe()
        return slot

    def remove(self, slot: int) -> None:
        """Free a slot; a member that leaves the last of its kind behind leaves room for the next."""
        del self.tenants[slot]
        self._sampled.pop(slot, None)
        for buffer in (*self._buffers.values(), self._gradients):
            buffer[slot] = 0
        for stacked in self._stacked.values():
            if stacked.start is None:
                stacked.tensor[slot] = 0
        self._describe()

    @property
    def bytes(self) -> int:
        """What all numbers of all slots take, gradients and moments included."""
        buffers = [*self._buffers.values(), self._gradients, self._factors, self._decay]
        frozen = [one.tensor for one in self._stacked.values() if one.start is None]
        return sum(tensor.nbytes for tensor in (*buffers, *frozen))

    def places(self) -> set[tuple[str, Form]]:
        """Where a member of now has an update of which form."""
        return set(self._updates)

    def tensor(self, place: str, form: Form, role: str) -> Tensor | None:
        """`[slots, …]` of a role, None where no member has it."""
        return self._stacked[place, form, role].tensor if (place, form, role) in self._owners else None

    def required(self, place: str, form: Form, role: str) -> Tensor:
        """`tensor` where it must be there."""
        return self._stacked[place, form, role].tensor

    def present(self, place: str, form: Form, role: str) -> Tensor:
        """Who has it: bool `[slots]`."""
        return self._stacked[place, form, role].present

    def number(self, place: str, form: Form, name: str) -> Tensor:
        """A constant of each member `[slots]`, 0 where one has no such update."""
        return self._numbers[place, form, name]

    def updates(self, place: str, form: Form) -> Mapping[int, Update]:
        """What members have there, by slot."""
        return self._updates.get((place, form), {})

    def follow(self, slot: int, strategy: Strategy) -> None:
        """Let a strategy decide what a member's steps train; its parameters become those of the stack."""
        self._sampled[slot] = Sampled(strategy)
        self._sampled[slot].lie(self.parameters(slot), self._moments(slot))
        self._describe()

    def begin(self, slot: int, step: int, probe: Callable[[], float]) -> None:
        """A member's step `step` comes next; `probe` gives the loss of its rows as things are."""
        if slot in self._sampled:
            self._sampled[slot].begin(step, probe)

    def step(self, rates: Mapping[int, float]) -> None:
        """Clip and update the members at their learning rates, by slot; gradients are zero behind it."""
        self.apply(to_device(self.controls(rates), self.device))

    def controls(self, rates: Mapping[int, float]) -> NDArray[np.float32]:
        """Count a step of these members; what `vector_adamw` needs of the host, `[5, slots, 1]`, or `[5, slots, keys]`
        where any member lets tensors rest."""
        width = max(1, len(self._trained_keys)) if self._sampled else 1
        found = no_step(self.slots, width)
        for slot, rate in rates.items():
            self._steps[slot] += 1
            largest = self.tenants[slot].max_grad_norm
            if slot not in self._sampled:
                found[:, slot] = np.array(one_step(rate, self._steps[slot], largest))[:, None]
                continue
            counts = self._sampled[slot].steps()
            for name, key in self._keys(slot):
                if name in counts:
                    found[:, slot, self._trained_keys[key]] = one_step(rate, counts[name], largest)
        return found

    def _keys(self, slot: int) -> Iterable[tuple[str, Key]]:
        return ((str(part.name), key) for key, part in self._trained(slot))

    @property
    def used(self) -> int:
        """Slots up to the last member's: free ones behind it cost nothing."""
        return 1 + max(self.tenants, default=-1)

    @torch.no_grad()
    def apply(self, controls: Tensor, by_rows: bool = False) -> Tensor:
        """One AdamW step of every member; the norms of their gradients `[slots, 1]`. Nothing waits for the device.

        `by_rows`: a call for each member, on a CPU, where its numbers all have one rate.
        """
        used = self.used
        own = controls[:, :used, self._key_of_column] if self._sampled else controls[:, :used]
        values, mean, square = (self._buffers[kind][:used] for kind in _KINDS)
        if by_rows and not self._sampled and not self._varied:
            decay = self._decay[:used] if self._decayed else None
            return adamw_by_rows(values, mean, square, self._gradients[:used], own, decay, self._steps)
        return vector_adamw(
            values,
            mean,
            square,
            self._gradients[:used],
            own,
            self._factors[:used] if self._varied else None,
            self._decay[:used] if self._decayed else None,
            resting=bool(self._sampled),
        )

    def clear_gradients(self, slots: Iterable[int] | None = None) -> None:
        """Set the gradients of some slots, or of all, to zero."""
        if slots is None:
            self._gradients.zero_()
        for slot in slots or ():
            self._gradients[slot] = 0

    def gradients(self, slot: int) -> Tensor:
        """All of a member's, padding included: a view `[columns]`."""
        return self._gradients[slot]

    def parameters(self, slot: int) -> dict[str, Tensor]:
        """What a member trains, by its own names: views."""
        return self._named(slot, "parameter")

    def save(self, slot: int) -> dict[str, Tensor]:
        """Parameters, moments and steps under the names that every engine uses."""
        if slot in self._sampled:
            return self._sampled[slot].strategy.save()
        saved = {f"{kind}/{name}": value.clone() for kind in _KINDS for name, value in self._named(slot, kind).items()}
        return saved | {"steps": torch.tensor(self._steps[slot])}

    @torch.no_grad()
    def load(self, slot: int, saved: Mapping[str, Tensor]) -> None:
        """Continue from what an engine saved; a missing parameter raises `KeyError`."""
        if slot in self._sampled:
            self._sampled[slot].load(saved)
            return
        for kind in _KINDS:
            for key, part in self._trained(slot):
                view = self._region(kind, key, slot, part)
                view.copy_(saved[f"{kind}/{part.name}"].reshape(view.shape))
        self._steps[slot] = int(saved["steps"])

    def _named(self, slot: int, kind: str) -> dict[str, Tensor]:
        return {
            str(part.name): self._region(kind, key, slot, part).reshape(part.shape) for key, part in self._trained(slot)
        }

    def _trained(self, slot: int) -> Iterable[tuple[Key, Part]]:
        return ((key, part) for key, part in self.tenants[slot].parts() if part.name is not None)

    def _moments(self, slot: int) -> Moments:
        means, squares = self._named(slot, "mean"), self._named(slot, "square")
        return {name: (mean, squares[name]) for name, mean in means.items()}

    def _region(self, kind: str, key: Key, slot: int, part: Part) -> Tensor:
        """A member's own part of a buffer, in the shape in which it is stacked."""
        stacked = self._stacked[key]
        assert stacked.start is not None
        whole = self._buffers[kind][slot, stacked.start : stacked.start + math.prod(stacked.shape)]
        return _corner(whole.view(stacked.shape), part.value.shape)

    def _holds(self, key: Key, part: Part) -> bool:
        """Whether there is room for a part as it is."""
        stacked = self._stacked.get(key)
        if stacked is None or (part.name is not None and stacked.start is None):
            return False
        return all(have >= need for have, need in zip(stacked.shape, part.value.shape, strict=True))

    @torch.no_grad()
    def _rebuild(self) -> None:
        """Make room for every member, and move what is there."""
        self.generation += 1
        shapes, trained = self._shapes()
        before, buffers = self._stacked, self._buffers
        columns = sum(math.prod(shapes[key]) for key in trained)
        self._buffers = {kind: torch.zeros(self.slots, columns, device=self.device) for kind in _KINDS}
        self._gradients, self._factors, self._decay = (
            torch.zeros(self.slots, columns, device=self.device) for _ in range(3)
        )
        self._numbers = {}
        self._stacked, start = {}, 0
        for key, shape in shapes.items():
            size = math.prod(shape)
            present = torch.zeros(self.slots, dtype=torch.bool, device=self.device)
            if key in trained:
                stop = start + size
                tensor: Tensor = nn.Parameter(self._buffers["parameter"][:, start:stop].view(self.slots, *shape))
                tensor.grad = self._gradients[:, start:stop].view(self.slots, *shape)
                self._stacked[key] = _Stacked(tensor, shape, start, present)
                start = stop
            else:
                self._stacked[key] = _Stacked(torch.zeros(self.slots, *shape, device=self.device), shape, None, present)
        self._trained_keys = {key: number for number, key in enumerate(key for key in shapes if key in trained)}
        sizes = [math.prod(shapes[key]) for key in self._trained_keys]
        self._key_of_column = torch.from_numpy(np.repeat(np.arange(len(sizes)), sizes)).to(self.device)
        for key, old in before.items():
            if key in self._stacked:
                self._move(old, buffers, self._stacked[key])
        for slot, sampled in self._sampled.items():
            sampled.lie(self.parameters(slot), self._moments(slot))

    def _move(self, old: _Stacked, buffers: Mapping[str, Tensor], new: _Stacked) -> None:
        both = (self.slots, *map(min, old.shape, new.shape))  # there is less than before where a large one has left
        if old.start is None or new.start is None:
            _corner(new.tensor, both).copy_(_corner(old.tensor, both))
            return
        for kind in _KINDS:
            parts = []
            for one, whole in ((old, buffers[kind]), (new, self._buffers[kind])):
                assert one.start is not None
                parts.append(whole[:, one.start : one.start + math.prod(one.shape)].view(self.slots, *one.shape))
            _corner(parts[1], both).copy_(_corner(parts[0], both))

    def _shapes(self) -> tuple[dict[Key, tuple[int, ...]], set[Key]]:
        """The shape of each role, and which are trained by anyone.

        Room that members left stays, as long as no more than half of all is theirs alone: the next one may need it, and
        whenever there is too little, all that was captured is lost.
        """
        shapes, trained = self._needed()
        kept, were = dict(shapes), set(trained)
        for key, old in self._stacked.items():
            own = kept.get(key, old.shape)
            if len(own) == len(old.shape):
                kept[key] = tuple(map(max, own, old.shape))
                were |= {key} if old.start is not None else set()
        sizes = [sum(math.prod(shape) for shape in found.values()) for found in (kept, shapes)]
        return (kept, were) if sizes[0] <= _SPARE * sizes[1] else (shapes, trained)

    def _needed(self) -> tuple[dict[Key, tuple[int, ...]], set[Key]]:
        """The largest shape of each role among those there are, and which are trained by anyone."""
        shapes: dict[Key, tuple[int, ...]] = {}
        trained: set[Key] = set()
        for tenant in self.tenants.values():
            for key, part in tenant.parts():
                own = tuple(part.value.shape)
                shapes[key] = tuple(map(max, shapes.get(key, own), own))
                if part.name is not None:
                    trained.add(key)
        return shapes, trained

    @torch.no_grad()
    def _describe(self) -> None:
        """Bring up to date who has what, constants, and what rates and decay are multiplied by."""
        self._owners, self._updates = {}, {}
        for slot, tenant in self.tenants.items():
            for update in tenant.updates:
                self._updates.setdefault((update.place, update.form), {})[slot] = update
            for key, _ in tenant.parts():
                self._owners.setdefault(key, []).append(slot)
        for key, stacked in self._stacked.items():
            owners = self._owners.get(key, ())
            stacked.present.copy_(torch.tensor([slot in owners for slot in range(self.slots)]))
        numbers: dict[tuple[str, Form, str], list[float]] = {}
        for slot, tenant in self.tenants.items():
            for update in tenant.updates:
                for name, value in update.numbers.items():
                    numbers.setdefault((update.place, update.form, name), [0.0] * self.slots)[slot] = value
        for name_of, values in numbers.items():  # in place: what was captured reads them where they are
            self._numbers.setdefault(name_of, torch.zeros(self.slots, device=self.device)).copy_(torch.tensor(values))
        self._multiply()
        kinds = frozenset(
            (update.place, update.form, name, _DECIDING[name](value))
            for tenant in self.tenants.values()
            for update in tenant.updates
            for name, value in update.numbers.items()
            if name in _DECIDING
        )
        shape = (frozenset(self._owners), kinds, self._varied, self._decayed, bool(self._sampled))
        self.structure = self._structures.setdefault(shape, len(self._structures))

    def _multiply(self) -> None:
        """Bring up to date multiples of the rate and of the decay for each entry."""
        self._factors.fill_(1.0)
        self._decay.zero_()
        varied = decayed = False
        for slot, tenant in self.tenants.items():
            for key, part in tenant.parts():
                stacked = self._stacked[key]
                if stacked.start is None:
                    continue
                columns = slice(stacked.start, stacked.start + math.prod(stacked.shape))
                factor = 0.0 if part.name is None else tenant.rate_factors.get(part.name, 1.0)
                varied |= factor != 1.0
                self._factors[slot, columns] = factor
                if len(part.shape) >= 2 and tenant.weight_decay:  # vectors (biases, norms, scales) do not decay
                    decayed = True
                    self._decay[slot, columns] = tenant.weight_decay * factor
        self._varied, self._decayed = varied, decayed


_KINDS = ("parameter", "mean", "square")
_SPARE = 2.0  # numbers that there is room for over those that members need
# Constants that decide which operations a pass is made of, and what of them does.
_DECIDING: Mapping[str, Callable[[float], float]] = {"activation": float, "dropout": lambda rate: float(rate > 0)}


def _corner(tensor: Tensor, shape: Sequence[int]) -> Tensor:
    """The first entries of each dimension."""
    return tensor[tuple(slice(0, size) for size in shape)]
