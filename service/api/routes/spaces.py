"""The ready-made search spaces."""

from __future__ import annotations

from typing import Annotated

from fastapi import APIRouter, Query, Request, Response

from service.api.catalogue_views import SpaceView
from service.api.dependencies import READ, SettingsDep
from service.api.responses import tagged
from service.api.views import ItemsView
from service.jobs.models import DEFAULT_MODEL, described
from service.jobs.search.problem import all_presets, preset_space
from workers.models.description import ModelDescription

router = APIRouter(tags=["catalogue"], dependencies=[READ])


@router.get("/spaces", response_model=ItemsView[SpaceView])
def list_spaces(
    request: Request,
    settings: SettingsDep,
    model: Annotated[str, Query(max_length=4096, description="the model that sizes are scaled to")] = DEFAULT_MODEL,
) -> Response:
    """Every preset with its parameters as they are on the model."""
    description = described(model, settings)
    items = [_view(name, description) for name in all_presets()]
    return tagged(request, ItemsView[SpaceView](items=items))


def _view(name: str, model: ModelDescription) -> SpaceView:
    space = preset_space(name, model)
    return SpaceView(name=name, model=model.reference, configurations=space.count(), **space.to_json())
