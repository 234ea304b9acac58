"""The store of hidden states: exact rows back, computed once, limited in size, safe with several processes."""

from __future__ import annotations

import multiprocessing
import os
from pathlib import Path

import numpy as np
import pytest
import torch

from tests.patience import PATIENCE_S
from workers.engines.prefix_store import HiddenStates, PrefixStore

LENGTHS = np.array([3, 1, 4])
HIDDEN = 5
BYTES = int(LENGTHS.sum()) * HIDDEN * 4


def values(seed: int) -> torch.Tensor:
    return torch.randn(3, 4, HIDDEN, generator=torch.Generator().manual_seed(seed))


def fill(seed: int, calls: list[int] | None = None):
    def compute(states: HiddenStates) -> None:
        if calls is not None:
            calls.append(seed)
        states.scatter(np.array([2, 0, 1]), values(seed)[[2, 0, 1]])

    return compute


def get(store: PrefixStore, name: str, seed: int, calls: list[int] | None = None) -> HiddenStates | None:
    return store.get_or_compute((name,), LENGTHS, HIDDEN, torch.float32, fill(seed, calls))


def test_rows_come_back_padded_with_something_finite(tmp_path: Path) -> None:
    states = get(PrefixStore(tmp_path, 10_000), "a", 1)
    assert states is not None
    batch = states.batch(torch.tensor([2, 1]), 4)
    assert batch.shape == (2, 4, HIDDEN)
    assert torch.equal(batch[0], values(1)[2])
    assert torch.equal(batch[1, :1], values(1)[1, :1])
    assert torch.isfinite(batch).all()


def test_states_lie_on_a_device_once_however_often_they_are_asked_for_and_as_long_as_somebody_holds_them(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """What captured passes read stays theirs while members come and go, and there is one copy of it."""
    copies: list[str] = []

    def on(states: HiddenStates, _device: torch.device) -> HiddenStates:
        copies.append(states.name)
        return HiddenStates(states.flat().clone(), LENGTHS, states.name)

    monkeypatch.setattr(HiddenStates, "on", on)
    store, gpu = PrefixStore(tmp_path, 10_000), torch.device("cuda")

    def near(name: str) -> HiddenStates:
        stored = get(store, name, 1)
        assert stored is not None
        return store.near(stored, gpu)

    held = near("a")
    assert near("a") is held
    assert near("b") is not held
    del held
    near("a")
    assert len(copies) == 3
    assert len(set(copies)) == 2


@pytest.mark.parametrize("dtype", [torch.float32, torch.bfloat16])
def test_what_is_stored_is_not_computed_again_by_any_store_on_the_folder(tmp_path: Path, dtype: torch.dtype) -> None:
    calls: list[int] = []
    for _ in range(2):
        states = PrefixStore(tmp_path, 10_000).get_or_compute(("a",), LENGTHS, HIDDEN, dtype, fill(1, calls))
        assert states is not None
        assert torch.equal(states.batch(torch.tensor([2]), 4)[0], values(1)[2].to(dtype))
    assert calls == [1]


def test_the_one_used_longest_ago_makes_room(tmp_path: Path) -> None:
    store, calls = PrefixStore(tmp_path, 2 * BYTES), []
    get(store, "a", 1, calls)
    kept = get(store, "b", 2, calls)
    for age, path in enumerate(sorted(tmp_path.glob("*.hidden"), key=lambda p: p.stat().st_mtime_ns, reverse=True)):
        os.utime(path, (1000 - age, 1000 - age))
    get(store, "a", 1, calls)  # used again: b is the older one now
    get(store, "c", 3, calls)
    assert store.size() == 2 * BYTES
    assert kept is not None
    assert torch.equal(kept.batch(torch.tensor([0]), 3)[0], values(2)[0, :3])  # deleted, yet still readable
    get(store, "a", 1, calls)
    get(store, "b", 2, calls)
    assert calls == [1, 2, 3, 2]


def test_what_cannot_fit_is_refused_and_drives_nothing_out(tmp_path: Path) -> None:
    store = PrefixStore(tmp_path, BYTES)
    get(store, "a", 1)
    assert store.get_or_compute(("big",), LENGTHS * 10, HIDDEN, torch.float32, fill(1)) is None
    assert store.size() == BYTES


def test_a_failed_computation_leaves_nothing(tmp_path: Path) -> None:
    store = PrefixStore(tmp_path, 10_000)

    def fail(_states: HiddenStates) -> None:
        raise RuntimeError("interrupted")

    with pytest.raises(RuntimeError, match="interrupted"):
        store.get_or_compute(("a",), LENGTHS, HIDDEN, torch.float32, fail)
    assert not [path for path in tmp_path.iterdir() if not path.name.endswith(".lock")]
    assert get(store, "a", 1) is not None


def _in_process(folder: Path, done: multiprocessing.Queue) -> None:
    calls: list[int] = []
    get(PrefixStore(folder, 10_000), "a", 1, calls)
    done.put(len(calls))


def test_processes_that_want_the_same_states_compute_them_once(tmp_path: Path) -> None:
    context = multiprocessing.get_context("fork")
    done = context.Queue()
    processes = [context.Process(target=_in_process, args=(tmp_path, done)) for _ in range(3)]
    for process in processes:
        process.start()
    assert sum(done.get(timeout=PATIENCE_S) for _ in processes) == 1
    for process in processes:
        process.join()
