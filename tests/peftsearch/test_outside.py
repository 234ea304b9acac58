"""What a job found, in the hands of other tools: tables, Optuna, a hub."""

from __future__ import annotations

import csv
from pathlib import Path
from typing import Any

import optuna
import pytest
import yaml
from pyarrow import parquet

from peftsearch import publishing
from tests.service.api.fake_hub import fake_hub

Spec = dict[str, Any]
SPACE = {
    "method": "lora",
    "parameters": [
        {"type": "int", "name": "rank", "low": 1, "high": 64},
        {"type": "categorical", "name": "targets", "choices": ["qv", "all"]},
        {"type": "float", "name": "learning_rate", "low": 1e-5, "high": 1e-2, "scale": "log"},
    ],
}
"""What the fixtures' trials lie in."""
pytestmark = pytest.mark.usefixtures("url")


@pytest.fixture
def job_id(client: Any, spec: Spec, worker: Any) -> str:
    """A running job: a reference trial off the front, two trials on it, one queued."""
    id: str = client.submit(spec).id
    worker.start(id)
    worker.suggest(id, 1, origin="reference", label="literature-default")
    worker.complete(id, accuracy=0.6, params=400)
    worker.suggest(id, 3)
    worker.complete(id, 0.7, 300)
    worker.complete(id, 0.9, 21_900, adapter=True)
    return id


def test_an_optuna_study_has_the_trials_and_their_front(run: Any, client: Any, job_id: str, tmp_path: Path) -> None:
    storage = f"sqlite:///{tmp_path}/study.db"
    done = run("export-study", job_id, storage)
    assert (done.code, done.out.split()[0]) == (0, "3"), done.err
    study = optuna.load_study(study_name=f"small ({job_id})", storage=storage)
    assert [direction.name for direction in study.directions] == ["MAXIMIZE", "MINIMIZE"]
    assert study.metric_names == ["accuracy", "trainable_params"]
    front = {trial.user_attrs["trial"] for trial in study.best_trials}
    assert front == {trial.id for trial in client.pareto(job_id).items}
    for mine, theirs in zip(client.trials(job_id), study.trials, strict=False):
        assert (theirs.params, theirs.values) == (mine.config, [mine.metrics[name] for name in study.metric_names])
    assert study.trials[0].user_attrs["label"] == "literature-default"
    again = run("export-study", job_id, storage)
    assert again.code == 2
    assert "already" in again.err
    assert run("export-study", job_id, storage, "--study", "mine").code == 0
    assert len(optuna.load_study(study_name="mine", storage=storage).trials) == 3


def test_tables_have_a_row_for_every_trial(run: Any, job_id: str, tmp_path: Path) -> None:
    assert run("export-study", job_id, str(tmp_path / "t.csv")).code == 0
    with (tmp_path / "t.csv").open() as stream:
        rows = list(csv.DictReader(stream))
    assert [row["state"] for row in rows] == ["completed"] * 3 + ["queued"]
    assert (rows[2]["config.rank"], rows[2]["metrics.accuracy"], rows[3]["metrics.accuracy"]) == ("2", "0.9", "")
    assert run("export-study", job_id, str(tmp_path / "t.parquet")).code == 0
    table = parquet.read_table(tmp_path / "t.parquet").to_pydict()
    assert table["metrics.accuracy"] == [0.6, 0.7, 0.9, None]
    assert table["config.targets"] == ["qv"] * 4


@pytest.mark.parametrize("target", ["trials.xlsx", "trials"])
def test_other_targets_are_refused_with_what_would_do(run: Any, job_id: str, target: str) -> None:
    done = run("export-study", job_id, target)
    assert done.code == 2
    assert all(word in done.err for word in (target, "FILE.csv", "sqlite:///"))


