"""`recommend`: configurations for a new task from all past jobs."""

from __future__ import annotations

from typing import Any

from fastapi import APIRouter, Request, Response
from pydantic import Field

from predictors.transfer import PastJob, PastTrial, plain, recommend
from service.answering.costly import Desk, costly
from service.api.body_reading import PlainRoute, unread_when_busy
from service.api.costly_answers import RESPONSES, computed
from service.api.dependencies import READ, CallerDep
from service.api.predictions import Question
from service.api.views import View
from service.errors import BadInput
from service.jobs.did_you_mean import unknown_name
from service.jobs.models import described
from service.jobs.search import past_jobs, queries
from service.jobs.search.problem import usual_references
from service.settings import Settings
from service.store.records import Trial
from service.store.store import Store
from workers.bounded import INT32, Name
from workers.errors import InvalidInput
from workers.models.description import ModelDescription, require_head
from workers.task import DEFAULT_TYPE
from workers.tasks.metrics import Metric
from workers.tasks.registry import measurable, tasks
from workers.tasks.task import Task

router = APIRouter(tags=["recommend"], dependencies=[READ], route_class=PlainRoute)


class RecommendQuestion(Question):
    """A task to come. What is not given is taken as unknown."""

    model: str | None = Field(
        None, description="the model to tune; by default that of the type's example", max_length=500
    )
    rows: int | None = Field(None, ge=1, le=INT32, description="training rows")
    max_length: int | None = Field(None, ge=1, le=INT32, description="tokens of a text")
    type: Name = Field(DEFAULT_TYPE, description="type of the task; jobs of another type are not asked")
    metric: Name | None = Field(None, description="what to be best at; by default the primary metric of the type")
    where: list[Name] = Field(default=[], max_length=20, description="constraints such as `trainable_params<=20000`")
    count: int = Field(3, ge=1, le=50)


class RangeView(View):
    """Mean and range over the trials of the most alike job that ran the configuration."""

    value: float
    low: float
    high: float


class SuggestionView(View):
    """A configuration; `standing` is the share of other configurations it is expected to beat on the metric."""

    config: dict[str, Any]
    standing: float | None
    low: float | None
    high: float | None
    expected: dict[str, RangeView]
    trials: list[str] = Field(description="past trials that it rests on, the most alike first")


class RecommendView(View):
    """What to try first, and why."""

    items: list[SuggestionView]
    jobs: int = Field(description="past jobs that were looked at")
    source: str
    warnings: list[str]


@router.post("/recommend", response_model=RecommendView, responses=RESPONSES)
@unread_when_busy
async def post_recommend(question: RecommendQuestion, request: Request, caller: CallerDep) -> Response:
    """The configurations that did best in past jobs on alike tasks and models, each with what to expect and the trials
    it rests on; the literature's default, and a warning, where there is no relevant past."""
    return await computed(request, recommended, {"question": question.model_dump(mode="json"), "project": caller.sees})


@costly
def recommended(desk: Desk, question: dict[str, Any], project: str | None) -> RecommendView:
    """Read the past of a project, or of all, and ask it."""
    asked = RecommendQuestion.model_validate(question)
    task = _task(asked)
    metric, model = _metric(asked, task), _model(asked, task, desk.settings)
    clauses = [queries.parse_clause(text) for text in asked.where]
    trials: dict[str, Trial] = {}
    desk.progress("reading past jobs")
    jobs = _past(desk.store, trials, project)
    desk.progress(f"comparing {len(jobs)} past jobs")
    found = recommend(
        past_jobs.task_of(asked.type, model, asked.rows, asked.max_length),
        jobs,
        metric.name,
        metric.direction == "maximize",
        asked.count,
        lambda past: all(clause.holds(trials[past.id]) for clause in clauses),
    )
    if found:
        items = [SuggestionView.model_validate(plain(one)) for one in found]
        return RecommendView(items=items, jobs=len(jobs), source="past jobs of this server", warnings=[])
    return _literature(task, model, len(jobs))


def _task(question: RecommendQuestion) -> Task:
    """The type of task. Raises BadInput for one that there is not."""
    if question.type not in tasks():
        raise BadInput.of([unknown_name("type", question.type, tasks(), "type of task")])
    return tasks()[question.type]


def _model(question: RecommendQuestion, task: Task, settings: Settings) -> ModelDescription:
    """The model to tune. Raises BadInput for one that there is not, or that has no head for such a task."""
    model = described(question.model or task.example["model"], settings)
    try:
        require_head(model, task.head)
    except InvalidInput as error:
        raise BadInput("model", error.found, error.allowed, error.message) from None
    return model


def _metric(question: RecommendQuestion, task: Task) -> Metric:
    """What to rank by. Raises BadInput for a metric that the type does not have."""
    known = measurable(task)
    if question.metric is None:
        return task.primary
    if question.metric not in known:
        raise BadInput("metric", question.metric, f"one of {', '.join(sorted(known))}")
    return known[question.metric]


def _literature(task: Task, model: ModelDescription, jobs: int) -> RecommendView:
    """The default of the literature for such a task, told apart from evidence."""
    config = dict(usual_references(task, model.shape))["literature-default"]
    if task.head.fresh:
        source = "LoRA, arXiv:2106.09685 (RoBERTa on GLUE)"
    elif "dpo_beta" in task.hyperparameters:
        source = "TRL's settings of DPO with LoRA"
    else:
        source = "LoRA on all linear layers, QLoRA, arXiv:2305.14314, and the recipes of TRL and peft"
    item = SuggestionView(config=config, standing=None, low=None, high=None, expected={}, trials=[])
    warning = "no past job on an alike task and model satisfies the constraints: this is the literature's default"
    return RecommendView(items=[item], jobs=jobs, source=source, warnings=[warning])


def _past(store: Store, trials: dict[str, Trial], project: str | None) -> list[PastJob]:
    """Jobs with completed trials, newest first; `trials` is filled with those by id."""
    found = []
    for job, task in past_jobs.with_results(store, project):
        own = past_jobs.completed(store, job.id)
        trials.update((trial.id, trial) for trial in own)
        found.append(PastJob(job.id, task, tuple(PastTrial(trial.id, trial.config, trial.metrics) for trial in own)))
    return found
