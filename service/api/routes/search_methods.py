"""What can search a space and what can schedule its trials, with their options."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from optimizers import registry as optimizers
from optimizers.options import Choice
from optimizers.schedulers import registry as schedulers
from service.api.dependencies import READ
from service.api.responses import tagged
from service.api.views import ItemsView, View

router = APIRouter(tags=["catalogue"], dependencies=[READ])


class OptionView(View):
    """An option of an optimizer or a scheduler; `type` is as Python writes it."""

    name: str
    type: str
    default: Any


class ChoiceView(View):
    """An optimizer or a scheduler."""

    name: str
    summary: str
    options: list[OptionView]


@router.get("/optimizers", response_model=ItemsView[ChoiceView])
def list_optimizers(request: Request) -> Response:
    """Every optimizer with its options."""
    return tagged(request, ItemsView[ChoiceView](items=[_view(one) for one in optimizers.choices()]))


@router.get("/schedulers", response_model=ItemsView[ChoiceView])
def list_schedulers(request: Request) -> Response:
    """Every scheduler with its options."""
    return tagged(request, ItemsView[ChoiceView](items=[_view(one) for one in schedulers.choices()]))


def _view(choice: Choice) -> ChoiceView:
    options = [OptionView(**vars(option)) for option in choice.options]
    return ChoiceView(name=choice.name, summary=choice.summary, options=options)
