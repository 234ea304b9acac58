"""What can be searched, the service's numbers, its own description and the dashboard."""

from __future__ import annotations

import gzip
from pathlib import Path
from typing import Any

import pytest
from fastapi.testclient import TestClient

from service.api import dashboard
from service.api.app import create_app
from service.jobs.search.problem import FORMULAS, all_presets
from service.settings import Settings
from tests.workers.tiny_chat_model import write_language_model
from workers.methods.registry import methods
from workers.models.description import describe
from workers.strategies.registry import strategies
from workers.tasks.registry import METRICS, tasks, types


def test_spaces_are_scaled_to_the_model(api: TestClient) -> None:
    spaces = {space["name"]: space for space in api.get("/v1/spaces").json()["items"]}
    assert set(all_presets()) - set(spaces) == {"cpt", "pyra"}  # which are for decoders and for images
    assert {"autopeft", "lora"} <= set(spaces)
    names = [parameter["name"] for parameter in spaces["autopeft"]["parameters"]]
    assert [name for name in names if name.startswith("layer_")] == [f"layer_{index}" for index in range(6)]
    assert spaces["lora"]["configurations"] is None
    assert spaces["autopeft"]["constraints"]


def test_what_is_for_one_type_of_task_is_listed_for_it_alone(api: TestClient) -> None:
    def listed(path: str, task: str) -> dict[str, Any]:
        found = api.get(path, params={"task": task}).raise_for_status().json()["items"]
        return {one["name"]: one for one in found}

    for path in ("/v1/spaces", "/v1/methods"):
        for task, is_there in (("text-classification", set()), ("multi-task", {"mtlora"}), ("retrieval", {"bm25"})):
            assert set(listed(path, task)) & {"mtlora", "bm25"} <= is_there, (path, task)
        assert "mtlora" in listed(path, "multi-task")
        problem = api.get(path, params={"task": "none"}).json()
        assert (problem["status"], problem["errors"][0]["field"]) == (422, "task")
    assert "head" in listed("/v1/methods", "text-classification")
    assert "head" not in listed("/v1/methods", "retrieval")  # which has none to train
    assert listed("/v1/spaces", "program") == {}
    further = {one["name"]: one for one in listed("/v1/spaces", "image-classification")["lora"]["further"]}
    assert {"mixup", "hint_share", "batch_tokens"} <= set(further)
    assert further["mixup"]["of"] == ["image-classification", "text-classification"]
    assert further.keys().isdisjoint({"dpo_beta", "eda_copies", "temperature"})


def test_methods_come_with_knobs_and_sources(api: TestClient) -> None:
    found = {method["name"]: method for method in api.get("/v1/methods").json()["items"]}
    assert set(found) == {name for name, one in methods().items() if one.supports(describe("builtin:minilm"))}
    assert "rank" in {knob["name"] for knob in found["lora"]["knobs"]}
    assert all(method["source"] and method["learning_rate"]["low"] > 0 for method in found.values())


def test_strategies_say_what_they_can_train(api: TestClient) -> None:
    found = {strategy["name"]: strategy for strategy in api.get("/v1/strategies").json()["items"]}
    assert set(found) == set(strategies())
    assert found["galore"]["methods"] == ["full_ft", "half_ft"]
    assert {"lora", "full_ft"} < set(found["lisa"]["methods"])
    assert "head" not in found["lisa"]["methods"]
    assert [knob["name"] for knob in found["lisa"]["knobs"]] == ["layers", "interval"]


def test_catalogues_of_a_decoder_leave_out_what_does_not_suit_it(api: TestClient, settings: Settings) -> None:
    write_language_model(Path(settings.data_roots[0]) / "chat")
    for path in ("/v1/spaces", "/v1/methods"):
        names = {one["name"] for one in api.get(path, params={"model": "chat"}).raise_for_status().json()["items"]}
        assert {"lora", "cpt"} <= names
        assert "prompt_tuning" not in names  # of encoders
    found = {one["name"]: one for one in api.get("/v1/methods", params={"model": "chat"}).json()["items"]}
    assert found["cpt"]["task_types"] == ["causal-lm"]


