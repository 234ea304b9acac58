"""Python code that repeats a trial outside this product: the method's own part and its training hyperparameters."""

from __future__ import annotations

from service.jobspec import JobSpec
from service.store.records import Trial
from workers.hyperparameters import NO_STRATEGY, Hyperparameters, split_config
from workers.methods.registry import method
from workers.models.description import describe_for
from workers.tasks.registry import task_of


def snippet(spec: JobSpec, trial: Trial) -> str:
    """Code for a trial of a job, ready to paste into a script that has the data."""
    name, knobs, hyperparameters = split_config(trial.config)
    chosen, model = method(name), describe_for(spec.task)
    code = chosen.snippet(model, chosen.complete(model, knobs), task_of(spec.task).head).rstrip()
    return f"{code}\n\n{_training(hyperparameters, spec, trial.seed)}"


def _training(chosen: Hyperparameters, spec: JobSpec, seed: int) -> str:
    """Arguments of `transformers.Trainer` (version 5) with the same meaning."""
    arguments = {
        "num_train_epochs": spec.budget.epochs,
        "learning_rate": chosen.learning_rate,
        "per_device_train_batch_size": chosen.batch_size,
        "gradient_accumulation_steps": chosen.gradient_accumulation,
        "weight_decay": chosen.weight_decay,
        "warmup_steps": chosen.warmup_ratio if chosen.schedule != "power" else 0,  # below 1: the share of all steps
        "lr_scheduler_type": "constant_with_warmup" if chosen.schedule in ("constant", "power") else chosen.schedule,
        "max_grad_norm": chosen.max_grad_norm,
        "label_smoothing_factor": chosen.label_smoothing,
        "seed": seed % 2**32,  # the largest that NumPy takes
    }
    lines = "\n".join(f"    {name}={value!r}," for name, value in arguments.items())
    return (
        "from transformers import TrainingArguments\n\n"
        f"# texts were cut to {spec.task.max_length} tokens\n{_beyond_transformers(chosen)}"
        f'arguments = TrainingArguments(\n    "output",\n{lines}\n)\n'
    )


def _beyond_transformers(chosen: Hyperparameters) -> str:
    """Comments about what `TrainingArguments` cannot say."""
    lines = ""
    if chosen.schedule == "power":
        law = f"min(learning_rate, rows in a batch * {chosen.power_amplitude:g} * tokens seen ** -0.51)"
        course = f"rising over the first {chosen.power_warmup:g} tokens, and an exponential decay over the last tenth"
        lines += f"# schedule power: {law},\n# {course}\n"
    if chosen.strategy != NO_STRATEGY:
        knobs = ", ".join(f"{name}={value!r}" for name, value in chosen.strategy_knobs.items())
        lines += f"# trained with the strategy {chosen.strategy} ({knobs})\n"
    return lines
