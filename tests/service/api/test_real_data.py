"""Jobs on real data sets of each shape are admitted: single texts and pairs, two to a hundred and fifty classes."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from service.jobs.admission import admit

Spec = dict[str, Any]
COLUMNS: dict[str, dict[str, Any]] = {
    "sst2": {},
    "trec": {},
    "clinc150": {},
    "mrpc": {"text_pair": ["text_a", "text_b"]},
    "boolq": {"text_pair": ["text_a", "text_b"]},
}


@pytest.mark.parametrize("name", COLUMNS)
def test_real_sets_are_admitted_as_files_and_as_folders(
    shared_data: Path, settings: Any, spec: Spec, name: str
) -> None:
    reading = settings.model_copy(update={"data_roots": (shared_data,)})
    folder = f"text/{name}"
    files = {"train": f"{folder}/train.jsonl", "validation": f"{folder}/validation.jsonl"}
    for sources in (files, {"train": folder, "validation": folder}):
        admitted = admit(spec | {"task": {"model": "builtin:minilm", **COLUMNS[name], **sources}}, reading)
        assert admitted.task.train == str(shared_data / sources["train"])
