"""The reference engine: plain PyTorch around a Hugging Face model. Every method works on it; others must equal it."""

from __future__ import annotations

from contextlib import AbstractContextManager, nullcontext
from typing import TypeVar

import torch

from workers.engines.hints import Hints
from workers.engines.inputs import Inputs
from workers.engines.passes import WholePass
from workers.engines.positions import DrawnPositions
from workers.engines.precision import Precision
from workers.engines.sequences import in_sequences
from workers.engines.torch_adamw import TorchAdamW
from workers.engines.trainee import AttachedTrainee
from workers.engines.updates import Updates
from workers.hyperparameters import Hyperparameters
from workers.methods.attached import Attached

_Trainee = TypeVar("_Trainee", bound=AttachedTrainee)


def reference_trainee(
    attached: Attached,
    train: Inputs,
    validation: Inputs,
    hyperparameters: Hyperparameters,
    precision: Precision = "fp32",
    strategy: Updates | None = None,
    sequence: int = 0,
    positions: DrawnPositions | None = None,
    hints: Hints | None = None,
    kind: type[_Trainee] = AttachedTrainee,  # type: ignore[assignment]  # a type variable has no default in 3.11
) -> _Trainee:
    """A trainee that runs every layer and updates by PyTorch's AdamW, or by a training strategy.

    Training rows share sequences of so many tokens, with 0 none.
    """

    def computing() -> AbstractContextManager[object]:
        return torch.autocast(train.device.type, torch.bfloat16) if precision == "bf16" else nullcontext()

    updates = strategy or TorchAdamW(attached.parameters(), hyperparameters.weight_decay, attached.rate_factors())
    passes = in_sequences(WholePass(attached.model, train), sequence), WholePass(attached.model, validation)
    return kind(attached, passes, updates, hyperparameters, computing, positions, hints)
