"""What memory the trials of a search will take, told before any of them runs; what cannot fit at all is refused."""

from __future__ import annotations

import os
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
from tokenizers import Tokenizer

from search_spaces.space import Space
from service.errors import FieldProblem
from service.jobs.search.problem import references
from service.jobs.search.spec import JobSpec
from service.settings import Settings
from workers.data.rows import Rows, Text
from workers.errors import InvalidInput
from workers.hyperparameters import split_config
from workers.memory_plan import Batch, MemoryPlan, memory_plan
from workers.models.description import ModelDescription
from workers.tasks.registry import task_of
from workers.tasks.section import TaskSection

SAMPLES = 64
"""Configurations that are drawn from the space."""
LONGEST = 4
"""Rows of the most characters, whose tokens are counted."""
DOUBT = 2.0
"""A plan may tell so many times too much; a job is refused where even the rest does not fit."""
GIBIBYTE = 1 << 30


@dataclass(frozen=True)
class TrialMemory:
    """Plans of the least and the most hungry configuration, and what a process may have: None where nobody knows."""

    least: MemoryPlan
    most: MemoryPlan
    limit: float | None


def memory_of(
    spec: JobSpec, space: Space, model: ModelDescription, rows: Rows, tokenizer: Tokenizer | None, settings: Settings
) -> TrialMemory | None:
    """Plan configurations of the space, drawn at random, and the references; None where none of them trains."""
    assert isinstance(spec.task, TaskSection), "only these have a model"
    drawn = space.sample(SAMPLES, np.random.default_rng(0))
    configs = [*drawn, *(config for _, config in references(spec, model))]
    length = longest(rows, tokenizer, spec.task.max_length or model.anatomy.positions)
    task, gpu = task_of(spec.task), spec.resources.gpus_per_trial > 0
    plans = []
    for config in configs:
        try:
            at_once = split_config(config)[2].rows_at_once(length, spec.task.max_length)
            size = min(at_once, len(rows)) * task.rows_each(spec.task)
            batch = Batch(size, length, scored=task.head.reads == "labelled")
            plans.append(memory_plan(model, config, spec.resources, batch, gpu))
        except InvalidInput:  # it is refused, or its trial fails, for a reason of its own
            continue
    plans = [plan for plan in plans if plan.training]
    if not plans:
        return None
    ordered = sorted(plans, key=lambda plan: plan.whole)
    return TrialMemory(ordered[0], ordered[-1], _limit(spec, settings))


def check_memory(found: TrialMemory | None, spec: JobSpec) -> Iterator[FieldProblem]:
    """Refuse a job none of whose trials fits into this machine, with the figures and with what would help."""
    if found is None or found.limit is None:
        return
    least = found.least
    if least.base + least.training / DOUBT <= found.limit:
        return
    need, base, there = (f"{size / GIBIBYTE:.1f} GiB" for size in (least.whole, least.base, found.limit))
    how = spec.resources
    ways = [
        *(["`precision: bf16`"] if how.precision != "bf16" else []),
        *(["`quantise: nf4`"] if how.quantise is None and how.shards == 1 else []),
        *(["`gradient_checkpointing: true`"] if not how.gradient_checkpointing else []),
        "`shards` over several machines, a smaller `batch_size` or `max_length`",
    ]
    allowed = f"{there}: {', '.join(ways)}"
    message = f"the smallest of its trials needs about {need} (the base {base}), this machine has {there}; allowed: "
    yield FieldProblem("resources", f"about {need}", allowed, message + ", ".join(ways))


def longest(rows: Rows, tokenizer: Tokenizer | None, most: int) -> int:
    """Tokens of the longest row, cut to `most`: of those with the most characters, as far as a tokenizer is here."""
    if tokenizer is None or not len(rows):
        return most
    pairs = rows.pairs or ("",) * len(rows)
    characters = np.array([_characters(text) + len(pair) for text, pair in zip(rows.texts, pairs, strict=True)])
    chosen = np.argsort(-characters, kind="stable")[:LONGEST]
    whole = Tokenizer.from_str(tokenizer.to_str())  # files of tokenizers may ask for padding, and for a cut
    whole.no_padding()
    whole.no_truncation()
    texts = [" ".join(rows.take(np.array([index])).strings()) for index in chosen]
    return min(most, max(len(encoded.ids) for encoded in whole.encode_batch(texts)))


def machine_memory() -> float:
    """Bytes of this machine, or of the container that this process is in."""
    whole = float(os.sysconf("SC_PAGE_SIZE") * os.sysconf("SC_PHYS_PAGES"))
    try:
        own = Path("/sys/fs/cgroup/memory.max").read_text().strip()
    except OSError:
        return whole
    return min(whole, float(own)) if own.isdigit() else whole


def _limit(spec: JobSpec, settings: Settings) -> float | None:
    """Known where this machine's own cores train: a cluster, a GPU or an outside worker may have any size."""
    here = settings.ray is None and spec.resources.executor == "ray" and not spec.resources.gpus_per_trial
    return machine_memory() if here else None


def _characters(text: Text) -> int:
    return len(text) if isinstance(text, str) else sum(map(len, text))
