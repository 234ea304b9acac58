"""Laws that answer without training. Each is asked by GET with a query or by POST with the same fields as JSON."""

from __future__ import annotations

from dataclasses import asdict, replace
from typing import Any

import numpy as np
from fastapi import APIRouter, Request, Response

from predictors.answer import OutOfDomain, positive
from predictors.critical_batch import critical_batch, loss_trajectory
from predictors.lora_learning_rate import lora_learning_rate
from predictors.lora_parameters import lora_parameters
from predictors.parallel_layout import Cluster, Decoder, parallel_layout
from predictors.power import PowerLaw, power
from predictors.step_law import step_law
from service.answering.costly import Desk, costly
from service.api import predictions as ask
from service.api.body_reading import PlainRoute, unread_when_busy
from service.api.costly_answers import RESPONSES, computed
from service.api.dependencies import READ, CallerDep, StoreDep
from service.api.predictions import PredictionView
from service.jobs.law.own_laws import law_for, own_law

router = APIRouter(prefix="/predict", tags=["predict"], dependencies=[READ], route_class=PlainRoute)


@router.get("/step-law")
def get_step_law(question: ask.StepLawQuery, store: StoreDep, caller: CallerDep) -> PredictionView:
    """Learning rate and batch size for pretraining: your own law where it was measured, else Step Law."""
    return post_step_law(question, store, caller)


@router.post("/step-law")
def post_step_law(question: ask.StepLawQuestion, store: StoreDep, caller: CallerDep) -> PredictionView:
    """Learning rate and batch size for pretraining: your own law where it was measured, else Step Law."""
    sizes = {"parameters": question.parameters, "tokens": question.tokens}
    positive(**sizes)
    if (own := law_for(store, question.law, sizes, caller.sees)) is not None:
        return PredictionView.of(own.answer(sizes, question.level))
    return PredictionView.of(step_law(**question.model_dump(exclude={"law"})))


@router.get("/law")
def get_law(question: ask.LawQuery, store: StoreDep, caller: CallerDep) -> PredictionView:
    """Learning rate and batch size from a law of your own, by name."""
    return post_law(question, store, caller)


@router.post("/law")
def post_law(question: ask.LawQuestion, store: StoreDep, caller: CallerDep) -> PredictionView:
    """Learning rate and batch size from a law of your own, by name."""
    sizes = question.model_dump(include={"parameters", "tokens", "rank"}, exclude_none=True)
    law = own_law(store, question.law, question.version, caller.sees)
    return PredictionView.of(law.answer(sizes, question.level))


@router.get("/power")
def get_power(question: ask.PowerQuery) -> PredictionView:
    """Learning rate under the power scheduler, in µP units."""
    return post_power(question)


@router.post("/power")
def post_power(question: ask.PowerQuestion) -> PredictionView:
    """Learning rate under the power scheduler, in µP units."""
    law = PowerLaw()
    if question.amplitude is not None:
        positive(amplitude=question.amplitude)
        law = replace(law, amplitude=question.amplitude, standing="fitted")
    return PredictionView.of(power(question.tokens, question.batch_sequences, law))


@router.get("/critical-batch")
def get_critical_batch(question: ask.CriticalBatchQuery) -> PredictionView:
    """Critical batch size at a loss; with `steps` and `batch_tokens` also the least steps and tokens to reach it."""
    return post_critical_batch(question)


@router.post("/critical-batch")
def post_critical_batch(question: ask.CriticalBatchQuestion) -> PredictionView:
    """Critical batch size at a loss; with `steps` and `batch_tokens` also the least steps and tokens to reach it."""
    return PredictionView.of(critical_batch(**question.model_dump()))


@router.get("/lora-lr")
def get_lora_rate(question: ask.LoraRateQuery) -> PredictionView:
    """Learning rate of LoRA on all layers of a Llama or Qwen model."""
    return post_lora_rate(question)


