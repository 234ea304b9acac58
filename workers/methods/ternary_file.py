"""The file of a compressed adapter: positions and signs of the entries that training changed most. Needs torch.

A change τ of n entries with k of them kept is stored as Rice-coded gaps between positions, one bit for each sign and
one float32 scale for each tensor; that is within a few hundredths of the entropy of k random positions among n
(ComPEFT, Yadav et al. 2023, arXiv 2311.13171, codes with Golomb's). Decoding gives the very same entries. What training
started from is not stored: it is drawn again from the method, its knobs and the seed, which the header names.

Layout: magic (8 bytes), length of the header (u32, little-endian), header (JSON), scales (float32), unary quotients of
the gaps, their remainders of `bits` bits, signs; bits in big-endian order, each stream filled up to a byte.
"""

from __future__ import annotations

import json
import struct
from collections.abc import Mapping
from dataclasses import asdict, dataclass, fields
from pathlib import Path
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_MAGIC = b"PSTERN01"
_MOST_BITS = 24  # of a remainder
_ALIKE = 1e-4  # relative: a start that was drawn again is the one that was left out

Int8s = NDArray[np.int8]


@dataclass(frozen=True)
class Recipe:
    """What an adapter's start is drawn from: its method on a base with these modules as its head, which have `labels`
    outputs where they are fresh. `task_type` names the kind of head as peft does."""

    method: str
    knobs: dict[str, Any]
    seed: int
    head: tuple[str, ...]
    task_type: str
    labels: int


@dataclass(frozen=True)
class TernaryChange:
    """A change of named tensors: `signs` int8 [entries] of −1, 0 and 1 over all of them in the order of their names,
    `scales` float32 [tensors]; an entry changes by its sign times its tensor's scale. `start` is Σ|θ₀| of the tensors
    that the change is from."""

    signs: Int8s
    scales: NDArray[np.float32]
    start: float

    def applied(self, fresh: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """The tensors after the change. Raises `ValueError` where `fresh` is not what the change was taken from."""
        floating = changing(fresh)
        if sum(value.numel() for value in floating.values()) != len(self.signs) or len(floating) != len(self.scales):
            raise ValueError("the compressed adapter does not fit this model: it has other tensors")
        if abs(start_of(fresh) - self.start) > _ALIKE * max(1.0, abs(self.start)):
            raise ValueError("the compressed adapter's start is drawn differently here: it cannot be decoded")
        found, begin = dict(fresh), 0
        for (name, value), scale in zip(floating.items(), self.scales, strict=True):
            part = torch.from_numpy(self.signs[begin : begin + value.numel()].astype(np.float32)).reshape(value.shape)
            found[name] = value + float(scale) * part.to(value.device)
            begin += value.numel()
        return found


def changing(tensors: Mapping[str, Tensor]) -> dict[str, Tensor]:
    """Those that hold floating point numbers, in float32, in the order of their names."""
    return {name: tensors[name].detach().float() for name in sorted(tensors) if tensors[name].is_floating_point()}


def start_of(fresh: Mapping[str, Tensor]) -> float:
    """Σ|θ₀| of the tensors: tells one start from another."""
    return float(sum(value.double().abs().sum() for value in changing(fresh).values()))


def write_ternary(path: Path, change: TernaryChange, recipe: Recipe) -> None:
    """Write the file."""
    positions = np.flatnonzero(change.signs)
    gaps = np.diff(positions, prepend=-1) - 1
    bits = _best_bits(gaps)
    header = {
        **asdict(recipe),
        "entries": len(change.signs),
        "kept": len(positions),
        "tensors": len(change.scales),
        "bits": bits,
        "start": change.start,
    }
    told = json.dumps(header, separators=(",", ":")).encode()
    unary = np.zeros(int((gaps >> bits).sum()) + len(gaps), dtype=np.uint8)
    unary[np.cumsum((gaps >> bits) + 1) - 1] = 1
    remainders = (gaps[:, None] >> np.arange(bits - 1, -1, -1)) & 1
    negative = change.signs[positions] < 0
    streams = (unary, remainders.astype(np.uint8).ravel(), negative.astype(np.uint8))
    with path.open("wb") as file:
        file.write(_MAGIC + struct.pack("<I", len(told)) + told + change.scales.astype("<f4").tobytes())
        for stream in streams:
            file.write(np.packbits(stream).tobytes())


def read_recipe(path: Path) -> Recipe:
    """What the start is drawn from. Raises `ValueError` for a file that is none of ours."""
    header, _ = _opened(path)
    return Recipe(**{one.name: header[one.name] for one in fields(Recipe)} | {"head": tuple(header["head"])})


def read_ternary(path: Path) -> TernaryChange:
    """The change, as it was written. Raises `ValueError` for a file that is none of ours or is cut short."""
    header, body = _opened(path)
    scales, body = np.frombuffer(body[: 4 * header["tensors"]], dtype="<f4"), body[4 * header["tensors"] :]
    kept, bits = header["kept"], header["bits"]
    stream = np.unpackbits(np.frombuffer(body, dtype=np.uint8))
    ends = np.flatnonzero(stream)[:kept]
    begin = _to_byte(int(ends[-1]) + 1 if kept else 0)
    middle = begin + _to_byte(kept * bits)
    if len(ends) < kept or len(stream) < middle + kept:
        raise ValueError(f"{path} is cut short")
    quotients = np.diff(ends, prepend=-1) - 1
    remainders = stream[begin : begin + kept * bits].reshape(kept, bits).astype(np.int64)
    gaps = (quotients << bits) + remainders @ (1 << np.arange(bits - 1, -1, -1, dtype=np.int64))
    signs = np.zeros(header["entries"], dtype=np.int8)
    signs[np.cumsum(gaps + 1) - 1] = 1 - 2 * stream[middle : middle + kept].astype(np.int8)
    return TernaryChange(signs, scales.astype(np.float32), header["start"])


def _opened(path: Path) -> tuple[dict[str, Any], bytes]:
    data = path.read_bytes()
    if data[: len(_MAGIC)] != _MAGIC:
        raise ValueError(f"{path} is no compressed adapter")
    begin = len(_MAGIC) + 4
    (length,) = struct.unpack("<I", data[len(_MAGIC) : begin])
    return json.loads(data[begin : begin + length]), data[begin + length :]


def _best_bits(gaps: NDArray[np.int64]) -> int:
    """Bits of a remainder with which the gaps take the least room."""
    costs = [int((gaps >> bits).sum()) + (1 + bits) * len(gaps) for bits in range(_MOST_BITS)]
    return int(np.argmin(costs))


def _to_byte(bits: int) -> int:
    return -(-bits // 8) * 8
