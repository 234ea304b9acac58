"""Answers do not depend on which rows are answered together, with an adapter or without."""

from __future__ import annotations

import pytest
import torch
from peft import LoraConfig, PrefixTuningConfig, PromptTuningConfig, get_peft_model
from torch import nn

from tests.workers.tiny_language_model import tiny_llama, tiny_tokenizer
from workers.generation.answers import answer
from workers.generation.settings import GenerationSettings
from workers.generation.stops import end_of_turn, stop_tokens

TOKENIZER = tiny_tokenizer()
TEXTS = ["the cat", "what is the sum of 12 and 4?", "a", "def add(a, b):", "on the mat the cat sat"]
PROMPTS = [TOKENIZER.encode(text) for text in TEXTS]


def _lora() -> nn.Module:
    config = LoraConfig(task_type="CAUSAL_LM", r=4, target_modules=["q_proj", "v_proj"], init_lora_weights=False)
    torch.manual_seed(1)
    return get_peft_model(tiny_llama(), config).eval()


def _prompt_tuning() -> nn.Module:
    torch.manual_seed(1)
    return get_peft_model(tiny_llama(), PromptTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)).eval()


def _prefix_tuning() -> nn.Module:
    torch.manual_seed(1)
    return get_peft_model(tiny_llama(), PrefixTuningConfig(task_type="CAUSAL_LM", num_virtual_tokens=3)).eval()


MODELS = {"base": tiny_llama, "lora": _lora, "prompt": _prompt_tuning, "prefix": _prefix_tuning}


@pytest.mark.parametrize("name", MODELS)
@pytest.mark.parametrize("temperature", [0.0, 0.8])
def test_batched_answers_are_those_of_one_by_one(name: str, temperature: float) -> None:
    model = MODELS[name]()
    settings = GenerationSettings(max_new_tokens=12, temperature=temperature, top_p=0.9, seed=3, batch_size=4)
    together = answer(model, TOKENIZER, PROMPTS, settings)
    alone = [
        one for row, prompt in enumerate(PROMPTS) for one in answer(model, TOKENIZER, [prompt], settings, keys=[row])
    ]
    assert together == alone
    assert len({one.text for one in together}) > 1


def test_answers_are_what_full_passes_would_write() -> None:
    """The cache changes nothing: each token is the likeliest of a pass over everything before it."""
    model, prompt = tiny_llama(), list(PROMPTS[1])
    (found,) = answer(model, TOKENIZER, [prompt], GenerationSettings(max_new_tokens=8))
    ids = list(prompt)
    with torch.no_grad():
        for _ in range(found.tokens):
            ids.append(int(model(input_ids=torch.tensor([ids]), use_cache=False).logits[0, -1].argmax()))
    assert TOKENIZER.decode(ids[len(prompt) :], skip_special_tokens=True).strip() == found.text


def test_draws_follow_the_seed_and_the_probabilities() -> None:
    model = tiny_llama()
    first, again, other = (
        answer(model, TOKENIZER, PROMPTS, GenerationSettings(max_new_tokens=6, temperature=2.0, seed=seed))
        for seed in (1, 1, 2)
    )
    assert first == again != other
    settings = GenerationSettings(max_new_tokens=1, temperature=1.0, seed=0, batch_size=1000)
    drawn = answer(model, TOKENIZER, [PROMPTS[0]] * 1000, settings)
    with torch.no_grad():
        shares = model(input_ids=torch.tensor([PROMPTS[0]])).logits[0, -1].softmax(-1)
    likeliest = int(shares.argmax())
    wanted = TOKENIZER.decode([likeliest], skip_special_tokens=True).strip()
    same = sum(float(shares[i]) for i in range(len(shares)) if TOKENIZER.decode([i], True).strip() == wanted)
    share = sum(one.text == wanted for one in drawn) / 1000
    assert share == pytest.approx(same, abs=0.06)


def test_answers_stop_at_the_end_of_the_turn() -> None:
    assert end_of_turn(TOKENIZER) == TOKENIZER.convert_tokens_to_ids("<|end|>")
    model = tiny_llama()
    model.generation_config.eos_token_id = 7
    assert stop_tokens(TOKENIZER, model.generation_config) == (7, 2)
    plain = tiny_tokenizer()
    plain.chat_template = None
    assert end_of_turn(plain) is None
    (free,) = answer(model, plain, [PROMPTS[1]], GenerationSettings(max_new_tokens=10))
    assert (free.tokens, free.finished) == (10, False)
    with torch.no_grad():
        second = int(model.generate(torch.tensor([PROMPTS[1]]), max_new_tokens=2, min_new_tokens=2)[0, -1])
    model.generation_config.eos_token_id = [7, second]
    (short,) = answer(model, plain, [PROMPTS[1]], GenerationSettings(max_new_tokens=10))
    assert (short.tokens, short.finished) == (1, True)
    assert free.text.startswith(short.text)


def test_the_model_is_left_as_it_was() -> None:
    model = _lora()
    model.train()
    answer(model, TOKENIZER, [PROMPTS[0]], GenerationSettings(max_new_tokens=2))
    assert model.training
    with pytest.raises(ValueError, match="row 1: a prompt of no tokens"):
        answer(model, TOKENIZER, [PROMPTS[0], []], GenerationSettings())