@router.post("/lora-lr")
def post_lora_rate(question: ask.LoraRateQuestion) -> PredictionView:
    """Learning rate of LoRA on all layers of a Llama or Qwen model."""
    return PredictionView.of(lora_learning_rate(**question.model_dump()))


@router.get("/lora-params")
def get_lora_parameters(question: ask.LoraParametersQuery) -> PredictionView:
    """Parameters that LoRA trains on a known model."""
    return post_lora_parameters(question)


@router.post("/lora-params")
def post_lora_parameters(question: ask.LoraParametersQuestion) -> PredictionView:
    """Parameters that LoRA trains on a known model."""
    return PredictionView.of(lora_parameters(**question.model_dump()))


@router.get("/parallel-layout")
def get_parallel_layout(question: ask.LayoutQuery) -> PredictionView:
    """Tensor, pipeline and data parallel layout of a decoder's training, with Megatron-LM's settings."""
    return post_parallel_layout(question)


@router.post("/parallel-layout")
def post_parallel_layout(question: ask.LayoutQuestion) -> PredictionView:
    """Tensor, pipeline and data parallel layout of a decoder's training, with Megatron-LM's settings."""
    one = question
    model = Decoder(one.layers, one.hidden_size, one.heads, one.vocabulary, one.sequence_length, one.trained)
    cluster = Cluster(one.gpus, one.gpus_per_node, one.memory, one.teraflops, one.inside, one.between)
    answer, found = parallel_layout(model, cluster, one.batch)
    shown = [asdict(layout) | {"settings": layout.settings(one.batch, one.layers)} for layout in found[: one.shown]]
    return PredictionView.of(answer, layouts=shown)


@router.post("/fit-law", response_model=ask.FittedLawView, responses=RESPONSES)
@unread_when_busy
async def post_fit_law(question: ask.FitLawQuestion, request: Request) -> Response:
    """Your own learning-rate and batch law from a table of runs, with intervals and leave-one-out error; and what it
    says for `parameters` and `tokens`."""
    if (question.parameters is None) != (question.tokens is None):
        raise OutOfDomain("parameters, tokens", (question.parameters, question.tokens), "both or neither")
    return await computed(request, own_fit, {"question": question.model_dump(mode="json")}, "rows")


@costly
def own_fit(desk: Desk, question: dict[str, Any]) -> ask.FittedLawView:
    """Fit the law and ask it."""
    from predictors.law_answer import fitted, variables_of

    read = ask.FitLawQuestion.model_validate(question)
    rows = [row.model_dump(exclude_none=True) for row in read.rows]
    desk.progress(f"fitting a law to {len(rows)} runs")
    asked = read.model_dump(include={"parameters", "tokens", "rank"}, exclude_none=True)
    variables = variables_of(rows)
    sizes = {name: asked[name] for name in variables if name in asked} if asked else None
    return ask.FittedLawView.model_validate(fitted(rows, sizes, read.level, variables))


@router.get("/loss-curve")
def get_loss_curve(question: ask.LossCurveQuery) -> PredictionView:
    """Final loss and course of the loss of a pretraining run."""
    return post_loss_curve(question)


@router.post("/loss-curve")
def post_loss_curve(question: ask.LossCurveQuestion) -> PredictionView:
    """Final loss and course of the loss of a pretraining run."""
    asked = question
    positive(parameters=asked.parameters, tokens=asked.tokens, batch_tokens=asked.batch_tokens)
    tokens = [float(one) for one in np.linspace(0, asked.tokens, asked.points + 1)[1:]]
    answers = [loss_trajectory(asked.parameters, one / asked.batch_tokens, asked.batch_tokens) for one in tokens]
    curve = [
        {"tokens": one, "loss": answer.quantities["loss"].value} for one, answer in zip(tokens, answers, strict=True)
    ]
    return PredictionView.of(answers[-1], curve=curve)
