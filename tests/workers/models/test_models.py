"""Describing models from config.json, loading them frozen, and finding their head."""

from __future__ import annotations

import json
from pathlib import Path

import pytest
import torch
import transformers

from tests.workers.tiny_models import BUILDERS, CLASSES, LAYERS, batch, tiny_base, tiny_model
from workers.errors import InvalidInput
from workers.methods.registry import method
from workers.models.description import count_parameters, describe, describe_config
from workers.models.heads import TOKEN
from workers.models.loading import load_base, load_tokenizer
from workers.models.references import resolve


@pytest.mark.parametrize("kind", BUILDERS)
def test_anatomy_is_that_of_the_real_modules(kind: str) -> None:
    model = tiny_model(kind)
    description = describe_config(model.config.to_dict())
    for layer, linear in description.linears("all"):
        module = model.get_submodule(description.path(layer, linear.name))
        sides = (linear.in_features, linear.out_features)
        assert tuple(module.weight.shape) == (sides if linear.transposed else sides[::-1])
        assert (module.bias is not None) == linear.bias
    for layer, norm in description.norms():
        module = model.get_submodule(description.path(layer, norm.name))
        assert module.weight.shape == (norm.size,)
        assert (getattr(module, "bias", None) is not None) == norm.bias
    parts = description.anatomy
    assert model.get_submodule(parts.word_embeddings).num_embeddings == parts.vocabulary
    assert len(model.get_submodule(parts.layers_path)) == parts.layers
    in_layers = [name for name, one in model.get_submodule(parts.layers_path).named_modules() if hasattr(one, "weight")]
    assert len(in_layers) == len(list(description.linears())) + len(list(description.norms()))


@pytest.mark.parametrize("kind", BUILDERS)
def test_saved_model_is_described_and_loaded(kind: str, tmp_path: Path) -> None:
    model = tiny_model(kind).eval()
    model.save_pretrained(tmp_path)
    assert describe(str(tmp_path)).anatomy == describe_config(model.config.to_dict()).anatomy
    assert count_parameters(str(tmp_path)) == sum(value.numel() for value in model.parameters())
    base = load_base(str(tmp_path), labels=CLASSES)
    with torch.no_grad():
        torch.testing.assert_close(base.model(**batch()).logits, model(**batch()).logits)
    assert not base.model.training
    assert not any(value.requires_grad for value in base.model.parameters())
    assert load_base(str(tmp_path), labels=5).model(**batch()).logits.shape == (4, 5)


def test_head_follows_the_seed_and_nothing_else() -> None:
    base = tiny_base("roberta")
    base.initialise_head(3)
    first = {name: value.clone() for name, value in base.model.state_dict().items()}
    torch.manual_seed(99)
    base.initialise_head(4)
    changed = [name for name, value in base.model.state_dict().items() if not torch.equal(value, first[name])]
    assert changed == ["classifier.dense.weight", "classifier.out_proj.weight"]
    base.initialise_head(3)
    assert all(torch.equal(value, first[name]) for name, value in base.model.state_dict().items())


def test_minilm_trains_only_its_classifier() -> None:
    base = load_base("builtin:minilm", labels=4)
    assert base.head == ("classifier",)
    assert base.head_size == 4 * 384 + 4
    assert describe("builtin:minilm").shape.layers == 6
    assert count_parameters("builtin:minilm") == 22_713_216


def test_parts_without_weights_join_the_head(tmp_path: Path) -> None:
    """A masked-language model has no pooler: a random one would not survive a reload, so it is trained and exported."""
    masked = transformers.BertForMaskedLM(tiny_model("bert").config)
    masked.save_pretrained(tmp_path)
    base = load_base(str(tmp_path), labels=3)
    assert base.head == ("bert.pooler.dense", "classifier")
    full = method("full_ft")
    attached = full.attach(base, {"top_layers": LAYERS}, 0, None)
    trained = sum(value.numel() for value in attached.parameters().values())
    attached.detach()
    assert full.trainable_parameters(describe(str(tmp_path)), {"top_layers": LAYERS}) == trained - base.head_size


def test_decoders_get_a_padding_token() -> None:
    tokenizer = load_tokenizer("builtin:minilm")
    assert tokenizer.pad_token == "[PAD]"
    assert tiny_base("gpt2").model.config.pad_token_id == 0


@pytest.mark.parametrize(
    ("reference", "said"),
    [
        ("builtin:nothing", "builtin:minilm"),
        ("./no/such/folder", "config.json"),
    ],
)
def test_unknown_models_are_refused(reference: str, said: str) -> None:
    with pytest.raises(InvalidInput, match=said) as caught:
        resolve(reference)
    assert caught.value.field == "model"


def test_unsupported_class_and_pickles_are_refused(tmp_path: Path) -> None:
    (tmp_path / "config.json").write_text(json.dumps({"model_type": "clip"}))
    with pytest.raises(InvalidInput, match="modernbert"):
        describe(str(tmp_path))
    (tmp_path / "pytorch_model.bin").write_bytes(b"x")
    with pytest.raises(InvalidInput, match="safetensors"):
        resolve(str(tmp_path))


@pytest.mark.parametrize("kind", ["gemma3_text", "modernbert-decoder"])
def test_tasks_that_a_family_has_no_head_for_are_refused(kind: str, tmp_path: Path) -> None:
    tiny_model(kind).save_pretrained(tmp_path)
    with pytest.raises(InvalidInput, match=f"a {kind} model.*no head for TokenClassification"):
        load_base(str(tmp_path), labels=3, kind=TOKEN)


def test_layer_and_target_choices_are_checked() -> None:
    model = describe("builtin:minilm")
    assert list(model.layer_range(2)) == [4, 5]
    with pytest.raises(InvalidInput, match="1 to 6"):
        model.layer_range(7)
    with pytest.raises(InvalidInput, match="qv"):
        list(model.linears("everything"))