@pytest.mark.slow
def test_tasks_say_how_to_write_a_job(api: TestClient) -> None:
    found = {task["name"]: task for task in api.get("/v1/tasks").json()["items"]}
    assert set(found) == set(types())
    for name, task in found.items():
        fields = {field["name"]: field for field in task["fields"]}
        assert fields["model" if name in tasks() else "program"]["required"]
        assert all(field["description"] or field["name"] in ("type", "validation_rows") for field in fields.values())
        assert task["primary_metric"] == task["objectives"][0]["metric"]
        assert task["metrics"][:1] == ([task["primary_metric"]] if name in tasks() else [])
        assert api.post("/v1/jobs", json=task["example"]).status_code == 201, name
    assert found["token-classification"]["metrics"] == ["f1_span", "f1_macro", "accuracy", "loss"]


@pytest.mark.parametrize("path", ["/v1/spaces", "/v1/methods", "/v1/strategies"])
def test_catalogues_refuse_unknown_models(api: TestClient, path: str) -> None:
    problem = api.get(path, params={"model": "builtin:none"}).json()
    assert (problem["status"], problem["errors"][0]["field"]) == (422, "model")
    outside = api.get(path, params={"model": "/etc"}).json()
    assert "outside the data roots" in outside["detail"]


def test_metrics_say_what_is_known_beforehand(api: TestClient) -> None:
    found = {metric["name"]: metric for metric in api.get("/v1/metrics").json()["items"]}
    assert set(found) == set(METRICS)
    assert {name for name, metric in found.items() if metric["known_from_config"]} == set(FORMULAS)


def test_prometheus_counts_requests_by_route(api: TestClient, spec: dict[str, Any], worker: Any) -> None:
    job_id = api.post("/v1/jobs", json=spec).json()["id"]
    worker.start(job_id)
    worker.suggest(job_id, 3)
    for _ in range(2):
        api.get(f"/v1/jobs/{job_id}")
    api.get("/v1/metrics")
    api.get("/v1/nothing/here")
    api.get("/metrics")
    text = api.get("/metrics").text
    assert 'peftsearch_jobs{state="running"} 1.0' in text
    assert 'peftsearch_trials{state="queued"} 3.0' in text
    counted = 'peftsearch_request_seconds_count{method="GET",route="%s",status="%d"} %d.0'
    assert counted % ("/v1/jobs/{job_id}", 200, 2) in text
    assert counted % ("(none)", 404, 1) in text
    assert counted % ("/v1/metrics", 200, 1) in text
    assert counted % ("/metrics", 200, 1) in text
    assert job_id not in text


