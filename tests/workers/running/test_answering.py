"""Winners write answers at the end of their training: scored, kept with the adapter beside those of the base."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from tests.workers.judge_server import JudgeServer
from tests.workers.tiny_language_model import save_tiny_llama
from workers.artifacts import ArtifactStore
from workers.assignment import Assignment, Outcome
from workers.errors import InvalidInput
from workers.generation.section import ANSWERS_FILE
from workers.running.trial import train
from workers.running.workbench import Workbench
from workers.tasks.catalogue.causal_lm import CausalLMSpec, read
from workers.tasks.registry import metrics_for

ANSWERS = {"a": "the cat", "b": "the mat", "c": "on four"}
CONFIG = {"method": "lora", "rank": 8, "learning_rate": 0.02, "batch_size": 4, "warmup_ratio": 0.0}


@pytest.fixture(scope="module")
def rows(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("rows")
    save_tiny_llama(folder / "model")
    lines = [
        {"prompt": f"{key} {number}:", "completion": f" {said}", "check": [f"assert '{key}' == 'a'", "assert True"]}
        for number in range(8)
        for key, said in ANSWERS.items()
    ]
    (folder / "rows.jsonl").write_text("\n".join(map(json.dumps, lines)))
    return folder


def _task(rows: Path, /, **generation: Any) -> dict[str, Any]:
    return {
        "type": "causal-lm",
        "model": str(rows / "model"),
        "train": str(rows / "rows.jsonl"),
        "validation": 0.25,
        "max_length": 64,
        "generation": {"max_new_tokens": 10, **generation},
    }


def _train(task: dict[str, Any], workbench: Workbench, epochs: float = 12.0, **more: Any) -> Outcome:
    assignment = Assignment.model_validate(
        {"trial_id": "j-1", "attempt": 1, "task": task, "config": CONFIG, "epochs": epochs, "seed": 0}
        | {"measure_latency": False, "precision": "fp32"}
        | more
    )
    return train(assignment, workbench, lambda _report: "continue")


def test_a_trained_model_answers_better_than_its_base(rows: Path, tmp_path: Path) -> None:
    workbench = Workbench(tmp_path, ArtifactStore(tmp_path / "artifacts"))
    task = _task(rows, metrics=["exact_match", "rouge_l"], rows=6, kept=2)
    found = _train(task, workbench, 40.0)
    assert found.status == "completed", found.reason
    assert found.metrics.keys() == metrics_for(CausalLMSpec(**task)).keys() - {"latency_ms", "latency_batch_ms"}
    assert found.metrics["exact_match"] >= 0.5
    assert found.adapter is not None
    folder = workbench.artifacts.extract(found.adapter.sha256, tmp_path / "adapter")
    kept = json.loads((folder / ANSWERS_FILE).read_text())
    assert kept["metrics"] == {name: found.metrics[name] for name in ("exact_match", "rouge_l")}
    assert kept["base_metrics"]["exact_match"] == 0.0
    assert kept["rows"] == 6
    assert len(kept["answers"]) == 2
    for one in kept["answers"]:
        assert one["reference"] == ANSWERS[one["prompt"][0]]
        assert one["scores"]["exact_match"] == float(one["answer"] == one["reference"])
        assert one["prompt"].endswith(":")
        assert one["base"]["answer"] != one["answer"]
    assert len(list((tmp_path / "cache" / "written").iterdir())) == 1
    again = _train(task, Workbench(tmp_path, workbench.artifacts), 40.0)
    assert again.metrics["rouge_l"] == found.metrics["rouge_l"]


def test_programs_are_tested_and_stopped_trials_write_nothing(rows: Path, tmp_path: Path) -> None:
    workbench = Workbench(tmp_path, ArtifactStore(tmp_path / "artifacts"))
    task = _task(rows, metrics=["pass_at_k"], tests="check", samples=3, k=2, temperature=0.5, rows=4)
    found = _train(task, workbench, 1.0)
    # no answer here is Python: whoever passed would have skipped the tests
    assert found.metrics["pass_at_k"] == 0.0
    stopped = train(
        Assignment.model_validate(
            {"trial_id": "j-2", "attempt": 1, "task": task, "config": CONFIG, "epochs": 2.0, "seed": 0}
            | {"measure_latency": False, "precision": "fp32", "awaits_decision": True}
        ),
        workbench,
        lambda _report: "stop",
    )
    assert stopped.status == "stopped"
    assert "pass_at_k" not in stopped.metrics


@pytest.mark.parametrize(
    ("change", "said"),
    [
        ({"metrics": ["pass_at_k"]}, "a column with `pass_at_k`"),
        ({"tests": "check"}, "a column with `pass_at_k`"),
        ({"answer_pattern": "("}, "a regular expression"),
        ({"answer_pattern": "x"}, "without `exact_match`"),
        ({"samples": 2}, "temperature: found 0"),
        ({"k": 2, "temperature": 1.0}, "at least k, 2"),
    ],
)
def test_what_cannot_be_asked_is_refused(rows: Path, change: dict[str, Any], said: str) -> None:
    with pytest.raises(ValueError, match=said):
        CausalLMSpec(**_task(rows, **change))


def test_rows_without_a_place_for_an_answer_are_refused(rows: Path, tmp_path: Path) -> None:
    (tmp_path / "texts.jsonl").write_text("\n".join([json.dumps({"text": "the cat sat"})] * 8))
    with pytest.raises(InvalidInput, match=r"generation.*plain texts of column 'text'.*of 'text'\)"):
        read(CausalLMSpec(**_task(rows) | {"train": str(tmp_path / "texts.jsonl")}))
    with pytest.raises(ValueError, match="a loss on prompts"):
        CausalLMSpec(**_task(rows), completion_only_loss=False)
    broken = [{"prompt": "a", "completion": "b", "check": 3}] * 8
    (tmp_path / "broken.jsonl").write_text("\n".join(map(json.dumps, broken)))
    with pytest.raises(InvalidInput, match=r"generation.tests.*3.*line 1"):
        read(
            CausalLMSpec(
                **_task(rows, metrics=["pass_at_k"], tests="check") | {"train": str(tmp_path / "broken.jsonl")}
            )
        )


def _judged(rows: Path, folder: Path, url: str, **more: Any) -> dict[str, Any]:
    (folder / "own.py").write_text(
        "def score(rows):\n    return [row['completion'] == row['reference'] for row in rows]\n"
    )
    judges = [
        {"type": "file", "name": "same", "file": str(folder / "own.py")},
        {"type": "http", "name": "length", "url": url, "high": 1000, "patience": 0, "direction": "minimize", **more},
    ]
    return {**_task(rows, metrics=["exact_match"], rows=4, kept=1), "test": 0.25, "judges": judges}


def test_metrics_of_a_jobs_own_are_measured_beside_ours(rows: Path, tmp_path: Path, judge_server: JudgeServer) -> None:
    workbench = Workbench(
        tmp_path, ArtifactStore(tmp_path / "artifacts"), programs=(str(tmp_path),), judges="127.0.0.0/8"
    )
    task = _judged(rows, tmp_path, judge_server.url)
    found = _train(task, workbench, 1.0, needed=("same", "length"))
    assert found.status == "completed", found.reason
    assert found.metrics["same"] == found.metrics["exact_match"]
    sent = judge_server.got[-1]["rows"]
    assert found.metrics["length"] == pytest.approx(sum(len(row["completion"]) for row in sent) / 100 / 4)
    assert found.adapter is not None
    folder = workbench.artifacts.extract(found.adapter.sha256, tmp_path / "adapter")
    kept = json.loads((folder / ANSWERS_FILE).read_text())
    assert kept["base_metrics"].keys() == {"exact_match", "same", "length"}
    assert kept["answers"][0]["scores"].keys() == kept["answers"][0]["base"]["scores"].keys() >= {"same", "length"}
    assert len(judge_server.got) == 2  # base and trained model
    later = _judged(rows, tmp_path, judge_server.url, confirm_only=True)
    assert "length" not in _train(later, workbench, 1.0).metrics
    assert "length" in _train(later, workbench, 1.0, evaluate_on="test").metrics


def test_a_judge_that_is_away_costs_its_metric_and_a_trial_only_where_it_is_an_objective(
    rows: Path, tmp_path: Path, judge_server: JudgeServer
) -> None:
    workbench = Workbench(
        tmp_path, ArtifactStore(tmp_path / "artifacts"), programs=(str(tmp_path),), judges="127.0.0.0/8"
    )
    task = _judged(rows, tmp_path, judge_server.url)
    judge_server.refusals = [503] * 100
    found = _train(task, workbench, 1.0)
    assert (found.status, found.reason) == ("completed", None)
    assert "length" not in found.metrics
    assert "at last it answered 503" in found.environment["unmeasured_length"]
    needed = _train(task, workbench, 1.0, needed=("length",))
    assert needed.status == "failed"
    assert (needed.reason or "").startswith("judge_failed: length: ")
    assert needed.adapter is not None
    assert needed.metrics["same"] == found.metrics["same"]


def test_a_base_in_parts_writes_nothing(rows: Path, tmp_path: Path) -> None:
    workbench = Workbench(tmp_path, ArtifactStore(tmp_path / "artifacts"))
    found = _train(_task(rows), workbench, shards=2)
    assert found.status == "failed"
    assert "task.generation" in (found.reason or "")
