"""A base held in bfloat16, as it stays on a GPU: half the memory, and no weight is rounded anew for each pass.

What trials train stays in float32, and so does the head that each of them trains: every pass of the model computes
under autocast, whoever makes it. Who brings all that is trained into the base's format needs none: `without_autocast`.
Needs torch.
"""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from functools import wraps
from typing import Any

import torch

from workers.models.loading import Base


def hold_in_bfloat16(base: Base) -> Base:
    """Round the body's weights to bfloat16 in place; buffers (rotary tables, say) stay as they are."""
    model = base.model
    own = {id(parameter) for part in base.head_modules().values() for parameter in part.parameters()}
    with torch.no_grad():
        for parameter in model.parameters():
            if id(parameter) not in own:
                parameter.data = parameter.data.to(torch.bfloat16)
    forward, kind = model.forward, model.device.type

    @wraps(forward)
    def in_autocast(*inputs: Any, **options: Any) -> Any:
        with torch.autocast(kind, torch.bfloat16):
            return forward(*inputs, **options)

    model.forward = in_autocast
    return base


@contextmanager
def without_autocast(base: Base) -> Iterator[None]:
    """Inside, passes of a base in bfloat16 compute in its own format throughout. Any other base stays as it is."""
    model = base.model
    forward = model.forward
    if not holds_bfloat16(base):
        yield
        return
    model.forward = forward.__wrapped__  # type: ignore[attr-defined]
    try:
        yield
    finally:
        model.forward = forward


def holds_bfloat16(base: Base) -> bool:
    """Whether `hold_in_bfloat16` was here."""
    return hasattr(base.model.forward, "__wrapped__") and "forward" in vars(base.model)


def format_of(base: Base) -> torch.dtype:
    """In what hidden states of the base are worth storing."""
    return torch.bfloat16 if holds_bfloat16(base) else torch.float32
