"""Python code that repeats a trial outside this product: the same rows, training and evaluation, ready to paste.

Where peft and `transformers.Trainer` mean the same by a configuration, the code is theirs; where they cannot express
it, the code says why and lets the search's own engine train.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from service.jobs.search.lineage import Stretch
from service.jobs.search.program_snippets import program_snippet
from service.jobs.search.scheduling import pause_every
from service.jobs.search.spec import JobSpec
from service.store.records import Trial
from workers.errors import InvalidInput
from workers.hyperparameters import NO_STRATEGY, Hyperparameters, split_config
from workers.methods.declaration.method import Method
from workers.methods.registry import method
from workers.methods.snippets import adapter_snippet, fresh_base_snippet
from workers.models.description import describe_for
from workers.searched_settings import settings_in
from workers.tasks.registry import task_of
from workers.tasks.section import TaskSection

_SHARE_OF_ALL_STEPS = "below 1 it is the share of all steps"


def snippet(spec: JobSpec, trial: Trial, past: Sequence[Stretch]) -> str:
    """Code that trains a trial of a job again. `past` are the stretches of training behind its weights."""
    if not isinstance(spec.task, TaskSection):
        return program_snippet(spec, trial)
    name, knobs, hyperparameters = split_config(trial.config)
    chosen, task = method(name), task_of(spec.task)
    reason: str | None = f"encoding and measures of {task.name} are the search's own"
    if task.trains_plainly:
        reason = _beyond_trainer(spec, chosen, hyperparameters, past)
    if reason is None and (own := settings_in(trial.config)):
        reason = f"its configuration says with which {', '.join(sorted(own))} it trains"
    if reason is not None or chosen.peft_config is None:
        return _with_our_engine(spec, trial, past, reason or "")
    try:
        model, head = describe_for(spec.task), task.head
    except InvalidInput:
        return _with_our_engine(spec, trial, past, f"{spec.task.model!r} cannot be read here any more")
    kind, arguments = chosen.peft_config(model, chosen.complete(model, knobs))
    base = fresh_base_snippet(spec.task.model, "dict(enumerate(classes))", head, model.anatomy.body)
    return f"""from peft import {kind}, TaskType, get_peft_model
from transformers import DataCollatorWithPadding, Trainer, TrainingArguments, set_seed
from workers.running.repeating import encoded_rows  # of peftsearch: the rows that the search trained and measured on

classes, training, validation = encoded_rows(
{_arguments(_task(spec), 4)},
    seed={spec.seed},
)
set_seed({_numpy_seed(trial.seed)})
{base}
{adapter_snippet(kind, arguments, head)}

{_training(hyperparameters, spec, trial)}"""


def _beyond_trainer(
    spec: JobSpec, chosen: Method, hyperparameters: Hyperparameters, past: Sequence[Stretch]
) -> str | None:
    """What of the configuration peft and Trainer cannot express."""
    if len({str(sorted(one.config.items(), key=str)) for one in past}) > 1:
        return "its configuration changed on the way, as population-based training does"
    if hyperparameters.strategy != NO_STRATEGY:
        return f"Trainer does not know the training strategy {hyperparameters.strategy}"
    if hyperparameters.batch_tokens > 0:
        return "Trainer counts rows of a batch, not tokens"
    if hyperparameters.eda_copies > 0:
        return "altered copies of its training rows are the search's own"
    if hyperparameters.demos > 0:
        return "training rows that stand before its texts are found by the search's own code"
    if hyperparameters.mixup > 0 or hyperparameters.contrast > 0:
        return "Trainer neither mixes rows of a batch nor compares them"
    if hyperparameters.self_training > 0:
        return "Trainer does not train teachers before it"
    if hyperparameters.drop_share > 0:
        return "which of its training rows are left out is found by the search's own code"
    if hyperparameters.neighbours > 0:
        return "Trainer does not look up training rows where it measures"
    if hyperparameters.products != "full":
        return "Trainer does not simulate products in few bits"
    if hyperparameters.spike_score > 0:
        return "Trainer does not undo steps whose loss spikes"
    if hyperparameters.schedule == "power":
        return "Trainer does not know the schedule `power`"
    if not chosen.trains_plainly:
        return f"plain peft does not train {chosen.name} as the search does"
    if spec.resources.quantise is not None:
        return f"the base is kept in {spec.resources.quantise}"
    return None


def _with_our_engine(spec: JobSpec, trial: Trial, past: Sequence[Stretch], reason: str) -> str:
    schedule = [(one.to_epoch, dict(one.config)) for one in past] or [(None, dict(trial.config))]
    lines = "\n".join(f"    ({until!r}, {_arguments(config, 4).lstrip()})," for until, config in schedule)
    options: dict[str, Any] = {"epochs": spec.budget.epochs, "seed": trial.seed, "data_seed": spec.seed}
    options |= {} if len(schedule) == 1 else {"pause_every": pause_every(spec, trial)}
    options |= {"precision": trial.environment.get("precision", spec.resources.precision)}
    options |= {} if spec.resources.quantise is None else {"quantise": spec.resources.quantise}
    options |= {"gradient_checkpointing": True} if spec.resources.gradient_checkpointing else {}
    given = "\n".join(f"    {name}={value!r}," for name, value in options.items())
    trained = not method(str(trial.config["method"])).baseline  # else nothing is left to be loaded
    imports = "import peftsearch\n" if trained else ""
    load = 'model = peftsearch.load_adapter(task["model"], again.folder)\n' if trained else ""
    return f"""{imports}# Of peftsearch: the search's own engine, as {reason}
