"""Every bad input is refused at submit time with the field, what was found and what would do; nothing is stored."""

from __future__ import annotations

import copy
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.jobs.search.problem import all_presets
from workers.methods.registry import method, methods

Spec = dict[str, Any]
Change = Callable[[Spec], Any]


def _set(path: str, value: Any) -> Change:
    def change(spec: Spec) -> None:
        *parents, last = path.split(".")
        for part in parents:
            spec = spec[int(part)] if isinstance(spec, list) else spec[part]
        spec[last] = value

    return change


def _drop(path: str) -> Change:
    def change(spec: Spec) -> None:
        *parents, last = path.split(".")
        for part in parents:
            spec = spec[part]
        del spec[last]

    return change


BAD: dict[str, tuple[Change, str, list[str]]] = {
    "missing file": (_set("task.train", "trian.csv"), "task.train", ["trian.csv", "did you mean 'train.csv'"]),
    "missing validation file": (_set("task.validation", "dev.csv"), "task.validation", ["dev.csv", "does not exist"]),
    "unreadable kind of file": (_set("task.train", "notes.txt"), "task.train", ["notes.txt", ".csv"]),
    "missing column": (_set("task.text", "txt"), "task.train", ["txt", "text"]),
    "missing label column": (_set("task.label", "klass"), "task.train", ["klass", "label"]),
    "one class": (_set("task.train", "one_class.csv"), "task.label", ["only class", "two classes"]),
    "labels that train lacks": (_set("task.validation", "other_labels.csv"), "task.validation", ["7"]),
    "empty file": (_set("task.train", "empty.csv"), "task.train", ["empty.csv"]),
    "too many rows asked for": (_set("task.train_rows", 1000), "task.train_rows", ["1000", "30"]),
    "nothing to confirm on": (_set("confirm", {"seeds": 3}), "task.test", ["fraction of `train`"]),
    "one seed gives no interval": (_set("confirm", {"seeds": 1}), "confirm.seeds", ["2"]),
    "missing test file": (_set("task.test", "held.csv"), "task.test", ["held.csv", "does not exist"]),
    "unknown builtin data": (_set("task.train", "builtin:docs"), "task.train", ["builtin:docs", "builtin:pydocs"]),
    "unknown builtin model": (_set("task.model", "builtin:bert"), "task.model", ["builtin:bert", "builtin:minilm"]),
    "folder without a model": (_set("task.model", "./plain"), "task.model", ["plain", "config.json"]),
    "missing model folder": (_set("task.model", "./nothing"), "task.model", ["nothing", "does not exist"]),
    "impossible hub id": (_set("task.model", "no--body/none"), "task.model", ["no--body/none", "builtin:minilm"]),
    "impossible hub data": (_set("task.train", "hub:no--body/none"), "task.train", ["hub:no--body/none"]),
    "unknown preset": (_set("space.preset", "lorra"), "space.preset", ["lorra", "did you mean 'lora'", "autopeft"]),
    "no space": (_set("space", {}), "space", ["preset", "parameters"]),
    "unknown override": (
        _set("space.overrides", {"rnak": {"value": 4}}),
        "space.overrides.rnak",
        ["rnak", "rank", "learning_rate"],
    ),
    "override out of type": (
        _set("space.overrides", {"rank": {"value": "big"}}),
        "space.overrides.rank",
        ["big"],
    ),
    "override that leaves nothing": (
        _set("space.overrides", {"rank": {"low": 9, "high": 3}}),
        "space.overrides.rank",
        ["9", "3"],
    ),
    "unknown strategy": (_set("space.strategies", ["lissa"]), "space.strategies", ["lissa", "did you mean 'lisa'"]),
    "strategy that no method fits": (
        _set("space.strategies", ["none", "galore"]),
        "space.strategies",
        ["galore with method lora", "full_ft"],
    ),
    "knob of a strategy out of range": (
        _set("reference_trials", [{"method": "lora", "rank": 4, "strategy": "lisa", "lisa.layers": 99}]),
        "reference_trials.0.lisa.layers",
        ["99"],
    ),
    "own parameters for an unknown method": (
        _set("space", {"method": "lorax", "parameters": [{"type": "int", "name": "rank", "low": 1, "high": 4}]}),
        "space.method",
        ["lorax", "lora"],
    ),
    "own parameters without a method": (
        _set("space", {"parameters": [{"type": "int", "name": "rank", "low": 1, "high": 4}]}),
        "space.method",
        ["method", "lora"],
    ),
    "own parameter that the method lacks": (
        _set("space", {"method": "lora", "parameters": [{"type": "int", "name": "width", "low": 1, "high": 4}]}),
        "space.width",
        ["width", "rank"],
    ),
    "own parameter of an unknown type": (
        _set("space", {"method": "lora", "parameters": [{"type": "integer", "name": "rank", "low": 1, "high": 4}]}),
        "space",
        ["integer", "int"],
    ),
    "unknown metric": (
        _set("objectives.0.metric", "acuracy"),
        "objectives.0.metric",
        ["acuracy", "did you mean 'accuracy'"],
    ),
    "unknown metric in a constraint": (
        _set("constraints", [{"metric": "latency", "max": 5}]),
        "constraints.0.metric",
        ["latency", "latency_ms"],
    ),
    "constraint without a bound": (_set("constraints", [{"metric": "loss"}]), "constraints.0", ["min", "max"]),
    "constraint from above to below": (
        _set("constraints", [{"metric": "accuracy", "min": 0.9, "max": 0.1}]),
        "constraints.0.max",
        ["at least 0.9 and at most 0.1"],
    ),
    "constraints that exclude each other": (
        _set("constraints", [{"metric": "loss", "min": 2}, {"metric": "mcc", "max": 0}, {"metric": "loss", "max": 1}]),
        "constraints.2",
        ["at least 2 and at most 1"],
    ),
    "percents": (_set("constraints", [{"metric": "accuracy", "min": 90}]), "constraints.0.min", ["90", "0 to 1"]),
    "a bound below what there is": (
        _set("constraints", [{"metric": "latency_ms", "max": -1}]),
        "constraints.0.max",
        ["-1", "0 or more"],
    ),
    "fewer parameters than the space has": (
        _set("constraints", [{"metric": "trainable_params", "max": 1}]),
        "constraints.0",
        ["at least 1536 trainable_params", "max: 1536"],
    ),
    "more parameters than the space has": (
        _set("constraints", [{"metric": "trainable_params", "min": 1e9}]),
        "constraints.0",
        ["at most", "trainable_params"],
    ),
    "text beside a pair": (
        lambda spec: spec["task"].update(text="text", text_pair=["text", "label"]),
        "task.text_pair",
        ["`text` or `text_pair`"],
    ),
    "negative seed": (_set("seed", -1), "seed", ["-1", "greater than or equal to 0"]),
    "no objective": (_set("objectives", []), "objectives", ["at least 1"]),
    "an objective twice": (
        _set("objectives", [{"metric": "loss", "direction": "minimize"}] * 2),
        "objectives",
        ["loss", "once"],
    ),
    "unknown direction": (
        _set("objectives.0.direction", "up"),
        "objectives.0.direction",
        ["up", "maximize", "minimize"],
    ),
    "unknown field": (_set("bugdet", {}), "bugdet", ["bugdet", "did you mean 'budget'"]),
    "unknown field of a section": (
        _set("task.max_lenght", 5),
        "task.max_lenght",
        ["max_lenght", "did you mean 'max_length'"],
    ),
    "unknown field of a list": (_set("objectives.0.goal", 5), "objectives.0.goal", ["goal", "direction"]),
    "missing section": (_drop("task"), "task", ["required"]),
    "missing field": (_drop("task.train"), "task.train", ["required"]),
    "zero trials": (_set("budget.trials", 0), "budget.trials", ["0", "greater than or equal to 1"]),
    "half a trial": (_set("budget.trials", 2.5), "budget.trials", ["2.5", "integer"]),
    "no epochs": (_set("budget.epochs", 0), "budget.epochs", ["0", "greater than 0"]),
    "no time": (_set("budget.wall_clock", "soon"), "budget.wall_clock", ["soon", "20m"]),
    "batch larger than the data": (
        _set("space.overrides", {"batch_size": {"value": 64}}),
        "space.batch_size",
        ["64", "30"],
    ),
    "reference batch larger than the data": (
        _set("reference_trials", [{"method": "head", "batch_size": 31}]),
        "reference_trials",
        ["31", "30"],
    ),
    "unknown reference": (
        _set("reference_trials", ["random"]),
        "reference_trials",
        ["random", "random-entries"],
    ),
    "unsound reference": (
        _set("reference_trials", [{"method": "lora", "rank": 0}]),
        "reference_trials.0.rank",
        ["rank", "0"],
    ),
    "unknown optimizer": (_set("optimizer.name", "gpp"), "optimizer.name", ["gpp", "did you mean 'gp'"]),
    "unknown optimizer option": (
        _set("optimizer", {"name": "random", "options": {"temperature": 3}}),
        "optimizer.options.temperature",
        ["temperature"],
    ),
    "unknown scheduler": (_set("scheduler", {"name": "ahsa"}), "scheduler.name", ["ahsa", "none"]),
    "unknown scheduler option": (
        _set("scheduler", {"name": "asha", "options": {"speed": 3}}),
        "scheduler.options.speed",
        ["speed"],
    ),
    "scheduler that looks too late": (
        _set("scheduler", {"name": "asha", "options": {"grace": 3}}),
        "scheduler.options.grace",
        ["3", "epochs below the budget of 1"],
    ),
    "population too small": (
        lambda spec: spec.update(budget={"trials": 5, "epochs": 1}, scheduler={"name": "pbt"}),
        "scheduler.name",
        ["at least 4 trials", "leaves 3 trials beside the reference trials"],
    ),
    "structure that no checkpoint permits to change": (
        _set("scheduler", {"name": "pbt", "options": {"mutable": ["rank"]}}),
        "scheduler.options.mutable",
        ["rank", "learning_rate"],
    ),
    "scheduler with nothing to watch": (
        lambda spec: spec.update(
            objectives=[{"metric": "trainable_params", "direction": "minimize"}], scheduler={"name": "asha"}
        ),
        "scheduler.name",
        ["trainable_params"],
    ),
    "a GPU for half of the shards": (
        _set("resources", {"shards": 4, "gpus_per_trial": 2}),
        "resources.gpus_per_trial",
        ["4, or 0", "each of the 4 shards takes one GPU"],
    ),
    "shards on the fast engine": (
        _set("resources", {"shards": 2, "engine": "fast"}),
        "resources.engine",
        ["fast", "reference"],
    ),
    "shards of a quantised base": (
        _set("resources", {"shards": 2, "quantise": "nf4"}),
        "resources.quantise",
        ["nf4", "number format"],
    ),
    "shards elsewhere": (
        _set("resources", {"shards": 2, "executor": "external"}),
        "resources.executor",
        ["external", "one process"],
    ),
    "latency on shards": (
        lambda spec: spec.update(resources={"shards": 2}, constraints=[{"metric": "latency_ms", "max": 5}]),
        "constraints.0.metric",
        ["latency_ms", "not measured"],
    ),
    "methods that need weights as they are": (
        lambda spec: spec.update(resources={"quantise": "nf4"}, space={"preset": "methods"}),
        "space",
        ["nf4", "which need its weights", "more", "overrides"],
    ),
    "reference trial that needs weights as they are": (
        lambda spec: spec.update(resources={"quantise": "nf4"}, reference_trials=[{"method": "pego"}]),
        "reference_trials",
        ["cannot be trained on by pego", "lora_plus"],
    ),
    "methods that need a whole base": (
        lambda spec: spec.update(resources={"shards": 2}, space={"preset": "methods"}),
        "space",
        ["mola cannot", "balance of experts", "eva", "overrides"],
    ),
    "reference trial that needs a whole base": (
        lambda spec: spec.update(resources={"shards": 2}, reference_trials=[{"method": "pego"}]),
        "reference_trials",
        ["pego cannot", "whole weights", '"allowed": "other methods"'],
    ),
    "cores too small to be given": (
        _set("resources", {"cpus_per_trial": 1e-05}),
        "resources.cpus_per_trial",
        ["1e-05", "0.01"],
    ),
    "one and a half GPUs": (
        _set("resources", {"gpus_per_trial": 1.5}),
        "resources.gpus_per_trial",
        ["1.5", "whole number"],
    ),
    "no shards": (_set("resources", {"shards": 0}), "resources.shards", ["0", "greater than or equal to 1"]),
    "unknown kind": (_set("kind", "hunt"), "kind", ["hunt", "search"]),
    "not a job": (lambda spec: spec.clear(), "name", ["required"]),
}


