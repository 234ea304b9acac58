"""Hidden states below the lowest trained layer, computed once and shared by epochs, trials and worker processes.

One memory-mapped file per (weights, rows, layer, number format), holding only real tokens. The folder has a size
limit; what was used longest ago goes first. A file being read may be deleted: its mapping stays valid (POSIX).
"""

from __future__ import annotations

import fcntl
import hashlib
import os
import shutil
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from pathlib import Path
from weakref import WeakValueDictionary

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

_SUFFIX = ".hidden"


class HiddenStates:
    """`[tokens, hidden]` states of all rows, one row after another: in a file, or copied to where the model is. `name`
    is that of the file."""

    def __init__(self, tokens: Tensor, lengths: NDArray[np.int64], name: str = "") -> None:
        self._tokens, self.name = tokens, name
        self._lengths = torch.from_numpy(lengths.astype(np.int64)).to(tokens.device)
        self._starts = self._lengths.cumsum(0) - self._lengths

    @property
    def device(self) -> torch.device:
        """Where they are."""
        return self._tokens.device

    def on(self, device: torch.device) -> HiddenStates:
        """The same on `device`; where it has no room to spare, as they are."""
        if device.type != "cuda" or 2 * self._tokens.nbytes > torch.cuda.mem_get_info(device)[0]:
            return self
        return HiddenStates(self._tokens.to(device), self._lengths.numpy(), self.name)

    def flat(self) -> Tensor:
        """All states `[tokens, hidden]`, one row after another."""
        return self._tokens

    def batch(self, index: Tensor, length: int) -> Tensor:
        """States `[rows, length, hidden]` of the rows `index` `[rows]`, which lies where they do.

        Padding repeats a row's first token: nothing real ever looks at it.
        """
        rows = len(index)
        positions = torch.arange(length, device=self.device).expand(rows, length)
        within = positions.where(positions < self._lengths[index, None], 0)
        flat = (self._starts[index, None] + within).reshape(-1)
        return self._tokens.index_select(0, flat).view(rows, length, -1)

    def at(self, places: Tensor) -> Tensor:
        """States `[…, hidden]` of the tokens at `places` of all rows, where `places` lie; any below 0."""
        flat = places.clamp(min=0).reshape(-1).to(self.device)
        return self._tokens.index_select(0, flat).view(*places.shape, -1).to(places.device)

    def scatter(self, rows: NDArray[np.int64], states: Tensor) -> None:
        """Store `states` `[rows, length, hidden]` of one batch, without its padding."""
        for row, state in zip(rows, states.cpu(), strict=True):
            start, length = int(self._starts[row]), int(self._lengths[row])
            self._tokens[start : start + length] = state[:length]


class PrefixStore:
    """A folder of hidden states of at most `limit` bytes."""

    def __init__(self, folder: Path, limit: int) -> None:
        self._folder, self._limit = folder, limit
        self._near: WeakValueDictionary[tuple[str, str], HiddenStates] = WeakValueDictionary()
        folder.mkdir(parents=True, exist_ok=True)

    def get_or_compute(
        self,
        key: tuple[str, ...],
        lengths: NDArray[np.int64],
        hidden: int,
        dtype: torch.dtype,
        compute: Callable[[HiddenStates], None],
    ) -> HiddenStates | None:
        """The states filed under `key`; `compute` fills them if they are not there yet.

        Args:
            key: everything that the values depend on.
            lengths: `[rows]` stored tokens per row.
            hidden: width of a state.
            dtype: number format of the file.
            compute: writes every row through `HiddenStates.scatter`.

        Returns:
            The states, or None when they would not fit under the limit or on the disk.
        """
        name = hashlib.sha256("\0".join((*key, str(dtype), str(hidden))).encode()).hexdigest()
        path = self._folder / f"{name}{_SUFFIX}"
        shape = (int(lengths.sum()), hidden)
        with self._only_one_process(name):
            if not path.exists():
                if not self._make_room(shape[0] * shape[1] * dtype.itemsize):
                    return None
                self._create(path, shape, dtype, lengths, compute)
            os.utime(path)  # the mark of use that eviction goes by
            return HiddenStates(_map(path, shape, dtype, shared=False), lengths, name)

    def near(self, states: HiddenStates, device: torch.device) -> HiddenStates:
        """The states on `device`; where somebody holds them there already, such as captured passes, the very same."""
        key = states.name, str(device)
        if (found := self._near.get(key)) is None:
            self._near[key] = found = states.on(device)
        return found

    def fits(self, needed: int) -> bool:
        """Whether `needed` bytes are at most half of the limit, so that storing them drives out little else."""
        return 2 * needed <= self._limit

    def size(self) -> int:
        """Bytes in use."""
        return sum(path.stat().st_size for path in self._files())

    def _create(
        self,
        path: Path,
        shape: tuple[int, int],
        dtype: torch.dtype,
        lengths: NDArray[np.int64],
        compute: Callable[[HiddenStates], None],
    ) -> None:
        partial = path.with_name(f".{path.name}.{uuid.uuid4().hex}")
        try:
            compute(HiddenStates(_map(partial, shape, dtype, shared=True), lengths))
            partial.rename(path)
        finally:
            partial.unlink(missing_ok=True)

    def _make_room(self, needed: int) -> bool:
        if needed > self._limit:
            return False
        oldest_first = sorted(self._files(), key=lambda path: path.stat().st_mtime)
        used = self.size()
        while oldest_first and used + needed > self._limit:
            path = oldest_first.pop(0)
            used -= path.stat().st_size
            path.unlink(missing_ok=True)
        return shutil.disk_usage(self._folder).free > 2 * needed

    def _files(self) -> list[Path]:
        return [path for path in self._folder.glob(f"*{_SUFFIX}") if not path.name.startswith(".")]

    @contextmanager
    def _only_one_process(self, name: str) -> Iterator[None]:
        with (self._folder / f".{name}.lock").open("w") as lock:
            fcntl.flock(lock, fcntl.LOCK_EX)
            yield


def _map(path: Path, shape: tuple[int, int], dtype: torch.dtype, shared: bool) -> Tensor:
    return torch.from_file(str(path), shared=shared, size=shape[0] * shape[1], dtype=dtype).view(shape)
