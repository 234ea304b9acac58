"""The PEFT methods and training strategies that can be searched, and the metrics that measure them."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from search_spaces.serialization import parameter_to_json
from service.api.catalogue_views import MethodView, MetricView, StrategyView
from service.api.dependencies import READ, OfTask, SettingsDep
from service.api.responses import tagged
from service.api.views import ItemsView
from service.jobs.models import DEFAULT_MODEL, described, described_for
from workers.methods.declaration.method import Method
from workers.methods.registry import methods
from workers.models.description import ModelDescription
from workers.strategies.registry import strategies
from workers.strategies.strategy import Strategy
from workers.tasks.registry import METRICS, measurable, tasks

router = APIRouter(tags=["catalogue"], dependencies=[READ])


@router.get("/methods", response_model=ItemsView[MethodView])
def list_methods(
    request: Request,
    settings: SettingsDep,
    model: Annotated[str, Query(max_length=4096, description="the model that knobs are scaled to")] = DEFAULT_MODEL,
    task: OfTask = None,
) -> Response:
    """Every method that works on the model, and for the type of task where one is given, with its knobs, ranges and
    source."""
    description = described_for(model, task, settings)
    items = [_view(method, description) for method in methods().values() if method.supports(description)]
    return tagged(request, ItemsView[MethodView](items=items))


@router.get("/strategies", response_model=ItemsView[StrategyView])
def list_strategies(
    request: Request,
    settings: SettingsDep,
    model: Annotated[str, Query(max_length=4096, description="the model that knobs are scaled to")] = DEFAULT_MODEL,
) -> Response:
    """Every training strategy, with its knobs, its source and the methods that it can train."""
    description = described(model, settings)
    items = [_strategy_view(strategy, description) for strategy in strategies().values()]
    return tagged(request, ItemsView[StrategyView](items=items))


@router.get("/metrics", response_model=ItemsView[MetricView])
def list_metrics(request: Request) -> Response:
    """Every metric that objectives, constraints and clauses can name."""
    items = [
        MetricView(
            name=one.name,
            kind=one.kind,
            direction=one.direction,
            unit=one.unit,
            description=one.description,
            task_types=[task.name for task in tasks().values() if one.name in measurable(task)],
            known_from_config=one.known_from_config,
        )
        for one in METRICS.values()
    ]
    return tagged(request, ItemsView[MetricView](items=items))


def _strategy_view(strategy: Strategy, model: ModelDescription) -> StrategyView:
    fitting = [one.name for one in methods().values() if one.supports(model) and not strategy.refusal(one, model)]
    return StrategyView(
        name=strategy.name,
        summary=strategy.summary,
        source=strategy.source,
        knobs=[parameter_to_json(parameter) for parameter in strategy.knobs(model)],
        methods=fitting,
    )


def _view(method: Method, model: ModelDescription) -> MethodView:
    rates = method.learning_rates
    return MethodView(
        name=method.name,
        family=method.family,
        summary=method.summary,
        source=method.source,
        task_types=list(method.tasks or tasks()),
        mergeable=method.mergeable,
        format=method.format,
        learning_rate={"low": rates.low, "high": rates.high, "mode": rates.mode},
        knobs=[parameter_to_json(parameter) for parameter in method.knobs(model).parameters],
    )
