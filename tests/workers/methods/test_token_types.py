"""Which of two texts a token is of reaches a model of questions through every adapter, trained and loaded again."""

from __future__ import annotations

import copy
from pathlib import Path

import pytest
import torch
from peft import PeftModel
from transformers import BertConfig, BertForQuestionAnswering

from tests.workers.methods.test_conformance import CASES
from tests.workers.tiny_models import batch
from workers.methods.attached import AdapterCard
from workers.methods.peft_adapter import PeftAdapter
from workers.methods.registry import method
from workers.models.heads import QUESTION
from workers.models.loading import Base, make_base

PROMPTS = ("prefix_tuning", "prompt_tuning", "p_tuning")
INSIDE = [
    name
    for name in CASES
    if method(name).peft_config is not None
    and name not in PROMPTS
    and not (method(name).tasks and "question-answering" not in method(name).tasks)
]


def questions() -> Base:
    """A tiny BERT that tells two kinds of tokens apart."""
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=64, hidden_size=24, num_hidden_layers=2, num_attention_heads=4, intermediate_size=48, num_labels=2
    )
    model = BertForQuestionAnswering(config).eval()
    with torch.no_grad():
        model.bert.embeddings.token_type_embeddings.weight.normal_(0, 1)
    return make_base(model, folder="tiny", head=("qa_outputs",))


@pytest.mark.parametrize("name", INSIDE)
def test_token_types_reach_the_model_here_and_where_the_adapter_is_loaded(name: str, tmp_path: Path) -> None:
    base = questions()
    chosen = method(name)
    assert chosen.supports(base.description)
    fresh = copy.deepcopy(base.model)
    attached = chosen.attach(base, chosen.complete(base.description, CASES[name][0]), 0, None)
    assert isinstance(attached, PeftAdapter)
    rows = batch()
    rows["input_ids"] = rows["input_ids"] % 64
    first, second = (
        {**rows, "token_type_ids": types.expand(4, 9)} for types in (torch.zeros(9).long(), torch.arange(9) // 5)
    )
    with torch.no_grad():
        attached.set_training(False)
        one, other = (attached.model(**given).start_logits for given in (first, second))
        assert not torch.allclose(one, other, atol=1e-3)
        attached.save(tmp_path, AdapterCard(name, "tiny", labels=("start", "end"), head=QUESTION))
        loaded = PeftModel.from_pretrained(fresh, str(tmp_path)).eval()
        assert torch.allclose(loaded(**second).start_logits, other, atol=1e-5)
