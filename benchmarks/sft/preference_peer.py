"""TRL's losses of preferences, in an environment of its own: what its trainers say of the pairs that they are given."""

# mypy: ignore-errors
# ruff: noqa: E402

import json
import os
import sys
import tempfile
import warnings

os.environ["HF_HUB_OFFLINE"] = "1"
warnings.simplefilter("ignore")

import torch
from datasets import Dataset, disable_progress_bars
from transformers import AutoModelForCausalLM, AutoTokenizer
from trl import DPOConfig, DPOTrainer, KTOConfig, KTOTrainer
from trl.experimental.orpo import ORPOConfig, ORPOTrainer

TEXTS = {"prompt": ["the"] * 2, "chosen": [" cat"] * 2, "rejected": [" mat"] * 2}
"""What trainers are made with; the losses are those of other rows."""


def main():
    """Read the plan, answer with a loss for each of its cases."""
    plan, kept = json.load(sys.stdin), sys.stdout
    sys.stdout = sys.stderr
    torch.set_num_threads(1)
    disable_progress_bars()
    losses = [SIDES[case["loss_type"]](plan, case) for case in plan["cases"]]
    print(json.dumps(losses), file=kept)


def dpo(plan, case):
    """`DPOTrainer`'s mean over the pairs."""
    arguments = DPOConfig(loss_type=[case["loss_type"]], beta=case["beta"], **_common())
    policy, base, tokenizer = _models(plan)
    trainer = DPOTrainer(
        policy, base, args=arguments, train_dataset=Dataset.from_dict(TEXTS), processing_class=tokenizer
    )
    rows = [{"prompt_ids": p, "chosen_ids": c, "rejected_ids": r} for p, c, r in plan["pairs"]]
    return _loss(trainer, policy, rows)


def kto(plan, case):
    """`KTOTrainer`'s mean over the answers, each beside the mismatched one of its pair."""
    texts = {"prompt": ["the"] * 4, "completion": [" cat", " mat"] * 2, "label": [True, False] * 2}
    arguments = KTOConfig(loss_type="kto", beta=case["beta"], train_sampling_strategy="sequential", **_common())
    policy, base, tokenizer = _models(plan)
    trainer = KTOTrainer(
        policy, base, args=arguments, train_dataset=Dataset.from_dict(texts), processing_class=tokenizer
    )
    rows = [
        {"prompt_ids": p, "completion_ids": answer, "KL_completion_ids": other, "label": label}
        for (p, c, r), other in zip(plan["pairs"], plan["mismatched"], strict=True)
        for answer, label in ((c, True), (r, False))
    ]
    return _loss(trainer, policy, rows)


def orpo(plan, case):
    """`ORPOTrainer`'s mean over the pairs, one at a time: its first term is a mean over the tokens of a batch."""
    policy, _, tokenizer = _models(plan)
    arguments = ORPOConfig(beta=case["beta"], max_length=128, **_common())
    trainer = ORPOTrainer(policy, args=arguments, train_dataset=Dataset.from_dict(TEXTS), processing_class=tokenizer)
    found = []
    for prompt, chosen, rejected in plan["pairs"]:
        batch = {}
        for name, answer in (("chosen", chosen), ("rejected", rejected)):
            # All but the last token of the prompt would count in its first term, so the rest is hidden as padding is.
            batch[f"{name}_input_ids"] = torch.tensor([[*prompt, *answer]])
            batch[f"{name}_attention_mask"] = torch.ones(1, len(prompt) + len(answer), dtype=torch.long)
            batch[f"{name}_labels"] = torch.tensor([[-100] * len(prompt) + answer])
        with torch.no_grad():
            found.append(float(trainer.get_batch_loss_metrics(policy, batch)[0]))
    return sum(found) / len(found)


SIDES = {"sigmoid": dpo, "hinge": dpo, "ipo": dpo, "kto": kto, "orpo": orpo}


def _models(plan):
    policy, base = (AutoModelForCausalLM.from_pretrained(plan[name]).float().eval() for name in ("policy", "base"))
    return policy, base, AutoTokenizer.from_pretrained(plan["base"])


def _common():
    return {"output_dir": tempfile.mkdtemp(), "per_device_train_batch_size": 4, "report_to": "none", "use_cpu": True,
            "bf16": False, "gradient_checkpointing": False, "disable_tqdm": True}  # fmt: skip


def _loss(trainer, policy, rows):
    with torch.no_grad():
        return float(trainer.compute_loss(policy, trainer.data_collator(rows)))


if __name__ == "__main__":
    main()
