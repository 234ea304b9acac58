"""Classes of transformers without a family: found in their weights, trained on the reference engine, refused by name
where a method or a task needs more."""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from transformers.models.auto import modeling_auto

from tests.workers.methods.test_conformance import CASES
from tests.workers.models.test_families import test_a_method_keeps_its_promises_on_a_family as keeps_its_promises
from tests.workers.tiny_models import CLASSES, LAYERS, UNKNOWN, batch, tiny_description, tiny_model
from workers.errors import InvalidInput
from workers.methods.registry import method
from workers.methods.space import methods_space
from workers.models.architectures import architectures
from workers.models.description import describe
from workers.models.heads import SEQUENCE, TOKEN
from workers.models.loading import load_base

_EVERY = 24  # one method of so many in the sample
_MAPPINGS = {
    "SequenceClassification": modeling_auto.MODEL_FOR_SEQUENCE_CLASSIFICATION_MAPPING_NAMES,
    "TokenClassification": modeling_auto.MODEL_FOR_TOKEN_CLASSIFICATION_MAPPING_NAMES,
    "QuestionAnswering": modeling_auto.MODEL_FOR_QUESTION_ANSWERING_MAPPING_NAMES,
    "CausalLM": modeling_auto.MODEL_FOR_CAUSAL_LM_MAPPING_NAMES,
}


_OTHER_BODY = {"arcee", "diffllama", "exaone4", "llama", "ministral", "nemotron", "qwen2", "qwen3", "qwen3_moe"} | {
    "qwen3_next", "seed_oss", "smollm3"
}  # fmt: skip


def test_the_table_of_architectures_is_that_of_transformers() -> None:
    left_out = {"CausalLM": set(modeling_auto.MODEL_FOR_MASKED_LM_MAPPING_NAMES), "QuestionAnswering": _OTHER_BODY}
    for head, mapping in _MAPPINGS.items():
        found = {kind for kind, one in architectures().items() if head in one.heads}
        assert found == set(mapping) - left_out.get(head, set())
    for kind in ("llama", "qwen3"):  # whose head for questions finds no body in checkpoints
        name = _MAPPINGS["QuestionAnswering"][kind]
        assert architectures()[kind].body != getattr(transformers, name).base_model_prefix


@pytest.mark.parametrize("kind", [kind for kind in UNKNOWN if kind != "funnel"] + ["funnel", "gpt_neo", "xlnet"])
def test_bodies_are_named_as_in_transformers(kind: str) -> None:
    name = _MAPPINGS["SequenceClassification"][kind]
    assert architectures()[kind].body == getattr(transformers, name).base_model_prefix


@pytest.mark.parametrize("kind", UNKNOWN)
@pytest.mark.parametrize("form", ["whole", "bare", "shards"])
def test_a_checkpoint_tells_what_the_model_in_memory_has(kind: str, form: str, tmp_path: Path) -> None:
    model = tiny_model(kind).eval()
    body = getattr(model, model.base_model_prefix)
    stored = (body if form == "bare" else model).to(torch.bfloat16 if form == "shards" else torch.float32)
    stored.save_pretrained(tmp_path, max_shard_size="20KB" if form == "shards" else "1GB")
    parts, real = describe(str(tmp_path)).anatomy, tiny_description(kind).anatomy
    assert (parts.layers_path, parts.linears, parts.norms) == (real.layers_path, real.linears, real.norms)
    assert dict(parts.outside) == dict(real.outside)
    base = load_base(str(tmp_path), labels=CLASSES)
    assert not any(name.startswith(f"{parts.body}.") for name in base.head)
    assert not any(value.requires_grad for value in base.model.parameters())
    if form == "whole":
        with torch.no_grad():
            torch.testing.assert_close(base.model(**batch()).logits, model(**batch()).logits)


def _methods(kind: str) -> list[Any]:
    model = tiny_description(kind)
    able = [name for name in CASES if method(name).supports(model)]
    first = list(UNKNOWN).index(kind)
    every = os.environ.get("PEFTSEARCH_FAMILIES") == "all"
    return [pytest.param(kind, name, id=f"{kind}-{name}") for name in (able if every else able[first::_EVERY])]


@pytest.mark.parametrize(("kind", "name"), [pair for kind in UNKNOWN for pair in _methods(kind)])
def test_methods_of_whole_models_keep_their_promises(kind: str, name: str) -> None:
    keeps_its_promises({}, kind, name)


def test_what_it_cannot_do_is_left_out_of_spaces_and_refused_by_name() -> None:
    model = tiny_description("opt")
    space = methods_space(model)
    names = space.by_name["method"].choices  # type: ignore[union-attr]
    assert {"lora", "dora", "head", "full_ft", "bitfit", "ln_tuning"} <= set(names)
    assert not {"ia3", "prefix_tuning", "adapter_houlsby", "llama_adapter", "mola"} & set(names)
    assert space.by_name["lora.targets"].choices == ("all",)  # type: ignore[union-attr]
    with pytest.raises(InvalidInput, match=r"ia3 on a opt model.*models of a family"):
        method("ia3").require(model)


def _config(folder: Path, **changes: Any) -> None:
    path = folder / "config.json"
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


@pytest.mark.parametrize(
    ("kind", "changes", "said"),
    [
        ("opt", {"model_type": "swin"}, "model_type 'swin'.*modernbert"),
        ("opt", {"model_type": "bart", "is_encoder_decoder": True}, "an encoder with a decoder"),
        ("opt", {"model_type": "mixtral", "num_local_experts": 8}, "whose layers hold experts"),
        ("opt", {"model_type": "gemma3", "text_config": {"model_type": "gemma3_text"}}, r"part \(gemma3_text\), saved"),
        ("bloom", {"vocab_size": 61}, "without an embedding of 61 tokens"),
    ],
)
def test_other_classes_are_refused_by_name(kind: str, changes: dict[str, Any], said: str, tmp_path: Path) -> None:
    tiny_model(kind).save_pretrained(tmp_path)
    _config(tmp_path, **changes)
    with pytest.raises(InvalidInput, match=said) as caught:
        describe(str(tmp_path))
    assert caught.value.field == "model"


def test_layers_that_differ_and_matrices_of_another_kind_are_refused(tmp_path: Path) -> None:
    with torch.random.fork_rng():
        config = transformers.OpenAIGPTConfig(n_embd=24, n_layer=LAYERS, n_head=4, vocab_size=60)
        transformers.OpenAIGPTForSequenceClassification(config).save_pretrained(tmp_path)
    with pytest.raises(InvalidInput, match=r"whose attn\.c_attn is a Conv1D"):
        load_base(str(tmp_path), labels=CLASSES)
    model = tiny_model("opt")
    model.model.decoder.layers[1].fc1 = torch.nn.Linear(24, 30)
    model.save_pretrained(tmp_path)
    with pytest.raises(InvalidInput, match="whose layer 1 is made otherwise"):
        describe(str(tmp_path))


def test_heads_that_transformers_lacks_and_quantised_bases_are_refused(tmp_path: Path) -> None:
    tiny_model("opt").save_pretrained(tmp_path)
    with pytest.raises(InvalidInput, match="opt has no head for TokenClassification"):
        load_base(str(tmp_path), labels=CLASSES, kind=TOKEN)
    with pytest.raises(InvalidInput, match="a class without a family") as caught:
        load_base(str(tmp_path), labels=CLASSES, quantise="int8", kind=SEQUENCE)
    assert caught.value.field == "quantise"