def test_a_winner_is_pushed_with_a_card_that_names_no_folder_of_this_machine(
    run: Any, client: Any, job_id: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    export, train = type(client).export, client.job(job_id).spec["task"]["train"]

    def export_with_card(self: Any, trial_id: str, folder: Path) -> Path:
        card = f'---\nbase_model: "builtin:minilm"\nlibrary_name: peft\n---\n# An adapter\n"this/folder" {train}\n'
        place: Path = export(self, trial_id, folder)
        place.joinpath("README.md").write_text(card)
        return place

    monkeypatch.setattr("peftsearch.client.Client.export", export_with_card)
    with fake_hub(tmp_path / "hub") as (hub, _):
        done = run("push", f"{job_id}-2", "me/winner", "--hub", hub, "--hub-token", "hf_x")
        assert (done.code, f"{hub}/me/winner" in done.out) == (0, True), done.err
        refused = run("push", f"{job_id}-2", "others/winner", "--hub", hub, "--hub-token", "hf_x")
        assert refused.code == 2
        assert "others/winner" in refused.err
    silent = run("push", f"{job_id}-2", "me/winner", "--hub", hub, "--hub-token", "hf_x")
    assert (silent.code, "did not take me/winner" in silent.err) == (2, True)
    pushed = tmp_path / "hub" / "me" / "winner"
    assert {"adapter_config.json", "adapter_model.safetensors", "README.md"} <= {one.name for one in pushed.iterdir()}
    assert pushed.joinpath("adapter_model.safetensors").read_bytes() == b"\x00" * 300_000
    card = pushed.joinpath("README.md").read_text()
    begin = '---\ntags:\n- peftsearch\nlibrary_name: peft\n---\n# An adapter\n"me/winner" train.csv\n\n## Search\n'
    assert card.startswith(begin)
    assert "| train | `train.csv` |" in card
    assert str(train) not in card


def test_the_card_names_a_base_model_of_the_hub(tmp_path: Path) -> None:
    card = tmp_path / "README.md"
    card.write_text('---\nbase_model: "hub:org/base@main"\nlibrary_name: peft\n---\n')
    publishing.finish_card(tmp_path, "me/winner", {"model": "hub:org/base@main"})
    assert card.read_text() == "---\nbase_model: org/base\ntags:\n- peftsearch\nlibrary_name: peft\n---\n"


def test_what_was_exported_comes_back_once_and_the_search_goes_on_from_it(
    run: Any, client: Any, store: Any, spec: Spec, job_id: str, tmp_path: Path
) -> None:
    for source in (str(tmp_path / "t.csv"), f"sqlite:///{tmp_path}/study.db"):
        assert run("export-study", job_id, source).code == 0
        job = client.submit(spec | {"name": source[-5:], "space": SPACE})
        done = run("import", job.id, source)
        assert (done.code, done.out.split()[0]) == (0, "2"), done.err  # the first two have one configuration
        again = run("import", job.id, source)
        assert (again.code, again.out.split()[0], "3 were there already" in again.out) == (0, "0", True)
        trials = client.trials(job.id)
        assert [(trial.origin, trial.state) for trial in trials] == [("import", "completed")] * 2
        for mine, theirs in zip(client.trials(job_id)[1:3], trials, strict=True):
            assert mine.config == theirs.config
            assert mine.metrics["accuracy"] == theirs.metrics["accuracy"]
        assert [trial.metrics["accuracy"] for trial in client.pareto(job.id).items] == [0.9, 0.7]
        assert client.job(job.id).progress.trials_total == spec["budget"]["trials"] + 2
        assert store.get_job(job.id).counts["completed"] == 2


def test_a_table_of_ones_own_is_named_and_filled_in(run: Any, client: Any, spec: Spec, tmp_path: Path) -> None:
    job = client.submit(spec | {"space": SPACE})
    (tmp_path / "runs.csv").write_text("r,lr,notes,accuracy\n8,1e-3,first,0.7\n16,2e-3,second,0.8\n")
    named = ("--rename", "r=rank", "--rename", "lr=learning_rate", "--rename", "notes=")
    lacking = run("import", job.id, str(tmp_path / "runs.csv"), *named)
    assert lacking.code == 2
    assert "trials.0.config" in lacking.err
    assert len(client.trials(job.id)) == 0
    given = ("--set", "method=lora", "--set", "targets=qv")
    done = run("import", job.id, str(tmp_path / "runs.csv"), *named, *given)
    assert (done.code, done.out.split()[0]) == (0, "2"), done.err
    first, second = client.trials(job.id)
    assert (first.config["rank"], first.config["learning_rate"], second.config["rank"]) == (8, 1e-3, 16)
    assert second.metrics["trainable_params"] > first.metrics["trainable_params"]  # follows from the configuration


def test_what_cannot_be_imported_is_refused_by_name(run: Any, client: Any, spec: Spec, tmp_path: Path) -> None:
    job, file = client.submit(spec | {"space": SPACE}), tmp_path / "runs.csv"
    file.write_text("rank,accuracy\n8,7.0\n")
    assert run("import", job.id, str(file), "--rename", "rank").code == 2
    empty = run("import", job.id, f"sqlite:///{tmp_path}/new.db")
    assert (empty.code, "empty" in empty.err) == (2, True)
    client.cancel(job.id)
    assert "cancelled" in run("import", job.id, str(file)).err


SWEEP = """
program: train.py
method: bayes
metric: {name: eval/accuracy, goal: maximize}
run_cap: 12
parameters:
  r: {values: [16, 4, 8]}
  lr: {distribution: log_uniform_values, min: 1.0e-5, max: 1.0e-2}
  dropout: {min: 0.0, max: 0.3}
  alpha: {min: 1, max: 64}
  weight_decay: {distribution: q_uniform, q: 0.05, min: 0, max: 0.1}
  targets: {values: [qv, all]}
  epochs: {value: 2}
  seed: {value: 1}
"""
RENAMED = ("r=rank", "lr=learning_rate", "seed=", "eval/accuracy=accuracy")
NAMES = [part for name in RENAMED for part in ("--rename", name)]


def test_a_sweep_file_becomes_a_job_that_is_admitted(
    run: Any, client: Any, spec: Spec, job_file: Path, tmp_path: Path
) -> None:
    job_file.write_text(yaml.safe_dump(spec | {"space": {"method": "lora", "parameters": []}}))
    (tmp_path / "sweep.yaml").write_text(SWEEP)
    done = run("sweep", str(tmp_path / "sweep.yaml"), str(job_file), *NAMES)
    assert done.code == 0, done.err
    admitted = client.submit(yaml.safe_load(done.out)).spec
    assert admitted["objectives"] == [{"metric": "accuracy", "direction": "maximize"}]
    assert (admitted["budget"]["trials"], admitted["budget"]["epochs"]) == (12, 2)
    assert admitted["optimizer"]["name"] == "auto"
    parameters = {one.pop("name"): one for one in yaml.safe_load(done.out)["space"]["parameters"]}
    assert parameters == {
        "rank": {"type": "ordinal", "values": [4, 8, 16]},
        "learning_rate": {"type": "float", "low": 1e-5, "high": 1e-2, "scale": "log"},
        "dropout": {"type": "float", "low": 0.0, "high": 0.3},
        "alpha": {"type": "int", "low": 1, "high": 64},
        "weight_decay": {"type": "ordinal", "values": [0.0, 0.05, 0.1]},
        "targets": {"type": "categorical", "choices": ["qv", "all"]},
    }


PROGRAM_SWEEP = """
program: train.py
command: ["${env}", python, "${program}", "${args}"]
method: random
metric: {name: val_accuracy, goal: maximize}
run_cap: 6
parameters:
  learning_rate: {distribution: log_uniform_values, min: 0.001, max: 0.03}
  hidden: {values: [16, 32, 64]}
  epochs: {value: 2}
"""


def test_a_sweep_over_a_script_becomes_a_job_over_that_program(run: Any, client: Any, tmp_path: Path) -> None:
    example = yaml.safe_load((Path(__file__).resolve().parents[2] / "examples" / "program.yaml").read_text())
    (tmp_path / "program.yaml").write_text(yaml.safe_dump(example))
    (tmp_path / "sweep.yaml").write_text(PROGRAM_SWEEP)
    renamed = ("--rename", "val_accuracy=accuracy")
    done = run("sweep", str(tmp_path / "sweep.yaml"), str(tmp_path / "program.yaml"), *renamed)
    assert done.code == 0, done.err
    job = client.submit(yaml.safe_load(done.out))
    assert (job.spec["task"], job.spec["optimizer"]["name"]) == (job.spec["task"] | example["task"], "random")
    assert (job.spec["budget"]["trials"], job.spec["budget"]["epochs"]) == (6, 2)
    assert job.spec["objectives"] == [{"metric": "accuracy", "direction": "maximize"}]
    assert [one["name"] for one in yaml.safe_load(done.out)["space"]["parameters"]] == ["learning_rate", "hidden"]
    client.cancel(job.id)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("method: hyper\nparameters: {}", ["method", "hyper", "bayes"]),
        ("parameters: {lr: {distribution: normal, mu: 0}}", ["parameters.lr", "normal", "log_uniform_values"]),
        ("parameters: {lr: {parameters: {a: {value: 1}}}}", ["parameters.lr", "values"]),
        ("method: grid", ["parameters"]),
    ],
)
def test_what_a_sweep_has_and_we_do_not_is_named(
    run: Any, job_file: Path, tmp_path: Path, text: str, words: list[str]
) -> None:
    (tmp_path / "sweep.yaml").write_text(text)
    done = run("sweep", str(tmp_path / "sweep.yaml"), str(job_file))
    assert (done.code, done.out) == (2, "")
    assert all(word in done.err for word in words), done.err
