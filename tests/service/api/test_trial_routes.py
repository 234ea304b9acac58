"""Trials, learning curves, fronts, the best trial and adapters over REST."""

from __future__ import annotations

import io
import json
import subprocess
import sys
import zipfile
from pathlib import Path
from typing import Any

import pyarrow as pa
import pyarrow.parquet as pq
import pytest
from fastapi.testclient import TestClient

from service.api.generations import read_generations
from service.api.trial_table import arrow_stream
from service.store.records import Resumption
from service.store.store import Store
from service.store.trial_columns import TrialColumns
from tests.patience import PATIENCE_S
from workers.artifacts import ArtifactStore

Spec = dict[str, Any]


@pytest.fixture
def job_id(api: TestClient, spec: Spec, worker: Any) -> str:
    """A running job with a reference trial and three others completed and one queued; the third is dominated."""
    id: str = api.post("/v1/jobs", json=spec).json()["id"]
    worker.start(id)
    worker.suggest(id, 1, origin="reference", label="literature-default")
    worker.complete(id, accuracy=0.6, params=400)
    worker.suggest(id, 4)
    for accuracy, params in ((0.7, 300), (0.9, 900), (0.65, 800)):
        worker.complete(id, accuracy, params, adapter=accuracy == 0.9)
    return id


def test_trials_are_sorted_filtered_and_paged(api: TestClient, job_id: str) -> None:
    def numbers(**query: Any) -> list[int]:
        found: list[int] = []
        cursor = None
        while True:
            page = api.get(
                f"/v1/jobs/{job_id}/trials", params={**query, **({"cursor": cursor} if cursor else {})}
            ).json()
            found += [trial["number"] for trial in page["items"]]
            cursor = page["next_cursor"]
            if cursor is None:
                return found

    assert numbers() == [0, 1, 2, 3, 4]
    assert numbers(sort="accuracy", descending=True, limit=2) == [2, 1, 3, 0, 4]
    assert numbers(sort="trainable_params", limit=3) == [1, 0, 3, 2, 4]
    assert numbers(state="queued") == [4]
    assert numbers(state=["queued", "completed"], limit=2) == [0, 1, 2, 3, 4]


def test_a_trial_says_what_it_is_and_reached(api: TestClient, job_id: str) -> None:
    trial = api.get(f"/v1/trials/{job_id}-0").json()
    assert (trial["label"], trial["origin"], trial["state"]) == ("literature-default", "reference", "completed")
    assert trial["metrics"] == {"accuracy": 0.6, "trainable_params": 400}
    assert trial["config"]["method"] == "lora"
    assert (trial["on_front"], trial["has_adapter"], trial["engine"]) == (False, False, "reference")
    assert trial["engine_reason"] == "asked for"
    assert "adapter" not in trial
    assert api.get("/v1/trials/none-1").status_code == 404


def test_reports_are_the_learning_curve(api: TestClient, job_id: str) -> None:
    reports = api.get(f"/v1/trials/{job_id}-1/reports").json()["items"]
    assert [(report["step"], report["epoch"], report["metrics"]) for report in reports] == [
        (1, 0.5, {"loss": 1.0}),
        (2, 1.0, {"loss": 0.5}),
    ]
    assert api.get("/v1/trials/none-1/reports").status_code == 404


def test_the_front_and_its_reference_trials(api: TestClient, job_id: str, spec: Spec) -> None:
    front = api.get(f"/v1/jobs/{job_id}/pareto").json()
    assert front["objectives"] == spec["objectives"]
    assert [trial["number"] for trial in front["items"]] == [2, 1]
    assert all(trial["on_front"] for trial in front["items"])
    assert [trial["label"] for trial in front["reference"]] == ["literature-default"]


def test_best_under_clauses(api: TestClient, job_id: str) -> None:
    def best(**query: Any) -> Any:
        return api.get(f"/v1/jobs/{job_id}/best", params=query)

    assert best().json()["trial"]["number"] == 2
    small = best(maximize="accuracy", where="trainable_params<=800").json()
    assert small["trial"]["number"] == 1
    assert small["objectives"] == {"accuracy": 0.7, "trainable_params": 300}
    assert best(maximize="accuracy", where=["trainable_params<=800", "rank!=1"]).json()["trial"]["number"] == 3
    assert best(minimize="trainable_params", where="accuracy>0.8").json()["trial"]["number"] == 2
    assert best(where="rank==3").json()["trial"]["number"] == 3
    nothing = best(where=["accuracy>=0.99", "targets==qv"])
    assert nothing.status_code == 404
    assert "accuracy>=0.99 and targets==qv" in nothing.json()["detail"]


