"""The search benchmark keeps what it has run, adds it up honestly, and draws it."""

from __future__ import annotations

import math
import xml.etree.ElementTree as ElementTree
from pathlib import Path

import numpy as np
import pytest
from scipy.special import logit

from benchmarks.search import plots, records
from benchmarks.search.parts import parts
from benchmarks.search.past import FAMILIES
from benchmarks.search.peers import competitor, in_this_process
from benchmarks.search.peft_trials import accuracy_process, seed_noise
from benchmarks.search.problems import SearchProblem, minimize, noisy
from benchmarks.search.races import CONFIRMATION, DEVELOPMENT, PROBLEMS, QUICK, Run, problem, search
from benchmarks.search.tables import tinker_sft
from benchmarks.trials.plan import DATA_SETS, MODEL
from benchmarks.trials.table import trials
from optimizers.problem import Config, Problem
from search_spaces.parameters import Categorical, Float
from search_spaces.presets import preset
from search_spaces.space import Space
from workers.models.description import describe


def run(optimizer: str, regret: float, seed: int = 0, name: str = "branches") -> Run:
    return Run(name, optimizer, seed, [1.0, regret], [0.1, 0.2])


def lines(**by_optimizer: list[float]) -> list[dict[str, object]]:
    return [
        records.summary([run(optimizer.replace("_", "-"), value, seed) for seed, value in enumerate(values)])
        for optimizer, values in by_optimizer.items()
    ]


def test_runs_are_kept_and_a_line_cut_short_is_left_out(tmp_path: Path) -> None:
    path = tmp_path / "new" / "runs.jsonl"
    assert records.read(path) == []
    records.keep(path, run("auto", 0.1))
    records.keep(path, run("auto", 0.2, seed=1))
    path.write_text(path.read_text()[:-20])
    assert records.read(path) == [run("auto", 0.1)]


def test_a_summary_tells_median_mean_and_error() -> None:
    (line,) = lines(auto=[0.1, 0.2, 0.6])
    assert (line["seeds"], line["regret_median"], line["regret_mean"]) == (3, 0.2, 0.3)
    assert line["regret_error"] == pytest.approx(np.std([0.1, 0.2, 0.6], ddof=1) / np.sqrt(3), abs=1e-5)
    assert line["seconds_per_suggestion"] == 0.2


def test_the_verdict_names_the_best_peer_and_what_is_lost_by_more_than_noise() -> None:
    lost = records.verdict(lines(auto=[0.30, 0.31], optuna_gp=[0.10, 0.11], random=[0.9, 0.8]))
    assert lost["all"]["best_peer"] == "optuna-gp"
    assert lost["all"]["ratio"] == pytest.approx(0.305 / 0.105, abs=1e-3)
    assert [one["peer"] for one in lost["worse_than_the_best_peer_by_more_than_noise"]] == ["optuna-gp"]
    even = records.verdict(lines(auto=[0.1, 0.3], optuna_gp=[0.05, 0.3]))
    assert even["worse_than_the_best_peer_by_more_than_noise"] == []
    assert "confirmation" not in even


def test_the_curves_are_a_picture() -> None:
    picture = ElementTree.fromstring(plots.regret_curves(lines(auto=[0.1, 0.2], optuna_gp=[0.3, 0.0])))
    assert len(picture.findall(".//{*}polyline")) == 2
    costs = [{"optimizer": "gp", "trials": n, "cpu_seconds": n / 1000} for n in (100, 1000)]
    assert ElementTree.fromstring(plots.cost_curves(costs)).find(".//{*}circle") is not None


def test_the_split_of_the_problems_is_one() -> None:
    assert not set(DEVELOPMENT) & set(CONFIRMATION)
    assert set(QUICK) <= set(PROBLEMS)
    assert {name for members in FAMILIES.values() for name in members} <= set(PROBLEMS)


def test_a_run_is_repeated_exactly_and_regret_never_grows() -> None:
    first, second = (search("zdt3-mixed", "random", 3, 6) for _ in range(2))
    assert first.regrets == second.regrets
    assert all(later <= earlier for earlier, later in zip(first.regrets, first.regrets[1:], strict=False))


