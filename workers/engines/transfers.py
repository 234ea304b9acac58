"""Small arrays from the host to where the model is, without waiting for it."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_ALIGNED = 16  # bytes: every number format begins at a multiple of its own size


def to_device(values: NDArray[Any], device: torch.device) -> Tensor:
    """A copy on `device`; to a GPU through pinned memory, so that the host goes on at once."""
    tensor = torch.from_numpy(values)
    return tensor if device.type == "cpu" else tensor.pin_memory().to(device, non_blocking=True)


class Carrier(Protocol):
    """Takes bytes to a device while that computes."""

    def carry(self, host: Tensor) -> Tensor:
        """A copy of `host`, which is there before whatever is asked of the device from now on begins."""


class CopyStream:
    """A CUDA stream of its own for copies: they run beside the kernels of the step before."""

    def __init__(self, device: torch.device) -> None:
        self._device, self._stream = device, torch.cuda.Stream(device)

    def carry(self, host: Tensor) -> Tensor:
        """See `Carrier`."""
        pinned, present = host.pin_memory(), torch.cuda.current_stream(self._device)
        with torch.cuda.stream(self._stream):
            there = pinned.to(self._device, non_blocking=True)
        present.wait_stream(self._stream)
        there.record_stream(present)  # its memory is nobody else's before the kernels that read it are done
        return there


class Staging:
    """Sends the arrays of a pass as one copy, ahead of the pass. Where the model is on the CPU nothing is copied."""

    def __init__(self, device: torch.device, carrier: Carrier | None = None) -> None:
        self._carrier = CopyStream(device) if carrier is None and device.type == "cuda" else carrier

    def send(self, arrays: Mapping[str, NDArray[Any]]) -> dict[str, Tensor]:
        """The arrays as tensors on the device, by name."""
        tensors = {name: torch.from_numpy(np.ascontiguousarray(values)) for name, values in arrays.items()}
        if self._carrier is None:
            return tensors
        starts, size = dict[str, int](), 0
        for name, tensor in tensors.items():
            starts[name], size = size, size + -(-tensor.nbytes // _ALIGNED) * _ALIGNED
        host = torch.zeros(size, dtype=torch.uint8)
        for name, tensor in tensors.items():
            host[starts[name] : starts[name] + tensor.nbytes].view(tensor.dtype).copy_(tensor.flatten())
        there = self._carrier.carry(host)
        return {
            name: there[starts[name] : starts[name] + tensor.nbytes].view(tensor.dtype).view(tensor.shape)
            for name, tensor in tensors.items()
        }
