"""TRL's side, in an environment of its own: `SFTTrainer` as its documentation shows it, on rows that are tokenised."""

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
from peft import LoraConfig, get_peft_model
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import SFTConfig, SFTTrainer


class InOrder(SFTTrainer):
    """Takes the rows as they come, as the other side does."""

    def _get_train_sampler(self, *_args):
        return torch.utils.data.SequentialSampler(self.train_dataset)


def prepared(plan):
    """Everything but the training."""
    torch.set_num_threads(1)
    disable_progress_bars()
    model = AutoModelForCausalLM.from_pretrained(plan["folder"], dtype=torch.float32)
    torch.manual_seed(plan["seed"])
    adapted = get_peft_model(model, LoraConfig(task_type="CAUSAL_LM", **plan["lora"]))
    learnt = [[0, *(int(one != plan["ignored"]) for one in row[:-1])] for row in plan["targets"]]
    epochs = plan["epochs"]
    rows = Dataset.from_dict({"input_ids": plan["input_ids"] * epochs, "completion_mask": learnt * epochs})
    arguments = SFTConfig(
        output_dir=tempfile.mkdtemp(),
        per_device_train_batch_size=plan["batch_size"],
        max_steps=plan["steps"] * epochs,
        learning_rate=plan["learning_rate"],
        completion_only_loss=True,
        max_length=None,
        gradient_checkpointing=False,
        bf16=plan["precision"] == "bf16",
        logging_steps=1,
        save_strategy="no",
        report_to="none",
        disable_tqdm=True,
        use_cpu=True,
        seed=plan["seed"],
    )
    tokenizer = AutoTokenizer.from_pretrained(plan["folder"])
    trainer = InOrder(model=adapted, args=arguments, train_dataset=rows, processing_class=tokenizer)

    def train():
        sys.stdout, kept = sys.stderr, sys.stdout  # it prints what it logs
        trainer.train()
        sys.stdout = kept
        return [one["loss"] for one in trainer.state.log_history if "loss" in one]

    return train


if __name__ == "__main__":
    answer(prepared)