@pytest.fixture
def bad_files(data_root: Path) -> None:
    """Files that can be named and cannot be used."""
    (data_root / "notes.txt").write_text("nothing to train on")
    (data_root / "one_class.csv").write_text("text,label\na,1\nb,1\nc,1\n")
    (data_root / "other_labels.csv").write_text("text,label\na,0\nb,7\n")
    (data_root / "empty.csv").write_text("")
    (data_root / "plain").mkdir()


@pytest.mark.usefixtures("bad_files")
@pytest.mark.parametrize("case", BAD)
def test_bad_input_is_refused_by_name(api: TestClient, spec: Spec, case: str) -> None:
    change, field, words = BAD[case]
    bad = copy.deepcopy(spec)
    change(bad)
    response = api.post("/v1/jobs", json=bad)
    problem = response.json()
    assert response.status_code == 422, problem
    assert response.headers["content-type"] == "application/problem+json"
    named = [error for error in problem["errors"] if error["field"] == field]
    assert named, problem["errors"]
    assert set(named[0]) == {"field", "found", "allowed", "message"}
    assert named[0]["allowed"]
    for word in words:
        assert word in json.dumps(named[0], ensure_ascii=False), named[0]
    assert api.get("/v1/jobs").json()["items"] == []


def test_all_problems_are_reported_at_once(api: TestClient, spec: Spec) -> None:
    for path, value in {
        "task.train": "no.csv",
        "task.model": "builtin:none",
        "objectives.0.metric": "score",
        "optimizer.name": "best",
        "scheduler": {"name": "later"},
    }.items():
        _set(path, value)(spec)
    problem = api.post("/v1/jobs", json=spec).json()
    assert {error["field"] for error in problem["errors"]} == {
        "task.train",
        "task.model",
        "objectives.0.metric",
        "optimizer.name",
        "scheduler.name",
    }


