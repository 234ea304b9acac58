"""The properties that define low-rank methods, where the conformance suite does not cover them already."""

from __future__ import annotations

import itertools
from pathlib import Path
from typing import Any

import peft
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from peftsearch import load_adapter
from tests.workers.methods.test_properties import STEPS, attach, modules, one_batch, train
from tests.workers.tiny_models import LABELS, batch, tiny_base, tiny_model
from workers.costs import training_memory
from workers.engines.recomputing import recomputing_layers
from workers.methods.attached import AdapterCard
from workers.methods.calibration import weight_gradients
from workers.methods.catalogue.lora_from_data import corda_factors
from workers.methods.forms.direction_pools import pools_of, share_out
from workers.methods.forms.hashed import HashedLora
from workers.methods.forms.lora_experts import LoraExperts
from workers.methods.forms.low_rank import LoraGroup, StartedLora, TriangularLora
from workers.methods.forms.weights import NestedLora, ShardedLora
from workers.methods.own_adapter import OwnAdapter
from workers.models.loading import Base


@pytest.fixture
def base() -> Base:
    return tiny_base("bert")


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
    (gradient,) = weight_gradients(base, [layer], one_batch(), 16)
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
    assert [len(layer.first) for layer in layers] == [2, 2, 6, 6]
    train(attached, steps=40)
    seen: dict[int, torch.Tensor] = {}
    for number, layer in enumerate(layers):
        layer.register_forward_pre_hook(lambda _module, inputs, number=number: seen.update({number: inputs[0]}))
    attached.model(**batch())
    for number, layer in enumerate(layers):
        gates = layer.gates(layer.router(seen[number]))[batch()["attention_mask"].bool()]
        torch.testing.assert_close(gates.sum(-1), torch.ones(len(gates)))
        assert ((gates > 0).sum(-1) == 2).all()
        assert (gates > 0).any(0).all()
    attached.detach()


@pytest.mark.parametrize("balanced", [True, False])
def test_mola_takes_up_idle_experts_because_of_its_balance_alone(base: Base, balanced: bool) -> None:
    attached = attach(base, "mola", rank=2, experts="5-5-5-5", top_k=1, balance=0.1)
    layers = modules(attached, LoraExperts)
    inputs: dict[int, torch.Tensor] = {}
    for number, layer in enumerate(layers):
        layer.register_forward_pre_hook(lambda _module, given, number=number: inputs.update({number: given[0]}))
    attached.model(**batch())
    tokens = [inputs[number][batch()["attention_mask"].bool()] for number in range(len(layers))]

    def busiest() -> list[float]:
        """The share of the tokens that go to the busiest expert, for each layer."""
        return [
            float((layer.gates(layer.router(seen)) > 0).float().mean(0).max())
            for layer, seen in zip(layers, tokens, strict=True)
        ]

    with torch.no_grad():
        for layer, seen in zip(layers, tokens, strict=True):  # every token goes to the first expert
            layer.router.choose.mul_(0.1)
            layer.router.choose[0] = 3 * seen.mean(0) / seen.mean(0).square().sum()
    assert busiest() == [1.0] * len(layers)
    train(attached, steps=100, with_auxiliary=balanced)
    after = busiest()
    attached.detach()
    assert max(after) < 0.8 if balanced else min(after) > 0.9


def test_hashed_factors_are_a_lora_at_compression_one(base: Base) -> None:
    """All entries are there once, so that training goes as that of the factors themselves."""
    attached = attach(base, "hashed_lora", rank=3, alpha=6, compression=1.0, targets="all")
    layers = modules(attached, HashedLora)
    factors = [tuple(factor.detach().clone() for factor in layer.factors()) for layer in layers]
    train(attached)
    learnt = [layer.weight().detach() - layer.frozen() for layer in layers]
    attached.detach()
    plain = attach(base, "lora", rank=3, alpha=6, targets="all")
    mine = [module for module in plain.model.modules() if isinstance(module, peft.tuners.lora.Linear)]
    with torch.no_grad():
        for module, (first, _) in zip(mine, factors, strict=True):
            module.lora_A["default"].weight.copy_(first)
    train(plain)
    theirs = [module.get_delta_weight("default").detach() for module in mine]
    plain.detach()
    for one, other in zip(learnt, theirs, strict=True):
        torch.testing.assert_close(one, other, atol=1e-5, rtol=1e-3)