@pytest.mark.slow
def test_the_snippet_runs_as_it_is(api: TestClient, job_id: str) -> None:
    snippet = api.get(f"/v1/jobs/{job_id}/best").json()["snippet"]
    assert "from peft import LoraConfig" in snippet
    checks = """
assert model.peft_config["default"].r == 2
assert (arguments.learning_rate, arguments.num_train_epochs, arguments.seed) == (1e-3, 1.0, 1)
assert arguments.get_warmup_steps(100) == 6
"""
    assert api.get(f"/v1/trials/{job_id}-2/snippet").json() == {"snippet": snippet}
    program = snippet.replace("trainer.train()", "pass").replace("print(trainer.evaluate())", "pass") + checks
    done = subprocess.run([sys.executable, "-c", program], capture_output=True, text=True, timeout=PATIENCE_S)
    assert done.returncode == 0, done.stderr


@pytest.mark.parametrize(
    ("query", "field", "words"),
    [
        ({"where": "trainable_params"}, "where", ["NAME OP VALUE"]),
        ({"where": "accuracy<=high"}, "where", ["number", "high"]),
        ({"where": "accuracy<nan"}, "where", ["number", "nan"]),
        ({"where": "accuracy>=-1e999"}, "where", ["number", "1e999"]),
        ({"where": "trainable_parms<=5"}, "where", ["trainable_parms", "trainable_params"]),
        ({"maximize": "acuracy"}, "maximize", ["acuracy", "accuracy"]),
        ({"maximize": "accuracy", "minimize": "loss"}, "minimize", ["not both"]),
    ],
)
def test_questions_that_make_no_sense(
    api: TestClient, job_id: str, query: dict[str, str], field: str, words: list[str]
) -> None:
    response = api.get(f"/v1/jobs/{job_id}/best", params=query)
    problem = response.json()
    assert response.status_code == 422
    assert problem["errors"][0]["field"] == field
    assert all(word in problem["detail"] for word in words)


def test_a_damaged_adapter_is_told_as_such(
    api: TestClient, job_id: str, store: Store, artifacts: ArtifactStore
) -> None:
    path = Path(artifacts._path(str(store.get_trial(f"{job_id}-2").adapter)))
    path.write_bytes(path.read_bytes()[:-1] + b"?")
    response = api.get(f"/v1/trials/{job_id}-2/adapter")
    assert response.status_code == 410
    assert response.json()["type"] == "urn:peftsearch:problem:damaged"
    assert f"{job_id}-2 cannot be given out: artifact {path.name} is damaged" in response.json()["detail"]


def test_the_adapter_comes_as_a_zip(api: TestClient, job_id: str) -> None:
    response = api.get(f"/v1/trials/{job_id}-2/adapter")
    assert response.headers["content-type"] == "application/zip"
    assert f"{job_id}-2.zip" in response.headers["content-disposition"]
    with zipfile.ZipFile(io.BytesIO(response.content)) as archive:
        assert sorted(archive.namelist()) == ["adapter_config.json", "adapter_model.safetensors"]
        assert archive.read("adapter_config.json") == b'{"r": 8}'
    missing = api.get(f"/v1/trials/{job_id}-1/adapter")
    assert missing.status_code == 404
    assert "adapter" in missing.json()["detail"]


