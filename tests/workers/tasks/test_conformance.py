"""What every type of task must do, on a tiny model. A new type adds one row to `CASES`."""

from __future__ import annotations

import datetime
import json
import math
import random
from base64 import b64encode
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from io import BytesIO
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
import torch.distributed as dist
from PIL import Image
from torch import multiprocessing

from peftsearch import load_adapter
from tests.service.tiny_task import FILLER, WORDS, write_model
from tests.workers.tiny_chat_model import conversation, write_language_model
from tests.workers.tiny_sound_model import RATE, tone, write_sound_model, written
from tests.workers.tiny_vision_model import write_vision_model
from workers.artifacts import ArtifactStore
from workers.assignment import Assignment, Outcome, Report
from workers.data.tokens import fingerprint, shared_tokens
from workers.engines.inputs import Inputs
from workers.engines.passes import WholePass, evaluation_batches, measure_in
from workers.engines.sharded import FirstRankStore
from workers.engines.stacked.losses import READ_BY_LOSSES
from workers.engines.stacked.way import LOOPED, STACKED
from workers.errors import InvalidInput
from workers.hyperparameters import Hyperparameters
from workers.models.heads import CAUSAL, IMAGE, SOUND
from workers.models.loading import load_base, load_processor
from workers.running import trial_pack
from workers.running.preparing import prepare
from workers.running.repeating import train_again
from workers.running.trial import train, train_prepared
from workers.running.trial_pack import train_pack
from workers.running.workbench import Workbench
from workers.tasks.criterion import LABELS_OWN
from workers.tasks.registry import METRICS, metrics_for, task, tasks
from workers.tasks.task import Task

DOCS = Path(__file__).resolve().parents[3] / "docs"
Row = dict[str, Any]


def _pictured(rng: random.Random) -> Row:
    """An image, dark or bright on its left, and which of the two."""
    kind = rng.choice(("dark", "bright"))
    pixels = np.random.default_rng(rng.randrange(1 << 30)).integers(60, 190, (16, 20, 3), dtype=np.uint8)
    pixels[:, :8] = pixels[:, :8] // 4 + (170 if kind == "bright" else 0)
    buffer = BytesIO()
    Image.fromarray(pixels).save(buffer, "PNG")
    return {"image": f"data:image/png;base64,{b64encode(buffer.getvalue()).decode()}", "label": kind}


