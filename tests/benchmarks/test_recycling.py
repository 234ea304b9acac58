"""Drafts from recycled tokens change no answer, and repetitive texts take fewer passes than tokens."""

from __future__ import annotations

import torch

from benchmarks.sft.recycling import Recycler, Tree
from tests.workers.tiny_language_model import tiny_llama, tiny_tokenizer
from workers.generation.answers import answer
from workers.generation.settings import GenerationSettings


def test_answers_are_those_of_greedy_decoding_in_fewer_passes() -> None:
    model = tiny_llama()
    recycler = Recycler.of(model)
    rng = torch.Generator().manual_seed(0)
    for _ in range(6):
        prompt = torch.randint(3, 290, (9,), generator=rng).tolist()
        (expected,) = answer(model, tiny_tokenizer(), [prompt], GenerationSettings(max_new_tokens=40))
        found = recycler.write(prompt, 40, [2])
        assert str(tiny_tokenizer().decode(found, skip_special_tokens=True)).strip() == expected.text
        again = recycler.write(prompt, 40, [2])
        assert again == found
        assert recycler.passes < len(again) or len(again) < 5  # the table knows this answer


def test_a_tree_has_more_children_where_drafts_are_likelier() -> None:
    tree = Tree.grown((3, 2))
    assert tree.parents == (-1, 0, 0, 0, 1, 1, 2)
    assert tree.ranks == (0, 0, 1, 2, 0, 1, 0)
    assert tree.depths == (0, 1, 1, 1, 2, 2, 2)
    assert tree.sees()[4].nonzero().flatten().tolist() == [0, 1, 4]
