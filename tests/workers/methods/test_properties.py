"""The property that defines a method, where the conformance suite does not cover it already."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest
import torch
import transformers
from torch import nn
from torch.nn.functional import cross_entropy

from tests.workers.tiny_models import BUILDERS, LABELS, LAYERS, batch, tiny_base, tiny_description
from workers.costs import BYTES_PER_TRAINED, sparsity, training_memory
from workers.errors import InvalidInput
from workers.methods.attached import AdapterCard, Attached, TrainingSetup
from workers.methods.forms.arbitrary_entries import spread
from workers.methods.forms.bottleneck import AdaptedBertOutput, HypercomplexBottleneck, NormedBottleneck
from workers.methods.forms.decomposed_prompt import DecomposedPrompt
from workers.methods.forms.prefix_attention import KeyValuePrefix, attention_with_prefix
from workers.methods.forms.projected import FastfoodProjection, ProjectedVector
from workers.methods.forms.side_network import ConsolidatingSide, LadderSide, ParallelSide, SideShape
from workers.methods.forms.sparse import SparseDelta
from workers.methods.own_adapter import OwnAdapter
from workers.methods.registry import method
from workers.models.description import describe_config, with_texts
from workers.models.loading import Base

STEPS = 12


@pytest.fixture
def base() -> Base:
    return tiny_base("bert")


def attach(base: Base, name: str, **knobs: Any) -> Attached:
    one = method(name)
    return one.attach(base, one.complete(base.description, knobs), 7, one_batch())


def one_batch() -> TrainingSetup:
    return TrainingSetup(STEPS, lambda _size: iter([{**batch(), "labels": LABELS}]), cross_entropy)


def train(attached: Attached, steps: int = STEPS, with_auxiliary: bool = True, rate: float = 1e-2) -> None:
    optimizer = torch.optim.AdamW(attached.parameters().values(), lr=rate, weight_decay=0.0)
    for step in range(1, steps + 1):
        loss = torch.nn.functional.cross_entropy(attached.model(**batch()).logits, LABELS)
        extra = attached.auxiliary_loss() if with_auxiliary else None
        (loss if extra is None else loss + extra).backward()
        optimizer.step()
        attached.after_step(step)
        optimizer.zero_grad()


def modules(attached: Attached, kind: type[nn.Module]) -> list[Any]:
    return [module for module in attached.model.modules() if isinstance(module, kind)]


def test_autopeft_has_all_three_modules_in_one_layer(base: Base) -> None:
    attached = attach(base, "autopeft", serial_size=6, parallel_size=3, prefix_length=3, layer_0=False)
    (output,) = modules(attached, AdaptedBertOutput)
    (prefix,) = modules(attached, KeyValuePrefix)
    assert output.serial.down.out_features == 6
    assert output.parallel.down.out_features == 3
    assert prefix.key.shape == (4, 3, 6)
    with torch.no_grad():
        before = attached.model(**batch()).logits
        for part in (output.serial.up.weight, output.parallel.up.weight, prefix.value):
            kept = part.clone()
            part.normal_()
            after = attached.model(**batch()).logits
            assert not torch.allclose(before, after)
            part.copy_(kept)


@pytest.mark.parametrize("causal", [False, True])
def test_prefix_attention_is_softmax_over_prefix_and_text(causal: bool) -> None:
    """Against the definition: every query sees the whole prefix, and of the text what the mask lets it see."""
    torch.manual_seed(0)
    query, key, value = (torch.randn(2, 3, 5, 4) for _ in range(3))
    module = nn.Module()
    module.is_causal = causal
    prefix = KeyValuePrefix(3, 2, 4, torch.Generator().manual_seed(0))
    module.add_module("key_value_prefix", prefix)
    keys = torch.cat([prefix.key.expand(2, -1, -1, -1), key], 2)
    values = torch.cat([prefix.value.expand(2, -1, -1, -1), value], 2)
    scores = query @ keys.transpose(2, 3) / 2
    if causal:
        future = torch.ones(5, 5).triu(1).bool()
        scores[..., 2:] = scores[..., 2:].masked_fill(future, -torch.inf)
    expected = (scores.softmax(-1) @ values).transpose(1, 2)
    found, _ = attention_with_prefix(module, query, key, value, None, scaling=0.5)
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


def test_prefix_attention_keeps_padding_hidden() -> None:
    torch.manual_seed(0)
    query, key, value = (torch.randn(1, 1, 4, 4) for _ in range(3))
    module = nn.Module()
    module.add_module("key_value_prefix", KeyValuePrefix(1, 3, 4, torch.Generator()))
    seen = torch.tensor([True, True, False, False])[None, None, None].expand(1, 1, 4, 4)
    additive = torch.zeros(1, 1, 4, 4).masked_fill(~seen, torch.finfo(torch.float32).min)
    by_bool, _ = attention_with_prefix(module, query, key, value, seen, scaling=0.5)
    by_number, _ = attention_with_prefix(module, query, key, value, additive, scaling=0.5)
    alone, _ = attention_with_prefix(module, query, key[:, :, :2], value[:, :, :2], seen[..., :2], scaling=0.5)
    torch.testing.assert_close(by_bool, alone)
    torch.testing.assert_close(by_number, alone)


def apet_changes(base: Base, seed: int = 0, **knobs: Any) -> list[torch.Tensor]:
    """Which entries [out, in] of each linear layer are other ones after training and merging."""
    one = method("apet")
    paths = [base.description.path(layer, linear.name) for layer, linear in base.description.linears()]
    before = [base.model.get_submodule(path).weight.clone() for path in paths]
    attached = one.attach(base, one.complete(base.description, {"targets": "all", **knobs}), seed, one_batch())
    train(attached)
    attached.merge()  # type: ignore[attr-defined]
    changed = [base.model.get_submodule(path).weight != old for path, old in zip(paths, before, strict=True)]
    attached.detach()
    return changed


@pytest.mark.parametrize("place", ["random", "layer", "gradient"])
def test_apet_changes_as_many_entries_as_asked_and_no_others(base: Base, place: str) -> None:
    changed = apet_changes(base, entries=333, place=place)
    assert sum(int(one.sum()) for one in changed) == 333
    per_layer = [sum(int(one.sum()) for one in changed[start : start + 6]) for start in (0, 6)]
    if place == "layer":
        assert sorted(per_layer) == [166, 167]


def test_apet_draws_other_entries_for_every_seed_and_every_layer(base: Base) -> None:
    first, again, other = (apet_changes(base, seed, entries=1000, place="random") for seed in (0, 0, 1))
    assert all(torch.equal(one, two) for one, two in zip(first, again, strict=True))
    assert not any(torch.equal(one, two) for one, two in zip(first, other, strict=True))
    for lower, upper in zip(first[:6], first[6:], strict=True):
        assert not torch.equal(lower, upper)


def test_apet_finds_the_largest_gradients(base: Base) -> None:
    base.initialise_head(0)
    paths = [base.description.path(layer, linear.name) for layer, linear in base.description.linears()]
    weights = [base.model.get_submodule(path).weight for path in paths]
    for weight in weights:
        weight.requires_grad_(True)
    loss = nn.functional.cross_entropy(base.model(**batch()).logits, LABELS)
    gradients = [one.abs() for one in torch.autograd.grad(loss, weights)]
    for weight in weights:
        weight.requires_grad_(False)
    threshold = torch.cat([one.flatten() for one in gradients]).topk(100).values[-1]
    changed = apet_changes(base, entries=100, place="gradient")
    assert all(torch.equal(one, steep >= threshold) for one, steep in zip(changed, gradients, strict=True))


def test_apet_spreads_evenly_over_stretches_that_may_be_too_small_for_it() -> None:
    places = spread([3, 100, 50, 100], 63, torch.Generator().manual_seed(0))
    assert len(places.unique()) == 63
    ends = torch.tensor([3, 103, 153, 253])
    assert torch.bincount(torch.searchsorted(ends, places, right=True)).tolist() == [3, 20, 20, 20]


@pytest.mark.parametrize("kind", [kind for kind in BUILDERS if tiny_description(kind).anatomy.layers == LAYERS])
def test_full_fine_tuning_trains_every_parameter(kind: str) -> None:
    base = tiny_base(kind)
    attached = attach(base, "full_ft")
    frozen = [name for name, value in attached.model.named_parameters() if not value.requires_grad]
    trained = sum(value.numel() for value in attached.model.parameters()) - base.head_size
    found = method("full_ft").trainable_parameters(base.description, {"top_layers": LAYERS})
    lowest = attached.lowest_layer
    attached.detach()
    upper = attach(base, "full_ft", top_layers=1)
    above = {name for name, value in upper.model.named_parameters() if value.requires_grad}
    upper.detach()
    assert (frozen, lowest, found) == ([], 0, trained)
    assert {name for name in above if base.description.anatomy.layers_path in name} == {
        name for name, _ in base.model.named_parameters() if f"{base.description.anatomy.layers_path}.1." in name
    }
    assert not any("embed" in name for name in above)


@pytest.mark.parametrize("grain", ["matrix", "category", "layer"])
@pytest.mark.parametrize("fraction", [0.1, 0.5, 0.77])
def test_half_fine_tuning_trains_the_fraction_of_the_weights(base: Base, grain: str, fraction: float) -> None:
    """Of the weights, not of the matrices; what is frozen stays bit for bit."""
    large = describe_config(transformers.BertConfig().to_dict())
    half, weights = method("half_ft"), sum(one.in_features * one.out_features for _, one in large.linears())
    shares = set()
    for draw in range(8):
        knobs = half.complete(large, {"fraction": fraction, "grain": grain, "draw": draw})
        shares.add(half.trainable_parameters(large, knobs) / weights)
    assert all(abs(share / fraction - 1) < 0.02 for share in shares)
    paths = [base.description.path(layer, linear.name) for layer, linear in base.description.linears()]
    before = [base.model.get_submodule(path).weight.clone() for path in paths]
    attached = attach(base, "half_ft", fraction=fraction, grain=grain, draw=1)
    train(attached)
    assert isinstance(attached, OwnAdapter)
    attached.merge()
    same = [base.model.get_submodule(path).weight == old for path, old in zip(paths, before, strict=True)]
    attached.detach()
    assert sum(int((~one).sum()) for one in same) == pytest.approx(
        fraction * sum(one.numel() for one in same), rel=0.05
    )
    partly = sum(0 < int(one.sum()) < one.numel() for one in same)
    assert partly <= {"matrix": 1, "layer": 1, "category": 2 * LAYERS}[grain]
    if grain == "layer" and fraction == 0.5:
        assert {bool(one.all()) for one in same[:6]} != {bool(one.all()) for one in same[6:]}


@pytest.mark.parametrize(("projection", "room"), [("sparse", 1e-6), ("fastfood", 0.05)])
def test_said_projection_has_orthogonal_columns_of_length_one(base: Base, projection: str, room: float) -> None:
    attached = attach(base, "said", dimensions=20, targets="all", projection=projection)
    layers = modules(attached, ProjectedVector)
    columns = torch.cat([torch.stack([one.projection(axis).flatten() for axis in torch.eye(20)], 1) for one in layers])
    gram = columns.T @ columns
    attached.detach()
    assert (gram - torch.diag(gram.diagonal())).abs().max() <= room
    assert gram.diagonal().mean() == pytest.approx(1.0, abs=max(room, 1e-5))
    read = (columns != 0).sum(1).float().mean()  # coordinates that an entry of a weight reads
    assert read == (1 if projection == "sparse" else 20)


def test_fastfood_is_the_product_of_its_matrices() -> None:
    """Signs, Hadamard, permutation, normal numbers, Hadamard, block below block and cut to the weight's size."""
    made = FastfoodProjection(torch.Size((5, 7)), 11, 35, torch.Generator().manual_seed(0))
    turn = torch.tensor([[(-1.0) ** (row & column).bit_count() for column in range(16)] for row in range(16)])
    dense = torch.cat(
        [
            turn @ torch.diag(gains) @ torch.eye(16)[order] @ turn @ torch.diag(signs) / 16
            for signs, order, gains in zip(made.signs, made.order, made.gains, strict=True)
        ]
    )
    vector = torch.randn(11, generator=torch.Generator().manual_seed(1))
    torch.testing.assert_close(made(vector), (dense[:35, :11] @ vector).view(5, 7))


