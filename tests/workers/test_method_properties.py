"""The property that defines a method, where the conformance suite does not cover it already."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
import transformers
from safetensors.torch import load_file
from torch import nn

from tests.workers.tiny_models import LABELS, batch, tiny_base, tiny_model
from workers.costs import BYTES_PER_TRAINED, sparsity, training_memory
from workers.methods.attached import AdapterCard, Attached, TrainingSetup
from workers.methods.bottleneck import AdaptedBertOutput, HypercomplexBottleneck
from workers.methods.calibration import weight_gradients
from workers.methods.catalogue.lora_from_data import corda_factors
from workers.methods.decomposed_prompt import DecomposedPrompt
from workers.methods.direction_pools import pools_of, share_out
from workers.methods.lora_experts import LoraExperts
from workers.methods.low_rank_forms import LoraGroup, StartedLora, TriangularLora
from workers.methods.own_adapter import OwnAdapter
from workers.methods.prefix_attention import KeyValuePrefix, attention_with_prefix
from workers.methods.registry import method
from workers.methods.side_network import ConsolidatingSide, ParallelSide
from workers.methods.sparse_forms import SparseDelta
from workers.methods.weight_forms import NestedLora, ProjectedVector, QuantisedLora, ShardedLora, TrainedSteps
from workers.models.description import describe_config
from workers.models.loading import Base

STEPS = 12


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture
def base() -> Base:
    return tiny_base("bert")


def attach(base: Base, name: str, **knobs: Any) -> Attached:
    one = method(name)
    return one.attach(base, one.complete(base.description, knobs), 7, _one_batch())


def _one_batch() -> TrainingSetup:
    return TrainingSetup(STEPS, lambda _size: iter([{**batch(), "labels": LABELS}]))


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


def test_apet_changes_only_the_entries_of_its_mask(base: Base) -> None:
    path = base.description.path(1, "attention.self.query")
    before = base.model.get_submodule(path).weight.clone()
    attached = attach(base, "apet", rank=2)
    train(attached)
    attached.model.merge_adapter()
    changed = (attached.model.get_submodule(f"base_model.model.{path}").weight != before).sum()
    attached.detach()
    assert changed == 2 * (24 + 24)


def test_adalora_keeps_its_budget_and_its_penalty_out_of_the_loss(base: Base) -> None:
    attached = attach(base, "adalora", rank=2, extra_rank=3, orthogonality=1.0)
    with torch.no_grad():
        output = attached.model(**batch())
    penalty = attached.auxiliary_loss()
    assert output.loss is None
    assert penalty is not None
    assert penalty > 0
    train(attached)
    ranks = attached.model.peft_config["default"].rank_pattern
    attached.detach()
    assert sum(sum(kept) for kept in ranks.values()) == 2 * len(ranks)


def test_lora_plus_speeds_up_the_second_factors_alone(base: Base) -> None:
    attached = attach(base, "lora_plus", rate_ratio=8.0)
    factors, names = attached.rate_factors(), attached.parameters().keys()
    attached.detach()
    assert factors == {name: 8.0 for name in names if "lora_B" in name}
    assert len(factors) == 4


@pytest.mark.parametrize("variant", ["ipm", "kpm"])
def test_corda_takes_the_components_that_the_inputs_call_for(variant: str) -> None:
    """`ipm` is the best rank-r approximation of W as seen through its inputs (Eckart-Young), `kpm` the least of it."""
    torch.manual_seed(0)
    weight, inputs = torch.randn(7, 9), torch.randn(200, 9) * torch.linspace(0.1, 3, 9)
    covariance = inputs.T @ inputs / 200
    first, second = corda_factors(weight, covariance, 2, variant)
    seen = covariance / covariance.diagonal().mean() + 0.01 * torch.eye(9)
    values = torch.linalg.svdvals(weight @ seen)
    taken, left = (values[:2], values[2:]) if variant == "ipm" else (values[-2:], values[:-2])
    torch.testing.assert_close(torch.linalg.svdvals(second @ first @ seen)[:2], taken, rtol=1e-4, atol=1e-4)
    torch.testing.assert_close(torch.linalg.svdvals((weight - second @ first) @ seen)[:5], left, rtol=1e-4, atol=1e-4)


def test_lora_ga_first_step_follows_the_gradient(base: Base) -> None:
    """∂loss/∂B spans the r strongest input directions of the full gradient, ∂loss/∂A the next output directions."""
    attached = attach(base, "lora_ga", rank=2, top_layers=1, samples=16)
    layer = modules(attached, StartedLora)[0]
    (gradient,) = weight_gradients(base, [layer], _one_batch(), 16)
    left, _, right = torch.linalg.svd(gradient)
    cosines = nn.functional.cosine_similarity(layer.first.detach(), right[:2]).abs()
    others = nn.functional.cosine_similarity(layer.second.detach(), left[:, 2:4], dim=0).abs()
    attached.detach()
    torch.testing.assert_close(torch.cat([cosines, others]), torch.ones(4), atol=1e-4, rtol=0)


def test_colora_gives_its_ranks_to_the_layer_that_matters(base: Base) -> None:
    """With the output of layer 0's attention cut off, nothing but layer 1 can contribute."""
    with torch.no_grad():
        base.model.get_submodule(base.description.path(0, "attention.output.dense")).weight.zero_()
    attached = attach(base, "colora", rank=3, least_rank=1, samples=32)
    (pool,) = pools_of(base)
    ranks = {layer: int(pool.ranks()[2 * layer : 2 * layer + 2].sum()) for layer in (0, 1)}
    attached.detach()
    assert ranks == {0: 2, 1: 4 * 3 - 2}


