"""`soup` and `merge` over winners of different ranks, places and seeds."""

from __future__ import annotations

from pathlib import Path

import pytest
import torch
from safetensors.torch import load_file

from service.jobs.refine.results import result_config
from tests.workers.refining.winners import LORA, TASK, Winner, loss_of_loaded, refined, trained
from workers.errors import InvalidInput
from workers.hyperparameters import split_config
from workers.methods.registry import method
from workers.models.description import describe_for
from workers.refining.lora_updates import Updates, padded_factors, refuse_others, updates_of
from workers.refining.scene import Stored
from workers.refining.steps.merge import combined
from workers.running.workbench import Workbench


@pytest.fixture(scope="module")
def winners(bench: Workbench, lora: Winner) -> list[Winner]:
    other = LORA | {"rank": 2, "alpha": 3, "targets": "all", "top_layers": 1, "use_rslora": True}
    return [lora, trained(bench, other, seed=2)]


def updates(folder: Path, config: dict[str, object], seed: int) -> Updates:
    name, knobs, _ = split_config(config)
    completed = method(name).complete(describe_for(TASK), knobs)
    return updates_of(Stored(name, completed, seed, load_file(folder / "adapter_model.safetensors")))


def test_factors_side_by_side_make_the_updates_and_other_methods_are_refused() -> None:
    draw = torch.Generator().manual_seed(0)

    def stored(rank: int, *layers: str, **changes: object) -> Stored:
        shapes = {".lora_A.weight": (rank, 5), ".lora_B.weight": (7, rank)}
        tensors = {layer + end: torch.randn(shape, generator=draw) for layer in layers for end, shape in shapes.items()}
        knobs = {"rank": rank, "alpha": 6, "use_rslora": False, "use_dora": False} | changes
        return Stored("lora", knobs, 0, tensors)

    sources = [stored(2, "a"), stored(3, "b", "a")]
    found = padded_factors(sources, 4)
    assert list(found) == ["a", "b"]
    for layer, (first, second) in found.items():
        for number, one in enumerate(sources):
            wanted = updates_of(one).get(layer, torch.zeros(7, 5))
            torch.testing.assert_close(second[number] @ first[number], wanted)
    for other in (stored(2, "a", use_dora=True), Stored("ia3", {}, 0, {})):
        for refused in (lambda one: padded_factors([sources[0], one], 4), updates_of, refuse_others):
            with pytest.raises(InvalidInput, match="without DoRA") as caught:
                refused(other)
            assert caught.value.field == "source"


@pytest.mark.slow
def test_a_uniform_soup_is_the_mean_of_the_updates_and_loads_as_plain_lora(
    bench: Workbench, winners: list[Winner], tmp_path: Path
) -> None:
    config = result_config("soup", {}, [one.config for one in winners], describe_for(TASK))
    assert {name: config[name] for name in ("rank", "alpha", "targets", "top_layers")} == {
        "rank": 6,
        "alpha": 6,
        "targets": "all",
        "top_layers": 2,
    }
    outcome = refined(bench, "soup", {"kind": "uniform"}, winners, config)
    assert outcome.adapter is not None, outcome.reason
    folder = bench.artifacts.extract(outcome.adapter.sha256, tmp_path / "soup")
    parts = [
        updates(bench.artifacts.extract(one.artifact.sha256, tmp_path / str(n)), one.config, one.seed)
        for n, one in enumerate(winners)
    ]
    found = updates(folder, config, 1)
    for layer, value in found.items():
        wanted = sum((part[layer] for part in parts if layer in part), torch.zeros_like(value)) / 2
        assert torch.allclose(value, wanted, atol=1e-5), layer
    assert any(layer in parts[0] and layer in parts[1] for layer in found)
    assert loss_of_loaded(bench, folder) == pytest.approx(outcome.metrics["loss"], rel=1e-4)


@pytest.mark.slow
def test_a_greedy_soup_leaves_out_what_harms_and_is_never_worse_than_its_best_member(
    bench: Workbench, winners: list[Winner]
) -> None:
    harmful = trained(bench, LORA | {"learning_rate": 0.5}, seed=3, epochs=1)
    candidates = [*winners, harmful]
    config = result_config("soup", {}, [one.config for one in candidates], describe_for(TASK))
    greedy = refined(bench, "soup", {"kind": "greedy"}, candidates, config)
    uniform = refined(bench, "soup", {"kind": "uniform"}, candidates, config)
    best = min(one.metrics["loss"] for one in candidates)
    assert greedy.metrics["best_member_loss"] == pytest.approx(best, rel=1e-4)
    assert greedy.metrics["loss"] <= greedy.metrics["best_member_loss"]
    assert greedy.metrics["members"] < 3 == uniform.metrics["members"]
    assert greedy.metrics["loss"] < uniform.metrics["loss"]


def test_task_arithmetic_adds_updates_and_ties_drops_what_disagrees() -> None:
    first, second = torch.tensor([[1.0, 4.0], [0.1, -3.0]]), torch.tensor([[2.0, -5.0], [0.2, -1.0]])
    assert torch.allclose(combined([first, second], "task_arithmetic", 0.5, 1.0), (first + second) / 2)
    ties = combined([first, second], "ties", 1.0, 0.75)
    assert ties[0, 1] == -5.0  # the sign with more weight wins, the other update has no say there
    assert ties[1, 0] == 0.0  # the smallest quarter of each is trimmed
    torch.manual_seed(0)
    dropped = combined([torch.ones(100, 100)], "dare_linear", 1.0, 0.25)
    assert set(dropped.unique().tolist()) == {0.0, 4.0}  # what is kept is scaled up
    assert dropped.mean() == pytest.approx(1.0, abs=0.1)


@pytest.mark.slow
def test_merging_is_searched_by_rule_and_weight(bench: Workbench, winners: list[Winner]) -> None:
    config = result_config("merge", {}, [one.config for one in winners], describe_for(TASK))
    losses = {
        (rule, weight): refined(
            bench, "merge", {"rule": rule, "weight": weight, "density": 0.5}, winners, config
        ).metrics["loss"]
        for rule in ("task_arithmetic", "ties")
        for weight in (0.5, 1.0)
    }
    assert len(set(losses.values())) == 4
    soup = refined(bench, "soup", {"kind": "uniform"}, winners, config)
    assert losses["task_arithmetic", 0.5] == pytest.approx(soup.metrics["loss"], rel=1e-5)


def test_other_methods_are_refused(bench: Workbench) -> None:
    head = trained(bench, {"method": "head", "learning_rate": 1e-2}, epochs=1)
    outcome = refined(bench, "soup", {"kind": "uniform"}, [head], LORA)
    assert outcome.status == "failed"
    assert "adapters of `lora`" in str(outcome.reason)
