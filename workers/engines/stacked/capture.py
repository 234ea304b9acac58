"""Passes captured once for each shape and replayed: where launches of kernels take longer than the kernels.

What a captured pass reads must lie where it lay: rows come through tensors that are filled before each replay, factors
and gradients stay in the stack. Whatever cannot be captured runs as ever, and the reason is kept.
"""

from __future__ import annotations

from collections.abc import Callable, Hashable, Mapping
from dataclasses import dataclass, field
from typing import Protocol

import torch
from torch import Tensor

_BEFORE = (
    3  # passes of a shape that run as ever first: libraries choose their kernels, and rare shapes are not worth it
)
_MOST = 32  # shapes kept; each holds the memory of its pass


class Recording(Protocol):
    """A pass that can run again."""

    def replay(self) -> None:
        """Run it on what its inputs hold now."""


class Graphs(Protocol):
    """What records passes: CUDA's graphs, or a stand-in."""

    def record(self, run: Callable[[], Tensor]) -> tuple[Recording, Tensor]:
        """A recording of `run`, without effect so far, and where its result will be. Raises what is in the way."""


class CudaGraphs:
    """CUDA's graphs, which share one pool of memory: passes follow one another."""

    def __init__(self) -> None:
        self._pool = torch.cuda.graph_pool_handle()

    def record(self, run: Callable[[], Tensor]) -> tuple[Recording, Tensor]:
        """See `Graphs`."""
        graph = torch.cuda.CUDAGraph()
        torch.cuda.synchronize()
        with torch.cuda.graph(graph, pool=self._pool):
            result = run()
        return graph, result


@dataclass
class _Shape:
    """What is known of one shape: passes so far, its inputs, and its recording once there is one."""

    inputs: dict[str, Tensor]
    passes: int = 0
    recorded: tuple[Recording, Tensor] | None = None
    made_by: Callable[[Mapping[str, Tensor]], Tensor] | None = None  # holds on to all that the recording reads


@dataclass
class Capture:
    """Captured passes of a pack over its whole life, as members come and go.

    `reason` says why there are none, and is None where passes are captured.
    """

    graphs: Graphs | None
    reason: str | None = None
    _shapes: dict[Hashable, _Shape] = field(default_factory=dict)
    _generation: int | None = None

    def begin(self, generation: int) -> None:
        """Passes of this generation come; what was captured of another one reads memory that is nobody's any more."""
        if generation != self._generation:
            self._shapes.clear()
        self._generation = generation

    def forget(self) -> None:
        """Give back what captured passes hold: memory has run out."""
        self._shapes.clear()

    def run(
        self, key: Hashable, inputs: Mapping[str, Tensor], make: Callable[[Mapping[str, Tensor]], Tensor]
    ) -> Tensor:
        """What `make(inputs)` returns.

        Args:
            key: everything besides the numbers in `inputs` that the pass depends on.
            inputs: tensors that differ from pass to pass, of the same shapes for one key.
            make: runs the pass on tensors of these names.
        """
        if self.graphs is None:
            return make(inputs)
        shape = self._shapes.pop(key, None)
        if shape is None:
            while len(self._shapes) >= _MOST:  # the one that was used longest ago
                self._shapes.pop(next(iter(self._shapes)))
            shape = _Shape({name: value.clone() for name, value in inputs.items()})
        self._shapes[key] = shape
        shape.passes += 1
        for name, value in inputs.items():
            shape.inputs[name].copy_(value)
        if shape.recorded is None and shape.passes > _BEFORE:
            self._record(shape, make)
        if shape.recorded is None:
            return make(shape.inputs)
        recording, result = shape.recorded
        recording.replay()
        return result.clone()

    def _record(self, shape: _Shape, make: Callable[[Mapping[str, Tensor]], Tensor]) -> None:
        assert self.graphs is not None
        try:
            shape.recorded, shape.made_by = self.graphs.record(lambda: make(shape.inputs)), make
        except Exception as error:  # whatever is in the way of capturing is in no one else's
            self.graphs, self.reason = None, f"a pass could not be captured: {type(error).__name__}: {str(error)[:200]}"
            self._shapes.clear()


def capture_on(device: torch.device, wanted: bool) -> Capture:
    """Captured passes where that is `wanted` and the device has graphs; else the reason why not."""
    if not wanted:
        return Capture(None, "switched off")
    if device.type != "cuda":
        return Capture(None, "no GPU: nothing is gained where calls cost less than what they do")
    return Capture(CudaGraphs())
