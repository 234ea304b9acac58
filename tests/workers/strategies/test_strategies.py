"""Training strategies: what defines each, equal numbers on both engines, and resuming bit for bit."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from typing import Any

import numpy as np
import pytest
import torch
from torch import nn
from torch.utils.flop_counter import FlopCounterMode

from tests.workers.engines.packs import split
from tests.workers.engines.test_engine_equality import (
    HYPERPARAMETERS,
    TRAIN,
    VALIDATION,
    Run,
    assert_equal,
    attached_to,
    train,
)
from tests.workers.tiny_models import LAYERS, tiny_base
from workers.assignment import Assignment
from workers.costs import training_flops
from workers.engines.batches import StepPlan
from workers.engines.course import TrainStep
from workers.engines.fast import fast_trainee
from workers.engines.prefix_store import PrefixStore
from workers.engines.reference import reference_trainee
from workers.engines.resident import ResidentBase
from workers.errors import InvalidInput
from workers.hyperparameters import Hyperparameters, split_config
from workers.methods.attached import Attached
from workers.methods.registry import method, methods
from workers.methods.space import methods_space
from workers.models.description import describe
from workers.models.loading import load_base
from workers.running.packing import why_not_packed
from workers.strategies.layers import layers_of
from workers.strategies.perturbed import SpsaGc
from workers.strategies.projected import GaLore, GradNormLoRP, leading_subspace, natural_gradient
from workers.strategies.registry import losses_of_step, strategies, strategy, with_strategy_knobs
from workers.strategies.running import run_strategy
from workers.strategies.sampled_layers import Hft, Ist, Lisa
from workers.strategies.space import with_strategies
from workers.strategies.strategy import Subject
from workers.strategies.tensor_adamw import TensorAdamW
from workers.tasks.catalogue.text_classification import TASK, TextClassificationSpec

# A method and knobs for each strategy; what is left out takes its default.
CASES: dict[str, tuple[str, dict[str, Any]]] = {
    "hft": ("full_ft", {"grain": "tensor", "interval": 5}),
    "lisa": ("lora", {"layers": 1, "interval": 3}),
    "ist": ("lora", {"share": 0.5, "interval": 5}),
    "galore": ("full_ft", {"rank": 4, "interval": 10}),
    "natural_galore": ("full_ft", {"rank": 4, "interval": 10, "history": 3}),
    "gradnormlorp": ("full_ft", {"rank": 4, "interval": 10}),
    "spsa_gc": ("ia3", {"size": 0.05, "gain": 40.0, "averaged": 10, "gain_decay": 0.0}),
}
LAYER_STRATEGIES = ("lisa", "hft", "ist")


@pytest.fixture(scope="module", autouse=True)
def one_thread() -> Iterator[None]:
    threads = torch.get_num_threads()
    torch.set_num_threads(1)
    yield
    torch.set_num_threads(threads)


@pytest.fixture(scope="module")
def resident() -> ResidentBase:
    return ResidentBase.of(tiny_base("bert"))


def chosen(name: str, resident: ResidentBase, **knobs: Any) -> Hyperparameters:
    used, own = CASES[name]
    hyperparameters = HYPERPARAMETERS.model_copy(update={"strategy": name, "strategy_knobs": own | knobs})
    return with_strategy_knobs(hyperparameters, method(used), resident.base.description)


def running(name: str, resident: ResidentBase, attached: Attached, **knobs: Any) -> Any:
    return run_strategy(chosen(name, resident, **knobs), attached, resident.base.description, seed=3)


def test_every_strategy_has_a_row() -> None:
    assert set(CASES) == set(strategies())


@pytest.mark.parametrize("name", CASES)
def test_every_strategy_trains_alike_on_both_engines(resident: ResidentBase, tmp_path: Any, name: str) -> None:
    """The head, which alone would let the loss fall, is held at its random start."""
    used, hp = CASES[name][0], chosen(name, resident)
    knobs = {"rank": 3, "targets": "all"} if used == "lora" else {}

    def on(engine: str) -> Run:
        with attached_to(resident, used, knobs, 30) as attached:
            held = {parameter: 0.0 for parameter in attached.parameters() if "classifier" in parameter}
            attached.rate_factors = lambda: held  # type: ignore[method-assign]
            own = run_strategy(hp, attached, resident.base.description, seed=3)
            if engine == "reference":
                return train(reference_trainee(attached, TRAIN, VALIDATION, hp, strategy=own), attached, hp, 30)
            store = PrefixStore(tmp_path, 1 << 30)
            with fast_trainee(resident, attached, TRAIN, VALIDATION, hp, store, strategy=own) as trainee:
                return train(trainee, attached, hp, 30)

    mine, reference = on("fast"), on("reference")
    assert_equal(mine, reference)
    assert np.mean(reference.losses[-5:]) < np.mean(reference.losses[:5])


@pytest.mark.parametrize("name", CASES)
def test_a_saved_strategy_continues_bit_for_bit(resident: ResidentBase, name: str) -> None:
    used = CASES[name][0]

    def trained(first: int, last: int, saved: dict[str, torch.Tensor] | None = None) -> dict[str, torch.Tensor]:
        with attached_to(resident, used, {}, 20) as attached:
            trainee = reference_trainee(
                attached, TRAIN, VALIDATION, HYPERPARAMETERS, strategy=running(name, resident, attached)
            )
            if saved is not None:
                trainee.load(saved)
            plan = StepPlan(TRAIN.lengths, 8, 1, 1000.0, seed=5)
            batches = plan.after(first - 1)
            for number in range(first, last + 1):
                trainee.train_step(TrainStep(number, next(batches), 1e-3))
            return trainee.save()

    whole, rest = trained(1, 14), trained(8, 14, trained(1, 7))
    assert whole.keys() == rest.keys()
    assert all(torch.equal(rest[key], value) for key, value in whole.items())


# Which layers take part


def layer_gradients(attached: Attached, resident: ResidentBase) -> set[int]:
    layers = layers_of(attached.model, resident.base.description.anatomy.layers_path, attached.parameters())
    torch.nn.functional.cross_entropy(
        attached.model(**TRAIN.batch(np.arange(8))).logits, TRAIN.targets(np.arange(8))
    ).backward()
    return {
        layer
        for name, value in attached.parameters().items()
        if value.grad is not None and (layer := layers[name]) is not None
    }


@pytest.mark.parametrize(("grain", "tolerance"), [("tensor", 0.02), ("layer", 0.02)])
def test_hft_trains_another_half_in_each_period_and_freezes_the_other(
    resident: ResidentBase, grain: str, tolerance: float
) -> None:
    with attached_to(resident, "full_ft", {}, 20) as attached:
        subject = subject_of(attached, resident)
        hft = Hft(subject, 0.5, grain, interval=4)
        inside = {name: value.numel() for name, value in subject.parameters.items() if subject.layers[name] is not None}
        halves = []
        for step in range(1, 41):
            before = {name: value.detach().clone() for name, value in subject.parameters.items()}
            hft.begin(step, lambda: 0.0)
            layer_gradients(attached, resident)
            hft.step(1e-3)
            hft.clear_gradients()
            moved = {name for name, value in subject.parameters.items() if not torch.equal(value, before[name])}
            assert moved > {name for name in subject.parameters if name not in inside and "position" not in name}
            share = sum(inside[name] for name in moved if name in inside) / sum(inside.values())
            assert share == pytest.approx(0.5, rel=tolerance)
            halves.append(frozenset(moved & inside.keys()))
        hft.release()
    assert all(len(set(halves[start : start + 4])) == 1 for start in range(0, 40, 4))
    assert len(set(halves)) == (2 if grain == "layer" else 10)


def test_lisa_trains_as_many_layers_as_asked_and_forgets_the_others(resident: ResidentBase) -> None:
    with attached_to(resident, "full_ft", {}, 20) as attached:
        subject = subject_of(attached, resident)
        lisa = Lisa(subject, count=1, interval=4)
        outside = sum(value.numel() for name, value in subject.parameters.items() if subject.layers[name] is None)
        per_layer = sum(value.numel() for value in subject.parameters.values()) - outside
        always = {"bert.embeddings.word_embeddings.weight", "bert.embeddings.LayerNorm.bias", "classifier.weight"}
        seen = []
        for step in range(1, 25):
            before = {name: value.detach().clone() for name, value in subject.parameters.items()}
            lisa.begin(step, lambda: 0.0)
            active = layer_gradients(attached, resident)
            lisa.step(1e-3)
            changed = {
                subject.layers[name]
                for name, value in subject.parameters.items()
                if not torch.equal(value, before[name])
            }
            assert changed == active | {None}
            assert not any(torch.equal(subject.parameters[name], before[name]) for name in always)
            lisa.clear_gradients()
            seen.append(*active)
            assert lisa.elements() <= 2 * (per_layer // LAYERS + outside) + len(subject.parameters)
        lisa.release()
        assert all(value.requires_grad for value in subject.parameters.values())
    periods = [seen[start : start + 4] for start in range(0, 24, 4)]
    assert all(len(set(period)) == 1 for period in periods)
    assert set(seen) == set(range(LAYERS))


def subject_of(attached: Attached, resident: ResidentBase) -> Subject:
    parameters = attached.parameters()
    layers = layers_of(attached.model, resident.base.description.anatomy.layers_path, parameters)
    return Subject(parameters, layers, weight_decay=0.0, rate_factors={}, seed=3)


def toy(layers: int) -> Subject:
    """One number in each layer, and one outside."""
    parameters = {str(layer): nn.Parameter(torch.ones(1)) for layer in range(layers)} | {
        "head": nn.Parameter(torch.ones(1))
    }
    return Subject(parameters, {**{str(k): k for k in range(layers)}, "head": None}, 0.0, {}, seed=1)


def test_ist_finds_the_layer_that_matters_and_suppresses_without_a_trace() -> None:
    subject = toy(8)
    ist = Ist(subject, share=0.25, interval=2, rate=10.0)
    with torch.no_grad():
        for value in subject.parameters.values():
            value.fill_(3.0)
    seen = []

    def probe() -> float:  # only layer 5 has learnt anything: without it the loss is higher
        seen.append([round(float(value), 6) for value in subject.parameters.values()])
        return 1.0 - 0.3 * float(subject.parameters["5"])

    active = []
    for step in range(1, 121):
        ist.begin(step, probe)
        active.append([name for name, value in subject.parameters.items() if value.requires_grad])
    assert all(len(names) == 3 for names in active)  # two of eight layers, and what lies outside
    assert all(names[-1] == "head" for names in active)
    assert len(seen) == 3 * 60
    assert all(sorted(values) == [1.5] * 4 + [3.0] * 5 for values in seen)  # a quarter of the way from 1 to 3
    assert all(value.item() == 3.0 for value in subject.parameters.values())
    assert ist.importance.argmax() == 5
    late = [name for names in active[60:] for name in names]
    assert late.count("5") == max(late.count(str(layer)) for layer in range(8))


@pytest.mark.parametrize("name", LAYER_STRATEGIES)
def test_methods_that_a_layer_strategy_takes_have_parameters_in_every_layer(resident: ResidentBase, name: str) -> None:
    model = resident.base.description
    for one in methods().values():
        if one.supports(model) and strategy(name).refusal(one, model) is None:
            attached = one.attach(resident.base, one.complete(model, {}), 0, None)
            layers = set(layers_of(attached.model, model.anatomy.layers_path, attached.parameters()).values())
            attached.detach()
            assert layers == {None, *range(LAYERS)}, one.name


# Subspaces


def test_galore_keeps_less_than_adamw_and_leaves_its_subspace_in_time(resident: ResidentBase) -> None:
    with attached_to(resident, "full_ft", {}, 20) as attached:
        subject = subject_of(attached, resident)
        galore, adamw = GaLore(subject, rank=3, interval=5, scale=1.0), TensorAdamW(subject)
        name = "0.attention.self.query.weight"
        weight = subject.parameters[name]
        start, ranks = weight.detach().clone(), []
        for step in range(1, 16):
            layer_gradients(attached, resident)
            galore.step(1e-2)
            galore.clear_gradients()
            if step % 5 == 0:
                ranks.append(int(torch.linalg.matrix_rank((weight - start).detach(), rtol=1e-3)))
        layer_gradients(attached, resident)
        adamw.step(0.0)
        state = galore.state[name]
        projected = sum(subject.parameters[one].numel() for one in galore.projected)
        assert galore.elements() < adamw.elements() - projected
    assert ranks[0] == 3 < ranks[1] <= ranks[2] <= 9
    assert {kind: tuple(value.shape) for kind, value in state.items()} == {
        "basis": (24, 3), "mean": (3, 24), "square": (3, 24), "steps": ()
    }  # fmt: skip


def test_galore_with_the_whole_rank_is_adamw_in_rotated_coordinates() -> None:
    torch.manual_seed(0)
    gradient = torch.randn(6, 9)
    basis = leading_subspace(gradient, 6)
    torch.testing.assert_close(basis @ basis.T, torch.eye(6), atol=1e-5, rtol=0)
    left = torch.linalg.svd(gradient).U
    torch.testing.assert_close((basis.T @ left).abs(), torch.eye(6), atol=1e-4, rtol=0)
    assert (basis.gather(0, basis.abs().argmax(0, keepdim=True)) > 0).all()


def test_natural_gradient_is_that_of_the_dense_inverse() -> None:
    torch.manual_seed(0)
    history = torch.randn(4, 20, dtype=torch.float64)
    dense = torch.linalg.inv(0.3 * torch.eye(20, dtype=torch.float64) + history.T @ history) @ history[-1]
    torch.testing.assert_close(natural_gradient(history, history[-1], 0.3), dense, atol=1e-6, rtol=1e-6)


def test_gradnormlorp_moves_magnitudes_and_directions_as_autograd_would() -> None:
    """Against m and V as parameters of their own, with plain Adam on m and GaLore on V."""
    torch.manual_seed(0)
    weight, target, inputs = nn.Parameter(torch.randn(6, 8)), torch.randn(6, 5), torch.randn(8, 5)
    subject = Subject({"w": weight}, {"w": 0}, 0.0, {}, seed=0)
    mine = GradNormLoRP(subject, rank=2, interval=4, scale=0.5)
    magnitude = nn.Parameter(weight.detach().norm(dim=1, keepdim=True))
    direction = nn.Parameter(weight.detach().clone())
    adam = TensorAdamW(Subject({"m": magnitude}, {"m": None}, 0.0, {}, seed=0))
    galore = GaLore(Subject({"v": direction}, {"v": 0}, 0.0, {}, seed=0), rank=2, interval=4, scale=0.5)
    for _ in range(12):
        (weight @ inputs - target).square().mean().backward()
        mine.step(0.05)
        mine.clear_gradients()
        composed = magnitude * direction / direction.norm(dim=1, keepdim=True)
        (composed @ inputs - target).square().mean().backward()
        for one in (adam, galore):
            one.step(0.05)
            one.clear_gradients()
        expected = magnitude * direction / direction.norm(dim=1, keepdim=True)
        torch.testing.assert_close(weight, expected, atol=1e-4, rtol=1e-4)
        torch.testing.assert_close(
            mine.state["w"]["magnitude"], weight.detach().norm(dim=1, keepdim=True), atol=1e-5, rtol=1e-5
        )
    assert mine.elements() < 2 * weight.numel() + 6


# Without gradients


def test_spsa_gc_asks_for_losses_alone_and_descends(resident: ResidentBase, monkeypatch: pytest.MonkeyPatch) -> None:
    """On a soft prompt of fewer than a thousand numbers; any use of automatic differentiation fails."""

    def refused(*_arguments: Any, **_options: Any) -> None:
        raise AssertionError("a gradient was computed")

    monkeypatch.setattr(torch.autograd, "backward", refused)
    monkeypatch.setattr(torch.autograd, "grad", refused)
    hp = HYPERPARAMETERS.model_copy(update={"max_grad_norm": 1.0})
    with attached_to(resident, "prompt_tuning", {"length": 3}, 60) as attached:
        subject = subject_of(attached, resident)
        assert sum(value.numel() for value in subject.parameters.values()) <= 1000
        own = SpsaGc(subject, (0.05, 0.1), (1.0, 0.4, 1), momentum=0.9, averaged=2)
        trainee, passes = reference_trainee(attached, TRAIN, VALIDATION, hp, strategy=own), []
        attached.model.register_forward_hook(lambda *_: passes.append(torch.is_grad_enabled()))
        rows = (np.arange(16),)
        losses = [trainee.train_step(TrainStep(number, rows, 0.05)) for number in range(1, 61)]
    assert passes == [False] * (2 * 2 * 60)
    assert np.mean(losses[-10:]) < np.mean(losses[:10]) - 0.05


def test_an_estimate_is_the_slope_along_its_perturbation_and_leaves_no_trace() -> None:
    """Of a linear loss, averaged over many draws: the gradient itself."""
    slope = torch.linspace(-1.0, 1.0, 6)
    weight = nn.Parameter(torch.randn(6))
    start = weight.detach().clone()
    own = SpsaGc(Subject({"w": weight}, {"w": None}, 0.0, {}, seed=2), (0.1, 0.1), (1.0, 0.4, 0), 0.9, averaged=4000)
    loss = own.begin(1, lambda: float(slope @ weight.detach()))
    assert weight.grad is not None
    assert loss == pytest.approx(float(slope @ start), abs=1e-4)
    torch.testing.assert_close(weight.grad, slope, atol=0.1, rtol=0)
    torch.testing.assert_close(weight.detach(), start, atol=0, rtol=0)


@pytest.mark.parametrize("name", ["spsa_gc", "ist"])
def test_flops_are_those_that_torch_counts_in_a_step(name: str) -> None:
    """Losses without gradients go forward alone: `spsa_gc` has no others, `ist` some besides."""
    resident = ResidentBase.of(load_base("builtin:minilm", labels=3))
    one, train = method("lora"), split(8, 0, TASK.criterion(None, ("a", "b", "c")), 1000, 3, longest=5)
    knobs: dict[str, Any] = {"averaged": 2} if name == "spsa_gc" else {"interval": 5, "share": 0.5}
    hp = HYPERPARAMETERS.model_copy(update={"strategy": name, "strategy_knobs": knobs, "batch_size": 8})
    hp = with_strategy_knobs(hp, one, resident.base.description)
    with attached_to(resident, "lora", {"top_layers": 6, "targets": "all"}, 5) as attached:
        own = run_strategy(hp, attached, resident.base.description, seed=3)
        trainee = reference_trainee(attached, train, train, hp, strategy=own)
        with FlopCounterMode(display=False) as counter:
            for number in range(1, 6):
                trainee.train_step(TrainStep(number, (np.arange(8),), 1e-3))
        trained = one.trainable_parameters(
            resident.base.description, one.complete(resident.base.description, {"top_layers": 6, "targets": "all"})
        )
    anatomy = resident.base.description.anatomy
    found = training_flops(anatomy, 0, trained, train.lengths, 5, losses=losses_of_step(hp))
    assert found == pytest.approx(counter.get_total_flops(), rel=0.08)
    assert found != pytest.approx(training_flops(anatomy, 0, trained, train.lengths, 5), rel=0.1)


def test_spsa_gc_looks_ahead_of_its_momentum_and_its_rate_falls() -> None:
    weight = nn.Parameter(torch.zeros(1))
    own = SpsaGc(Subject({"w": weight}, {"w": None}, 0.0, {}, seed=2), (0.1, 0.1), (2.0, 0.5, 3), 0.5, averaged=1)
    moved = []
    for number in (1, 2):
        own.begin(number, lambda: 0.0)
        weight.grad, before = torch.ones(1), weight.item()
        own.step(0.1)
        own.clear_gradients()
        moved.append(before - weight.item())
    # m is 1, then 1.5; a is 0.1 · 2, then by (4/5)^½ less
    assert moved == pytest.approx([0.2 * 1.5, 0.2 * (4 / 5) ** 0.5 * 1.75])


# Configurations and spaces


def test_a_configuration_names_its_strategy_and_knobs() -> None:
    name, knobs, hyperparameters = split_config(
        {"method": "lora", "lora.rank": 4, "strategy": "lisa", "lisa.layers": 2, "learning_rate": 1e-3}
    )
    assert (name, knobs) == ("lora", {"rank": 4})
    assert (hyperparameters.strategy, hyperparameters.strategy_knobs) == ("lisa", {"layers": 2})
    _, knobs, plain = split_config({"method": "lora", "lisa.layers": 2})
    assert (plain.strategy, knobs) == ("none", {"lisa.layers": 2})


@pytest.mark.parametrize(
    ("method_name", "strategy_name", "knobs", "message"),
    [
        ("lora", "galoer", {}, r"strategy.*galoer.*galore"),
        ("lora", "galore", {}, r"strategy.*galore with method lora.*full_ft"),
        ("head", "lisa", {}, r"strategy.*lisa with method head.*encoder layers"),
        ("adalora", "ist", {}, r"strategy.*adalora.*gradient"),
        ("lora", "lisa", {"layers": 99}, r"lisa\.layers.*99"),
        ("lora", "lisa", {"layres": 1}, r"lisa\.layres"),
    ],
)
def test_impossible_choices_are_refused_by_name(
    method_name: str, strategy_name: str, knobs: dict[str, Any], message: str
) -> None:
    given = Hyperparameters(strategy=strategy_name, strategy_knobs=knobs)
    with pytest.raises(InvalidInput, match=message):
        with_strategy_knobs(given, method(method_name), describe("builtin:minilm"))


def test_a_space_opens_the_knobs_of_each_strategy() -> None:
    model = describe("builtin:minilm")
    space = with_strategies(method("full_ft").space(model), ["none", "lisa", "natural_galore"], model)
    seen = set()
    for config in space.sample(60, np.random.default_rng(0)):
        name, knobs, hyperparameters = split_config(config)
        method(name).complete(model, knobs)
        complete = with_strategy_knobs(hyperparameters, method(name), model)
        assert complete == hyperparameters
        seen.add(hyperparameters.strategy)
    assert seen == {"none", "lisa", "natural_galore"}


def test_in_a_space_of_several_methods_a_strategy_goes_with_those_it_fits() -> None:
    model = describe("builtin:minilm")
    space = with_strategies(methods_space(model, ("head", "lora", "full_ft")), ["lisa", "galore"], model)
    found = {(c["method"], c.get("strategy")) for c in space.sample(60, np.random.default_rng(0))}
    assert found == {("head", None), ("lora", None), ("full_ft", "lisa"), ("full_ft", "galore")}
    with pytest.raises(InvalidInput, match="galore with method lora"):
        with_strategies(method("lora").space(model), ["galore"], model)


def test_packs_take_trials_whose_strategy_samples_what_a_step_trains_and_no_others() -> None:
    model, task = describe("builtin:minilm"), TextClassificationSpec(model="builtin:minilm", train="builtin:pydocs")
    plain = Assignment(trial_id="t", attempt=1, task=task, config={"method": "lora", "rank": 4}, epochs=1, seed=0)
    assert why_not_packed(plain, model) is None
    for name in ("lisa", "hft", "ist"):
        assert why_not_packed(plain.model_copy(update={"config": plain.config | {"strategy": name}}), model) is None
    for name in set(CASES) - {"lisa", "hft", "ist"}:
        strange = plain.model_copy(update={"config": plain.config | {"strategy": name}})
        assert why_not_packed(strange, model) == f"strategy {name} updates parameters in a way of its own"


def test_listing_strategies_needs_no_torch() -> None:
    code = (
        "import sys; from workers.strategies.registry import strategies; import workers.strategies.space; "
        "from workers.models.description import describe; model = describe('builtin:minilm'); "
        "[one.knobs(model) for one in strategies().values()]; "
        "assert not {'torch', 'peft', 'transformers', 'ray'} & set(sys.modules)"
    )
    subprocess.run([sys.executable, "-c", code], check=True)
