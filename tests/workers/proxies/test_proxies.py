"""Proxies: their text, what they read of it, what they learn, and what is made of several of them."""

from __future__ import annotations

import json
import random
from pathlib import Path

import numpy as np
import pytest
import torch
from safetensors.torch import save_file
from transformers import AutoModelForCausalLM

from workers.artifacts import ArtifactStore
from workers.assignment import Decision, Outcome, Report
from workers.errors import InvalidInput
from workers.hyperparameters import Hyperparameters
from workers.models.token_scores import token_scores
from workers.proxies.averages import average, greedy_soup
from workers.proxies.corpus import END, Corpus, load_corpus, read_domain, training_bytes
from workers.proxies.sampling import Windows, mixture
from workers.proxies.selection import lowest
from workers.proxies.spec import CorpusSpec, FilterSpec, Part, ProxyAssignment, ProxySpec
from workers.proxies.training import NEXT_TOKEN, new_proxy
from workers.proxies.trial import ProxyBench, train_proxy
from workers.tasks import registry

WORDS = {
    "fruit": ["apple", "pear", "plum", "fig", "cherry", "melon"],
    "tools": ["saw", "file", "drill", "axe", "hammer", "plane"],
}
PROXY = ProxySpec(layers=1, width=32, heads=2, context=16, batch=8, tokens=16_000, learning_rate=1e-2)


