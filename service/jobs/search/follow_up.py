"""Jobs that go on from one trial of a search: the same training with another seed, or a search of what lies near."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from search_spaces.vicinity import vicinity
from service.jobs.search.problem import stored_space
from service.jobs.search.spec import JobSpec
from service.jobs.seeds import trial_seed
from service.store.records import Trial

NAME_LENGTH = 200  # of a job's name


def again(spec: JobSpec, trial: Trial) -> dict[str, Any]:
    """A JobSpec that trains the trial's configuration once more, on the same rows, with another seed.

    A job's seed also deals out the rows, so it stays; the seed of a trial follows from it and the trial's number. Where
    the first one would be the trial's own, the job trains it twice.
    """
    times = 2 if trial_seed(spec.seed, 0) == trial.seed else 1
    changes = {
        "name": _named(spec, f"trial {trial.number} again"),
        "reference_trials": [trial.config] * times,
        "budget": {"trials": times, "epochs": spec.budget.epochs},
        "optimizer": {"name": "auto"},
        "scheduler": {"name": "none"},
        "confirm": None,
    }
    return spec.model_dump(mode="json") | changes


def around(spec: JobSpec, trial: Trial) -> dict[str, Any]:
    """A JobSpec that searches a space narrowed round the trial's configuration, with which it begins.

    Raises BadInput where the job's space cannot be built any more.
    """
    whole = spec.model_dump(mode="json")
    near = vicinity(stored_space(spec), trial.config)
    # What belongs to other choices goes with them: an override of a parameter that is not there is refused.
    kept = {name: one for name, one in whole["space"]["overrides"].items() if name in trial.config}
    changes = {
        "name": _named(spec, f"around trial {trial.number}"),
        "space": {**whole["space"], "overrides": {**kept, **near}},
        "reference_trials": [trial.config],
    }
    return whole | changes


def _named(spec: JobSpec, what: str) -> str:
    return f"{spec.name[: NAME_LENGTH - len(what) - 2]}, {what}"


FOLLOW_UPS: dict[str, Callable[[JobSpec, Trial], dict[str, Any]]] = {"again": again, "around": around}
