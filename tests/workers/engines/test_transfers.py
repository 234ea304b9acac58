"""Arrays reach the device as one copy that runs beside the step before, and unchanged; a CPU copies nothing."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor

from workers.engines import transfers
from workers.engines.transfers import CopyStream, Staging

ARRAYS = {
    "rows": np.arange(7),
    "share": np.linspace(0, 1, 5, dtype=np.float32),
    "keys": np.arange(6, dtype=np.int64).reshape(3, 2),
    "bounds": np.array([0, 3], dtype=np.int32),
    "none": np.zeros((0, 2), dtype=np.float32),
    "across": np.arange(6, dtype=np.float32).reshape(2, 3).T,
}


class Truck:
    """Copies, and counts how often."""

    def __init__(self) -> None:
        self.loads = 0

    def carry(self, host: Tensor) -> Tensor:
        self.loads += 1
        return host.clone()


def test_all_arrays_go_in_one_copy_and_keep_their_numbers_shapes_and_formats() -> None:
    truck = Truck()
    sent = Staging(torch.device("cpu"), truck).send(ARRAYS)
    assert truck.loads == 1
    for name, values in ARRAYS.items():
        torch.testing.assert_close(sent[name], torch.from_numpy(values.copy()), rtol=0, atol=0)


def test_on_a_cpu_nothing_is_copied() -> None:
    sent = Staging(torch.device("cpu")).send(ARRAYS)
    assert sent["rows"].data_ptr() == ARRAYS["rows"].ctypes.data


def test_a_gpu_copies_on_a_stream_of_its_own_that_its_kernels_wait_for(monkeypatch: pytest.MonkeyPatch) -> None:
    """With a stand-in for CUDA: what is called, and in which order."""
    calls: list[str] = []

    class Stream:
        def __init__(self, name: Any) -> None:
            self.name = "copies" if isinstance(name, torch.device) else name

        def wait_stream(self, other: Stream) -> None:
            calls.append(f"{self.name} waits for {other.name}")

    @contextmanager
    def on(stream: Stream) -> Iterator[None]:
        calls.append(f"on {stream.name}")
        yield
        calls.append(f"off {stream.name}")

    class Host:
        """A pinned tensor."""

        def pin_memory(self) -> Host:
            calls.append("pinned")
            return self

        def to(self, _device: torch.device, non_blocking: bool) -> Host:
            calls.append(f"copied, {non_blocking=}")
            return self

        def record_stream(self, stream: Stream) -> None:
            calls.append(f"kept for {stream.name}")

    monkeypatch.setattr(transfers.torch.cuda, "Stream", Stream)
    monkeypatch.setattr(transfers.torch.cuda, "current_stream", lambda _device: Stream("kernels"))
    monkeypatch.setattr(transfers.torch.cuda, "stream", on)
    CopyStream(torch.device("cuda")).carry(Host())  # type: ignore[arg-type]
    assert calls == [
        "pinned", "on copies", "copied, non_blocking=True", "off copies",
        "kernels waits for copies", "kept for kernels",
    ]  # fmt: skip
