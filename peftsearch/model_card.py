"""What a model card says of the search that found the adapter: the trial does not know, the service does."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from typing import Any

from peftsearch.client import Client
from peftsearch.results import Front, Job, Trial

CARD = "README.md"
_TITLE = "## Search"
_SHOWN = 20
"""Rows of the front at most: the best by the first objective."""


def tell_search(client: Client, folder: Path, trial_id: str) -> Job:
    """Write what the service knows of a trial's search into the card in `folder`; its job."""
    trial = client.trial(trial_id)
    job = client.job(trial.job_id)
    confirmed = client.confirmation(job.id) if job.spec.get("confirm") else None
    add_search(folder, job, client.pareto(job.id), trial, confirmed)
    return job


def add_search(folder: Path, job: Job, front: Front, trial: Trial, confirmed: Mapping[str, Any] | None = None) -> None:
    """Write data, search and front of `trial`'s job into the card in `folder`, behind what it says of its training, and
    how far other seeds differ, from the job's confirmation."""
    card = folder / CARD
    text = card.read_text(encoding="utf-8") if card.is_file() else f"# {trial.id}\n"
    own = text.partition(f"\n{_TITLE}\n")[0].rstrip()
    card.write_text(
        f"{own}\n\n{_TITLE}\n{_search(job)}\n\n{_data(job)}\n\n{_front(front, trial)}\n\n{_seeds(trial, confirmed)}\n",
        encoding="utf-8",
    )


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
    for part, own in (task.get("tasks") or {}).items():
        rows += [(f"{name} of {part}", own[name]) for name in _DATA if own.get(name) is not None]
    return "\n".join(["## Data", "| | |", "|---|---|", *(f"| {name} | `{value}` |" for name, value in rows)])


_DATA = ("type", "train", "validation", "test", "domain", "knowledge", "train_rows", "validation_rows", "max_length")


def _seeds(trial: Trial, confirmed: Mapping[str, Any] | None) -> str:
    """What fresh seeds came to, of this trial and of the references: one number says nothing of its spread."""
    found = () if confirmed is None else confirmed["items"]
    own = [item for item in found if item["trial"]["id"] == trial.id or item["trial"]["label"]]
    rows = [_seeds_row(item["trial"], trial, one) for item in own for one in item["objectives"] if one["seeds"] > 0]
    if confirmed is None or not any(item["trial"]["id"] == trial.id for item in own) or not rows:
        return "## Seeds\nTrained once, with one seed: nothing here tells how far another would differ."
    names = ("trial", "metric", "searched", "mean", "90 % interval of the mean", "seeds")
    head = [f"| {' | '.join(names)} |", "|---" * len(names) + "|"]
    said = f"Trained again with fresh seeds and measured on the `{confirmed['split']}` rows, which no search has seen:"
    return "\n".join(["## Seeds", said, "", *head, *rows])


def _seeds_row(of: Mapping[str, Any], this: Trial, one: Mapping[str, Any]) -> str:
    name = f"**{this.id}** (this one)" if of["id"] == this.id else f"{of['id']} ({of['label']})"
    searched = "–" if one["searched"] is None else f"{one['searched']:.4g}"
    mean = one["confirmed"]
    told = ["–", "–"] if mean is None else [f"{mean['value']:.4g}", f"{mean['low']:.4g} to {mean['high']:.4g}"]
    return f"| {' | '.join([name, one['metric'], searched, *told, str(one['seeds'])])} |"


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
