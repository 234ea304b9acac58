"""`peftsearch predict LAW`: hyperparameters from laws, without training."""

from __future__ import annotations

from typing import Annotated

import typer

from peftsearch.cli import law
from peftsearch.cli.law_answer import ask
from peftsearch.cli.options import AsJson, Token, Url

app = typer.Typer(no_args_is_help=True, help="Ask a law that answers without training.")
app.registered_commands.extend(law.app.registered_commands)

Parameters = Annotated[float, typer.Option("--params", help="Non-embedding parameters, such as 1.07e9")]
Tokens = Annotated[float, typer.Option("--tokens", help="Training tokens, such as 2e10")]


@app.command("step-law")
def step_law(
    params: Parameters,
    tokens: Tokens,
    sequence_length: Annotated[int, typer.Option(help="Tokens a sequence")] = 2048,
    level: Annotated[float, typer.Option(help="Probability that the intervals cover")] = 0.9,
    law_name: Annotated[
        str | None,
        typer.Option("--law", help="A stored law; `published` [default: your latest measured there, else published]"),
    ] = None,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Learning rate and batch size for pretraining."""
    question = {
        "parameters": params,
        "tokens": tokens,
        "sequence_length": sequence_length,
        "level": level,
        "law": law_name,
    }
    ask("step-law", question, as_json, url, token)


@app.command("power")
def power(
    tokens: Tokens,
    batch_sequences: Annotated[float, typer.Option(help="Sequences a batch")],
    amplitude: Annotated[float | None, typer.Option(help="Your own `a` [default: the published one]")] = None,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Learning rate of the power scheduler (µP)."""
    question = {"tokens": tokens, "batch_sequences": batch_sequences, "amplitude": amplitude}
    ask("power", question, as_json, url, token)


@app.command("critical-batch")
def critical_batch(
    loss: Annotated[float, typer.Option(help="Loss in nats a token")],
    steps: Annotated[float | None, typer.Option(help="Optimizer steps of a run")] = None,
    batch_tokens: Annotated[float | None, typer.Option(help="Tokens a batch of that run")] = None,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Critical batch size at a loss."""
    ask("critical-batch", {"loss": loss, "steps": steps, "batch_tokens": batch_tokens}, as_json, url, token)


@app.command("lora-lr")
def lora_lr(
    hidden_size: Annotated[int, typer.Option(help="Width of the model")],
    family: Annotated[str, typer.Option(help="llama or qwen")],
    full_fine_tuning: Annotated[bool, typer.Option("--full-fine-tuning", help="The rate without LoRA")] = False,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Learning rate of LoRA on all layers."""
    question = {"hidden_size": hidden_size, "family": family, "full_fine_tuning": full_fine_tuning}
    ask("lora-lr", question, as_json, url, token)


@app.command("lora-params")
def lora_params(
    model: Annotated[str, typer.Option(help="A known model, such as llama-3.1-8b")],
    rank: Annotated[int, typer.Option(help="Rank of every adapter")] = 1,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Parameters that LoRA trains."""
    ask("lora-params", {"model": model, "rank": rank}, as_json, url, token)


@app.command("parallel-layout")
def parallel_layout(
    layers: Annotated[int, typer.Option(help="Layers of the decoder")],
    hidden_size: Annotated[int, typer.Option(help="Its width")],
    heads: Annotated[int, typer.Option(help="Its heads of attention")],
    vocabulary: Annotated[int, typer.Option(help="Its tokens")],
    gpus: Annotated[int, typer.Option(help="GPUs in all")],
    batch: Annotated[int, typer.Option(help="Rows of a step")],
    sequence_length: Annotated[int, typer.Option(help="Tokens a row")] = 2048,
    trained: Annotated[float, typer.Option(help="Share of the weights that are trained")] = 1.0,
    gpus_per_node: Annotated[int, typer.Option(help="GPUs of a node")] = 8,
    memory: Annotated[float, typer.Option(help="GiB of a GPU")] = 80.0,
    teraflops: Annotated[float, typer.Option(help="What a GPU reaches by itself")] = 160.0,
    inside: Annotated[float, typer.Option(help="Gigabytes a second in a node")] = 300.0,
    between: Annotated[float, typer.Option(help="Gigabytes a second of a GPU to other nodes")] = 25.0,
    shown: Annotated[int, typer.Option(help="Layouts to list")] = 8,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """How to spread a training over GPUs."""
    question = {
        "layers": layers,
        "hidden_size": hidden_size,
        "heads": heads,
        "vocabulary": vocabulary,
        "gpus": gpus,
        "batch": batch,
        "sequence_length": sequence_length,
        "trained": trained,
        "gpus_per_node": gpus_per_node,
        "memory": memory,
        "teraflops": teraflops,
        "inside": inside,
        "between": between,
        "shown": shown,
    }
    ask("parallel-layout", question, as_json, url, token)


@app.command("loss-curve")
def loss_curve(
    params: Parameters,
    tokens: Tokens,
    batch_tokens: Annotated[float, typer.Option(help="Tokens a batch")],
    points: Annotated[int, typer.Option(help="Points of the curve")] = 20,
    as_json: AsJson = False,
    url: Url = None,
    token: Token = None,
) -> None:
    """Final loss and course of the loss of a pretraining run."""
    question = {"parameters": params, "tokens": tokens, "batch_tokens": batch_tokens, "points": points}
    ask("loss-curve", question, as_json, url, token)
