"""The peer, as a user of Hugging Face writes it: a `Trainer` per trial, dynamic padding, an evaluation per epoch."""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from typing import Any

import numpy as np
import torch
from torch.nn.functional import cross_entropy
from transformers import Trainer, TrainingArguments

from benchmarks.engine.clock import Spent, measure
from benchmarks.engine.configurations import Configuration
from workers.data.tokens import Tokens
from workers.methods.attached import TrainingSetup
from workers.methods.registry import method
from workers.models.loading import load_base
from workers.running.workbench import PreparedData


class Rows(torch.utils.data.Dataset[dict[str, Any]]):
    """One split as `Trainer` wants it: dicts of unpadded lists."""

    def __init__(self, tokens: Tokens) -> None:
        bounds = list(zip(tokens.offsets[:-1], tokens.offsets[1:], strict=True))
        ids = [tokens.input_ids[a:b].tolist() for a, b in bounds]
        self._rows = [{"input_ids": row, "label": int(y)} for row, y in zip(ids, tokens.targets, strict=True)]

    def __len__(self) -> int:
        return len(self._rows)

    def __getitem__(self, index: int) -> dict[str, Any]:
        return self._rows[index]


def _collate(padding_id: int) -> Any:
    def collate(rows: list[dict[str, Any]]) -> dict[str, torch.Tensor]:
        longest = max(len(row["input_ids"]) for row in rows)
        ids = [row["input_ids"] + [padding_id] * (longest - len(row["input_ids"])) for row in rows]
        mask = [[1] * len(row["input_ids"]) + [0] * (longest - len(row["input_ids"])) for row in rows]
        labels = torch.tensor([row["label"] for row in rows])
        return {"input_ids": torch.tensor(ids), "attention_mask": torch.tensor(mask), "labels": labels}

    return collate


def train(
    model_reference: str, configuration: Configuration, data: PreparedData, epochs: int, seed: int
) -> tuple[Spent, float]:
    """Time of training with an evaluation per epoch (loading is not counted), and the last accuracy."""
    base = load_base(model_reference, len(data.tokens.labels))
    one = method(configuration.method)
    values = one.complete(base.description, configuration.knobs)
    attached = one.attach(base, values, seed, TrainingSetup(1, _nothing, cross_entropy))
    with tempfile.TemporaryDirectory() as folder:
        arguments = TrainingArguments(
            output_dir=folder,
            per_device_train_batch_size=configuration.batch_size,
            per_device_eval_batch_size=32,
            num_train_epochs=epochs,
            learning_rate=1e-3,
            eval_strategy="epoch",
            save_strategy="no",
            report_to="none",
            disable_tqdm=True,
            use_cpu=True,
            seed=seed,
        )
        trainer = Trainer(
            model=attached.model,
            args=arguments,
            train_dataset=Rows(data.tokens.train),
            eval_dataset=Rows(data.tokens.validation),
            data_collator=_collate(data.tokens.pad_token_id),
            compute_metrics=lambda p: {"accuracy": float((np.argmax(p.predictions, -1) == p.label_ids).mean())},
        )
        with measure() as spent:
            trainer.train()
    evaluations = [entry["eval_accuracy"] for entry in trainer.state.log_history if "eval_accuracy" in entry]
    return spent, float(evaluations[-1])


def _nothing(_size: int) -> Iterator[Any]:
    return iter(())