def test_compacter_shares_its_rules(base: Base) -> None:
    attached = attach(base, "compacter", size=8, order=4)
    adapters = modules(attached, HypercomplexBottleneck)
    rules = {id(one.rules) for one in adapters}
    with torch.no_grad():
        kron = sum(
            torch.kron(adapters[0].rules[i], torch.outer(adapters[0].down_left[i], adapters[0].down_right[i]))
            for i in range(4)
        )
        torch.testing.assert_close(adapters[0]._matrix(adapters[0].down_left, adapters[0].down_right), kron)
    attached.detach()
    assert len(adapters) == 2
    assert len(rules) == 1


@pytest.mark.parametrize(
    ("name", "knobs"),
    [
        ("lst", {"reduction": 8}),
        ("unipt", {"reduction": 8}),
        ("sherl", {"late_layers": 0}),
        ("iaa", {"inside": "beside", "size": 4, "width": 4}),
    ],
)
def test_side_networks_keep_gradients_out_of_the_backbone(base: Base, name: str, knobs: dict[str, Any]) -> None:
    """Less than half of what LoRA keeps for the backward pass, and no frozen layer in the graph."""

    def kept(name: str, knobs: dict[str, Any]) -> int:
        attached = attach(base, name, **knobs)
        trained = sum(value.numel() for value in attached.parameters().values())
        memory = training_memory(attached.model, attached.parameters().values(), batch())
        attached.detach()
        return memory - BYTES_PER_TRAINED * trained

    assert kept(name, knobs) < kept("lora", {"rank": 2}) / 2


