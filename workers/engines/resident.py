"""A base model that stays loaded between trials."""

from __future__ import annotations

import hashlib
from dataclasses import dataclass

import torch

from workers.models.loading import Base


@dataclass(frozen=True)
class ResidentBase:
    """A loaded base model and the hash of its frozen weights."""

    base: Base
    weights_hash: str

    @classmethod
    def of(cls, base: Base) -> ResidentBase:
        """Hash the weights of `base`."""
        return cls(base, _weights_hash(base))


def _weights_hash(base: Base) -> str:
    """SHA-256 of configuration and frozen weights: what hidden states depend on besides the tokens."""
    digest = hashlib.sha256(str(base.model.config.to_json_string()).encode())
    for name, tensor in sorted(base.model.state_dict().items()):
        if name.startswith(base.head):  # drawn afresh by every trial
            continue
        digest.update(name.encode())
        digest.update(tensor.detach().cpu().contiguous().view(torch.uint8).numpy().tobytes())
    return digest.hexdigest()