def test_answers_come_out_of_the_adapter(
    api: TestClient, job_id: str, artifacts: ArtifactStore, tmp_path: Path
) -> None:
    nothing = {"rows": 0, "metrics": {}, "base_metrics": {}, "answers": []}
    assert api.get(f"/v1/trials/{job_id}-2/generations").json() == nothing  # an adapter without answers
    assert api.get(f"/v1/trials/{job_id}-1/generations").json() == nothing  # no adapter
    assert api.get("/v1/trials/jnone-1/generations").status_code == 404
    one = {"row": 3, "prompt": "a:", "reference": "b", "answer": "b", "scores": {"rouge_l": 1.0}}
    one["base"] = {"answer": "c", "scores": {"rouge_l": 0.0}}
    kept = {"settings": {"kept": 1}, "rows": 8, "metrics": {"rouge_l": 0.5}, "base_metrics": {"rouge_l": 0.1}}
    (tmp_path / "adapter").mkdir()
    (tmp_path / "adapter" / "generations.json").write_text(json.dumps(kept | {"answers": [one]}))
    stored = artifacts.put_folder(tmp_path / "adapter")
    found = read_generations(artifacts, stored.sha256).model_dump()
    assert found == {name: value for name, value in (kept | {"answers": [one]}).items() if name != "settings"}
    artifacts.delete(stored.sha256)
    assert read_generations(artifacts, stored.sha256).model_dump() == nothing


def test_an_adapter_whose_file_is_gone_is_404(api: TestClient, job_id: str, worker: Any, store: Any) -> None:
    worker.artifacts.delete(store.get_trial(f"{job_id}-2").adapter)
    assert api.get(f"/v1/trials/{job_id}-2/adapter").status_code == 404


def test_unchanged_lists_are_not_sent_again(api: TestClient, job_id: str, worker: Any) -> None:
    for path in (f"/v1/jobs/{job_id}/trials", f"/v1/jobs/{job_id}/pareto", f"/v1/trials/{job_id}-0"):
        tag = {"If-None-Match": api.get(path).headers["etag"]}
        assert api.get(path, headers=tag).status_code == 304
    tag = {"If-None-Match": api.get(f"/v1/jobs/{job_id}/trials").headers["etag"]}
    worker.complete(job_id, 0.95, 100)
    assert api.get(f"/v1/jobs/{job_id}/trials", headers=tag).status_code == 200


def test_sorting_by_an_unknown_metric_names_the_right_one(api: TestClient, job_id: str) -> None:
    problem = api.get(f"/v1/jobs/{job_id}/trials", params={"sort": "acuracy"}).json()
    assert problem["status"] == 422
    assert "did you mean 'accuracy'" in problem["detail"]


def test_a_foreign_cursor_is_refused(api: TestClient, job_id: str) -> None:
    problem = api.get(f"/v1/jobs/{job_id}/trials", params={"cursor": "bogus"}).json()
    assert (problem["status"], problem["errors"][0]["field"]) == (422, "cursor")


def test_lineage_tells_whom_a_trial_copied(api: TestClient, spec: Spec, worker: Any) -> None:
    id: str = api.post("/v1/jobs", json=spec).json()["id"]
    worker.start(id)
    worker.suggest(id, 2)
    weak, strong = (worker.pause(id) for _ in range(2))
    alone = api.get(f"/v1/trials/{weak.id}/lineage").json()
    assert (alone["exploits"], len(alone["stretches"])) == ([], 1)
    config = strong.config | {"learning_rate": 0.5}
    worker.store.resume_trials(id, [Resumption(weak.id, 1, strong.id, config)])
    found = api.get(f"/v1/trials/{weak.id}/lineage").json()
    assert [(one["donor_id"], one["config"], one["previous"]) for one in found["exploits"]] == [
        (strong.id, config, weak.config)
    ]
    assert [one["trial_id"] for one in found["stretches"]] == [strong.id, weak.id]
    assert [one["config"] for one in found["stretches"]] == [strong.config, config]
    assert api.get("/v1/trials/none-1/lineage").status_code == 404
    assert api.get(f"/v1/jobs/{id}/lineage").json()["items"] == [
        {
            "number": weak.number,
            "donor": strong.number,
            "epoch": found["exploits"][0]["epoch"],
            "changed": {"rank": strong.config["rank"], "learning_rate": 0.5},
        }
    ]
    assert api.get("/v1/jobs/jnone/lineage").status_code == 404


def test_curves_of_a_job(api: TestClient, spec: Spec, worker: Any) -> None:
    job_id = api.post("/v1/jobs", json=spec).json()["id"]
    worker.start(job_id)
    worker.suggest(job_id, 2)
    worker.complete(job_id, 0.8, 500)
    found = api.get(f"/v1/jobs/{job_id}/curves", params={"metric": "loss"}).json()
    assert found["metric"] == "loss"
    assert [(one["number"], one["epochs"], one["values"]) for one in found["items"]] == [(0, [0.5, 1.0], [1.0, 0.5])]
    assert api.get(f"/v1/jobs/{job_id}/curves").json() == {"metric": "accuracy", "items": []}
    assert api.get("/v1/jobs/jnone/curves").status_code == 404


