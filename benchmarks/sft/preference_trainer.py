"""TRL's side of a preference training, in an environment of its own: `DPOTrainer` with an adapter, on pairs that are
tokenised. Its base is the model with the adapter switched off, asked in every step, as it is unless told otherwise."""

# mypy: ignore-errors
# ruff: noqa: E402

import os
import sys
import tempfile
import warnings
from pathlib import Path

sys.path.insert(0, str(Path(__file__).parent))
os.environ["HF_HUB_OFFLINE"] = "1"
warnings.simplefilter("ignore")

import torch
from clock import answer
from datasets import Dataset, disable_progress_bars
from peft import LoraConfig
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer

TEXTS = {"prompt": ["the"] * 2, "chosen": [" cat"] * 2, "rejected": [" mat"] * 2}
"""What the trainer is made with; it trains on the plan's rows."""


class InOrder(DPOTrainer):
    """Takes the pairs as they come, as the other side does."""

    def _get_train_sampler(self, *_args):
        return torch.utils.data.SequentialSampler(self.train_dataset)


def prepared(plan):
    """Everything but the training."""
    torch.set_num_threads(1)
    disable_progress_bars()
    model = AutoModelForCausalLM.from_pretrained(plan["folder"], dtype=torch.float32)
    arguments = DPOConfig(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=plan["batch_size"],
        max_steps=plan["steps"] * plan["epochs"],
        learning_rate=plan["learning_rate"],
        beta=plan["beta"],
        max_length=None,
        gradient_checkpointing=False,
        bf16=False,
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        seed=plan["seed"],
    )
    trainer = InOrder(
        model=model,
        args=arguments,
        train_dataset=Dataset.from_dict(TEXTS),
        processing_class=AutoTokenizer.from_pretrained(plan["folder"]),
        peft_config=LoraConfig(task_type="CAUSAL_LM", **plan["lora"]),
    )
    trainer.train_dataset = Dataset.from_list(pairs(plan) * plan["epochs"])

    def train():
        sys.stdout, kept = sys.stderr, sys.stdout  # it prints what it logs
        trainer.train()
        sys.stdout = kept
        return [one["loss"] for one in trainer.state.log_history if "loss" in one]

    return train


def pairs(plan):
    """The rows of the plan, two for each pair, as prompts with two answers."""
    found = []
    sides = [*zip(plan["input_ids"], plan["targets"], strict=True)]
    for (good, good_targets), (bad, _) in zip(sides[::2], sides[1::2], strict=True):
        length = next(place for place, one in enumerate(good_targets) if one != plan["ignored"]) + 1
        assert good[:length] == bad[:length]
        found.append({"prompt_ids": good[:length], "chosen_ids": good[length:], "rejected_ids": bad[length:]})
    return found


if __name__ == "__main__":
    answer(prepared)
