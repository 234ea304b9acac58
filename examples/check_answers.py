"""Ask a merged checkpoint and its base the same questions with plain `transformers`, no peftsearch, side by side.

Prints both answers to each question and how near they are to the reference, and as JSON the means of both.

python examples/check_answers.py MERGED_FOLDER BASE_MODEL QUESTIONS.json [MAX_NEW_TOKENS]
"""

from __future__ import annotations

import json
import re
import sys
from collections import Counter
from pathlib import Path

import torch
from transformers import AutoModelForCausalLM, AutoTokenizer, logging

logging.set_verbosity_error()
logging.disable_progress_bar()


def main(merged: str, base: str, questions: str, longest: str = "40") -> None:
    """Every question to both; `questions` is a JSON list of objects with `prompt`, as the models read it, and
    `reference`."""
    asked = json.loads(Path(questions).read_text(encoding="utf-8"))
    answers = {name: ask(folder, asked, int(longest)) for name, folder in (("base", base), ("merged", merged))}
    means = {}
    for name, said in answers.items():
        means[name] = sum(shared(text, one["reference"]) for text, one in zip(said, asked, strict=True)) / len(asked)
    for number, one in enumerate(asked):
        print(f"\nquestion   {shown(one['prompt'])}\nreference  {one['reference']}")
        for name, said in answers.items():
            print(f"{name:<10} {shown(said[number])}   ({shared(said[number], one['reference']):.2f})")
    print(json.dumps(means | {"questions": len(asked)}))


def ask(folder: str, asked: list[dict[str, str]], longest: int) -> list[str]:
    """The likeliest answers of one model, one by one."""
    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=torch.float32).eval()  # a CPU is faster at it
    found = []
    for one in asked:
        inputs = tokenizer(one["prompt"], add_special_tokens=False, return_tensors="pt")
        with torch.inference_mode():
            ids = model.generate(**inputs, max_new_tokens=longest, do_sample=False)[0, inputs["input_ids"].shape[1] :]
        found.append(tokenizer.decode(ids, skip_special_tokens=True).strip())
    return found


def shared(answer: str, reference: str) -> float:
    """F1 of the words that both have, 0 to 1."""
    left, right = (Counter(re.findall(r"\w+", text.lower())) for text in (answer, reference))
    both = (left & right).total()
    return 2 * both / (left.total() + right.total()) if both else 0.0


def shown(text: str) -> str:
    """A text on one line, without the marks of the chat template."""
    plain = " ".join(re.sub(r"<\|im_\w+\|>", "", text).split())
    return plain if len(plain) <= 240 else f"… {plain[-240:]}"


if __name__ == "__main__":
    main(*sys.argv[1:])
