"""What winners and their base write to one prompt, side by side."""

from __future__ import annotations

import importlib.util
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

from anyio import to_thread
from fastapi import APIRouter, Request, Response
from pydantic import BaseModel, ConfigDict, Field

from service.answering.costly import Desk, costly
from service.api.body_reading import PlainRoute
from service.api.costly_answers import RESPONSES, computed
from service.api.dependencies import READ, StoreDep, surroundings
from service.api.views import View
from service.errors import BadInput, Conflict, Damaged, Unavailable
from service.store.records import Trial
from service.store.store import Store
from workers.artifacts import ArtifactDamaged, ArtifactMissing, ArtifactStore
from workers.bounded import Name
from workers.generation.settings import GenerationSettings
from workers.tasks.registry import types

WRITES = "text-generation"
"""The pipeline of models that write."""

router = APIRouter(prefix="/jobs/{job_id}", tags=["trials"], dependencies=[READ], route_class=PlainRoute)
MOST_TRIALS, LONGEST_PROMPT, MOST_TOKENS = 4, 16_000, 512


class ChatRequest(BaseModel):
    """A prompt, and who answers it beside the base."""

    model_config = ConfigDict(extra="forbid", frozen=True)

    trials: list[Name] = Field(min_length=1, max_length=MOST_TRIALS, description="ids of the job's trials")
    prompt: str = Field(min_length=1, max_length=LONGEST_PROMPT, description="as a user's message")
    max_new_tokens: int = Field(default=128, ge=1, le=MOST_TOKENS, description="tokens of an answer at most")
    temperature: Annotated[float, Field(ge=0, le=10)] = Field(default=0.0, description="0: always the likeliest token")
    seed: int = Field(default=0, ge=0, le=2**31 - 1, description="of the draws")


class SpokenView(View):
    """One answer: of a trial, or of the base (then without trial). `finished`: whether it ended by itself."""

    trial: str | None
    number: int | None
    text: str
    tokens: int
    finished: bool


class ChatView(View):
    """The base's answer, then those of the trials in the order they were asked for."""

    answers: list[SpokenView]


@router.post("/chat", response_model=ChatView, responses=RESPONSES)
async def chat(job_id: str, body: ChatRequest, request: Request, store: StoreDep) -> Response:
    """Ask trials of a language model and their base one thing. Computed on the service's processors, one question at a
    time; with `Accept: text/event-stream` the answers come as they are written. It ends when the caller leaves."""
    await to_thread.run_sync(_speakers, store, job_id, body.trials)
    if importlib.util.find_spec("torch") is None:
        raise Unavailable("this service has no `workers` installed, and cannot run models; `peftsearch chat` can")
    arguments = {"job_id": job_id, **body.model_dump()}
    return await computed(request, spoken, arguments, pool=surroundings(request).models)


def _speakers(store: Store, job_id: str, ids: list[str]) -> list[Trial]:
    """The trials. Raises BadInput for those of other jobs or of models that write nothing, Conflict without adapter."""
    kind = store.get_job(job_id).spec.get("task", {}).get("type")
    writing = [name for name, one in types().items() if one.pipeline_tag == WRITES]
    if kind not in writing:
        raise BadInput("job_id", kind, f"a job of type {' or '.join(writing)}: other models write nothing")
    found = []
    for number, id in enumerate(ids):
        trial = store.get_trial(id)
        if trial.job_id != job_id:
            raise BadInput(f"trials.{number}", id, f"a trial of the job {job_id}")
        if trial.adapter is None:
            raise Conflict(f"trials.{number}: trial {id} is {trial.state} and has no adapter to answer with")
        found.append(trial)
    return found


@costly
def spoken(
    desk: Desk, job_id: str, trials: list[str], prompt: str, max_new_tokens: int, temperature: float, seed: int
) -> ChatView:
    """The answers, one model in memory at a time."""
    from workers.generation.chat import speak

    settings = GenerationSettings(max_new_tokens=max_new_tokens, temperature=temperature, seed=seed)
    store, answers = ArtifactStore(desk.settings.artifacts), list[SpokenView]()
    for trial in _speakers(desk.store, job_id, trials):
        name = f"trial {trial.number}"
        desk.progress(f"{name}: loading")
        with TemporaryDirectory(prefix="peftsearch-chat-") as scratch:
            try:
                adapter = store.extract(str(trial.adapter), Path(scratch) / "adapter")
            except (ArtifactMissing, ArtifactDamaged) as error:
                raise Damaged(f"the adapter of {trial.id} cannot be read: {error}") from None
            names = ("base", name) if not answers else (name,)
            for side, answer in speak(adapter, prompt, settings, names, desk.progress):
                told: dict[str, Any] = {"trial": None, "number": None}
                if side != "base":
                    told = {"trial": trial.id, "number": trial.number}
                answers.append(SpokenView(**told, text=answer.text, tokens=answer.tokens, finished=answer.finished))
    return ChatView(answers=answers)
