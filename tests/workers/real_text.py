"""Short trainings of the pretrained encoder on a few rows of real text, for tests of what a method promises there."""

from __future__ import annotations

from typing import Any

import torch
from torch.nn.functional import cross_entropy

from workers.data.pydocs import CLASSES, read_pydocs
from workers.engines.torch_adamw import TorchAdamW
from workers.methods.attached import Attached, Batch, TrainingSetup
from workers.methods.registry import method
from workers.models.loading import Base, load_base, load_tokenizer

ROWS, BATCH_ROWS, TOKENS = 32, 16, 10
Real = tuple[Base, Batch, torch.Tensor]


def real_text() -> Real:
    """The encoder, and docstrings of all classes with their labels."""
    texts = read_pydocs("train")
    rows = range(0, len(texts["text"]), len(texts["text"]) // ROWS)[:ROWS]
    chosen = [texts["text"][row] for row in rows]
    inputs = load_tokenizer("builtin:minilm")(
        chosen, padding=True, truncation=True, max_length=TOKENS, return_tensors="pt"
    )
    labels = torch.tensor([CLASSES.index(texts["label"][row]) for row in rows])
    return load_base("builtin:minilm", labels=len(CLASSES)), dict(inputs), labels


def trained(real: Real, name: str, steps: int, rate: float, **knobs: Any) -> Attached:
    """A method trained for so many steps at a rate that falls to zero; the same rows in each step for every method."""
    base, inputs, labels = real
    one = method(name)
    setup = TrainingSetup(steps, lambda _size: iter([]), cross_entropy)
    attached = one.attach(base, one.complete(base.description, knobs), 3, setup)
    updates = TorchAdamW(attached.parameters(), 0.0, attached.rate_factors())
    order = torch.Generator().manual_seed(0)
    for step in range(steps):
        rows = torch.randperm(len(labels), generator=order)[:BATCH_ROWS]
        part = {key: value[rows] for key, value in inputs.items()}
        cross_entropy(attached.model(**part).logits, labels[rows]).backward()
        updates.step(rate * (1 - step / steps))
        attached.after_step(step + 1)
        updates.clear_gradients()
    attached.set_training(False)
    return attached


@torch.no_grad()
def loss(real: Real, attached: Attached) -> float:
    """Mean loss over the rows trained on."""
    _, inputs, labels = real
    return cross_entropy(attached.model(**inputs).logits, labels).item()