@pytest.mark.parametrize(
    ("weights", "expected"),
    [
        ([1.0, 1.0, 2.0], [2, 2, 4]),
        ([0.0, 0.0, 9.0], [1, 1, 6]),
        ([0.0, 0.0, 0.0], [3, 3, 2]),
        ([1, 1e9, 1], [1, 6, 1]),
    ],
)
def test_shared_out_ranks_add_up_within_their_bounds(weights: list[float], expected: list[int]) -> None:
    assert share_out(8, weights, 1, 6) == expected


@pytest.mark.parametrize("name", ["increlora", "triadaptlora"])
def test_ranks_grow_without_a_jump_in_the_loss(base: Base, name: str) -> None:
    attached = attach(base, name, rank=4, growths=4)
    (pool,) = pools_of(base)
    optimizer = torch.optim.AdamW(attached.parameters().values(), lr=1e-2, weight_decay=0.0)
    sums, jumps = [int(pool.ranks().sum())], []
    for step in range(1, STEPS + 1):
        torch.nn.functional.cross_entropy(attached.model(**batch()).logits, LABELS).backward()
        optimizer.step()
        before = attached.model(**batch()).logits.detach()
        attached.after_step(step)
        jumps.append((attached.model(**batch()).logits.detach() - before).abs().max().item())
        optimizer.zero_grad()
        sums.append(int(pool.ranks().sum()))
    attached.detach()
    assert sums == sorted(sums)
    assert sums[0] < sums[-1] <= 4 * 4
    assert name != "increlora" or (sums[0], sums[-1]) == (4, 4 * 4)
    assert max(jumps) < 1e-6


def test_triadaptlora_keeps_its_triangles(base: Base) -> None:
    attached = attach(base, "triadaptlora", rank=4, targets="all")
    train(attached)
    for layer in modules(attached, TriangularLora):
        low, high = layer.parts()
        outputs, inputs = low.shape
        below = torch.tensor([[row * inputs >= column * outputs for column in range(inputs)] for row in range(outputs)])
        assert low[~below].abs().max() == 0
        assert high[below].abs().max() == 0
        assert low.abs().max() > 0
    attached.detach()


def test_lora_ranks_and_scales_are_those_asked_for(base: Base) -> None:
    attached = attach(base, "lora_ranks", rank_0=2, rank_1=4, alpha=8, same_scale=True, targets="qv")
    found = {
        name: (module.r["default"], module.scaling["default"])
        for name, module in attached.model.named_modules()
        if hasattr(module, "lora_A")
    }
    attached.detach()
    assert {rank for name, (rank, _) in found.items() if ".layer.0." in name} == {2}
    assert {rank for name, (rank, _) in found.items() if ".layer.1." in name} == {4}
    assert {scale for _, scale in found.values()} == {2.0}


