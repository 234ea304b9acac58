"""Where a paused trial stands, on disk: safetensors and JSON, complete or absent, checked when read.

A checkpoint is a folder with `tensors.safetensors` (trainable parameters, optimizer moments, random states) and
`state.json` (step, clock, losses since the last report, and the SHA-256 of the tensor file).
"""

from __future__ import annotations

import hashlib
import json
import os
import shutil
import uuid
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from safetensors.torch import load as load_tensors
from safetensors.torch import save as save_tensors

_TENSORS, _STATE, _FORMAT = "tensors.safetensors", "state.json", 1


class CheckpointError(ValueError):
    """The folder holds no checkpoint that this trial can continue from."""


@dataclass(frozen=True)
class Checkpoint:
    """A trial between two optimizer steps.

    Attributes:
        step: optimizer steps done; with the trial's seed it fixes the position in the data.
        seconds: training wall clock so far.
        tensors: what the engine needs to go on, by name; CPU tensors of any shape.
        extras: JSON-able facts beside them, such as the loss summed since the last report.
    """

    step: int
    seconds: float
    tensors: dict[str, torch.Tensor]
    extras: dict[str, Any] = field(default_factory=dict)


def write(checkpoint: Checkpoint, folder: Path) -> Path:
    """Write `checkpoint` as `folder`, which appears complete or not at all (an older one there is replaced)."""
    data = save_tensors({name: t.detach().cpu().contiguous() for name, t in checkpoint.tensors.items()})
    state = {
        "format": _FORMAT,
        "step": checkpoint.step,
        "seconds": checkpoint.seconds,
        "extras": checkpoint.extras,
        "tensors_sha256": hashlib.sha256(data).hexdigest(),
    }
    partial = folder.with_name(f".{folder.name}.partial-{uuid.uuid4().hex}")
    partial.mkdir(parents=True)
    _write_through(partial / _TENSORS, data)
    _write_through(partial / _STATE, json.dumps(state, indent=1, sort_keys=True).encode())
    if folder.exists():
        shutil.rmtree(folder)
    partial.rename(folder)
    return folder


def read(folder: Path) -> Checkpoint:
    """Read what `write` wrote.

    Raises:
        CheckpointError: a file is missing, malformed or not the one that was written.
    """
    try:
        state = json.loads((folder / _STATE).read_text())
        data = (folder / _TENSORS).read_bytes()
    except (OSError, ValueError) as error:
        raise CheckpointError(f"{folder} holds no readable checkpoint: {error}") from error
    if state.get("format") != _FORMAT:
        raise CheckpointError(f"{folder} has checkpoint format {state.get('format')!r}; this version reads {_FORMAT}")
    found = hashlib.sha256(data).hexdigest()
    if found != state["tensors_sha256"]:
        raise CheckpointError(f"{folder / _TENSORS} has SHA-256 {found}, written was {state['tensors_sha256']}")
    return Checkpoint(step=state["step"], seconds=state["seconds"], tensors=load_tensors(data), extras=state["extras"])


def random_states() -> dict[str, torch.Tensor]:
    """The states of the random generators that a training step may draw from, as uint8 tensors."""
    states = {"random/cpu": torch.get_rng_state()}
    if torch.cuda.is_available():
        states |= {f"random/cuda/{i}": state for i, state in enumerate(torch.cuda.get_rng_state_all())}
    return states


def restore_random_states(tensors: dict[str, torch.Tensor]) -> None:
    """Put back what `random_states` returned; states of devices that are absent here are left out."""
    torch.set_rng_state(tensors["random/cpu"])
    for device in range(torch.cuda.device_count()):
        if (state := tensors.get(f"random/cuda/{device}")) is not None:
            torch.cuda.set_rng_state(state, device)


def _write_through(path: Path, data: bytes) -> None:
    with path.open("wb") as stream:
        stream.write(data)
        stream.flush()
        os.fsync(stream.fileno())
