"""How long a forward pass takes, so that it does not matter when a trial ran. Needs torch.

A machine is faster at one minute than at another, by more than adapters differ. So the base's latency is measured once
for a machine and kept, and a trial's is that times how much longer its passes take than the base's, which alternate
with them: whatever slows the machine slows both. What merges is as fast as the base. See docs/decisions/latency.md.
"""

from __future__ import annotations

import hashlib
import json
import math
import os
import statistics
import tempfile
import time
from collections.abc import Callable, Mapping
from contextlib import AbstractContextManager, suppress
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import torch
from torch import nn

from workers.models.anatomy import Anatomy
from workers.models.heads import head_of
from workers.models.row_tasks import TASK_IDS, asks_tasks

ROWS: Mapping[str, int] = {"latency_ms": 1, "latency_batch_ms": 32}
"""Rows of a pass, by the metric that its time is."""

_WARM_UP, _REPEATS, _ENOUGH_SECONDS = 2, 9, 1.0
_BLOCKS, _LEAST_BLOCKS, _ENOUGH_FOR_BLOCKS = 15, 7, 3.0
_SLOW_BLOCKS = 3  # of more than three seconds each: what warming up costs is lost in them, and a median needs no more
_MOST_BLOCKS, _LEAST_FOR_BLOCKS = 200, 0.4  # passes below a millisecond: one interruption outlasts a whole block
_LEVEL = 0.95
Clock = Callable[[], float]


@dataclass(frozen=True)
class Ratio:
    """Time over the base's: the median of the blocks, and where it lies with probability 0.95 (of three slow blocks:
    between the least and the most, with probability 0.75)."""

    value: float
    low: float
    high: float

    def __str__(self) -> str:
        return f"{self.value:.3f} ({self.low:.3f} to {self.high:.3f})"


def milliseconds(model: nn.Module, anatomy: Anatomy, rows: int, tokens: int, clock: Clock = time.perf_counter) -> float:
    """Median time of a warm forward pass of `rows` rows of `tokens` tokens each, in milliseconds.

    Nine passes after two to warm up; slow models stop after a second, with three at least. `clock` gives seconds.
    """
    batch = _batch(model, anatomy, rows, tokens)
    times: list[float] = []
    while len(times) < _WARM_UP + _REPEATS and (len(times) < _WARM_UP + 3 or sum(times) < _ENOUGH_SECONDS):
        times.append(_seconds(model, batch, clock))
    return 1000 * statistics.median(times[_WARM_UP:])


def times_longer(
    model: nn.Module,
    plain: nn.Module,
    without: Callable[[], AbstractContextManager[object]],
    anatomy: Anatomy,
    rows: int,
    tokens: int,
    clock: Clock = time.perf_counter,
) -> Ratio:
    """How much longer a pass of `model` takes than one of `plain`, which is the base once the adapter is `without`.

    In blocks of four passes, the base's outside: a machine that slows down steadily makes no difference. 15 blocks
    after one to warm up; slow models stop after three seconds, with seven at least, quick ones go on until 0.4 seconds
    or 200 blocks. Where the first block alone takes more than three seconds it is one of three. Attaching is not timed.
    Where an adapter asks for the tasks of rows, these are of the first.
    """
    batch = _batch(plain, anatomy, rows, tokens)
    asked = {TASK_IDS: torch.zeros(rows, dtype=torch.long, device=next(plain.parameters()).device)}
    adapted_batch = batch | (asked if asks_tasks(model) else {})
    ratios: list[float] = []
    seconds: list[float] = []

    def base() -> float:
        with without():
            return _seconds(plain, batch, clock)

    while _wants_more(seconds):
        before, adapted = base(), _seconds(model, adapted_batch, clock) + _seconds(model, adapted_batch, clock)
        plainly = before + base()
        seconds.append(plainly + adapted)
        ratios.append(adapted / plainly)
    return _median(ratios if _is_slow(seconds) else ratios[1:])


def _is_slow(seconds: list[float]) -> bool:
    """Whether the first of some blocks took so long that it warms nothing up."""
    return bool(seconds) and seconds[0] > _ENOUGH_FOR_BLOCKS


def _wants_more(seconds: list[float]) -> bool:
    """Whether blocks that took so long, the one to warm up first, are too few."""
    if _is_slow(seconds):
        return len(seconds) < _SLOW_BLOCKS
    blocks, spent = len(seconds) - 1, sum(seconds)
    if blocks < _LEAST_BLOCKS:
        return True
    if blocks < _BLOCKS:
        return spent < _ENOUGH_FOR_BLOCKS
    return blocks < _MOST_BLOCKS and spent < _LEAST_FOR_BLOCKS


def kept_for_machine(folder: Path, key: tuple[object, ...], measure: Callable[[], dict[str, Any]]) -> dict[str, Any]:
    """What `measure` gives, from a file in `folder` once any process of this machine has measured it."""
    file = folder / f"{hashlib.sha256(repr(key).encode()).hexdigest()[:32]}.json"
    if not file.is_file():
        folder.mkdir(parents=True, exist_ok=True)
        with tempfile.NamedTemporaryFile("w", dir=folder, suffix=".draft", encoding="utf-8") as draft:
            json.dump(measure(), draft)
            draft.flush()
            with suppress(FileExistsError):  # another process was faster: its numbers are everybody's
                os.link(draft.name, file)
    found: dict[str, Any] = json.loads(file.read_text(encoding="utf-8"))
    return found


def _median(values: list[float]) -> Ratio:
    """The median with its distribution-free interval: order statistics by the binomial distribution."""
    ordered, count = sorted(values), len(values)
    below, rank = 0.0, 0
    while rank < count // 2 and (below := below + math.comb(count, rank) / 2**count) <= (1 - _LEVEL) / 2:
        rank += 1
    place = max(rank - 1, 0)
    return Ratio(statistics.median(ordered), ordered[place], ordered[count - 1 - place])


def _batch(model: nn.Module, anatomy: Anatomy, rows: int, tokens: int) -> dict[str, Any]:
    """Rows of random tokens, or of noise where they are no texts.

    Of a model that writes text, the head reads the last, as where a text is gone on with.
    """
    device = next(model.parameters()).device
    if anatomy.input_shape:
        drawn = torch.randn(rows, *anatomy.input_shape, generator=torch.Generator().manual_seed(0))
        return {str(getattr(model, "main_input_name", "")): drawn.to(device)}
    ids = torch.randint(anatomy.vocabulary, (rows, tokens), generator=torch.Generator().manual_seed(0)).to(device)
    more = {"logits_to_keep": 1, "use_cache": False} if head_of(model).reads == "labelled" else {}
    return {"input_ids": ids, "attention_mask": torch.ones_like(ids), **more}


@torch.inference_mode()
def _seconds(model: nn.Module, batch: Mapping[str, Any], clock: Clock) -> float:
    device = next(iter(batch.values())).device
    _wait(device)
    start = clock()
    model(**batch)
    _wait(device)
    return clock() - start


def _wait(device: torch.device) -> None:
    if device.type == "cuda":
        torch.cuda.synchronize(device)
