"""A W&B sweep file as the space, objective, optimizer and budget of a job."""

from __future__ import annotations

import math
from collections.abc import Mapping
from typing import Any

_OPTIMIZERS = {"bayes": "auto", "random": "random", "grid": "grid"}
_FINEST = 100
"""Values that a quantised range may have: an ordinal parameter names each."""


def job_of(sweep: Mapping[str, Any], job: Mapping[str, Any], names: Mapping[str, str]) -> dict[str, Any]:
    """`job`, a JobSpec, with what the sweep searches in place of what it searches itself; its method stays,
    configurations that it lists as `reference_trials` do not.

    `names` maps the sweep's names to ours (to "": left out). A fixed parameter `epochs` and `run_cap` are the budget.
    Raises ValueError naming what has no counterpart.
    """
    method, metric = sweep.get("method", "bayes"), sweep.get("metric")
    if method not in _OPTIMIZERS:
        raise ValueError(f"method: found {method!r}; allowed: {', '.join(_OPTIMIZERS)}")
    parameters = sweep.get("parameters")
    if not isinstance(parameters, dict) or not isinstance(metric, dict | None):
        raise ValueError("parameters, metric: found no mapping; allowed: those of a sweep file")
    named = {names.get(name, name): described for name, described in parameters.items() if names.get(name, name)}
    budget = {**job.get("budget", {})}
    if "run_cap" in sweep:
        budget["trials"] = sweep["run_cap"]
    if isinstance(named.get("epochs"), dict) and "value" in named["epochs"]:
        budget["epochs"] = named.pop("epochs")["value"]
    kept = {name: value for name, value in job.get("space", {}).items() if name == "method"}
    found = {**job, "space": kept | {"parameters": [_parameter(name, one) for name, one in named.items()]}}
    if isinstance(job.get("reference_trials"), list):  # configurations of the space that is gone
        del found["reference_trials"]
    if metric is not None:
        name, goal = str(metric.get("name")), str(metric.get("goal", "minimize"))
        found["objectives"] = [{"metric": names.get(name, name), "direction": goal}]
    return found | {"optimizer": {"name": _OPTIMIZERS[method]}, "budget": budget}


def _parameter(name: str, told: Any) -> dict[str, Any]:
    if not isinstance(told, dict) or "parameters" in told or "probabilities" in told:
        raise ValueError(f"parameters.{name}: found {told!r}; allowed: value, values or a distribution")
    if "value" in told or "values" in told:
        return _of_values(name, told["values"] if "values" in told else [told["value"]])
    try:
        low, high = told["min"], told["max"]
        whole = isinstance(low, int) and isinstance(high, int)
        kind = told.get("distribution", "int_uniform" if whole else "uniform")
        if kind == "log_uniform":
            low, high = math.exp(low), math.exp(high)
        if kind.startswith("q_"):
            return _of_values(name, _steps(kind, low, high, told.get("q", 1)))
        shapes = {
            "int_uniform": {"type": "int", "low": low, "high": high},
            "uniform": {"type": "float", "low": float(low), "high": float(high)},
            "log_uniform": {"type": "float", "low": low, "high": high, "scale": "log"},
            "log_uniform_values": {"type": "float", "low": float(low), "high": float(high), "scale": "log"},
        }
        return {"name": name, **shapes[kind]}
    except (KeyError, TypeError, AttributeError):
        allowed = "value, values, or min and max of int_uniform, uniform, log_uniform, log_uniform_values, q_uniform"
        raise ValueError(f"parameters.{name}: found {told!r}; allowed: {allowed}") from None


def _of_values(name: str, values: list[Any]) -> dict[str, Any]:
    numbers = all(isinstance(value, int | float) and not isinstance(value, bool) for value in values)
    if numbers and len(values) > 1:
        return {"name": name, "type": "ordinal", "values": sorted(values)}
    return {"name": name, "type": "categorical", "choices": list(values)}


def _steps(kind: str, low: float, high: float, step: float) -> list[float]:
    """The multiples of `step` in a range; raises KeyError for what is too fine or of another distribution."""
    first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    if kind != "q_uniform" or not 0 < last - first + 1 <= _FINEST:
        raise KeyError(kind)
    values = [n * step for n in range(first, last + 1)]
    return values if isinstance(step, int) else [float(f"{value:.12g}") for value in values]
