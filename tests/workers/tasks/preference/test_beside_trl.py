"""Losses of preferences are those that TRL's own trainers gave for the same models and rows.

The numbers are of TRL 1.16.0. `python -m tests.workers.tasks.preference.test_beside_trl` asks it again, in the
environment of `make .venv-trl/installed`, and prints them.
"""

from __future__ import annotations

import json
import subprocess
import tempfile
from pathlib import Path

import numpy as np
import pytest
import torch
from transformers import LlamaForCausalLM

from tests.workers.tiny_language_model import save_tiny_llama, tiny_llama
from workers.data.tokens import Tokens
from workers.engines.frozen import beside_model
from workers.engines.inputs import Inputs
from workers.engines.passes import WholePass
from workers.hyperparameters import Hyperparameters
from workers.tasks.catalogue.preference import LossType, pair_criterion
from workers.tasks.criterion import IGNORED

ROOT = Path(__file__).parents[4]
PAIRS = (
    ((9,), (11, 45, 201, 2), (78, 2)),
    ((17,), (33, 2), (120, 9, 77, 260, 5, 2)),
    ((250,), (61, 62, 63, 2), (64, 65, 2)),
)
"""Prompts of one token: ORPO's first term counts a prompt's other tokens, too, where TRL has it."""
MISMATCHED = ((189, 2), (78, 2), (116, 2))
"""Answers whose mean log-ratio, z of KTO, is above 0: below it TRL has 0."""
GOLDEN: dict[tuple[LossType, float], float] = {
    ("sigmoid", 0.1): 0.6760476,
    ("sigmoid", 1.0): 0.6942861,
    ("hinge", 0.5): 0.8078974,
    ("ipo", 0.1): 24.2353230,
    ("ipo", 1.0): 0.2473209,
    ("orpo", 0.1): 6.7809893,
    ("orpo", 1.0): 6.9408277,
    ("kto", 0.1): 0.4952785,
    ("kto", 1.0): 0.4862616,
}


def policy() -> LlamaForCausalLM:
    """The tiny Llama with every weight moved a little."""
    model, noise = tiny_llama(), torch.Generator().manual_seed(1)
    with torch.no_grad():
        for value in model.parameters():
            value.add_(0.02 * torch.randn(value.shape, generator=noise))
    return model


def _tokens(loss_type: LossType) -> Tokens:
    """Rows in turn: chosen, rejected, and for KTO the prompt with another pair's answer."""
    triples = [
        ((prompt, chosen), (prompt, rejected), (prompt, other))
        for (prompt, chosen, rejected), other in zip(PAIRS, MISMATCHED, strict=True)
    ]
    rows = [row for triple in triples for row in (triple if loss_type == "kto" else triple[:2])]
    ids = [np.array([*prompt, *answer], dtype=np.int32) for prompt, answer in rows]
    targets = [np.array([IGNORED] * (len(prompt) - 1) + [*answer, IGNORED], dtype=np.int32) for prompt, answer in rows]
    offsets = np.cumsum([0, *map(len, ids)]).astype(np.int64)
    return Tokens(np.concatenate(ids), None, offsets, np.concatenate(targets))


def ours(loss_type: LossType, beta: float) -> float:
    """The mean loss of the pairs by the code that trials run."""
    inputs = beside_model(tiny_llama(), Inputs(_tokens(loss_type), 0, pair_criterion(loss_type)))
    rows = np.arange(len(inputs))
    with torch.no_grad():
        outputs = WholePass(policy(), inputs).outputs(rows)
    return float(inputs.loss(outputs, rows, Hyperparameters(dpo_beta=beta))) / len(PAIRS)


@pytest.mark.parametrize(("loss_type", "beta", "expected"), [(*case, value) for case, value in GOLDEN.items()])
def test_losses_are_those_of_trls_trainers(loss_type: LossType, beta: float, expected: float) -> None:
    assert ours(loss_type, beta) == pytest.approx(expected, rel=1e-4)


def asked_of_trl(folder: Path) -> list[float]:
    """TRL's losses of the golden cases."""
    save_tiny_llama(folder / "base")
    save_tiny_llama(folder / "policy")
    policy().save_pretrained(folder / "policy")
    plan = {
        "base": str(folder / "base"),
        "policy": str(folder / "policy"),
        "pairs": [[list(part) for part in pair] for pair in PAIRS],
        "mismatched": [list(one) for one in MISMATCHED],
        "cases": [{"loss_type": loss_type, "beta": beta} for loss_type, beta in GOLDEN],
    }
    command = [str(ROOT / ".venv-trl" / "bin" / "python"), str(ROOT / "benchmarks" / "sft" / "preference_peer.py")]
    done = subprocess.run(command, input=json.dumps(plan), stdout=subprocess.PIPE, text=True, check=True)
    found: list[float] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


if __name__ == "__main__":
    with tempfile.TemporaryDirectory() as place:
        for (name, value), told in zip(GOLDEN, asked_of_trl(Path(place)), strict=True):
            print(f'    ("{name}", {value}): {told:.7f},  # ours {ours(name, value):.7f}')
