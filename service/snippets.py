"""Python code that repeats a trial outside this product: the method's own part and its training hyperparameters."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from workers.hyperparameters import Hyperparameters, split_config
from workers.methods.registry import method
from workers.models.description import describe


def snippet(model: str, config: Mapping[str, Any]) -> str:
    """Code for a configuration on a model, ready to paste."""
    name, knobs, hyperparameters = split_config(config)
    chosen, description = method(name), describe(model)
    code = chosen.snippet(description, chosen.complete(description, knobs))
    return code.rstrip() + "\n\n" + _training(hyperparameters)


def _training(chosen: Hyperparameters) -> str:
    """Arguments of `transformers.Trainer` with the same meaning; what this product fixes is written out."""
    schedule = {"constant": "constant_with_warmup"}.get(chosen.schedule, chosen.schedule)
    arguments = {
        "learning_rate": chosen.learning_rate,
        "per_device_train_batch_size": chosen.batch_size,
        "gradient_accumulation_steps": chosen.gradient_accumulation,
        "weight_decay": chosen.weight_decay,
        "warmup_ratio": chosen.warmup_ratio,
        "lr_scheduler_type": schedule,
        "max_grad_norm": chosen.max_grad_norm,
        "label_smoothing_factor": chosen.label_smoothing,
    }
    lines = "\n".join(f"    {name}={value!r}," for name, value in arguments.items())
    return f'from transformers import TrainingArguments\n\narguments = TrainingArguments(\n    "output",\n{lines}\n)\n'