def _heard(rng: random.Random) -> Row:
    """A high or a low tone somewhere in noise, and which of the two."""
    kind = rng.choice(("high", "low"))
    random = np.random.default_rng(rng.randrange(1 << 30))
    samples = 0.05 * random.normal(size=random.integers(RATE // 2, RATE))
    start = random.integers(0, len(samples) - RATE // 4)
    samples[start : start + RATE // 4] += tone(random.uniform(0.8, 1.2) * (2000 if kind == "high" else 600), 0.25)
    return {"audio": f"data:audio/wav;base64,{b64encode(written(samples)).decode()}", "label": kind}


@dataclass(frozen=True)
class Case:
    """Rows to learn from, and rows to refuse with the field that the refusal names.

    A word of the right kind tells the target, so that a model which attends learns it.
    """

    row: Callable[[random.Random], Row]
    bad: tuple[tuple[Row, str], ...]
    cut: int = 8  # tokens that cut some rows, and nothing that a row needs
    fields: dict[str, Any] = field(default_factory=dict)  # further ones of its section


def _sentence(rng: random.Random) -> tuple[list[str], str]:
    """Words of which one is a fruit or a tool, and which of the two it is."""
    kind = rng.choice(sorted(WORDS))
    words = [*rng.choices(FILLER, k=rng.randint(3, 9)), rng.choice(WORDS[kind])]
    rng.shuffle(words)
    return words, kind


def _text(rng: random.Random) -> Row:
    words, kind = _sentence(rng)
    return {"text": " ".join(words), "label": kind}


def _tagged(rng: random.Random) -> Row:
    words, kind = _sentence(rng)
    at = next(number for number, word in enumerate(words) if word in WORDS[kind])
    tags = ["O"] * len(words)
    tags[at : at + 2] = [f"B-{kind}", f"I-{kind}"][: len(words) - at]
    return {"tokens": words, "tags": tags}


def _scored(rng: random.Random) -> Row:
    words, kind = _sentence(rng)
    return {"text": " ".join(words), "label": round(70 + 10 * (1 if kind == "fruit" else -1) + rng.gauss(0, 2), 3)}


def _asked(rng: random.Random) -> Row:
    words, kind = _sentence(rng)
    at = next(number for number, word in enumerate(words) if word in WORDS[kind])
    start = sum(len(word) + 1 for word in words[:at])
    return {"question": "my", "context": " ".join(words), "answers": {"text": [words[at]], "answer_start": [start]}}


def _preferred(rng: random.Random) -> Row:
    words, kind = _sentence(rng)
    other = next(one for one in sorted(WORDS) if one != kind)
    return {"prompt": f"{' '.join(words)} ?", "chosen": f" one {kind} .", "rejected": f" one {other} ."}


def _judged(rng: random.Random) -> Row:
    kind = rng.choice(sorted(WORDS))
    words = [*rng.choices(FILLER, k=rng.randint(0, 4)), rng.choice(WORDS[kind])]
    return {"query": f"my {rng.choice(FILLER)} one", "document": " ".join(words), "label": int(kind == "fruit")}


def _found(rng: random.Random) -> Row:
    asked, said = rng.choice(list(zip(WORDS["fruit"], WORDS["tool"], strict=True)))[:: rng.choice((1, -1))]
    return {"query": f"{rng.choice(FILLER)} {rng.choice(FILLER)} {asked}", "document": f"one {said}"}


def _turns(*turns: Any) -> Row:
    return {"messages": [{"role": role, "content": content} for role, content in turns]}


def _of_each(rng: random.Random) -> Row:
    """A row that four tasks read: a text with its kind and a number, tags of its words, and where a thing is named."""
    row = _tagged(rng)
    kind = next(kind for kind, words in sorted(WORDS.items()) if set(words) & set(row["tokens"]))
    size = 70 if kind == "fruit" else 90 + rng.random()
    return {**row, **_asked(rng), "text": " ".join(row["tokens"]), "label": kind, "size": size}


_FINE: Row = {"text": "a", "label": "fruit", "size": 70, "tokens": ["a"], "tags": ["O"]}
_FINE |= {"question": "my", "context": "a", "answers": []}
CASES = {
    "causal-lm": Case(
        conversation,
        (
            (_turns(), "messages"),
            (_turns(("user", "a pear")), "messages"),
            (_turns(("user", "a pear"), ("assistant", None)), "messages"),
            (_turns(("user", "a pear"), ("assistant", " ")), "messages"),
            (_turns(("nobody", "a pear"), ("assistant", "fruit")), "messages"),
            ({"messages": "a pear"}, "messages"),
            ({"messages": ["a pear"]}, "messages"),
            (_turns(("user", "pear " * 40), ("assistant", "fruit")), "max_length"),
        ),
        cut=17,
    ),
    "continual": Case(
        _text,
        (
            ({"text": 3, "label": "fruit"}, "tasks.one.train"),
            ({"text": "a pear", "label": None}, "tasks.one.label"),
        ),
        fields={"tasks": {"one": {}, "two": {}}},
    ),
    "audio-classification": Case(
        _heard,
        (
            ({"audio": None, "label": "low"}, "audio"),
            ({"audio": "nowhere.wav", "label": "low"}, "audio"),
            ({"audio": "../elsewhere.wav", "label": "low"}, "audio"),
            ({"audio": "data:audio/wav;base64,AAAA", "label": "low"}, "audio"),
            (_heard(random.Random(0)) | {"label": None}, "label"),
        ),
        cut=10,
    ),
    "image-classification": Case(
        _pictured,
        (
            ({"image": None, "label": "dark"}, "image"),
            ({"image": 3, "label": "dark"}, "image"),
            ({"image": "nowhere.png", "label": "dark"}, "image"),
            ({"image": "../elsewhere.png", "label": "dark"}, "image"),
            ({"image": "data:image/png;base64,AAAA", "label": "dark"}, "image"),
            ({"image": "data:image/png,AAAA", "label": "dark"}, "image"),
            (_pictured(random.Random(0)) | {"label": None}, "label"),
        ),
        cut=5,
    ),
    "multi-task": Case(
        _of_each,
        (
            (_FINE | {"text": 3}, "tasks.kind.train"),
            (_FINE | {"label": None}, "tasks.kind.label"),
            (_FINE | {"tags": ["O", "O"]}, "tasks.parts.tags"),
            (_FINE | {"size": "much"}, "tasks.size.label"),
            (_FINE | {"context": None}, "tasks.where.context"),
        ),
        fields={
            "tasks": {
                "kind": {"type": "text-classification"},
                "parts": {"type": "token-classification"},
                "size": {"type": "text-regression", "label": "size"},
                "where": {"type": "question-answering"},
            }
        },
    ),
    "question-answering": Case(
        _asked,
        (
            ({"question": "", "context": "a pear", "answers": []}, "question"),
            ({"question": "my", "context": None, "answers": []}, "context"),
            ({"question": "my", "context": "a pear", "answers": "pear"}, "answers"),
            ({"question": "my", "context": "a pear", "answers": {"text": ["pear"], "answer_start": []}}, "answers"),
            ({"question": "my", "context": "a pear", "answers": [{"text": "fig", "answer_start": 2}]}, "answers"),
            ({"question": "my", "context": "pear pear", "answers": [{"text": "pear", "answer_start": 3}]}, "answers"),
            ({"question": "my", "context": "a pear", "answers": [{"text": "pear", "answer_start": "2"}]}, "answers"),
        ),
    ),
    "preference": Case(
        _preferred,
        (
            ({"prompt": "a pear ?", "chosen": "fruit", "rejected": "fruit"}, "rejected"),
            ({"prompt": "a pear ?", "chosen": " ", "rejected": "tool"}, "chosen"),
            ({"prompt": "a pear ?", "chosen": "fruit", "rejected": None}, "rejected"),
            ({"prompt": [{"role": "user", "content": "a pear"}], "chosen": [], "rejected": "tool"}, "chosen"),
            ({"prompt": "pear " * 40, "chosen": "fruit", "rejected": "tool"}, "max_length"),
        ),
        cut=14,
    ),
    "reranking": Case(
        _judged,
        (
            ({"query": " ", "document": "a pear", "label": 1}, "query"),
            ({"query": "my one", "document": None, "label": 1}, "document"),
            *(({"query": "my one", "document": "a pear", "label": value}, "label") for value in ("x", None, 0.5, [1])),
        ),
        fields={"negatives": 3},
    ),
    "retrieval": Case(
        _found,
        (
            ({"query": None, "document": "a pear"}, "query"),
            ({"query": "my one", "document": ""}, "document"),
        ),
        cut=5,
        fields={"negatives": 2, "in_batch": False, "mined": "random"},
    ),
    "text-classification": Case(
        _text, (({"text": 3, "label": "fruit"}, "train"), ({"text": "a pear", "label": None}, "label"))
    ),
    "text-regression": Case(
        _scored,
        (
            ({"text": None, "label": 1}, "train"),
            *(({"text": "a pear", "label": value}, "label") for value in ("much", None, True, "nan", [1], 1e300)),
        ),
    ),
    "token-classification": Case(
        _tagged,
        (
            ({"tokens": ["a", "pear"], "tags": ["O"]}, "tags"),
            ({"tokens": ["a"], "tags": "O"}, "tags"),
            ({"tokens": ["a"], "tags": [None]}, "tags"),
            ({"tokens": "a pear", "tags": ["O", "O"]}, "tokens"),
            ({"tokens": [], "tags": []}, "tokens"),
        ),
    ),
}
LORA = {"method": "lora", "rank": 4, "alpha": 8, "targets": "all", "learning_rate": 1e-2, "batch_size": 8}


def test_every_type_has_a_row() -> None:
    assert set(CASES) == set(tasks())


@pytest.fixture(scope="module")
def home(tmp_path_factory: pytest.TempPathFactory) -> Path:
    folder = tmp_path_factory.mktemp("tasks")
    write_model(folder / "encoder")
    write_language_model(folder / "decoder")
    write_vision_model(folder / "vision")
    write_sound_model(folder / "sound")
    for name, case in CASES.items():
        for role, rows in (("train", 120), ("validation", 40)):
            rng = random.Random(rows)
            write(folder / f"{name}.{role}.jsonl", [case.row(rng) for _ in range(rows)])
    return folder


def write(path: Path, rows: list[Row]) -> Path:
    path.write_text("".join(json.dumps(row) + "\n" for row in rows))
    return path


@pytest.fixture(scope="module")
def bench(home: Path) -> Workbench:
    return Workbench(home, ArtifactStore(home / "artifacts"))


def model_of(home: Path, name: str) -> str:
    return str(home / {CAUSAL: "decoder", IMAGE: "vision", SOUND: "sound"}.get(task(name).head, "encoder"))


def section(home: Path, name: str, **changes: Any) -> dict[str, Any]:
    files = {role: str(home / f"{name}.{role}.jsonl") for role in ("train", "validation")}
    length = {"max_length": 32} if "max_length" in task(name).section.model_fields else {}
    whole = {"type": name, "model": model_of(home, name), **length, **files, **CASES[name].fields, **changes}
    if "tasks" in whole:  # each of them has its own files
        own = {role: whole.pop(role) for role in files}
        whole["tasks"] = {part: own | fields for part, fields in whole["tasks"].items()}
    return whole


def measured(one: Assignment) -> list[str]:
    """The metrics of an evaluation."""
    other = {"train_loss", *(metric.name for metric in task(one.task.type).compared)}
    return [name for name, metric in metrics_for(one.task).items() if metric.kind == "quality" and name not in other]


def assignment(home: Path, name: str, **changes: Any) -> Assignment:
    config = LORA | changes.pop("config", {})
    fields = {"trial_id": "t", "epochs": 2, "seed": 1, "measure_latency": False} | changes
    return Assignment.model_validate({"attempt": 1, "task": section(home, name), "config": config, **fields})


def outcome(bench: Workbench, one: Assignment) -> tuple[Outcome, list[Report]]:
    reports: list[Report] = []
    found = train(one, bench, lambda report: (reports.append(report), "continue")[1])
    assert found.status == "completed", found.reason
    return found, reports


each = pytest.mark.parametrize("name", CASES)
QUICK = ("text-classification", "causal-lm", "image-classification")
each_trained = pytest.mark.parametrize(
    "name", [name if name in QUICK else pytest.param(name, marks=pytest.mark.slow) for name in CASES]
)
"""For what trains and compares: three types are told at once, the others by the slow tests."""


@each
def test_bad_rows_are_refused_by_field(home: Path, tmp_path: Path, name: str) -> None:
    one = task(name)
    good = [CASES[name].row(random.Random(seed)) for seed in range(20)]
    for number, (bad, refused) in enumerate(CASES[name].bad):
        path = write(tmp_path / f"{number}.jsonl", [*good, bad])
        with pytest.raises(InvalidInput) as caught:
            one.read(one.section.model_validate(section(home, name, train=str(path))), 0)
        assert caught.value.field == refused
        assert "line 21" in str(caught.value)
    with pytest.raises(InvalidInput) as caught:
        one.read(one.section.model_validate(section(home, name, train=str(write(tmp_path / "x.jsonl", [{"z": 1}])))), 0)
    assert caught.value.field.rpartition(".")[2] == "train"


@each
def test_rows_encode_once_and_come_back_the_same(home: Path, tmp_path: Path, name: str) -> None:
    one, cut = task(name), CASES[name].cut
    tokenizer = load_processor(model_of(home, name), one.head)
    data = one.read(one.section.model_validate(section(home, name)), 0)
    first = shared_tokens(data, tokenizer, cut, one.encode, tmp_path)
    again = shared_tokens(data, tokenizer, cut, one.encode, tmp_path)
    assert [path.name for path in (tmp_path / "tokens").iterdir()] == [fingerprint(data, tokenizer, cut, one.encode)]
    assert first.labels == again.labels == data.labels
    assert first.train.lengths().max() == cut
    for left, right in ((first.train, again.train), (first.validation, again.validation)):
        assert left.targets.dtype == right.targets.dtype
        for array in ("input_ids", "offsets", "targets", "values", "scale"):
            assert np.array_equal(getattr(left, array), getattr(right, array))
        assert left.input_name == right.input_name


@each
def test_neither_padding_nor_batches_change_an_evaluation_and_parts_merge(
    bench: Workbench, home: Path, name: str
) -> None:
    prepared = prepare(assignment(home, name), bench)
    prepared.resident.base.initialise_head(0)
    split = WholePass(prepared.resident.base.model, prepared.evaluated)
    every = np.arange(len(prepared.evaluated))
    with torch.no_grad():
        padded = measure_in(split, [every]).result()
        alone = measure_in(split, prepared.evaluated.groups(1)).result()
        batches = evaluation_batches(split, 64)
        merged, other = measure_in(split, batches[::2]), measure_in(split, batches[1::2])
    merged.merge(other)
    assert alone == pytest.approx(padded, rel=1e-5, abs=1e-4)
    assert merged.result() == pytest.approx(padded, rel=1e-5, abs=1e-4)
    assert set(padded) == set(measured(assignment(home, name)))


@each
def test_every_metric_is_reported_and_documented(bench: Workbench, home: Path, name: str) -> None:
    one = assignment(home, name, measure_latency=True)
    found, reports = outcome(bench, one)
    known = metrics_for(one.task)
    assert found.metrics.keys() == known.keys()
    assert reports[-1].metrics.keys() == {*measured(one), *(one.name for one in task(name).compared), "train_loss"}
    page = (DOCS / "tasks.md").read_text()
    assert f"`{name}`" in page
    assert [metric for metric in found.metrics if metric in METRICS and f"`{metric}`" not in page] == []
    for metric, value in found.metrics.items():
        assert known[metric].low <= value <= known[metric].high


@each
def test_micro_batches_make_the_step_of_the_whole_batch(bench: Workbench, home: Path, name: str) -> None:
    """Passes of a step count by their targets: batches of 40 and of 5 × 8 rows hold the same rows."""
    prepared = prepare(assignment(home, name), bench)
    train_rows, base = prepared.data.train, prepared.resident.base
    base.initialise_head(0)
    whole, split = np.arange(40), WholePass(base.model, train_rows)
    with torch.no_grad():
        one = train_rows.loss(split.outputs(whole), whole, prepared.hyperparameters)
        parts = sum(train_rows.loss(split.outputs(rows), rows, prepared.hyperparameters) for rows in np.split(whole, 5))
    assert float(one) == pytest.approx(float(parts), rel=1e-5)
    assert train_rows.weight(whole) == sum(train_rows.weight(rows) for rows in np.split(whole, 5))


class Noting:
    """Hyperparameters that note which of them are looked at."""

    def __init__(self, whole: Hyperparameters, seen: set[str]) -> None:
        self._whole, self._seen = whole, seen

    def __getattr__(self, name: str) -> Any:
        self._seen.add(name)
        return getattr(self._whole, name)


def test_what_losses_read_is_what_packs_tell_them_of_each_member(bench: Workbench, home: Path) -> None:
    """Another number that a loss looks at would be one member's for all of a pack."""
    seen = set[str]()
    for name in CASES:
        prepared = prepare(assignment(home, name), bench)
        split, rows = WholePass(prepared.resident.base.model, prepared.data.train), np.arange(8)
        prepared.resident.base.initialise_head(0)
        with torch.no_grad():
            outputs = split.outputs(rows)
            for more in ({}, {"mixup": 0.5, "label_smoothing": 0.1}):
                own: Any = Noting(prepared.hyperparameters.model_copy(update=more), seen)
                split.inputs.loss(outputs, rows, own)
    assert seen == set(READ_BY_LOSSES)


@each_trained
def test_reference_fast_and_packed_trials_agree(
    bench: Workbench, home: Path, name: str, monkeypatch: pytest.MonkeyPatch
) -> None:
    """Packed as on a CPU, and as on a GPU: stacked, and with rows of unequal length side by side without padding."""
    alone: tuple[dict[str, Any], ...] = ({"method": "head"},) if task(name).head.fresh else ()
    tokens = {"batch_tokens": 90, "gradient_accumulation": 2}
    for config in ({"top_layers": 1}, {"top_layers": 2, "gradient_accumulation": 3}, tokens, *alone):
        own = config if "method" not in config else config | dict.fromkeys(("rank", "alpha", "targets"))
        kept = {key: value for key, value in (LORA | own).items() if value is not None}
        trial = assignment(home, name).model_copy(update={"config": kept})
        reference, reports = outcome(bench, trial.model_copy(update={"engine": "reference"}))
        fast, quick = outcome(bench, trial)
        assert (reference.engine, fast.engine) == ("reference", "fast")
        other = trial.model_copy(update={"trial_id": "u", "config": LORA | {"rank": 2, "dropout": 0.2}})
        for left, right in zip(quick, reports, strict=True):
            assert left.metrics == pytest.approx(right.metrics, rel=1e-3, abs=1e-5)
        on_gpu = (
            [replace(STACKED, padding=math.inf, unpadding=0.0, updated_by_rows=False)]
            if config.get("top_layers") == 2
            else []
        )
        for way in (LOOPED, *on_gpu):
            monkeypatch.setattr(trial_pack, "way_on", lambda _device, way=way: way)
            packed = {one.trial_id: one for one in train_pack([trial, other], bench, lambda _: "continue")}["t"]
            for metric in task(name).metrics:
                assert packed.metrics[metric.name] == pytest.approx(fast.metrics[metric.name], rel=1e-3, abs=1e-5)


@each_trained
def test_the_adapter_learns_beyond_the_head(bench: Workbench, home: Path, name: str) -> None:
    lora, reports = outcome(bench, assignment(home, name, epochs=12))
    assert lora.metrics["loss"] < 0.8 * reports[0].metrics["loss"]
    if task(name).head.fresh:
        head, _ = outcome(bench, assignment(home, name, epochs=12).model_copy(update={"config": {"method": "head"}}))
        assert lora.metrics["loss"] < head.metrics["loss"]


@each
@pytest.mark.parametrize("method", ["lora", "bitfit"])
def test_an_exported_adapter_predicts_elsewhere_what_was_measured(
    bench: Workbench, home: Path, tmp_path: Path, name: str, method: str
) -> None:
    config = LORA if method == "lora" else {"method": method, "learning_rate": 1e-2}
    if method == "bitfit" and not task(name).head.fresh:
        config["method"] = "ssf"  # a Llama has no biases
    one = assignment(home, name).model_copy(update={"config": config})
    found, _ = outcome(bench, one)
    assert found.adapter is not None
    folder = bench.artifacts.extract(found.adapter.sha256, tmp_path / "adapter")
    rows = prepare(one, bench).evaluated
    kind = task(name)
    unlike: set[str] = set()
    if rows.criterion.units:
        tokens, read = bench.data(one.task, 0).tokens, kind.read(one.task, 0).validation
        criterion = kind.criterion_on(kind.criterion(one.task, tokens.labels), one.task, read, tokens.validation)
        rows = Inputs(tokens.validation, tokens.pad_token_id, criterion)
        unlike = {"loss", "size.loss"}
    if (unit := rows.criterion.unit) != LABELS_OWN:  # what leaves the service speaks of labels in their own unit
        tokens = bench.data(one.task, 0).tokens
        rows = Inputs(tokens.validation, tokens.pad_token_id, kind.criterion(one.task, tokens.labels))
        found.metrics["loss"] *= unit.spread**2
    fresh = load_base(model_of(home, name), len(bench.data(one.task, 0).tokens.labels), kind=kind.head).model
    for base in (fresh, model_of(home, name)):
        model = load_adapter(base, folder)
        with torch.no_grad():
            again = measure_in(WholePass(model, rows), [np.arange(len(rows))]).result()
        again = {key: value for key, value in again.items() if key not in unlike}
        assert again == pytest.approx({key: found.metrics[key] for key in again}, rel=1e-4, abs=5e-3)
    card = (folder / "README.md").read_text()
    assert f"pipeline_tag: {kind.pipeline_tag}" in card
    assert kind.head.auto_class in card


def test_a_language_model_is_measured_as_it_is(bench: Workbench, home: Path, tmp_path: Path) -> None:
    one = assignment(home, "causal-lm", measure_latency=True).model_copy(update={"config": {"method": "base"}})
    found, reports = outcome(bench, one)
    assert reports == []
    rows, plain = bench.data(one.task, 0).validation, load_base(model_of(home, "causal-lm"), 0, kind=CAUSAL).model
    with torch.no_grad():
        expected = measure_in(WholePass(plain, rows), [np.arange(len(rows))]).result()
    assert {name: found.metrics[name] for name in expected} == pytest.approx(expected, rel=1e-5)
    costs = ("trainable_params", "train_seconds", "train_tokens", "train_tflops", "peak_memory_mb")
    assert [found.metrics[name] for name in costs] == [0.0] * len(costs)
    assert found.adapter is not None
    folder = bench.artifacts.extract(found.adapter.sha256, tmp_path / "adapter")
    assert load_adapter(model_of(home, "causal-lm"), folder) is not None
    fresh = assignment(home, "text-classification").model_copy(update={"config": {"method": "base"}})
    assert "drawn at random" in str(train(fresh, bench, lambda _: "continue").reason)
    head = one.model_copy(update={"config": {"method": "head"}})
    assert "without a head to train" in str(train(head, bench, lambda _: "continue").reason)


@each_trained
def test_what_a_snippet_calls_trains_the_same(bench: Workbench, home: Path, tmp_path: Path, name: str) -> None:
    found, _ = outcome(bench, assignment(home, name))
    again = train_again(section(home, name), [(None, LORA)], tmp_path / "again", epochs=2, seed=1, data_seed=0)
    for metric in task(name).metrics:
        assert again.metrics[metric.name] == pytest.approx(found.metrics[metric.name], rel=1e-6)


SHARDED: list[tuple[str, str, Row]] = [
    *((name, name, {}) for name in CASES),
    ("shared sequences", "causal-lm", {"packing": "bfd", "batch_size": 2}),
]


def rank_main(rank: int, home: Path) -> None:
    torch.set_num_threads(1)
    rendezvous, timeout = f"file://{home}/rendezvous", datetime.timedelta(minutes=10)
    dist.init_process_group("gloo", init_method=rendezvous, rank=rank, world_size=2, timeout=timeout)
    for label, name, config in SHARDED:
        bench = Workbench(home / f"rank-{rank}", FirstRankStore(home / "artifacts"))
        one = assignment(home, name, shards=2, config=config)
        found = train_prepared(prepare(one, bench), bench, lambda _: "continue")
        (home / f"{label}.{rank}.json").write_text(json.dumps(found.metrics))
    dist.barrier()
    dist.destroy_process_group()


@pytest.mark.long
def test_two_shards_make_the_trial_of_one_process(bench: Workbench, home: Path) -> None:
    multiprocessing.spawn(rank_main, (home,), nprocs=2)
    for label, name, config in SHARDED:
        whole, _ = outcome(bench, assignment(home, name, engine="reference", config=config))
        first, second = (json.loads((home / f"{label}.{rank}.json").read_text()) for rank in (0, 1))
        for metric in (*(metric.name for metric in task(name).metrics), "train_loss"):
            assert first[metric] == second[metric] == pytest.approx(whole.metrics[metric], rel=1e-3, abs=1e-5)


def test_examples_are_sections_of_their_type() -> None:
    def shape(one: Task) -> str:
        return one.section.model_validate(dict(one.example)).type  # type: ignore[no-any-return]

    assert {name: shape(one) for name, one in tasks().items()} == {name: name for name in tasks()}


def test_real_sentences_are_read_with_their_tags_and_scores(shared_data: Path) -> None:
    def read(name: str, folder: str, **fields: Any) -> Any:
        one, files = task(name), {role: str(shared_data / folder / f"{role}.jsonl") for role in ("train", "validation")}
        return one.read(one.section.model_validate({"model": "builtin:minilm", **files, **fields}), 0)

    tagged = read("token-classification", "tokens/wnut17")
    assert (len(tagged.train), len(tagged.validation), len(tagged.labels)) == (3394, 1009, 13)
    raw = shared_data / "tokens/wnut17/raw"
    conll = read("token-classification", "tokens/wnut17", train=str(raw / "wnut17train.conll"))
    assert (conll.labels, len(conll.train)) == (tagged.labels, len(tagged.train))
    assert conll.train.texts[0] == tagged.train.texts[0]
    scored = read("text-regression", "regression/stsb", text_pair=["text_a", "text_b"], label="score")
    assert (len(scored.validation), float(scored.train.targets.max())) == (1500, 5.0)
    raw = next((shared_data / "regression/stsb/raw").glob("*.csv"))
    with pytest.raises(InvalidInput, match=r"separated by tabs"):
        read("text-regression", "regression/stsb", train=str(raw), text_pair=["text_a", "text_b"], label="score")


def test_the_built_in_code_is_tagged_by_its_syntax() -> None:
    rows = task("token-classification").read(
        task("token-classification").section.model_validate(
            {"model": "builtin:minilm", "train": "builtin:pytokens", "test": "builtin:pytokens", "train_rows": 200}
        ),
        0,
    )
    assert rows.test is not None
    assert (len(rows.train), len(rows.validation), len(rows.test)) == (200, 500, 500)
    assert {"O", "B-call", "I-call", "B-parameter", "B-function", "B-class", "B-import"} <= set(rows.labels)
    after = {
        rows.labels[tags[at + 1]]
        for words, tags in zip(rows.train.texts, rows.train.targets, strict=True)
        for at, word in enumerate(words[:-1])
        if word == "def"
    }
    assert after == {"B-function"}
