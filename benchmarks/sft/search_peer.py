"""The search as a user writes it today, in an environment with TRL: Optuna proposes, `SFTTrainer` trains, in turn.

Two objectives, Optuna's default sampler (which is its multi-objective TPE), TRL's batches of random rows. One thread:
processor time is compared, and threads that wait for each other on a busy machine spend it without working. Optuna
prunes nothing when there are several objectives. What trials share is made once: rows come as tokens, and the model is
loaded anew for every trial, because peft changes it. float32 or bfloat16 (TRL's default) is whichever trains faster
here, found out while the clock stands still; gradient checkpointing, which TRL switches on by default, is off. The loss
of the held-out rows is that of all their wanted tokens, once for each trial.

Reads one JSON object on standard input and writes a line of JSON for every trial; the first line is the base. With
`adapters` it searches nothing, and measures folders of peft as it measures its own trials.
"""

# mypy: ignore-errors
# ruff: noqa: E402

import json
import os
import sys
import tempfile
import time
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
warnings.simplefilter("ignore")

import optuna
import torch
from datasets import Dataset, disable_progress_bars
from optuna.distributions import CategoricalDistribution, FloatDistribution, IntDistribution
from peft import LoraConfig, PeftModel
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer

MEASURED_AT_ONCE = 16  # rows
IMPORTED, IMPORTS = time.time(), time.process_time()


def main():
    """Search as asked on standard input, or measure an adapter."""
    told = os.fdopen(os.dup(1), "w", buffering=1)
    os.dup2(2, 1)  # the trainer prints its logs
    asked = json.load(sys.stdin)
    torch.set_num_threads(1)
    if "adapters" in asked:
        for name, folder in asked["adapters"].items():
            model = PeftModel.from_pretrained(_base(asked), folder, is_trainable=True)
            told.write(json.dumps({"trial": name, **objectives(model, asked)}) + "\n")
        return
    disable_progress_bars()
    optuna.logging.set_verbosity(optuna.logging.WARNING)
    start = {"wall_seconds": IMPORTED - asked["begun"], "processor_seconds": IMPORTS}
    asked["bf16"] = faster_in_bfloat16(asked)
    base = objectives(_base(asked), asked)["loss"]
    told.write(json.dumps({"base_loss": base, "bf16": asked["bf16"], "start": start}) + "\n")
    for row in search(asked, start):
        told.write(json.dumps(row) + "\n")


def search(asked, start):
    """`config`, `loss`, `trainable_params`, `wall_seconds` and `processor_seconds` of each trial, with those of the
    start."""
    wall, processor = time.perf_counter(), time.process_time()
    study = optuna.create_study(
        directions=["minimize", "minimize"], sampler=optuna.samplers.TPESampler(seed=asked["seed"])
    )
    space = distributions(asked["parameters"])
    study.enqueue_trial(asked["first"])
    for _ in range(asked["trials"]):
        trial = study.ask(space)
        found = objectives(trained(asked, trial.params), asked)
        study.tell(trial, [found["loss"], found["trainable_params"]])
        yield {
            "config": trial.params,
            **found,
            "wall_seconds": start["wall_seconds"] + time.perf_counter() - wall,
            "processor_seconds": start["processor_seconds"] + time.process_time() - processor,
        }


def distributions(parameters):
    """A space of peftsearch in Optuna's terms; its priors have none."""
    found = {}
    for one in parameters:
        if one["type"] == "float":
            found[one["name"]] = FloatDistribution(one["low"], one["high"], log=one["scale"] == "log")
        elif one["type"] == "int":
            found[one["name"]] = IntDistribution(one["low"], one["high"], log=one["scale"] == "log")
        else:
            found[one["name"]] = CategoricalDistribution(one.get("choices") or one["values"])
    return found


def faster_in_bfloat16(asked):
    """Whether two steps of four rows take less processor time under autocast than in float32."""
    rows = {name: values[:4] for name, values in asked["rows"]["train"].items()}
    few = {**asked, "rows": {"train": rows}, "epochs": 2}
    seconds = {}
    for bf16 in (False, True, False, True):  # the first of each warms up
        started = time.process_time()
        trained({**few, "bf16": bf16}, {**asked["first"], "batch_size": 4})
        seconds[bf16] = time.process_time() - started
    return seconds[True] < seconds[False]


def trained(asked, params):
    """The model of a configuration at the end of its training."""
    layers = asked["layers"]
    lora = LoraConfig(
        task_type="CAUSAL_LM",
        r=params["rank"],
        lora_alpha=params["alpha"],
        lora_dropout=params["dropout"],
        target_modules=asked["modules"][params["targets"]],
        layers_to_transform=list(range(layers - params["top_layers"], layers)),
        layers_pattern="layers",
        use_rslora=params["use_rslora"],
    )
    with tempfile.TemporaryDirectory() as output:
        trainer = SFTTrainer(
            model=_base(asked),
            args=SFTConfig(
                output_dir=output,
                num_train_epochs=asked["epochs"],
                per_device_train_batch_size=params["batch_size"],
                learning_rate=params["learning_rate"],
                weight_decay=params["weight_decay"],
                warmup_steps=params["warmup_ratio"],  # a share of all steps when below 1
                lr_scheduler_type=params["schedule"],
                completion_only_loss=True,
                max_length=None,
                gradient_checkpointing=False,
                bf16=asked["bf16"],
                save_strategy="no",
                report_to="none",
                disable_tqdm=True,
                use_cpu=True,
                seed=asked["seed"],
            ),
            train_dataset=Dataset.from_dict(asked["rows"]["train"]),
            processing_class=AutoTokenizer.from_pretrained(asked["folder"]),
            peft_config=lora,
        )
        trainer.train()
    return trainer.model


@torch.no_grad()
def objectives(model, asked):
    """Mean cross-entropy of the wanted tokens of all held-out rows, in nats, and how many parameters are trained.

    In float32: under autocast the losses of few rows are off by a hundredth of a nat, as much as a training may gain.
    """
    model.eval()
    rows = asked["rows"]["validation"]
    order = sorted(range(len(rows["input_ids"])), key=lambda row: len(rows["input_ids"][row]))
    total = count = 0.0
    for start in range(0, len(order), MEASURED_AT_ONCE):
        chosen = order[start : start + MEASURED_AT_ONCE]
        ids = _padded([rows["input_ids"][row] for row in chosen])
        wanted = _padded([rows["completion_mask"][row] for row in chosen])[:, 1:] == 1
        mask = _padded([[1] * len(rows["input_ids"][row]) for row in chosen])
        logits = model(input_ids=ids, attention_mask=mask).logits
        losses = torch.nn.functional.cross_entropy(logits[:, :-1][wanted].float(), ids[:, 1:][wanted], reduction="sum")
        total, count = total + float(losses), count + int(wanted.sum())
    parameters = sum(one.numel() for one in model.parameters() if one.requires_grad)
    return {"loss": total / count, "trainable_params": parameters}


def _padded(rows):
    return torch.nn.utils.rnn.pad_sequence([torch.tensor(row) for row in rows], batch_first=True)


def _base(asked):
    return AutoModelForCausalLM.from_pretrained(asked["folder"], dtype=torch.float32)


if __name__ == "__main__":
    main()