def test_problems_of_the_shape_and_of_the_world_are_reported_together(api: TestClient, spec: Spec) -> None:
    for path, value in {
        "task.train": "no.csv",
        "task.max_length": "long",
        "task.colour": "red",
        "space.overrides": {"rnak": {"value": 4}, "learning_rate": {"low": "slow"}},
        "space.strategies": ["none"],
        "objectives": [{"metric": "acuracy"}, *spec["objectives"]],
        "constraints": [{"metric": "accuracy", "min": 2}, {"metric": "loss"}, {"metric": "lost", "max": 1}],
        "optimizer": {"name": "best"},
        "scheduler": {"name": "asha", "options": {"speed": 3}},
        "budget": {"trials": 0},
        "seed": -1,
    }.items():
        _set(path, value)(spec)
    problem = api.post("/v1/jobs", json=spec).json()
    assert sorted(error["field"] for error in problem["errors"]) == [
        "budget.trials",
        "constraints.0.min",
        "constraints.1",
        "constraints.2.metric",
        "objectives.0.direction",
        "objectives.0.metric",
        "optimizer.name",
        "scheduler.options.speed",
        "seed",
        "space.overrides.learning_rate",
        "space.overrides.rnak",
        "task.colour",
        "task.max_length",
        "task.train",
    ]


