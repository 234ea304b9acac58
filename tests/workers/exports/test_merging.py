"""Merged checkpoints answer as base and adapter did, also where embeddings are tied."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from peft import LoraConfig, PromptTuningConfig, get_peft_model
from torch import Tensor
from transformers import AutoModelForCausalLM, AutoTokenizer

from tests.workers.tiny_language_model import save_tiny_llama, tiny_tokenizer
from tests.workers.tiny_sound_model import write_sound_model
from tests.workers.tiny_vision_model import write_vision_model
from workers.errors import InvalidInput
from workers.exports.merging import merge
from workers.methods.adapter_names import TASK_FILE
from workers.methods.attached import AdapterCard
from workers.methods.registry import method
from workers.models.heads import CAUSAL, IMAGE, SOUND, Head
from workers.models.loading import load_base

IDS = torch.tensor([tiny_tokenizer().encode("what is the sum of 12 and 4?")])


def _logits(model: Any) -> Tensor:
    with torch.no_grad():
        found: Tensor = model(input_ids=IDS).logits.float()
    return found


def _peft(base: Path, folder: Path, config: Any) -> Tensor:
    """An adapter of random weights on the model in `base`, saved in `folder`, and its logits."""
    torch.manual_seed(1)
    model = get_peft_model(AutoModelForCausalLM.from_pretrained(base, dtype=torch.float32), config).eval()
    model.save_pretrained(folder)
    return _logits(model)


def _lora(*targets: str, **more: Any) -> LoraConfig:
    return LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=list(targets), init_lora_weights=False, **more)


@pytest.mark.parametrize("targets", [("q_proj", "down_proj"), ("q_proj", "lm_head"), ("embed_tokens",)])
@pytest.mark.parametrize("tied", [True, False])
def test_a_merged_model_answers_as_the_adapter_did(tmp_path: Path, targets: tuple[str, ...], tied: bool) -> None:
    save_tiny_llama(tmp_path / "base", tied)
    wanted = _peft(tmp_path / "base", tmp_path / "adapter", _lora(*targets))
    merge(tmp_path / "adapter", tmp_path / "out" / "merged")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "out" / "merged")
    torch.testing.assert_close(_logits(model), wanted, atol=1e-4, rtol=1e-4)
    still = tied and targets == ("q_proj", "down_proj")
    assert model.config.tie_word_embeddings is still
    assert (model.get_input_embeddings().weight is model.get_output_embeddings().weight) is still
    assert [path.name for path in (tmp_path / "out").iterdir()] == ["merged"]


def test_trained_tokens_of_tied_embeddings_are_merged(tmp_path: Path) -> None:
    save_tiny_llama(tmp_path / "base", tied=True)
    torch.manual_seed(1)
    base = AutoModelForCausalLM.from_pretrained(tmp_path / "base", dtype=torch.float32)
    model = get_peft_model(base, _lora("q_proj", trainable_token_indices=[5, 20])).eval()
    with torch.no_grad():
        for name, value in model.named_parameters():
            if "trainable_tokens_delta" in name:
                value.add_(1.0)
    model.save_pretrained(tmp_path / "adapter")
    merge(tmp_path / "adapter", tmp_path / "merged")
    found = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    torch.testing.assert_close(_logits(found), _logits(model), atol=1e-4, rtol=1e-4)
    assert found.config.tie_word_embeddings


def test_everything_that_answering_needs_comes_along(tmp_path: Path) -> None:
    save_tiny_llama(tmp_path / "base", dtype=torch.bfloat16)
    settings = tmp_path / "base" / "generation_config.json"
    settings.write_text(json.dumps({"bos_token_id": 1, "eos_token_id": 7, "temperature": 0.6, "do_sample": True}))
    _peft(tmp_path / "base", tmp_path / "adapter", _lora("q_proj"))
    template = "{% for message in messages %}{{ message['content'] }}<|end|>{% endfor %}"
    (tmp_path / "adapter" / TASK_FILE).write_text(
        json.dumps({"labels": [], "pad_token_id": 0, "chat_template": template})
    )
    merge(tmp_path / "adapter", tmp_path / "merged")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    assert model.dtype is torch.bfloat16
    assert model.generation_config.eos_token_id == [7, 2]
    assert model.generation_config.temperature == 0.6
    tokenizer = AutoTokenizer.from_pretrained(tmp_path / "merged")
    assert tokenizer.chat_template == template
    card = (tmp_path / "merged" / "README.md").read_text()
    assert "AutoModelForCausalLM.from_pretrained" in card
    assert "vllm serve this/folder" in card


@pytest.mark.parametrize("name", ["lora", "dora", "ia3", "bottleneck", "scale_shift"])
def test_methods_of_the_catalogue_merge_or_say_why_not(tmp_path: Path, name: str) -> None:
    names = {"bottleneck": "adapter_pfeiffer", "scale_shift": "ssf"}
    chosen = method(names.get(name, name))
    save_tiny_llama(tmp_path / "base")
    base = load_base(str(tmp_path / "base"), 0, kind=CAUSAL)
    attached = chosen.attach(base, chosen.complete(base.description, {}), 0, None)
    torch.manual_seed(2)
    with torch.no_grad():
        for value in attached.parameters().values():
            value.add_(0.1 * torch.randn_like(value))
    attached.set_training(False)
    wanted = _logits(attached.model)
    card = AdapterCard(chosen.name, str(tmp_path / "base"), head=CAUSAL, metrics={"loss": 1.5})
    attached.save(tmp_path / "adapter", card)
    attached.detach()
    refusals = {"bottleneck": "adapter_pfeiffer.*folds into the base", "scale_shift": "bias, which no LlamaForCausalLM"}
    if name in refusals:
        with pytest.raises(InvalidInput, match=refusals[name]):
            merge(tmp_path / "adapter", tmp_path / "merged")
        assert not (tmp_path / "merged").exists()
        return
    merge(tmp_path / "adapter", tmp_path / "merged")
    model = AutoModelForCausalLM.from_pretrained(tmp_path / "merged")
    torch.testing.assert_close(_logits(model), wanted, atol=1e-4, rtol=1e-4)
    assert "| loss | 1.5 |" in (tmp_path / "merged" / "README.md").read_text()


def test_what_cannot_be_merged_is_refused(tmp_path: Path) -> None:
    save_tiny_llama(tmp_path / "base")
    _peft(tmp_path / "base", tmp_path / "prompt", PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=2))
    with pytest.raises(InvalidInput, match="PROMPT_TUNING, which is no change of weights"):
        merge(tmp_path / "prompt", tmp_path / "merged")
    with pytest.raises(InvalidInput, match=r"adapter_config\.json"):
        merge(tmp_path / "base", tmp_path / "merged")
    with pytest.raises(InvalidInput, match="holds something"):
        merge(tmp_path / "prompt", tmp_path / "base")


@pytest.mark.parametrize("kind", [IMAGE, SOUND])
def test_a_merged_model_of_images_or_sounds_is_a_folder_for_plain_transformers(tmp_path: Path, kind: Head) -> None:
    base_at, adapter_at, merged_at = (tmp_path / name for name in ("base", "adapter", "merged"))
    (write_vision_model if kind is IMAGE else write_sound_model)(base_at)
    base = load_base(str(base_at), 3, kind=kind)
    base.initialise_head(1)
    rows = torch.randn(2, *base.description.anatomy.input_shape, generator=torch.Generator().manual_seed(0))
    chosen, name = method("lora"), base.model.main_input_name
    attached = chosen.attach(base, chosen.complete(base.description, {"rank": 2, "targets": "all"}), 0, None)
    with torch.no_grad():
        for value in attached.parameters().values():
            value.add_(0.05 * torch.randn(value.shape, generator=torch.Generator().manual_seed(2)))
        wanted = attached.model(**{name: rows}).logits
    card = AdapterCard("lora", str(base_at), labels=("a", "b", "c"), head=kind)
    attached.save(adapter_at, card)
    merge(adapter_at, merged_at)
    plain = getattr(transformers, kind.auto_class).from_pretrained(merged_at, dtype=torch.float32).eval()
    with torch.no_grad():
        assert plain(**{name: rows}).logits == pytest.approx(wanted, abs=1e-5)
    assert plain.config.id2label == {0: "a", 1: "b", 2: "c"}
    assert getattr(transformers, kind.processor).from_pretrained(merged_at) is not None
