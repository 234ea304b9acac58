"""Checks of what searches a space: the optimizer and the scheduler of a job."""

from __future__ import annotations

from optimizers import registry
from optimizers.errors import BadOption, MissingExtra, UnsupportedProblem
from optimizers.problem import Problem
from optimizers.schedulers import registry as schedulers
from optimizers.schedulers.contract import Budget
from service.errors import FieldProblem
from service.jobs.did_you_mean import unknown_name
from service.jobs.search.spec import OptimizerSpec, SchedulerSpec


def check_optimizer(spec: OptimizerSpec, problem: Problem | None) -> list[FieldProblem]:
    """Unknown optimizers and options, and problems that the optimizer does not solve."""
    if spec.name not in registry.names():
        return [unknown_name("optimizer.name", spec.name, registry.names(), "optimizer")]
    try:
        if problem is None:
            registry.optimizer(spec.name, **spec.options)
        else:
            registry.check(spec.name, problem, **spec.options)
    except BadOption as error:
        return [FieldProblem(f"optimizer.options.{error.option}", error.found, error.allowed, str(error))]
    except UnsupportedProblem as error:
        return [FieldProblem("optimizer.name", spec.name, "an optimizer for this problem", str(error))]
    except MissingExtra as error:
        asked = ("name", spec.name) if error.option is None else (f"options.{error.option}", spec.options[error.option])
        return [FieldProblem(f"optimizer.{asked[0]}", asked[1], f"the extra {error.extra}", str(error))]
    return []


def check_scheduler(spec: SchedulerSpec, problem: Problem | None, budget: Budget) -> list[FieldProblem]:
    """Unknown schedulers and options, and problems or budgets that the scheduler cannot work on."""
    if spec.name not in schedulers.names():
        return [unknown_name("scheduler.name", spec.name, schedulers.names(), "scheduler")]
    try:
        if problem is None:
            schedulers.scheduler(spec.name, **spec.options)
        else:
            schedulers.check(spec.name, problem, budget, **spec.options)
    except BadOption as error:
        return [FieldProblem(f"scheduler.options.{error.option}", error.found, error.allowed, str(error))]
    except UnsupportedProblem as error:
        return [FieldProblem("scheduler.name", spec.name, "a scheduler for this problem", str(error))]
    return []
