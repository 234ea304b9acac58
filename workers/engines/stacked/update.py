"""What one member of a pack changes at one place of the shared model."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

from torch import Tensor

from workers.methods.declaration.update_forms import Form


@dataclass(frozen=True)
class Part:
    """One tensor of an update.

    `value` has the shape in which it is stacked; `name` is the member's own for it, None where it is not trained, and
    `shape` the one under that name.
    """

    value: Tensor
    name: str | None
    shape: tuple[int, ...]


@dataclass(frozen=True)
class Update:
    """One form at one place.

    Attributes:
        place: full name of the base's module that it acts on.
        form: which form it is.
        parts: its tensors by role; which roles a form has is said where it is computed.
        numbers: its constants by name.
    """

    place: str
    form: Form
    parts: Mapping[str, Part]
    numbers: Mapping[str, float] = field(default_factory=dict)

    def sized(self, role: str) -> tuple[int, ...]:
        """Shape of a part as it is stacked."""
        return tuple(self.parts[role].value.shape)