@pytest.mark.parametrize("late", [0, 1])
def test_sherl_sends_gradients_through_its_late_layers_only(base: Base, late: int) -> None:
    attached = attach(base, "sherl", late_layers=late)
    states = attached.model(**batch(), output_hidden_states=True).hidden_states
    wanted = [state.requires_grad for state in states]
    attached.detach()
    assert wanted == [False, late == 1, True]


def test_sherl_leaves_out_what_the_sum_holds_already() -> None:
    torch.manual_seed(0)
    side = ConsolidatingSide(8, 4, joins=1, redundancy=1.0, generator=torch.Generator().manual_seed(0))
    side.read(0, torch.randn(2, 3, 8))
    first = side._sum
    side.read(1, torch.randn(2, 3, 8))
    assert first is not None
    assert side._sum is not None
    torch.testing.assert_close((first * (side._sum - first)).sum(-1), torch.zeros(2, 3), atol=1e-5, rtol=0)


def _ladder(reads: tuple[int, ...] = (0, 1), causal: bool = False) -> LadderSide:
    return LadderSide(8, SideShape(width=4, inner=6, heads=2), reads, causal, torch.Generator().manual_seed(0))


def _climbed(side: LadderSide, states: torch.Tensor) -> torch.Tensor:
    """What the ladder makes of the states [layers, rows, tokens, hidden] of the frozen layers."""
    for index, hidden in enumerate(states):
        side.read(index, hidden)
    return side.result()


