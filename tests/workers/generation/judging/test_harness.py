"""A task of lm-eval as a metric. The harness brings 29 packages, so the environment of the tests has it only where
somebody put it: there the real one measures, elsewhere the refusal names the extra."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest

from tests.workers.tiny_language_model import tiny_llama, tiny_tokenizer
from workers.errors import InvalidInput
from workers.generation.judging.harness import measure
from workers.generation.judging.places import check_task
from workers.generation.judging.rows import JudgeFailed
from workers.generation.judging.section import HarnessJudge

INSTALLED = importlib.util.find_spec("lm_eval") is not None
TASK = """
task: cats
dataset_path: json
dataset_kwargs: {data_files: {test: rows.jsonl}}
test_split: test
output_type: multiple_choice
doc_to_text: "{{question}}"
doc_to_target: "{{answer}}"
doc_to_choice: "{{choices}}"
process_docs: !function own.docs
metric_list: [{metric: acc, aggregation: mean, higher_is_better: true}]
"""


@pytest.fixture
def judge(tmp_path: Path) -> HarnessJudge:
    rows = [{"question": "the cat", "choices": [" sat", " mat"], "answer": number % 2} for number in range(8)]
    (tmp_path / "rows.jsonl").write_text("\n".join(map(json.dumps, rows)))
    (tmp_path / "own.py").write_text("def docs(rows):\n    return rows\n")
    (tmp_path / "cats.yaml").write_text(TASK)
    return HarnessJudge(type="lm-eval", name="cats", file=str(tmp_path / "cats.yaml"))


def test_a_local_task_measures_a_model(judge: HarnessJudge, tmp_path: Path) -> None:
    if not INSTALLED:
        with pytest.raises(JudgeFailed, match=r"pip install 'peftsearch\[lm-eval\]'"):
            measure(judge, tiny_llama(), tiny_tokenizer(), [str(tmp_path)])
        return
    # One question, its two answers right in turn: whatever the model prefers, half of the rows are right.
    assert measure(judge, tiny_llama(), tiny_tokenizer(), [str(tmp_path)]) == 0.5
    first = judge.model_copy(update={"limit": 1})
    assert measure(first, tiny_llama(), tiny_tokenizer(), [str(tmp_path)]) in (0.0, 1.0)
    with pytest.raises(JudgeFailed, match=r"'f1'; allowed: .*acc"):
        measure(judge.model_copy(update={"result": "f1"}), tiny_llama(), tiny_tokenizer(), [str(tmp_path)])


@pytest.mark.parametrize(
    ("change", "said"),
    [
        (("task: cats", "group: cats"), "YAML of one task"),
        (("dataset_path: json", "dataset_path: owner/name"), "local files"),
        (("task: cats", "task: ["), "YAML that can be read"),
    ],
)
def test_task_files_that_need_more_than_this_machine_are_refused(
    judge: HarnessJudge, tmp_path: Path, change: tuple[str, str], said: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr("workers.generation.judging.places.installed", lambda: True)
    (tmp_path / "cats.yaml").write_text(TASK.replace(*change))
    with pytest.raises(InvalidInput, match=said):
        check_task(judge, tmp_path / "cats.yaml")