def test_pego_penalties_keep_the_updates_apart(base: Base) -> None:
    def overlaps(**penalties: float) -> tuple[float, float]:
        attached = attach(base, "pego", rank=2, groups=3, alpha=16, **penalties)
        train(attached, steps=40)
        layers = modules(attached, LoraGroup)
        base_weight, update = layers[0].frozen(), layers[0].weight() - layers[0].frozen()
        torch.testing.assert_close((base_weight.T @ update).square().sum(), layers[0].overlap_with_base())
        found = [sum(part(one).item() for one in layers) for part in (_with_base, _inside)]
        attached.detach()
        return found[0], found[1]

    free = overlaps(preserve=1e-5, diversify=1e-5)
    assert overlaps(preserve=1e-1, diversify=1e-5)[0] < free[0] / 2
    assert overlaps(preserve=1e-5, diversify=1.0)[1] < free[1] / 2


def _with_base(layer: LoraGroup) -> torch.Tensor:
    return layer.overlap_with_base()


def _inside(layer: LoraGroup) -> torch.Tensor:
    return layer.overlap_inside()


@pytest.mark.parametrize("knobs", [{"sparsity": 0.75}, {"pattern": "2:4"}], ids=["free", "2:4"])
def test_masked_lora_keeps_its_zeros_when_merged(base: Base, knobs: dict[str, Any]) -> None:
    attached = attach(base, "masked_lora", **knobs, targets="all")
    assert isinstance(attached, OwnAdapter)
    train(attached)
    attached.merge()
    for layer, linear in base.description.linears("all"):
        weight = base.model.get_submodule(base.description.path(layer, linear.name)).weight
        assert (weight == 0).sum() == weight.numel() * knobs.get("sparsity", 0.5)
        if "pattern" in knobs:
            assert ((weight.reshape(-1, 4) == 0).sum(1) == 2).all()
    attached.detach()


def test_mola_routes_every_token_and_uses_every_expert(base: Base) -> None:
    attached = attach(base, "mola", rank=2, experts="2-4-6-8", top_k=2, balance=0.1)
    layers = modules(attached, LoraExperts)
    assert [len(layer.router) for layer in layers] == [2, 2, 6, 6]
    train(attached, steps=40)
    seen: dict[int, torch.Tensor] = {}
    for number, layer in enumerate(layers):
        layer.register_forward_pre_hook(lambda _module, inputs, number=number: seen.update({number: inputs[0]}))
    attached.model(**batch())
    for number, layer in enumerate(layers):
        gates = layer.gates(nn.functional.linear(seen[number], layer.router))[batch()["attention_mask"].bool()]
        torch.testing.assert_close(gates.sum(-1), torch.ones(len(gates)))
        assert ((gates > 0).sum(-1) == 2).all()
        assert (gates > 0).any(0).all()
    attached.detach()


def test_llama_adapter_is_the_adaption_prompt_of_peft() -> None:
    """Of which peft trains no classification head and knows no encoders."""
    base = tiny_base("llama")
    theirs = peft.get_peft_model(tiny_model("llama").eval(), peft.AdaptionPromptConfig(adapter_len=3, adapter_layers=2))
    attached = attach(base, "llama_adapter", length=3)
    own = attached.parameters()
    base.initialise_head(0)
    with torch.no_grad():
        theirs.get_submodule("base_model.model.score").weight.copy_(own["score.weight"])
        for layer, part in itertools.product(("0", "1"), ("prompt", "gate")):
            (their,) = [v for n, v in theirs.named_parameters() if f".{layer}." in n and n.endswith(f"adaption_{part}")]
            own[f"{layer}.{part}"].normal_(generator=torch.Generator().manual_seed(int(layer)))
            their.copy_(own[f"{layer}.{part}"].view_as(their))
        torch.testing.assert_close(attached.model(**batch()).logits, theirs(**batch()).logits, atol=1e-5, rtol=1e-5)
    attached.detach()


def test_velora_keeps_less_for_the_backward_pass(base: Base) -> None:
    kept = {}
    for name, knobs in (("lora", {}), ("velora", {"groups": 4})):
        attached = attach(base, name, rank=2, targets="mlp", **knobs)
        kept[name] = training_memory(attached.model, attached.parameters().values(), batch())
        attached.detach()
    assert kept["velora"] < kept["lora"]


