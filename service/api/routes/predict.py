"""Laws that answer without training. Each is asked by GET with a query or by POST with the same fields as JSON."""

from __future__ import annotations

from dataclasses import replace

import numpy as np
from fastapi import APIRouter

from predictors.answer import positive
from predictors.critical_batch import critical_batch, loss_trajectory
from predictors.lora_learning_rate import lora_learning_rate
from predictors.lora_parameters import lora_parameters
from predictors.power import PowerLaw, power
from predictors.step_law import step_law
from service.api import predictions as ask
from service.api.dependencies import READ
from service.api.predictions import PredictionView

router = APIRouter(prefix="/predict", tags=["predict"], dependencies=[READ])


@router.get("/step-law")
def get_step_law(question: ask.StepLawQuery) -> PredictionView:
    """Learning rate and batch size for pretraining a dense language model (Step Law)."""
    return post_step_law(question)


@router.post("/step-law")
def post_step_law(question: ask.StepLawQuestion) -> PredictionView:
    """Learning rate and batch size for pretraining a dense language model (Step Law)."""
    return PredictionView.of(step_law(**question.model_dump()))


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


@router.post("/fit-law")
def post_fit_law(question: ask.FitLawQuestion) -> ask.FittedLawView:
    """Your own learning-rate and batch law from a table of runs, with intervals and leave-one-out error; and what it
    says for `parameters` and `tokens`."""
    from predictors.law_answer import fitted

    rows = [row.model_dump() for row in question.rows]
    return ask.FittedLawView.model_validate(fitted(rows, question.parameters, question.tokens, question.level))


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
