"""A causal-lm trial on every family of decoders: capped logits, tied and untied heads, in shards and bfloat16.

Both engines and a pack come to the same, and the exported adapter has the loss that was reported. Each run takes a few
of them, `make test-families` (PEFTSEARCH_FAMILIES=all) takes all.
"""

from __future__ import annotations

import json
import os
import random
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers

from peftsearch import load_adapter
from tests.workers.tiny_chat_model import conversation, write_language_model
from tests.workers.tiny_models import BUILDERS, UNKNOWN
from workers.artifacts import ArtifactStore
from workers.assignment import Assignment, Outcome
from workers.engines.passes import WholePass, measure_in
from workers.models.description import describe
from workers.models.families.registry import heads
from workers.running.packing import why_not_packed
from workers.running.trial import train
from workers.running.trial_pack import train_pack
from workers.running.workbench import Workbench
from workers.tasks.catalogue.causal_lm import CausalLMSpec

DECODERS = [kind for kind in (*BUILDERS, *UNKNOWN) if "CausalLM" in heads(kind)]
SAMPLE = ("gpt2", "gemma2", "opt")  # tied and transposed, capped, without a family
KINDS = DECODERS if os.environ.get("PEFTSEARCH_FAMILIES") == "all" else SAMPLE
CONFIG = {"method": "lora", "rank": 4, "targets": "all", "learning_rate": 1e-2, "batch_size": 8}


def _task(kind: str, folder: Path) -> CausalLMSpec:
    write_language_model(folder / "model")
    for file in ("config.json", "generation_config.json", "model.safetensors"):
        (folder / "model" / file).unlink(missing_ok=True)
    config = (BUILDERS | UNKNOWN)[kind]().config
    config.tie_word_embeddings = kind not in ("gpt_neox", "mistral", "phi3")
    torch.manual_seed(0)
    model = transformers.AutoModelForCausalLM.from_config(config).to(torch.bfloat16)
    model.save_pretrained(folder / "model", max_shard_size="20KB")
    rng = random.Random(0)
    for role, rows in (("train", 48), ("validation", 16)):
        lines = [json.dumps(conversation(rng)) for _ in range(rows)]
        (folder / f"{role}.jsonl").write_text("\n".join(lines))
    files = {role: str(folder / f"{role}.jsonl") for role in ("train", "validation")}
    return CausalLMSpec(model=str(folder / "model"), max_length=32, **files)


@pytest.mark.parametrize("kind", KINDS)
def test_a_family_learns_to_write_on_both_engines_in_a_pack_and_elsewhere(tmp_path: Path, kind: str) -> None:
    (tmp_path / "home").mkdir()
    bench = Workbench(tmp_path / "home", ArtifactStore(tmp_path / "home" / "artifacts"))
    task = _task(kind, tmp_path)

    def assigned(trial: str, **fields: object) -> Assignment:
        common = {"attempt": 1, "task": task, "epochs": 2, "seed": 1, "measure_latency": False, "config": CONFIG}
        return Assignment.model_validate({"trial_id": trial, **common, **fields})

    def completed(one: Outcome) -> Outcome:
        assert one.status == "completed", one.reason
        return one

    first = assigned("a", config=CONFIG | {"top_layers": 1})
    reference = completed(train(first.model_copy(update={"engine": "reference"}), bench, lambda _: "continue"))
    found = completed(train(first, bench, lambda _: "continue"))
    assert found.metrics["loss"] == pytest.approx(reference.metrics["loss"], rel=1e-4)
    if why_not_packed(first, describe(task.model)) is None:
        packed = {one.trial_id: one for one in train_pack([first, assigned("b")], bench, lambda _: "continue")}
        assert completed(packed["a"]).metrics["loss"] == pytest.approx(found.metrics["loss"], rel=1e-3)
    assert found.adapter is not None
    folder = bench.artifacts.extract(found.adapter.sha256, tmp_path / "adapter")
    base = transformers.AutoModelForCausalLM.from_pretrained(task.model, dtype=torch.float32)
    rows = bench.data(task, 0).validation
    with torch.no_grad():
        again = measure_in(WholePass(load_adapter(base, folder), rows), [np.arange(len(rows))]).result()
    assert again["loss"] == pytest.approx(found.metrics["loss"], rel=1e-4)