@pytest.mark.parametrize("causal", [False, True])
def test_tokens_of_lst_look_at_each_other_where_the_backbone_may(causal: bool) -> None:
    """With the frozen layers' outputs given, a token moves others by attention alone: not ahead, not from padding."""
    side, states = _ladder(causal=causal), torch.randn(2, 1, 5, 8, generator=torch.Generator().manual_seed(1))
    before = _climbed(side, states)
    moved = states.clone()
    moved[:, :, 2] += 1.0
    changed = (_climbed(side, moved) - before).abs().amax(-1)[0] > 1e-6
    assert changed.tolist() == ([False, False, True, True, True] if causal else [True] * 5)
    side.padding = torch.tensor([[[False, False, True, False, False]]])
    hidden = (_climbed(side, moved) - _climbed(side, states)).abs().amax(-1)[0] > 1e-6
    assert hidden.tolist() == [False, False, True, False, False]


def test_rungs_of_lst_are_gated_and_stand_on_chosen_layers() -> None:
    side, states = _ladder(reads=(0, 1)), torch.randn(2, 1, 5, 8, generator=torch.Generator().manual_seed(1))
    upper = side.blocks["1"]
    with torch.no_grad():
        upper.gate.fill_(1.0)  # σ(1 / 0.1): the state from below is shut out
    other = states.clone()
    other[0] += 1.0
    torch.testing.assert_close(_climbed(side, states), _climbed(side, other), atol=1e-3, rtol=0)
    with torch.no_grad():
        upper.gate.zero_()
    assert not torch.allclose(_climbed(side, states), _climbed(side, other), atol=1e-3)
    sparse = _ladder(reads=(1,))
    torch.testing.assert_close(_climbed(sparse, states), _climbed(sparse, other))


