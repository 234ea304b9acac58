"""The ready-made search spaces."""

from __future__ import annotations

from typing import Annotated, Any

from fastapi import APIRouter, Query, Request, Response

from search_spaces.editing import joining
from search_spaces.parameters import Parameter
from search_spaces.serialization import parameter_to_json
from service.api.catalogue_views import SpaceView
from service.api.dependencies import READ, SettingsDep
from service.api.responses import tagged
from service.api.views import ItemsView
from service.jobs.models import DEFAULT_MODEL, described
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
) -> Response:
    """Every preset that suits the model, with its parameters as they are on it."""
    description = described(model, settings)
    items = [_view(name, description) for name in all_presets() if _suits(name, description)]
    return tagged(request, ItemsView[SpaceView](items=items))


def _suits(name: str, model: ModelDescription) -> bool:
    return name not in methods() or methods()[name].supports(model)


def _view(name: str, model: ModelDescription) -> SpaceView:
    space = preset_space(name, model)
    further = [_further(one) for one in joining(space)]
    count = space.count()
    return SpaceView(name=name, model=model.reference, configurations=count, further=further, **space.to_json())


def _further(parameter: Parameter) -> dict[str, Any]:
    """A training hyperparameter that an override lets join a space, with the type of task that it belongs to."""
    owner = next((one.name for one in tasks().values() if parameter.name in one.hyperparameters), None)
    return parameter_to_json(parameter) | ({} if owner is None else {"of": owner})
