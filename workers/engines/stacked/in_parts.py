"""The base of a pack that is divided over ranks."""

from __future__ import annotations

import copy
import warnings
from dataclasses import replace

import torch.distributed as dist

from workers.engines.inputs import Inputs
from workers.engines.resident import ResidentBase
from workers.engines.sharded import shard
from workers.engines.stacked.unpadding import why_padded

# Heads of members give views of one product; nothing is done to outputs in place.
warnings.filterwarnings("ignore", message="FSDP2-wrapped module .* returned a view tensor")


def in_parts(resident: ResidentBase, inputs: Inputs) -> ResidentBase:
    """The base of a pack in parts, before anything is put on it; `inputs` are some of its rows.

    On the first rank `resident` stays whole beside it, in the machine's memory: there adapters are attached, where they
    begin and to be exported. On the other ranks it is what is divided.
    """
    base = resident.base
    if dist.get_rank() == 0:
        base = replace(base, model=copy.deepcopy(base.model))
    why_padded(base, inputs)  # tried while it is whole
    shard(base.model, base, set(base.model.parameters()))
    return replace(resident, base=base)
