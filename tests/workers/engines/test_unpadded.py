"""Passes without padding: where tokens lie, whose they are, which classes of model take them, attention on a GPU."""

from __future__ import annotations

import itertools
import math
from dataclasses import replace
from typing import Any

import numpy as np
import pytest
import torch
import transformers
from torch import Tensor
from torch.nn.functional import scaled_dot_product_attention

from tests.workers.engines.packs import Tiny, assert_alike, split, train_together
from tests.workers.engines.test_stacked_forms import ALONE, CRITERION, PADDED, SPLITS, UNPADDED
from tests.workers.tiny_models import BUILDERS, VOCABULARY, tiny_base
from workers.engines.prefix_store import PrefixStore
from workers.engines.resident import ResidentBase
from workers.engines.stacked import attention, joint_pass
from workers.engines.stacked.layout import Layout
from workers.engines.stacked.unpadded import Plan, plan
from workers.engines.stacked.unpadding import on_device, why_padded
from workers.models.loading import make_base
from workers.tasks.catalogue.causal_lm import TASK as LANGUAGE

CPU = torch.device("cpu")
LENGTHS = np.array([9, 2, 5, 5, 14, 3, 3, 3])  # the fourth row only fills a block: it repeats the third
MEMBERS = ((0, slice(0, 4), 3), (2, slice(4, 5), 1), (1, slice(5, 8), 3))


def planned(few_shapes: bool = False) -> Plan:
    return plan(MEMBERS, LENGTHS, 14, few_shapes)