def test_unipt_weighs_layers_by_a_learnt_confidence() -> None:
    """Against the equations, one row at a time."""
    torch.manual_seed(0)
    side = ParallelSide(8, 4, layers=3, generator=torch.Generator().manual_seed(0))
    with torch.no_grad():
        side.confidence.normal_()
    states = torch.randn(3, 1, 5, 8)
    for index, hidden in enumerate(states):
        side.read(index, hidden)
    found = side.result()[0]
    narrow = [down(hidden[0]) for down, hidden in zip(side.downs, states, strict=True)]
    answers = [torch.softmax(narrow[-1] @ one.T / 2, -1) @ one for one in narrow]
    weights = torch.stack([torch.tanh(one) @ side.confidence for one in answers]).softmax(0)
    expected = narrow[-1] + sum(weight[:, None] * one for weight, one in zip(weights, answers, strict=True))
    torch.testing.assert_close(found, expected, atol=1e-6, rtol=1e-5)


@pytest.mark.parametrize("growth", ["rigl", "sm3"])
def test_sft_moves_a_falling_share_of_a_fixed_number_of_entries(base: Base, growth: str) -> None:
    attached = attach(base, "sft", density=0.1, growth=growth, interval=5)
    layers = modules(attached, SparseDelta)
    count, moved = len(layers[0].values), []
    for step in range(1, STEPS + 1):
        before = layers[0].places.clone()
        torch.nn.functional.cross_entropy(attached.model(**batch()).logits, LABELS).backward()
        with torch.no_grad():
            for value in attached.parameters().values():
                value -= 0.1 * value.grad
                value.grad = None
        renewed = attached.after_step(step)
        fresh = ~torch.isin(layers[0].places, before)
        moved.append(int(fresh.sum()))
        assert set(fresh.nonzero().flatten().tolist()) == set(
            renewed.get("0.attention.self.query.values", fresh[:0]).tolist()
        )
        assert (layers[0].values[fresh] == 0).all()
        assert len(layers[0].places.unique()) == count
    delta = (layers[0].weight() - layers[0].frozen()).flatten()
    attached.detach()
    assert moved == [0, 0, 0, 0, 7, 0, 0, 0, 0, 2, 0, 0]  # 58 entries · 0.2 · (1 − step / 12)
    assert (delta.nonzero().flatten()[:, None] == layers[0].places).any(1).all()


def test_sft_grows_where_the_gradient_is_largest(base: Base) -> None:
    attached = attach(base, "sft", density=0.05, interval=5)
    layer = modules(attached, SparseDelta)[0]
    before = layer.places.clone()
    attached.after_step(4)
    torch.nn.functional.cross_entropy(attached.model(**batch()).logits, LABELS).backward()
    attached.after_step(5)
    grown = layer.places[~torch.isin(layer.places, before)]
    attached.detach()
    plain = base.model.get_submodule(base.description.path(0, "attention.self.query"))
    plain.weight.requires_grad_(True)
    torch.nn.functional.cross_entropy(base.model(**batch()).logits, LABELS).backward()
    gradient = plain.weight.grad.abs().flatten()
    gradient[before] = 0
    assert set(grown.tolist()) == set(gradient.topk(len(grown)).indices.tolist())


def test_pst_ramps_up_to_the_sparsity_asked_for(base: Base) -> None:
    attached = attach(base, "pst", sparsity=0.6, ramp=0.5)
    anatomy, seen = base.description.anatomy, [sparsity(attached.model.modules(), base.description.anatomy)]
    for step in range(1, STEPS + 1):
        train(attached, steps=1)
        attached.after_step(step)
        seen.append(sparsity(attached.model.modules(), anatomy))
    assert isinstance(attached, OwnAdapter)
    attached.merge()
    weights = [
        base.model.get_parameter(f"{base.description.path(at, one.name)}.weight")
        for at, one in base.description.linears()
    ]
    merged = sum(int((value == 0).sum()) for value in weights) / sum(value.numel() for value in weights)
    attached.detach()
    assert seen == sorted(seen)
    assert seen[0] == 0.0
    assert seen[3] == pytest.approx(0.6 * (1 - 0.5**3), abs=1e-3)
    assert seen[6:] == pytest.approx([0.6] * 7, abs=1e-3)
    assert merged == seen[-1]