def test_the_optimum_of_one_objective_is_reached_where_it_lies_in_a_corner() -> None:
    space = Space(tuple(Float(f"x{index}", 0.0, 1.0) for index in range(12)))

    def truth(config: Config) -> dict[str, float]:
        return {"loss": sum((config[f"x{index}"] - index % 2) ** 2 for index in range(12))}

    given = SearchProblem("corner", Problem(space, (minimize("loss"),)), truth, noisy(truth, {}))
    assert given.best[0, 0] == pytest.approx(0.0, abs=1e-6)
    assert given.regret(np.array([[0.0]])) == pytest.approx(0.0, abs=1e-6)


@pytest.mark.parametrize("data_set", DATA_SETS)
def test_the_process_behind_recorded_trainings_foretells_those_it_did_not_see(data_set: str) -> None:
    recorded = trials(part="lora", data_set=data_set)
    truth = logit(np.array([trial.metrics["accuracy"] for trial in recorded]))
    foretold, _ = accuracy_process(preset("lora", describe(MODEL).shape), recorded).leave_one_out()
    assert 1.0 - np.mean((foretold - truth) ** 2) / np.var(truth) > 0.5
    assert 0.01 < seed_noise(recorded) < 0.1


@pytest.mark.parametrize("peer", ["optuna-tpe", "optuna-nsga2"])
def test_a_peer_suggests_valid_configurations(peer: str) -> None:
    given = problem("branches")
    player = competitor(peer, given.problem, 1)
    for _ in range(10):
        config = player.ask()
        given.problem.space.validate(config)
        player.tell(config, given.measure(config, np.random.default_rng(0)))


@pytest.mark.parametrize("better", ["left", "right"])
@pytest.mark.parametrize("name", ["optuna-tpe", "gp"])
def test_a_competitor_learns_from_a_past_it_did_not_ask_for(name: str, better: str) -> None:
    space = Space((Categorical("side", ("left", "right")), Float("x", 0.0, 1.0)))
    past = [
        (config, {"loss": config["x"] + 5.0 * (config["side"] != better)})
        for config in space.sample(80, np.random.default_rng(0))
    ]
    player = in_this_process(name, Problem(space, (minimize("loss"),)), seed=1)
    player.remember(past)
    asked = [player.ask() for _ in range(10)]
    assert sum(config["side"] == better for config in asked) >= 8  # five without the past


def test_every_part_of_a_search_is_measured() -> None:
    measured = {what: part() for what, _, part in parts(count=30)}
    assert {f"suggestion of {name}" for name in ("gp", "tpe", "nsga2", "mcts", "smbo")} <= measured.keys()
    assert all(full is not None for full in measured.values())


def test_sweeps_diverge_where_their_tables_have_no_runs(shared_data: Path) -> None:
    given = tinker_sft("Qwen/Qwen3-32B", shared_data / "hpo")
    rng = np.random.default_rng(0)

    def loss(learning_rate: float, rank: int) -> float:
        return given.measure({"learning_rate": learning_rate, "rank": rank}, rng)["loss"]

    assert loss(3e-4, 64) == pytest.approx(0.499, abs=0.003)
    assert math.isnan(loss(1e-3, 64))
    assert math.isnan(loss(5e-3, 1))
    assert loss(1e-3, 1) == pytest.approx(0.510, abs=0.003)  # the least rank alone got through
    assert given.truth({"learning_rate": 1e-3, "rank": 64}) == {"loss": 0.513}  # as bad as the worst that was measured
    assert given.best[0, 0] == pytest.approx(0.499, abs=0.003)


@pytest.mark.parametrize("name", ["random", "optuna-tpe"])
def test_searches_go_on_after_failures_and_count_them(name: str, monkeypatch: pytest.MonkeyPatch) -> None:
    space = Space((Float("x", 0.0, 1.0),))

    def measure(config: Config, _: np.random.Generator) -> dict[str, float]:
        return {"loss": math.nan if config["x"] > 0.5 else config["x"]}

    given = SearchProblem("half", Problem(space, (minimize("loss"),)), lambda config: {"loss": config["x"]}, measure)
    monkeypatch.setattr("benchmarks.search.races.problem", lambda _: given)
    run = search("half", name, seed=0, trials=12)
    assert 0 < run.failed < 12
    assert records.summary([run])["failed_mean"] == run.failed