def test_the_description_is_complete(api: TestClient) -> None:
    document = api.get("/v1/openapi.json").json()
    assert "JobSpec" in document["components"]["schemas"]
    body = document["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]
    assert set(body) == {"application/json", "application/yaml"}
    for path, operations in document["paths"].items():
        for method, operation in operations.items():
            assert operation.get("description"), f"{method} {path}"


def test_the_example_in_the_description_is_admitted(api: TestClient) -> None:
    body = api.get("/v1/openapi.json").json()["paths"]["/v1/jobs"]["post"]["requestBody"]["content"]
    assert api.post("/v1/jobs", json=body["application/json"]["example"]).status_code == 201
    yaml = {"Content-Type": "application/yaml"}
    assert api.post("/v1/jobs", content=body["application/yaml"]["example"], headers=yaml).status_code == 201


def test_the_dashboard_is_served_at_the_root(
    settings: Any, store: Any, artifacts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    built = tmp_path / "dist"
    (built / "assets").mkdir(parents=True)
    (built / "index.html").write_text("<title>jobs</title>")
    (built / "assets" / "app.js").write_text("1")
    monkeypatch.setattr(dashboard, "PLACES", (built,))
    with TestClient(create_app(settings, store, artifacts), base_url="http://127.0.0.1") as client:
        page = client.get("/")
        assert "jobs" in page.text
        assert "script" not in page.headers["content-security-policy"]
        assert page.headers["referrer-policy"] == "no-referrer"
        assert client.get("/assets/app.js").headers["content-type"].startswith("text/javascript")
        assert client.get("/../home/peftsearch.db").status_code == 404
        assert client.get("/v1/healthz").json()["status"] == "ok"


@pytest.fixture
def built(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    """A folder with a page, as `make web` leaves one."""
    folder = tmp_path / "dist"
    (folder / "assets").mkdir(parents=True)
    (folder / "index.html").write_text("<title>jobs</title>")
    (folder / "assets" / "app-D4.js").write_text("1")
    monkeypatch.setattr(dashboard, "PLACES", (folder,))
    return folder


@pytest.mark.usefixtures("built")
def test_hashed_files_are_kept_for_good_and_the_page_is_asked_for_again(
    settings: Any, store: Any, artifacts: Any
) -> None:
    with TestClient(create_app(settings, store, artifacts), base_url="http://127.0.0.1") as client:
        assert "immutable" in client.get("/assets/app-D4.js").headers["cache-control"]
        assert client.get("/").headers["cache-control"] == "no-cache"


def test_a_file_is_sent_as_the_build_compressed_it(settings: Any, store: Any, artifacts: Any, built: Path) -> None:
    code = "let one = 1;\n" * 1000
    (built / "assets" / "large-E5.js").write_text(code)
    (built / "assets" / "large-E5.js.gz").write_bytes(gzip.compress(code.encode(), 9))
    sent = len((built / "assets" / "large-E5.js.gz").read_bytes())
    with TestClient(create_app(settings, store, artifacts), base_url="http://127.0.0.1") as client:
        answer = client.get("/assets/large-E5.js", headers={"Accept-Encoding": "gzip"})
        assert (answer.text, answer.headers["content-encoding"]) == (code, "gzip")
        assert answer.headers["content-length"] == str(sent)
        assert answer.headers["content-type"].startswith("text/javascript")
        assert "immutable" in answer.headers["cache-control"]
        plain = client.get("/assets/large-E5.js", headers={"Accept-Encoding": "identity"})
        assert (plain.text, plain.headers.get("content-encoding")) == (code, None)


@pytest.mark.usefixtures("built")
@pytest.mark.parametrize(
    ("path", "page"),
    [("/jobs/j1?tab=best", "./../#/jobs/j1?tab=best"), ("/nowhere", "./#/nowhere"), ("//evil.org/x", "#/evil.org/x")],
)
def test_a_page_that_is_asked_for_as_a_file_is_shown_by_the_dashboard(
    settings: Any, store: Any, artifacts: Any, path: str, page: str
) -> None:
    html = {"Accept": "text/html,*/*;q=0.8"}
    with TestClient(create_app(settings, store, artifacts), base_url="http://127.0.0.1") as client:
        answer = client.get(f"http://127.0.0.1{path}", headers=html, follow_redirects=False)
        assert (answer.status_code, answer.is_redirect) == (307, True)
        to = answer.headers["location"]
        assert to.endswith(page.removeprefix("./"))
        assert answer.url.join(to).copy_with(fragment=None) == "http://127.0.0.1/"
        # A program, and a picture or script of such a page, are told that there is nothing.
        assert client.get(path).status_code == 404
        assert client.get("/jobs/app.js", headers=html).status_code == 404
        assert client.post("/nowhere", headers=html).status_code == 405


def test_an_unbuilt_dashboard_says_how_to_build_it(
    settings: Any, store: Any, artifacts: Any, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(dashboard, "PLACES", (tmp_path / "none",))
    with TestClient(create_app(settings, store, artifacts), base_url="http://127.0.0.1") as client:
        assert "make web" in client.get("/").text
        assert client.get("/assets/app.js").status_code == 404