def test_pst_trains_few_parameters() -> None:
    large, pst = describe_config(transformers.BertConfig().to_dict()), method("pst")
    weights = sum(one.in_features * one.out_features for _, one in large.linears())
    assert pst.trainable_parameters(large, pst.complete(large, {})) < 0.03 * weights


def test_dept_trades_prompt_vectors_for_a_change_of_the_embeddings(base: Base) -> None:
    """As many parameters as a prompt of 100 vectors, but a shorter sequence; two learning rates."""
    large = describe_config(transformers.BertConfig().to_dict())
    knobs = {"length": 40, "rank": 45, "positions": 256}
    assert method("dept").trainable_parameters(large, knobs) == 100 * large.shape.hidden_size
    attached = attach(base, "dept", length=3, rank=2, positions=32, rate_ratio=20.0)
    (prompt,) = modules(attached, DecomposedPrompt)
    ids = batch()["input_ids"]
    with torch.no_grad():
        plain = prompt(ids)
        prompt.second.normal_()
        changed = prompt(ids)
    words = base.model.get_submodule(base.description.anatomy.word_embeddings)
    assert plain.shape[1] == ids.shape[1] + 3
    torch.testing.assert_close(plain[:, [0, *range(4, 12)]], words(ids), atol=0, rtol=0)
    torch.testing.assert_close(changed[:, 4:], plain[:, 4:] + (prompt.first[1:9] @ prompt.second))
    factors = attached.rate_factors()
    attached.detach()
    assert factors == {"prompt": 20.0}


@pytest.mark.parametrize(("longest", "choices"), [(None, (32, 64, 128, 256)), (100, (32, 64)), (20, (20,))])
def test_dept_counts_only_positions_that_texts_reach(longest: int | None, choices: tuple[int, ...]) -> None:
    large, dept = describe_config(transformers.BertConfig().to_dict()), method("dept")
    model = large if longest is None else with_texts(large, longest)
    assert dept.space(model).by_name["positions"].values == choices  # type: ignore[attr-defined]
    knobs = dept.complete(model, {"length": 4, "rank": 2})
    assert dept.trainable_parameters(model, knobs) == 4 * 768 + (min(choices[-1], 128) + 768) * 2
    if longest is not None:
        with pytest.raises(InvalidInput, match="positions"):
            dept.complete(model, {"positions": 256})


def test_merging_leaves_plain_layers(base: Base) -> None:
    attached = attach(base, "ssf", targets="all")
    assert isinstance(attached, OwnAdapter)
    train(attached)
    attached.merge()
    kinds = {type(module).__name__ for module in attached.model.modules()}
    attached.detach()
    assert "ScaledShifted" not in kinds


def test_failed_attachment_leaves_the_base_as_it_was(base: Base) -> None:
    before = {name: value.clone() for name, value in base.model.state_dict().items() if "classifier" not in name}
    one = method("c3a")
    with pytest.raises(ValueError, match="factor of the input size"):
        one.attach(base, {"block_size": 5, "targets": "qv", "top_layers": 2}, 0, None)
    assert all(torch.equal(base.model.state_dict()[name], value) for name, value in before.items())
    attach(base, "lora").detach()


def test_adapters_that_do_not_fit_are_refused(base: Base, tmp_path: Path) -> None:
    from workers.methods.loading import load_adapter

    attached = attach(base, "ssf")
    attached.save(tmp_path / "ssf", AdapterCard("ssf", "tiny", labels=("a", "b", "c")))
    attached.detach()
    with pytest.raises(ValueError, match="made for a bert model"):
        load_adapter(tiny_base("gpt2").model, tmp_path / "ssf")
    with pytest.raises(ValueError, match="neither"):
        load_adapter(base.model, tmp_path)


def test_a_shared_adapter_costs_a_layer_its_norm_alone_and_the_norms_part(base: Base) -> None:
    hidden = base.description.shape.hidden_size
    one = method("adapter_shared")
    counts = [one.trainable_parameters(base.description, {"size": 6, "top_layers": layers}) for layers in (1, 2)]
    assert counts[1] - counts[0] == 2 * hidden
    attached = attach(base, "adapter_shared", size=6)
    adapters = modules(attached, NormedBottleneck)
    train(attached)
    low, high = (adapter.norm.weight for adapter in adapters)
    shared = {id(adapter.shared) for adapter in adapters}
    attached.detach()
    assert len(adapters) == LAYERS
    assert len(shared) == 1
    assert (low - high).abs().max() > 1e-3