@pytest.mark.parametrize("broken", ["task", "task.model", "task.train", "space", "objectives", "budget", "name"])
@pytest.mark.parametrize("value", [None, 7, [], {}, "nothing"])
def test_nothing_is_said_about_what_stands_in_for_a_wrong_value(
    api: TestClient, spec: Spec, broken: str, value: Any
) -> None:
    """A field that cannot be read is reported alone: the rest of this spec is sound."""
    _set(broken, value)(spec)
    response = api.post("/v1/jobs", json=spec)
    if response.status_code == 422:
        assert all(error["field"].startswith(broken) for error in response.json()["errors"])


def test_a_law_tells_its_shape_and_its_world_together(api: TestClient, spec: Spec) -> None:
    task = spec["task"] | {"train": "no.csv", "label": 3}
    law = {"name": "law", "kind": "law", "task": task, "design": {"train_rows": [8]}, "method": "lorra"}
    fields = {error["field"] for error in api.post("/v1/jobs", json=law).json()["errors"]}
    assert fields == {"task.train", "task.label", "design.train_rows", "method"}


@pytest.mark.parametrize(
    ("chosen", "field"),
    [
        ({"name": "botorch"}, "optimizer.name"),
        ({"name": "saasbo", "options": {"inference": "nuts"}}, "optimizer.options.inference"),
    ],
)
def test_an_optimizer_whose_extra_is_missing_is_refused(
    api: TestClient, spec: Spec, monkeypatch: pytest.MonkeyPatch, chosen: dict[str, Any], field: str
) -> None:
    monkeypatch.setattr("optimizers.botorch.optimizer.find_spec", lambda _: None)
    answer = api.post("/v1/jobs", json=spec | {"optimizer": chosen})
    assert answer.status_code == 422
    (error,) = answer.json()["errors"]
    assert error["field"] == field
    assert "pip install 'peftsearch[botorch]'" in error["message"]
    assert api.get("/v1/jobs").json()["items"] == []


