"""The ready-made search spaces."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from search_spaces.editing import joining
from search_spaces.parameters import Parameter
from search_spaces.serialization import parameter_to_json
from service.api.catalogue_views import SpaceView
from service.api.dependencies import READ, OfTask, SettingsDep
from service.api.responses import tagged
from service.api.views import ItemsView
from service.jobs.models import DEFAULT_MODEL, described_for
from service.jobs.search.problem import all_presets, preset_space
from workers.methods.registry import methods
from workers.models.description import ModelDescription
from workers.tasks.registry import tasks

router = APIRouter(tags=["catalogue"], dependencies=[READ])


@router.get("/spaces", response_model=ItemsView[SpaceView])
def list_spaces(
    request: Request,
    settings: SettingsDep,
    model: Annotated[str, Query(max_length=4096, description="the model that sizes are scaled to")] = DEFAULT_MODEL,
    task: OfTask = None,
) -> Response:
    """Every preset that suits the model, and the type of task where one is given, with its parameters as they are on
    it."""
    description = described_for(model, task, settings)
    names = all_presets() if task is None or task in tasks() else ()  # programs have spaces of their own
    items = [_view(name, description) for name in names if _suits(name, description)]
    return tagged(request, ItemsView[SpaceView](items=items))


def _suits(name: str, model: ModelDescription) -> bool:
    return name not in methods() or methods()[name].supports(model)


def _view(name: str, model: ModelDescription) -> SpaceView:
    space = preset_space(name, model)
    further = [one for one in map(_further, joining(space)) if model.task in ("", *one.get("of", [model.task]))]
    count = space.count()
    return SpaceView(name=name, model=model.reference, configurations=count, further=further, **space.to_json())


def _further(parameter: Parameter) -> dict[str, Any]:
    """A training hyperparameter that an override lets join a space, with the types of task that it belongs to."""
    owners = [one.name for one in tasks().values() if parameter.name in one.hyperparameters]
    return parameter_to_json(parameter) | ({"of": owners} if owners else {})
