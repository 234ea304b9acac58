"""The types of task that a job can have."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response

from service.api.catalogue_views import FieldView, TaskView
from service.api.dependencies import READ
from service.api.responses import tagged
from service.api.views import ItemsView, ObjectiveView
from workers.tasks.registry import types
from workers.tasks.task import TaskType

router = APIRouter(tags=["catalogue"], dependencies=[READ])


@router.get("/tasks", response_model=ItemsView[TaskView])
def list_tasks(request: Request) -> Response:
    """Every type of task, with the fields of its section, its metrics and a job that runs on every machine."""
    return tagged(request, ItemsView[TaskView](items=[_view(task) for task in types().values()]))


def _view(task: TaskType) -> TaskView:
    objectives = [ObjectiveView(metric=metric, direction=direction) for metric, direction in task.usual_objectives()]
    return TaskView(
        name=task.name,
        summary=task.summary,
        pipeline_tag=task.pipeline_tag,
        fields=_fields(task),
        metrics=[metric.name for metric in (*task.metrics, *task.compared)],
        primary_metric=objectives[0].metric,
        objectives=objectives,
        example={
            "name": task.name,
            "task": {"type": task.name, **task.example},
            "space": dict(task.space),
            "objectives": [one.model_dump() for one in objectives],
            "budget": {"trials": 8, "epochs": 1},
        },
    )


def _fields(task: TaskType) -> list[FieldView]:
    properties: dict[str, Any] = task.section.model_json_schema()["properties"]
    return [
        FieldView(
            name=name,
            required=field.is_required(),
            default=None if field.is_required() else field.get_default(),
            description=field.description or "",
            schema=properties[name],
        )
        for name, field in task.section.model_fields.items()
    ]