def test_a_section_without_a_stand_in_is_told_once(api: TestClient) -> None:
    for kind, missing in (
        ("mixture", ["corpus"]),
        ("law", ["task", "design"]),
        ("search", ["task", "space", "objectives"]),
    ):
        problem = api.post("/v1/jobs", json={"kind": kind, "name": "x", "seed": -1}).json()
        assert sorted(error["field"] for error in problem["errors"]) == sorted([*missing, "seed"])


@pytest.mark.parametrize("path", ["../secret.csv", "link.csv", "/etc/passwd", "folder/../../secret.csv", "~/x.csv"])
def test_no_path_leads_out_of_the_data_roots(api: TestClient, spec: Spec, data_root: Path, path: str) -> None:
    secret = data_root.parent / "secret.csv"
    secret.write_text((data_root / "train.csv").read_text())
    (data_root / "link.csv").symlink_to(secret)
    (data_root / "folder").mkdir()
    for field in ("train", "validation", "test"):
        problem = api.post("/v1/jobs", json=spec | {"task": spec["task"] | {field: path}}).json()
        assert problem["status"] == 422
        (error,) = problem["errors"]
        assert error["field"] == f"task.{field}"
        assert "outside the data roots" in error["message"]


def test_no_link_inside_a_folder_leads_out_either(api: TestClient, spec: Spec, data_root: Path) -> None:
    secret = data_root.parent / "secret.csv"
    secret.write_text((data_root / "train.csv").read_text())
    (data_root / "set").mkdir()
    (data_root / "set" / "train.csv").symlink_to(secret)
    problem = api.post("/v1/jobs", json=spec | {"task": spec["task"] | {"train": "set"}}).json()
    assert problem["status"] == 422
    assert "leads outside" in problem["errors"][0]["message"]


def test_what_lies_outside_is_not_even_confirmed(api: TestClient, spec: Spec, data_root: Path) -> None:
    (data_root.parent / "there.csv").write_text("x")

    def message(path: str) -> str:
        problem = api.post("/v1/jobs", json=spec | {"task": spec["task"] | {"train": path}}).json()
        text: str = problem["errors"][0]["message"]
        return text.replace(path, "PATH")

    assert message("../there.csv") == message("../not_there.csv")


def test_a_model_folder_outside_the_roots_is_refused(api: TestClient, spec: Spec, tmp_path: Path) -> None:
    problem = api.post("/v1/jobs", json=spec | {"task": spec["task"] | {"model": str(tmp_path)}}).json()
    assert problem["errors"][0]["field"] == "task.model"
    assert "outside the data roots" in problem["errors"][0]["message"]


def test_several_data_roots_are_searched_in_turn(settings: Any, spec: Spec, tmp_path: Path, data_root: Path) -> None:
    from service.jobs.admission import admit

    other = tmp_path / "other"
    other.mkdir()
    (data_root / "train.csv").rename(other / "more.csv")
    both = settings.model_copy(update={"data_roots": (data_root, other)})
    spec["task"]["train"] = "more.csv"
    assert admit(spec, both).task.train == str(other / "more.csv")


def test_packs_may_train_on_a_base_in_parts(api: TestClient, spec: Spec) -> None:
    _set("resources", {"shards": 2, "pack": 4})(spec)
    answer = api.post("/v1/jobs", json=spec)
    assert answer.status_code == 201, answer.text
    assert (answer.json()["spec"]["resources"]["shards"], answer.json()["spec"]["resources"]["pack"]) == (2, 4)


def test_an_admitted_spec_is_admitted_again_unchanged(settings: Any, spec: Spec) -> None:
    from service.jobs.admission import admit

    once = admit(spec, settings).model_dump(mode="json")
    assert admit(once, settings).model_dump(mode="json") == once


OF_OTHER_ROWS = {"lora-dpo", "pyra"}  # preferences, pictures
OF_OTHER_TASKS = {name for name in methods() if method(name).tasks}


@pytest.mark.parametrize("preset", sorted({*all_presets()} - OF_OTHER_ROWS - OF_OTHER_TASKS))
def test_every_preset_is_admitted_on_the_builtin_data(api: TestClient, spec: Spec, preset: str) -> None:
    task = {"model": "builtin:minilm", "train": "builtin:pydocs", "train_rows": 200, "validation_rows": 50}
    response = api.post("/v1/jobs", json=spec | {"task": task, "space": {"preset": preset}})
    assert response.status_code == 201, response.json()