def test_a_small_memory_is_read_by_all_layers_without_collisions_inside_a_piece(base: Base) -> None:
    attached = attach(base, "hashed_lora", rank=4, compression=6.5, targets="attention")
    layers = modules(attached, HashedLora)
    places = torch.cat([layer.first_place.flatten() for layer in layers])
    size = len(layers[0].first.values)
    once = all(len(set(piece.tolist())) == len(piece) for piece in places.split(size))
    readers = [set(layer.first_place.flatten().tolist()) for layer in layers]
    attached.detach()
    assert size == -(-len(places) // 6.5)
    assert once
    assert readers[0] & readers[-1]


def test_recurrent_routers_choose_by_what_the_layer_below_chose(base: Base) -> None:
    attached = attach(base, "mola", router="gru", router_size=8, rank=2, experts="2-4-6-8", balance=0.1)
    low, high = (module.router for module in modules(attached, LoraExperts)[::2])  # the queries of both layers
    assert low.cell is high.cell
    seen = torch.randn(2, 5, 24)
    low(torch.randn(2, 5, 24))
    logits = high(seen)
    torch.testing.assert_close(high(seen[:, :1]), logits[:, :1])  # where only first tokens are read
    low(torch.randn(2, 5, 24))
    assert (high(seen) - logits).abs().max() > 1e-3
    (gradient,) = torch.autograd.grad(high(seen).sum(), low.narrow)
    attached.detach()
    assert gradient.abs().max() > 0


def test_recurrent_routers_train_alike_when_layers_are_computed_again(base: Base) -> None:
    def gradients() -> dict[str, torch.Tensor]:
        attached = attach(base, "mola", router="gru", router_size=8, rank=2, experts="2-4-6-8")
        for layer in modules(attached, LoraExperts):
            nn.init.normal_(layer.second, generator=torch.Generator().manual_seed(1))
        attached.set_training(True)
        nn.functional.cross_entropy(attached.model(**batch()).logits, LABELS).backward()
        found = {name: value.grad for name, value in attached.parameters().items() if value.grad is not None}
        attached.detach()
        return found

    plain = gradients()
    with recomputing_layers(base):
        again = gradients()
    assert any("router.cell" in name for name in plain)
    for name, value in plain.items():
        torch.testing.assert_close(again[name], value, msg=name)


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


def test_dylora_is_loaded_at_every_rank(base: Base, tmp_path: Path) -> None:
    attached = attach(base, "dylora", rank=4)
    train(attached, steps=30)
    attached.save(tmp_path, AdapterCard("dylora", "tiny", labels=("a", "b", "c")))
    expected = {}
    for rank in (1, 2, 3, 4):
        for layer in modules(attached, NestedLora):
            layer.use_rank(rank)
        expected[rank] = attached.model(**batch()).logits.detach()
    attached.detach()
    for rank, logits in expected.items():
        loaded = load_adapter(tiny_model("bert"), tmp_path, rank=rank)
        torch.testing.assert_close(loaded(**batch()).logits, logits, atol=1e-6, rtol=0)
    assert not torch.allclose(expected[1], expected[4])
    with pytest.raises(ValueError, match="dylora at rank 5, allowed: 1 to 4"):
        load_adapter(tiny_model("bert"), tmp_path, rank=5)


def test_other_adapters_have_one_rank(base: Base, tmp_path: Path) -> None:
    for name in ("lora", "ssf"):
        attached = attach(base, name)
        attached.save(tmp_path / name, AdapterCard(name, "tiny", labels=("a", "b", "c")))
        attached.detach()
        with pytest.raises(ValueError, match=r"one rank|none to choose"):
            load_adapter(tiny_model("bert"), tmp_path / name, rank=2)


def test_nola_file_holds_coefficients_only(base: Base, tmp_path: Path) -> None:
    attached = attach(base, "nola", rank=6, bases=8)
    attached.save(tmp_path, AdapterCard("nola", "tiny", labels=("a", "b", "c")))
    attached.detach()
    stored = {
        name: value for name, value in load_file(tmp_path / "adapter.safetensors").items() if "classifier" not in name
    }
    assert all(value.shape == (8,) for value in stored.values())
    assert len(stored) == 2 * 4


def test_mos_trains_its_pools_whatever_the_rank(base: Base) -> None:
    sizes = []
    for rank in (2, 6):
        attached = attach(base, "mos", rank=rank, shards=4, pool=2)
        layer = modules(attached, ShardedLora)[0]
        assert not torch.equal(layer.first_index, layer.second_index)
        sizes.append(sum(value.numel() for value in attached.parameters().values()))
        attached.detach()
    assert sizes[0] == sizes[1]
