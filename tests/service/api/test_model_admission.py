"""The model of a job against its weights, tokenizer, positions and texts, and references to the hub, at submit time."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
import transformers
from fastapi.testclient import TestClient

from service.errors import BadInput
from service.jobs.admission import admit
from service.jobs.search.problem import build_problem
from service.settings import Settings, SettingsError
from tests.service.tiny_task import write_model, write_rows

Spec = dict[str, Any]


@pytest.fixture
def tiny(spec: Spec, data_root: Path) -> Spec:
    """The sound spec on a model of 64 positions and texts that it knows."""
    write_model(data_root / "model")
    write_rows(data_root / "words.csv", 100, 1)
    task = {"model": "model", "train": "words.csv", "max_length": 32}
    return spec | {"task": task}


def _problems(api: TestClient, spec: Spec) -> dict[str, str]:
    response = api.post("/v1/jobs", json=spec)
    assert response.status_code == 422, response.json()
    assert api.get("/v1/jobs").json()["items"] == []
    return {error["field"]: error["message"] for error in response.json()["errors"]}


def _edit(path: Path, **changes: Any) -> None:
    path.write_text(json.dumps(json.loads(path.read_text()) | changes))


def test_a_model_that_agrees_is_admitted(api: TestClient, tiny: Spec) -> None:
    assert api.post("/v1/jobs", json=tiny).status_code == 201


@pytest.mark.parametrize(
    ("file", "content", "said"),
    [
        ("model.safetensors", None, "without *.safetensors"),
        ("model.safetensors", "version https://git-lfs.github.com/spec/v1\nsize 9", "pointer of Git LFS"),
        ("tokenizer.json", None, "without a tokenizer"),
        ("config.json", {"hidden_size": 64}, "[23, 64] by config.json and [23, 32] in the checkpoint"),
        ("config.json", {"num_hidden_layers": 5}, "weights are missing"),
    ],
)
def test_what_does_not_agree_is_refused(
    api: TestClient, tiny: Spec, data_root: Path, file: str, content: Any, said: str
) -> None:
    path = data_root / "model" / file
    if isinstance(content, dict):
        _edit(path, **content)
    elif content is None:
        path.unlink()
    else:
        path.write_text(content)
    assert said in _problems(api, tiny)["task.model"]


def test_a_law_job_looks_at_its_model_too(api: TestClient, tiny: Spec, data_root: Path) -> None:
    (data_root / "model" / "model.safetensors").unlink()
    law = {"name": "law", "kind": "law", "task": tiny["task"] | {"max_length": 99}, "design": {"train_rows": [8, 16]}}
    problems = _problems(api, law)
    assert "without *.safetensors" in problems["task.model"]
    assert "at most 64" in problems["task.max_length"]


def test_texts_that_the_tokenizer_does_not_know_are_refused(api: TestClient, tiny: Spec, data_root: Path) -> None:
    strange = [f"ключ число {number},{number % 2}" for number in range(30)]
    (data_root / "words.csv").write_text("\n".join(["text,label", *strange]))
    assert "does not know" in _problems(api, tiny)["task.model"]


def test_texts_are_no_longer_than_the_model_has_positions(api: TestClient, tiny: Spec) -> None:
    tiny["task"]["max_length"] = 65
    assert _problems(api, tiny) == {
        "task.max_length": "texts of up to 65 tokens, and the model has 64 positions; allowed: at most 64 on this model"
    }


@pytest.mark.parametrize("method", ["prompt_tuning", "p_tuning", "prefix_tuning", "dept"])
def test_prompts_take_what_texts_leave(api: TestClient, settings: Settings, tiny: Spec, method: str) -> None:
    tiny["space"] = {"preset": method}
    space = build_problem(admit(tiny, settings)).space  # type: ignore[arg-type]
    assert space.by_name["length"].high == 32  # type: ignore[union-attr]
    tiny["task"]["max_length"] = 63
    space = build_problem(admit(tiny, settings)).space  # type: ignore[arg-type]
    assert space.by_name["length"].high == 1  # type: ignore[union-attr]
    tiny["reference_trials"] = [{"method": method, "length": 2}]
    assert "reference_trials.0.length" in _problems(api, tiny)
    tiny["task"]["max_length"] = 64
    assert f"{method} needs some" in _problems(api, tiny)["task.max_length"]


def test_the_tree_of_methods_leaves_out_what_has_no_room(settings: Settings, tiny: Spec) -> None:
    tiny |= {"space": {"preset": "methods"}}
    tiny["task"]["max_length"] = 64
    choices = build_problem(admit(tiny, settings)).space.by_name["method"].choices  # type: ignore[arg-type, union-attr]
    assert "lora" in choices
    assert not {"prompt_tuning", "p_tuning", "prefix_tuning", "dept"} & set(choices)


@pytest.mark.parametrize(
    ("field", "written", "said"),
    [
        ("model", "bert-base-uncased", "did you mean 'hub:google-bert/bert-base-uncased'"),
        ("model", "gpt2", "did you mean 'hub:openai-community/gpt2'"),
        ("model", "distilbert-base-uncased", "did you mean 'hub:distilbert/distilbert-base-uncased'"),
        ("model", "roberta-base", "did you mean 'hub:FacebookAI/roberta-base'"),
        ("model", "my-model", "is written hub:owner/name"),
        ("model", "hub:gpt2", "did you mean 'hub:openai-community/gpt2'"),
        ("train", "imdb", "did you mean 'hub:stanfordnlp/imdb'"),
        ("train", "stanfordnlp/imdb", "did you mean 'hub:stanfordnlp/imdb'"),
        ("train", "my-data", "is written hub:owner/name"),
        ("train", "hub:imdb", "did you mean 'hub:stanfordnlp/imdb'"),
        ("validation", "hub:nobody", "is written hub:owner/name"),
    ],
)
def test_refusals_say_how_the_hub_is_written(api: TestClient, tiny: Spec, field: str, written: str, said: str) -> None:
    tiny["task"][field] = written
    assert said in _problems(api, tiny)[f"task.{field}"]


def test_a_misspelt_file_is_no_hub_id(api: TestClient, tiny: Spec) -> None:
    tiny["task"]["train"] = "wrods.csv"
    message = _problems(api, tiny)["task.train"]
    assert "did you mean 'words.csv'" in message
    assert "hub:" not in message


def test_a_hub_id_is_marked_and_never_found_in_the_current_folder(
    api: TestClient, tiny: Spec, tmp_path: Path, data_root: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    write_model(tmp_path / "owner" / "name")
    monkeypatch.chdir(tmp_path)
    for written in ("owner/name", "hub:owner/name"):
        tiny["task"]["model"] = written
        assert "reachable hub id" in _problems(api, tiny)["task.model"]
    (data_root / "owner").mkdir()
    (data_root / "model").rename(data_root / "owner" / "name")
    tiny["task"]["model"] = "owner/name"
    job = api.post("/v1/jobs", json=tiny).json()
    assert job["spec"]["task"]["model"] == str(data_root / "owner" / "name")


def test_owners_on_the_hub_are_limited(settings: Settings, tiny: Spec) -> None:
    def refusal(hub: str, **task: str) -> str:
        limited = settings.model_copy(update={"hub": hub})
        with pytest.raises(BadInput) as caught:
            admit(tiny | {"task": tiny["task"] | task}, limited)
        return caught.value.detail

    assert "does not use the hub" in refusal("off", model="owner/name")
    assert "does not use the hub" in refusal("off", train="hub:owner/name")
    assert "nothing from the hub but models and data of google-bert, good" in refusal("google-bert,good", model="a/b")
    assert "reachable hub id" in refusal("google-bert,owner", model="owner/no-such-name")


def test_settings_of_the_hub_are_checked() -> None:
    assert Settings.read({"hub": " a, b "}, {}).hub_owners == ("a", "b")
    assert Settings.read({}, {"PEFTSEARCH_HUB": "off"}).hub_owners == ()
    with pytest.raises(SettingsError, match="PEFTSEARCH_HUB"):
        Settings.read({"hub": "a,,b"}, {})


def test_classes_without_a_family_are_described_by_their_weights(api: TestClient, tiny: Spec, data_root: Path) -> None:
    folder = data_root / "model"
    folder.joinpath("model.safetensors").unlink()
    sizes = {"hidden_size": 32, "ffn_dim": 64, "num_hidden_layers": 2, "num_attention_heads": 2, "vocab_size": 23}
    config = transformers.OPTConfig(**sizes, word_embed_proj_dim=32, pad_token_id=0, max_position_embeddings=64)
    transformers.OPTForSequenceClassification(config).save_pretrained(folder)
    tiny["resources"] = {"engine": "fast", "quantise": "int8"}
    problems = _problems(api, tiny)
    assert "lower layers of a opt model" in problems["resources.engine"]
    assert "has no family" in problems["resources.quantise"]
    tiny |= {"resources": {}, "space": {"preset": "lora"}, "reference_trials": [{"method": "lora", "targets": "qv"}]}
    assert "reference_trials.0.targets" in _problems(api, tiny)
    del tiny["reference_trials"]
    assert api.post("/v1/jobs", json=tiny).status_code == 201


def test_bfloat16_is_refused_where_a_models_own_code_does_not_take_it(
    api: TestClient, tiny: Spec, data_root: Path
) -> None:
    (data_root / "model" / "model.safetensors").unlink()
    sizes = {"hidden_size": 32, "intermediate_size": 64, "num_hidden_layers": 2, "num_attention_heads": 2}
    config = transformers.DebertaV2Config(**sizes, vocab_size=23, max_position_embeddings=64)
    transformers.DebertaV2ForSequenceClassification(config).save_pretrained(data_root / "model")
    tiny["resources"] = {"precision": "bf16"}
    assert "auto or fp32 on a deberta-v2 model" in _problems(api, tiny)["resources.precision"]
    tiny["resources"] = {"precision": "auto"}
    assert api.post("/v1/jobs", json=tiny).status_code == 201