from workers.running.repeating import train_again

task = {_arguments(_task(spec), 0)}
schedule = [  # (until this epoch, configuration)
{lines}
]
again = train_again(
    task,
    schedule,
    "adapter",
{given}
)
print(again.metrics)  # {_reached(trial)}
{load}"""


def _training(chosen: Hyperparameters, spec: JobSpec, trial: Trial) -> str:
    """A run of `transformers.Trainer` (version 5) with the same meaning."""
    arguments = {
        "num_train_epochs": spec.budget.epochs,
        "learning_rate": chosen.learning_rate,
        "per_device_train_batch_size": chosen.batch_size,
        "gradient_accumulation_steps": chosen.gradient_accumulation,
        "weight_decay": chosen.weight_decay,
        "warmup_steps": chosen.warmup_ratio,
        "lr_scheduler_type": "constant_with_warmup" if chosen.schedule == "constant" else chosen.schedule,
        "max_grad_norm": chosen.max_grad_norm,
        "label_smoothing_factor": chosen.label_smoothing,
        "seed": _numpy_seed(trial.seed),
    }
    if trial.environment.get("precision") == "bf16":
        arguments["bf16"] = True
    if spec.resources.gradient_checkpointing:
        arguments["gradient_checkpointing"] = True
    arguments |= {"save_strategy": "no", "report_to": "none"}
    remarks = {"warmup_steps": f"  # {_SHARE_OF_ALL_STEPS}"}
    lines = "\n".join(f"    {name}={value!r},{remarks.get(name, '')}" for name, value in arguments.items())
    return f"""arguments = TrainingArguments(
    "output",
    use_cpu=not torch.cuda.is_available(),  # else it refuses bf16 there
{lines}
)

def measures(found):  # `eval_loss` has the label smoothing in it, what the search reports has not
    logits, classes = torch.tensor(found.predictions), torch.tensor(found.label_ids)
    loss = torch.nn.functional.cross_entropy(logits, classes)
    return {{"accuracy": float((logits.argmax(-1) == classes).float().mean()), "cross_entropy": float(loss)}}

trained = [value for value in model.parameters() if value.requires_grad]
groups = [  # weight decay is for matrices alone
    {{"params": [value for value in trained if value.ndim >= 2], "weight_decay": arguments.weight_decay}},
    {{"params": [value for value in trained if value.ndim < 2], "weight_decay": 0.0}},
]
trainer = Trainer(
    model=model,
    args=arguments,
    train_dataset=training,
    eval_dataset=validation,
    data_collator=DataCollatorWithPadding(tokenizer),
    compute_metrics=measures,
    optimizers=(torch.optim.AdamW(groups, lr=arguments.learning_rate), None),
)
trainer.train()
print(trainer.evaluate())  # {_reached(trial)}
"""


def _task(spec: JobSpec) -> dict[str, Any]:
    """What of the task the training reads."""
    return spec.task.model_dump(exclude_none=True)


def _arguments(values: Mapping[str, Any], indent: int) -> str:
    """A dict, one entry on a line."""
    space = " " * indent
    lines = "\n".join(f"{space}    {name!r}: {value!r}," for name, value in values.items())
    return f"{space}{{\n{lines}\n{space}}}"


def _reached(trial: Trial) -> str:
    """What the trial reached, as a comment."""
    values = [f"{name} {trial.metrics[name]:.4g}" for name in ("accuracy", "loss") if name in trial.metrics]
    return f"trial {trial.id}: {', '.join(values) or 'nothing measured'}"


def _numpy_seed(seed: int) -> int:
    return seed % 2**32  # the largest that NumPy takes