@pytest.mark.parametrize("few_shapes", [False, True])
def test_every_token_has_one_place_in_a_block_of_its_member(few_shapes: bool) -> None:
    found = planned(few_shapes)
    owner_of_row = np.array([0, 0, 0, 0, 2, 1, 1, 1])
    real = {row * 14 + place for row in (0, 1, 2, 4, 5, 6, 7) for place in range(LENGTHS[row])}
    places = found.to_rows[sorted(real)]
    assert len(set(places.tolist())) == len(real)
    np.testing.assert_array_equal(found.to_tokens[places], sorted(real))
    # Whatever a block holds, tokens of its owner alone: a member's NaN stays with it.
    owners = np.repeat(found.owners, found.block)
    np.testing.assert_array_equal(owner_of_row[found.to_tokens // 14], owners)
    np.testing.assert_array_equal(np.repeat(owner_of_row, 14), owners[found.to_rows])
    assert found.positions <= 1.3 * len(real)


def test_pieces_that_attend_to_themselves_are_the_rows_and_what_fills_blocks() -> None:
    found = planned(few_shapes=True)
    ends = found.bounds.tolist()
    assert ends == sorted(ends)
    assert (ends[0], ends[-1]) == (0, found.positions)
    pieces = [(a, b) for a, b in itertools.pairwise(ends) if b > a]
    assert max(b - a for a, b in pieces) <= 14
    starts = found.to_rows.reshape(8, 14)[[0, 1, 2, 4, 5, 6, 7], 0]
    rows = {
        (int(start), int(start + length)) for start, length in zip(starts, LENGTHS[[0, 1, 2, 4, 5, 6, 7]], strict=True)
    }
    assert rows <= set(pieces)


def test_passes_of_like_size_have_one_shape() -> None:
    random, shapes = np.random.default_rng(0), set()
    for _ in range(60):
        lengths = random.integers(30, 64, 64)
        members = [(slot, slice(8 * slot, 8 * slot + 8), 8) for slot in range(8)]
        shapes.add(tuple((name, one.shape) for name, one in plan(members, lengths, 64, True).arrays().items()))
    assert len(shapes) <= 5


def test_moving_there_and_back_has_the_gradients_of_copying() -> None:
    tokens = on_device(planned(), CPU)
    real = torch.from_numpy(np.arange(14) < LENGTHS[:, None])
    real[3] = False
    x, weight = torch.randn(8, 14, 3, dtype=torch.float64), torch.randn(8, 14, 3, dtype=torch.float64)
    x.requires_grad_()
    back = tokens.padded(tokens.tokens(x))
    torch.testing.assert_close(back[real], x[real])
    (back * weight)[real].sum().backward()
    torch.testing.assert_close(x.grad, torch.where(real[..., None], weight, 0.0))


def test_nothing_is_laid_out_where_leaving_padding_out_cannot_be_worth_it(
    monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """A pass has no fewer positions without padding than it has tokens: whether a plan is made shows in no result."""
    store, resident = PrefixStore(tmp_path_factory.mktemp("p"), 1 << 30), ResidentBase.of(tiny_base("bert"))
    laid_out: list[bool] = []

    def noted(*given: Any) -> Any:
        found = plan(*given)
        laid_out.append(True)
        return found

    monkeypatch.setattr(joint_pass, "plan", noted)
    members = [Tiny("lora", {"rank": 2}, {}, 5), Tiny("head", {}, {"batch_size": 5}, 2)]
    train_together(resident, members, SPLITS, 3, store, replace(PADDED, unpadding=100.0))
    assert not laid_out
    train_together(resident, members, SPLITS, 3, store, UNPADDED)
    assert len(laid_out) == 3


PADDED_CLASSES = {"gemma2": "eager", "mpnet": "eager"}
"""Classes whose passes stay padded, and a word of why."""


@pytest.mark.parametrize("kind", sorted(set(BUILDERS) - ALONE))
def test_which_classes_of_model_take_passes_without_padding(kind: str) -> None:
    reason = why_padded(tiny_base(kind), SPLITS[0])
    if kind in PADDED_CLASSES:
        assert PADDED_CLASSES[kind] in str(reason)
    else:
        assert reason is None


def test_layers_that_mix_tokens_themselves_are_found_out() -> None:
    base = tiny_base("bert")
    layer = base.model.get_submodule(base.description.anatomy.layers_path)[0]  # type: ignore[index]
    whole = layer.forward
    layer.forward = lambda hidden, *rest, **options: whole(hidden + hidden.roll(1, 1), *rest, **options)
    assert "differ" in str(why_padded(base, SPLITS[0]))
    one_length = split(12, 0, CRITERION, VOCABULARY, 3, longest=5)
    assert why_padded(tiny_base("gpt2"), one_length) == "its rows are of one length"


def test_dropout_by_counters_is_that_of_padded_passes(tmp_path_factory: pytest.TempPathFactory) -> None:
    store, resident = PrefixStore(tmp_path_factory.mktemp("p"), 1 << 30), ResidentBase.of(tiny_base("bert"))
    members = [
        Tiny("lora", {"rank": 4, "targets": "all", "dropout": 0.3}, {}, 5),
        Tiny("head", {}, {"batch_size": 5}, 2),
    ]
    padded, unpadded = (
        train_together(resident, members, SPLITS, 6, store, replace(way, host_streams=False))
        for way in (PADDED, UNPADDED)
    )
    for one, other in zip(unpadded, padded, strict=True):
        assert_alike(one, other)  # type: ignore[arg-type]


def by_pieces(query: Tensor, key: Tensor, value: Tensor, *bounds: Any, scale: float, **options: Any) -> Tensor:
    """What PyTorch's kernel on a GPU computes, piece by piece."""
    ends, _, most, _ = bounds
    out = torch.zeros_like(query)
    for start, stop in itertools.pairwise(ends.tolist()):
        assert stop - start <= most
        own = [part[start:stop].transpose(0, 1) for part in (query, key, value)]
        causal = options["window_size"] == (-1, 0)
        found = scaled_dot_product_attention(*own, scale=scale, is_causal=causal, enable_gqa=options["enable_gqa"])
        out[start:stop] = found.transpose(0, 1)
    return out


@pytest.mark.parametrize("kind", ["bert", "llama", "modernbert"])
def test_attention_over_rows_of_unequal_lengths_is_that_of_padded_rows(
    kind: str, monkeypatch: pytest.MonkeyPatch, tmp_path_factory: pytest.TempPathFactory
) -> None:
    """As on a GPU; members with prefixes are attended to in padded rows all the same."""
    calls: list[int] = []

    def counted(*given: Any, **options: Any) -> Tensor:
        calls.append(1)
        return by_pieces(*given, **options)

    store, resident = PrefixStore(tmp_path_factory.mktemp("p"), 1 << 30), ResidentBase.of(tiny_base(kind))
    plain = [Tiny("lora", {"rank": 4, "targets": "all"}, {}, 5), Tiny("ia3", {}, {"batch_size": 5}, 2)]
    for members in (plain, [*plain, Tiny("mam", {"size": 6, "prefix_length": 3}, {}, 6)]):
        padded = train_together(resident, members, SPLITS, 3, store, PADDED)
        with monkeypatch.context() as on_gpu:
            on_gpu.setattr(attention, "fused_on", lambda _query: counted)
            unpadded = train_together(resident, members, SPLITS, 3, store, UNPADDED)
        for one, other in zip(unpadded, padded, strict=True):
            assert_alike(one, other)  # type: ignore[arg-type]
    assert calls


def test_the_kernel_is_left_out_where_rows_do_not_see_all_of_themselves() -> None:
    layer = torch.nn.Identity()
    assert attention._plain(layer, 64, {"dropout": 0.0, "scaling": 0.1, "sliding_window": None, "is_causal": True})
    assert attention._plain(layer, 64, {"sliding_window": 64})
    for given in ({"sliding_window": 32}, {"dropout": 0.1}, {"position_bias": torch.zeros(1)}, {"softcap": 30.0}):
        assert not attention._plain(layer, 64, given)
    assert attention.fused_on(torch.zeros(1, 2, 3, 8)) is None  # a CPU has none


def test_a_language_model_with_grouped_heads_and_windows(tmp_path_factory: pytest.TempPathFactory) -> None:
    config = transformers.Qwen2Config(
        vocab_size=VOCABULARY, hidden_size=24, num_hidden_layers=2, num_attention_heads=4, num_key_value_heads=2,
        intermediate_size=48, max_position_embeddings=64, initializer_range=0.2, pad_token_id=0,
        use_sliding_window=True, sliding_window=4, max_window_layers=1,
    )  # fmt: skip
    torch.manual_seed(0)
    resident = ResidentBase.of(make_base(transformers.Qwen2ForCausalLM(config), folder="tiny"))
    criterion = LANGUAGE.criterion(None, ())
    splits = split(40, 0, criterion, VOCABULARY, VOCABULARY), split(12, 1, criterion, VOCABULARY, VOCABULARY)
    assert why_padded(resident.base, splits[0]) is None
    members = [
        Tiny("lora", {"rank": 4, "targets": "all"}, {"label_smoothing": 0.1}, 1),
        Tiny("ia3", {}, {"batch_size": 5}, 2),
    ]
    store = PrefixStore(tmp_path_factory.mktemp("p"), 1 << 30)
    padded, unpadded = (train_together(resident, members, splits, 4, store, way) for way in (PADDED, UNPADDED))
    for one, other in zip(unpadded, padded, strict=True):
        assert_alike(one, other)  # type: ignore[arg-type]


def test_a_pass_is_padded_where_leaving_it_out_saves_too_little() -> None:
    layout = Layout(1, CPU, looped=False)
    layout.arrange([(0, 4, 8)])
    even, uneven = np.full(4, 8), np.array([8, 1, 1, 1])
    assert 4 * 8 / plan(layout.stretches, even, 8, False).positions == 1.0
    assert 4 * 8 / plan(layout.stretches, uneven, 8, False).positions > 2.0
    assert math.isfinite(UNPADDED.unpadding)