@pytest.fixture(scope="module")
def folder(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """Two domains of sentences, documents parted by blank lines."""
    root, rng = tmp_path_factory.mktemp("text"), random.Random(0)
    for domain, words in WORDS.items():
        documents = (" ".join(rng.choices(words, k=12)) for _ in range(300))
        (root / f"{domain}.txt").write_text("\n\n".join(documents))
    return root


@pytest.fixture(scope="module")
def spec(folder: Path) -> CorpusSpec:
    return CorpusSpec(domains={name: str(folder / f"{name}.txt") for name in WORDS}, vocabulary=300)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> ProxyBench:
    home = tmp_path_factory.mktemp("home")
    return ProxyBench(home, ArtifactStore(home / "artifacts"))


@pytest.fixture(scope="module")
def corpus(spec: CorpusSpec, bench: ProxyBench) -> Corpus:
    return load_corpus(spec, 0, bench.home / "cache")


def done(bench: ProxyBench, spec: CorpusSpec, reports: list[Report] | None = None, **given: object) -> Outcome:
    """What a proxy trial comes to."""

    def on_report(report: Report) -> Decision:
        if reports is not None:
            reports.append(report)
        return "continue"

    values = {"role": "train", "weights": {"fruit": 1.0}, "target": ("fruit",), "seed": 1, **given}
    assignment = ProxyAssignment(trial_id="j-0", attempt=1, corpus=spec, proxy=PROXY, **values)  # type: ignore[arg-type]
    return train_proxy(assignment, bench, on_report)


def test_documents_are_split_and_tokenised_once(corpus: Corpus, spec: CorpusSpec, bench: ProxyBench) -> None:
    splits = corpus.splits["fruit"]
    assert [len(splits[name]) for name in ("train", "validation", "test")] == [240, 30, 30]
    documents = splits["train"]
    assert documents.tokens[documents.starts[1] - 1] == END
    assert int(documents.tokens.max()) < spec.vocabulary
    before = {path: path.stat().st_mtime for path in (bench.home / "cache").rglob("*.npy")}
    load_corpus(spec, 0, bench.home / "cache")
    assert {path: path.stat().st_mtime for path in (bench.home / "cache").rglob("*.npy")} == before


def test_files_name_their_splits_and_json_lines_hold_documents(tmp_path: Path) -> None:
    for split in ("train", "validation"):
        lines = [json.dumps({"text": f"{split} {number}"}) for number in range(3)]
        (tmp_path / f"{split}.jsonl").write_text("\n".join(lines))
    read = read_domain("a", tmp_path, 0)
    assert read["train"] == ["train 0", "train 1", "train 2"]
    assert read["test"] == read["validation"] == ["validation 0", "validation 1", "validation 2"]
    assert training_bytes(tmp_path) == (tmp_path / "train.jsonl").stat().st_size


@pytest.mark.parametrize(("name", "content"), [("a.bin", "text"), ("a.txt", "one document"), ("a.jsonl", '{"no": 1}')])
def test_text_that_cannot_be_used_is_refused_by_its_domain(tmp_path: Path, name: str, content: str) -> None:
    (tmp_path / name).write_text(content)
    with pytest.raises(InvalidInput, match=r"corpus\.domains\.a"):
        read_domain("a", tmp_path, 0)


def test_sequences_hold_the_mixture_and_read_each_domain_alike(corpus: Corpus) -> None:
    def rows(weights: dict[str, float]) -> list[tuple[int, ...]]:
        windows, every = Windows(mixture(corpus, weights, 200, 16, 3), 16, NEXT_TOKEN), np.arange(200)
        tokens, following = windows.batch(every)["input_ids"], windows.targets(every)
        assert torch.equal(tokens[:, 1:], following[:, :-1])
        return [tuple(row) for row in torch.cat([tokens, following[:, -1:]], dim=1).tolist()]

    alone, mixed = rows({"fruit": 1.0}), rows({"fruit": 0.3, "tools": 0.7})
    assert sum(row in set(alone) for row in mixed) == pytest.approx(60, abs=1)
    assert [row for row in mixed if row in set(alone)] == alone[:60]


def test_a_proxy_learns_what_it_reads(bench: ProxyBench, spec: CorpusSpec) -> None:
    reports: list[Report] = []
    fruit = done(bench, spec, reports)
    assert fruit.status == "completed"
    assert [report.step for report in reports] == [63, 125]
    assert fruit.metrics["loss"] == fruit.metrics["loss.fruit"]
    assert fruit.metrics["loss.fruit"] + 1 < fruit.metrics["loss.tools"]
    assert fruit.metrics["test_loss"] == pytest.approx(fruit.metrics["loss"], abs=0.3)
    assert fruit.metrics["train_tokens"] == 16_000
    assert fruit.adapter is None
    assert done(bench, spec).metrics["loss"] == fruit.metrics["loss"]
    assert done(bench, spec, seed=2).metrics["loss"] != fruit.metrics["loss"]


def test_a_proxys_loss_is_that_of_causal_lm(corpus: Corpus) -> None:
    windows, rows = Windows(mixture(corpus, {"fruit": 1.0}, 8, 16, 3), 16, NEXT_TOKEN), np.arange(8)
    model = new_proxy(PROXY, corpus.vocabulary, 0)
    task = registry.task("causal-lm")
    theirs = task.criterion(task.section(model="m", train="t"), ())
    batch, targets = windows.batch(rows), windows.targets(rows)
    ours, measure = NEXT_TOKEN.measure(), theirs.measure()
    with torch.no_grad():
        logits, scores = model(**batch).logits, token_scores(model, batch, targets)
    ours.add(logits, targets)
    measure.add(scores, targets)
    assert ours.result()["loss"] == pytest.approx(measure.result()["loss"], rel=1e-5)
    plain = Hyperparameters()
    assert float(NEXT_TOKEN.loss(logits, targets, plain)) == pytest.approx(
        float(theirs.loss(scores, targets, plain)), rel=1e-5
    )


@pytest.mark.slow
def test_averages_stand_between_their_parts_and_soups_never_fall_behind(
    bench: ProxyBench, spec: CorpusSpec, tmp_path: Path
) -> None:
    common = {"shared": 0.5, "shared_weights": {"fruit": 0.5, "tools": 0.5}, "keep_model": True}
    target = ("fruit", "tools")
    trained = [done(bench, spec, weights={name: 1.0}, target=target, **common) for name in WORDS]
    parts = [Part(model=one.adapter, weight=0.5) for one in trained if one.adapter is not None]

    def averaged(fruit: float) -> dict[str, float]:
        weights = zip(parts, (fruit, 1 - fruit), strict=True)
        shares = tuple(part.model_copy(update={"weight": share}) for part, share in weights)
        return done(bench, spec, role="average", target=target, parts=shares).metrics

    merged = [averaged(fruit) for fruit in (1.0, 0.75, 0.5, 0.25, 0.0)]
    assert merged[0]["loss"] == pytest.approx(trained[0].metrics["loss"], abs=1e-5)
    assert merged[-1]["loss"] == pytest.approx(trained[1].metrics["loss"], abs=1e-5)
    assert [one["loss.fruit"] for one in merged] == sorted(one["loss.fruit"] for one in merged)
    assert [one["loss.tools"] for one in merged] == sorted((one["loss.tools"] for one in merged), reverse=True)
    really = [
        done(bench, spec, weights={"fruit": share, "tools": 1 - share}, target=("tools",)) for share in (0.75, 0.25)
    ]
    assert really[0].metrics["loss"] > really[1].metrics["loss"]  # as their averages stand
    soup = done(bench, spec, role="soup", target=target, parts=tuple(parts))
    assert soup.metrics["loss"] <= soup.metrics["best_member_loss"]
    assert "best_member_test_loss" in soup.metrics
    assert soup.adapter is not None
    opened = AutoModelForCausalLM.from_pretrained(bench.artifacts.extract(soup.adapter.sha256, tmp_path / "soup"))
    assert opened.num_parameters() == 300 * 32 + 16 * 32 + 12 * 32 * 32 + 13 * 32 + 2 * 32


def test_greedy_soups_leave_out_what_harms() -> None:
    models = [{"w": torch.tensor([value])} for value in (1.0, 5.0, 0.0)]
    soup, members = greedy_soup(models, lambda weights: abs(float(weights["w"]) - 0.6))
    assert members == [0, 2]
    assert soup["w"] == pytest.approx(0.5)
    assert average(models, [1.0, 1.0, 2.0])["w"] == pytest.approx(1.5)


@pytest.mark.parametrize("method", ["ppl_filter", "color_filter"])
def test_filters_keep_their_share(bench: ProxyBench, spec: CorpusSpec, method: str) -> None:
    chosen = FilterSpec(method=method, keep=0.25)  # type: ignore[arg-type]
    both = {"fruit": 0.5, "tools": 0.5}
    found = done(bench, spec, role="filter", filter=chosen, weights=both)
    assert found.metrics["kept.fruit"] == found.metrics["kept.tools"] == 60
    assert found.adapter is not None
    assert done(bench, spec, selection=found.adapter, weights=both).status == "completed"


def test_color_filter_finds_documents_like_the_target(tmp_path: Path, bench: ProxyBench) -> None:
    rng = random.Random(1)
    kinds = [rng.choice(list(WORDS)) for _ in range(300)]
    texts = [" ".join(rng.choices(WORDS[kind], k=12)) for kind in kinds]
    target = [" ".join(rng.choices(WORDS["fruit"], k=12)) for _ in range(60)]
    for domain, documents in (("mixed", texts), ("target", target)):
        (tmp_path / domain).mkdir()
        (tmp_path / domain / "train.txt").write_text("\n\n".join(documents))
        (tmp_path / domain / "validation.txt").write_text("\n\n".join(documents[:20]))
    spec = CorpusSpec(domains={name: str(tmp_path / name) for name in ("mixed", "target")}, vocabulary=300)
    weights = {"mixed": 0.9, "target": 0.1}
    chosen = FilterSpec(method="color_filter", keep=0.4)
    found = done(bench, spec, role="filter", filter=chosen, weights=weights, target=("target",))
    assert found.adapter is not None
    kept = bench._read_selection(found.adapter)["mixed"]
    assert np.mean([kinds[number] == "fruit" for number in kept]) > 0.9


def test_the_lowest_share_is_exact() -> None:
    assert lowest(np.array([3.0, 1.0, 2.0, 1.0]), 0.5) == [1, 3]
    assert lowest(np.array([3.0, 1.0]), 0.01) == [1]


def test_faults_end_the_trial_with_a_reason(bench: ProxyBench, spec: CorpusSpec, tmp_path: Path) -> None:
    gone = spec.model_copy(update={"domains": {"a": str(tmp_path / "a"), "b": str(tmp_path / "b")}})
    failed = done(bench, gone)
    assert failed.status == "failed"
    assert failed.reason is not None
    assert failed.reason.startswith("invalid_config: corpus.domains.a")


def test_stopping_and_diverging_end_a_proxy_and_models_of_an_earlier_version_are_refused(
    bench: ProxyBench, spec: CorpusSpec, tmp_path: Path
) -> None:
    given = ProxyAssignment(
        trial_id="j-0", attempt=1, role="train", corpus=spec, proxy=PROXY, weights={"fruit": 1.0}, target=("fruit",),
        seed=1,
    )  # fmt: skip
    stopped = train_proxy(given, bench, lambda _: "stop")
    assert (stopped.status, stopped.metrics["train_tokens"]) == ("stopped", 63 * 8 * 16)
    wild = given.model_copy(update={"proxy": PROXY.model_copy(update={"learning_rate": 0.99, "tokens": 64_000})})
    with pytest.MonkeyPatch.context() as patched:
        patched.setattr(
            "workers.proxies.training.Hyperparameters",
            lambda **fields: Hyperparameters(**fields | {"learning_rate": 1e30}),
        )
        diverged = train_proxy(wild, bench, lambda _: "continue")
    assert diverged.status == "failed"
    assert (diverged.reason or "").startswith("nan_loss")
    save_file({"embedding.weight": torch.zeros(300, 32)}, tmp_path / "model.safetensors")
    old = Part(model=bench.artifacts.put_folder(tmp_path), weight=1.0)
    refused = done(bench, spec, role="soup", parts=(old,))
    assert (refused.reason or "").startswith("invalid_config: parts")
