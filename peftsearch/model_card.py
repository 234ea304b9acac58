"""What a model card says of the search that found the adapter: the trial does not know, the service does."""

from __future__ import annotations

from pathlib import Path

from peftsearch.results import Front, Job, Trial

CARD = "README.md"
_TITLE = "## Search"
_SHOWN = 20
"""Rows of the front at most: the best by the first objective."""


def add_search(folder: Path, job: Job, front: Front, trial: Trial) -> None:
    """Write data, search and front of `trial`'s job into the card in `folder`, behind what it says of its training."""
    card = folder / CARD
    text = card.read_text(encoding="utf-8") if card.is_file() else f"# {trial.id}\n"
    own = text.partition(f"\n{_TITLE}\n")[0].rstrip()
    card.write_text(f"{own}\n\n{_TITLE}\n{_search(job)}\n\n{_data(job)}\n\n{_front(front, trial)}\n", encoding="utf-8")


def _search(job: Job) -> str:
    """One sentence."""
    optimizer = job.spec.get("optimizer") or {}
    name = optimizer.get("name", "auto") if isinstance(optimizer, dict) else optimizer
    goals = ", ".join(f"{one.metric} ({one.direction})" for one in job.objectives)
    done = job.progress.completed
    steps = ", ".join(f"`{step['step']}`" for step in job.spec.get("steps", ()))
    origin = f"refined by {steps}" if steps else f"proposed by `{name}`"
    return f"Job `{job.name}`: {done} trials completed, {origin}, for {goals}."


def _data(job: Job) -> str:
    task = job.spec.get("task") or {}
    rows = [(name, task[name]) for name in _DATA if task.get(name) is not None]
    return "\n".join(["## Data", "| | |", "|---|---|", *(f"| {name} | `{value}` |" for name, value in rows)])


_DATA = ("type", "train", "validation", "test", "train_rows", "validation_rows", "max_length")


def _front(front: Front, trial: Trial) -> str:
    """The trials that no other beats in everything, and the references, this one marked."""
    metrics = [one.metric for one in front.objectives]
    trials = {one.id: one for one in (*list(front.items)[:_SHOWN], *front.reference, trial)}
    head = ["trial", "method", *metrics]
    lines = [f"| {' | '.join(head)} |", "|---" * len(head) + "|"]
    for one in trials.values():
        name = f"**{one.id}** (this one)" if one.id == trial.id else one.id + (f" ({one.label})" if one.label else "")
        values = [f"{one.metrics[metric]:.6g}" if metric in one.metrics else "–" for metric in metrics]
        lines.append(f"| {' | '.join([name, str(one.config.get('method', '–')), *values])} |")
    return "\n".join(["## Front", *lines])
