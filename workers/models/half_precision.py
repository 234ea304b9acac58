"""A base held in bfloat16, as it stays on a GPU: half the memory, and no weight is rounded anew for each pass.

What trials train stays in float32, and so does the head that each of them trains: every pass of the model computes
under autocast, whoever makes it. Needs torch.
"""

from __future__ import annotations

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


def holds_bfloat16(base: Base) -> bool:
    """Whether the body's weights are in bfloat16."""
    return base.model.get_parameter(f"{base.description.anatomy.word_embeddings}.weight").dtype == torch.bfloat16