def test_columns_hold_every_trial_in_types_of_their_own(api: TestClient, job_id: str) -> None:
    response = api.get(f"/v1/jobs/{job_id}/columns")
    table = pa.ipc.open_stream(response.content).read_all()
    trials = api.get(f"/v1/jobs/{job_id}/trials").json()["items"]
    assert response.headers["content-type"] == "application/vnd.apache.arrow.stream"
    for name in ("number", "state", "label", "on_front", "has_adapter", "engine"):
        assert table[name].to_pylist() == [trial[name] for trial in trials], name
    assert table["metrics.accuracy"].to_pylist() == [trial["metrics"].get("accuracy") for trial in trials]
    assert table["config.method"].to_pylist() == [trial["config"]["method"] for trial in trials]
    assert pa.types.is_dictionary(table.schema.field("config.method").type)
    assert pa.types.is_int32(table.schema.field("number").type)
    some = api.get(f"/v1/jobs/{job_id}/columns", params={"number": [3, 1]})
    assert pa.ipc.open_stream(some.content).read_all()["number"].to_pylist() == [1, 3]
    last = api.get(f"/v1/jobs/{job_id}/columns", params={"limit": 2, "before": 4})
    assert pa.ipc.open_stream(last.content).read_all()["number"].to_pylist() == [2, 3]


def test_columns_of_a_job_without_trials_are_empty_and_hostile_questions_refused(api: TestClient, spec: Spec) -> None:
    id = api.post("/v1/jobs", json=spec).json()["id"]
    assert pa.ipc.open_stream(api.get(f"/v1/jobs/{id}/columns").content).read_all().num_rows == 0
    for query in ({"number": -1}, {"number": 2**40}, {"before": 2**40}, {"limit": 0}, {"number": list(range(201))}):
        assert api.get(f"/v1/jobs/{id}/columns", params=query).status_code == 422, query
    assert api.get("/v1/jobs/none/columns").status_code == 404


def test_values_of_several_kinds_are_told_apart() -> None:
    configs = [{"a": 1, "b": True, "c": "x", "d": [1]}, {"a": 0.5, "b": False, "c": 2, "d": None}, {"a": 2**40}]
    columns = TrialColumns({"number": [0, 1, 2]}, {}, configs, [{}, {}, {}])
    table = pa.ipc.open_stream(arrow_stream(columns)).read_all()
    assert table["config.a"].to_pylist() == [1.0, 0.5, 2.0**40]
    assert table["config.b"].to_pylist() == [True, False, None]
    assert table["config.c"].to_pylist() == ['"x"', "2", None]
    assert table["config.d"].to_pylist() == ["[1]", None, None]
    assert table.schema.field("config.c").metadata == {b"values": b"json"}


def test_chosen_trials_are_a_parquet_file_in_their_order(api: TestClient, spec: dict[str, Any], worker: Any) -> None:
    job_id = api.post("/v1/jobs", json=spec).json()["id"]
    worker.start(job_id)
    worker.suggest(job_id, 4)
    worker.complete(job_id, 0.7, 300)
    response = api.post(f"/v1/jobs/{job_id}/parquet", json={"numbers": [3, 0, 3, 99]})
    assert response.headers["content-type"] == "application/vnd.apache.parquet"
    read = pq.read_table(io.BytesIO(response.content)).to_pydict()
    assert (read["number"], read["config.rank"], read["metrics.accuracy"]) == ([3, 0], [4, 1], [None, 0.7])
    assert read["finished_at"][0] is None
    created = api.get(f"/v1/trials/{job_id}-3").json()["created_at"]
    assert read["created_at"][0].isoformat()[:19] == created[:19]
    assert pq.read_table(io.BytesIO(api.post(f"/v1/jobs/{job_id}/parquet", json={"numbers": []}).content)).num_rows == 0
    assert api.post("/v1/jobs/jnone/parquet", json={"numbers": []}).status_code == 404
    refused = api.post(f"/v1/jobs/{job_id}/parquet", json={"numbers": [-1]})
    assert refused.json()["errors"][0]["field"] == "numbers.0"