def test_kasa_penalty_makes_factors_orthonormal(base: Base) -> None:
    def distance(with_penalty: bool) -> float:
        attached = attach(base, "kasa", rank=3, gamma=1e-2, beta=1e-6)
        train(attached, steps=60, with_auxiliary=with_penalty, rate=2e-2)
        factors = [value for name, value in attached.parameters().items() if "lora_B" in name]
        found = sum(torch.linalg.norm(one.T @ one - torch.eye(3)).item() for one in factors)
        attached.detach()
        return found

    assert distance(True) < distance(False)


def test_dylora_trains_every_rank_and_evaluates_the_whole(base: Base) -> None:
    attached = attach(base, "dylora", rank=4)
    layer = modules(attached, NestedLora)[0]
    drawn = []
    for step in range(1, 60):
        attached.after_step(step)
        drawn.append(layer.rank)
    assert set(drawn) == {1, 2, 3, 4}
    with torch.no_grad():
        layer.second.normal_()
    layer.use_rank(1)
    narrow = layer.weight()
    attached.set_training(False)
    whole = layer.weight()
    attached.detach()
    assert torch.linalg.matrix_rank(narrow - layer.frozen()) == 1
    assert torch.linalg.matrix_rank(whole - layer.frozen()) == 4


def test_nola_file_holds_coefficients_only(base: Base, tmp_path: Path) -> None:
    attached = attach(base, "nola", rank=6, bases=8)
    attached.save(tmp_path, AdapterCard("nola", "tiny", classes=("a", "b", "c")))
    attached.detach()
    stored = {
        name: value for name, value in load_file(tmp_path / "adapter.safetensors").items() if "classifier" not in name
    }
    assert all(value.shape == (8,) for value in stored.values())
    assert len(stored) == 2 * 4


def test_said_projection_has_orthogonal_columns_of_length_one(base: Base) -> None:
    attached = attach(base, "said", dimensions=20, targets="all")
    layers = modules(attached, ProjectedVector)
    columns = torch.cat(
        [
            (one.scaling * one.signs.flatten())[:, None] * nn.functional.one_hot(one.index.flatten(), 20)
            for one in layers
        ]
    )
    gram = columns.T @ columns
    attached.detach()
    assert (gram - torch.diag(gram.diagonal())).abs().max() == 0
    assert gram.diagonal().mean() == pytest.approx(1.0, abs=1e-5)


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


def test_mos_trains_its_pools_whatever_the_rank(base: Base) -> None:
    sizes = []
    for rank in (2, 6):
        attached = attach(base, "mos", rank=rank, shards=4, pool=2)
        layer = modules(attached, ShardedLora)[0]
        assert not torch.equal(layer.first_index, layer.second_index)
        sizes.append(sum(value.numel() for value in attached.parameters().values()))
        attached.detach()
    assert sizes[0] == sizes[1]


@pytest.mark.parametrize(
    ("name", "knobs"), [("lst", {"reduction": 8}), ("unipt", {"reduction": 8}), ("sherl", {"late_layers": 0})]
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


@pytest.mark.parametrize("name", ["l4q", "e2e_qp"])
def test_quantised_weights_are_near_and_discrete(base: Base, name: str) -> None:
    attached = attach(base, name, bits=8, group=8)
    layer = modules(attached, QuantisedLora if name == "l4q" else TrainedSteps)[0]
    start = layer.steps.detach().clone()
    error = (layer.weight() - layer.frozen()).abs().reshape(-1, 8)
    assert (error <= start / 2 + 1e-6).all()
    train(attached, rate=1e-3)
    whole = layer.weight().detach().reshape(-1, 8) / layer.steps.detach()
    attached.detach()
    assert not torch.equal(layer.steps, start)
    torch.testing.assert_close(whole, whole.round(), atol=2e-3, rtol=0)


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
    anatomy, seen = base.description.anatomy, [sparsity(attached.model, base.description.anatomy)]
    for step in range(1, STEPS + 1):
        train(attached, steps=1)
        attached.after_step(step)
        seen.append(sparsity(attached.model, anatomy))
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
    attached.save(tmp_path / "ssf", AdapterCard("ssf", "tiny", classes=("a", "b", "c")))
    attached.detach()
    with pytest.raises(ValueError, match="made for a bert model"):
        load_adapter(tiny_base("gpt2").model, tmp_path / "ssf")
    with pytest.raises(ValueError, match="neither"):
        load_adapter(base.model, tmp_path)
