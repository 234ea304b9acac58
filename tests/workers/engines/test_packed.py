"""A pack trains each member as if it were alone, whatever the others do."""

from __future__ import annotations

import functools
from dataclasses import replace
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file

from tests.service.tiny_task import tiny_job
from workers.artifacts import ArtifactStore
from workers.assignment import Assignment, Outcome, Report
from workers.engines.packed import Pack
from workers.engines.stacked.places import StackedLinear
from workers.engines.stacked.room import Room
from workers.engines.stacked.way import LOOPED, ON_GPU, Way
from workers.models.description import describe
from workers.running.boarding import start_of
from workers.running.outcome import outcome_of
from workers.running.packing import Arrivals, in_a_pack_of_one
from workers.running.trial import train
from workers.running.trial_pack import train_pack
from workers.running.workbench import Workbench
from workers.tasks.catalogue.text_classification import TextClassificationSpec

TASK = TextClassificationSpec(
    model="builtin:minilm", train="builtin:pydocs", max_length=24, train_rows=64, validation_rows=32
)
MEMBERS: dict[str, dict[str, Any]] = {
    "a": {"config": {"rank": 4, "alpha": 8, "top_layers": 1, "targets": "qv", "learning_rate": 5e-3}, "seed": 1},
    "b": {
        "config": {
            "rank": 2, "alpha": 16, "top_layers": 2, "targets": "all", "learning_rate": 1e-3, "dropout": 0.2,
            "use_rslora": True, "batch_size": 8, "gradient_accumulation": 3, "schedule": "cosine",
        },
        "seed": 2,
    },
    "d": {"config": {"method": "lora_plus", "rank": 3, "top_layers": 3, "rate_ratio": 8.0}, "seed": 4},
    "c": {"config": {"method": "head", "learning_rate": 1e-2, "batch_size": 32, "label_smoothing": 0.1}, "seed": 3},
}  # fmt: skip


class _Bench(Workbench):
    """One that `alone` can remember trials by."""

    __hash__ = object.__hash__


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    torch.set_num_threads(1)
    home = tmp_path_factory.mktemp("home")
    return _Bench(home, ArtifactStore(home / "artifacts"))


def assignment(name: str, **changes: Any) -> Assignment:
    fields = {"epochs": 2, "task": TASK, "measure_latency": False, "reports_per_epoch": 2, **MEMBERS[name]} | changes
    fields["config"] = {"method": "lora"} | fields["config"] | changes.get("config", {})
    return Assignment(trial_id=name, attempt=1, **fields)


@functools.cache
def alone(bench: Workbench, name: str) -> tuple[Outcome, list[Report]]:
    reports: list[Report] = []
    outcome = train(assignment(name), bench, lambda report: (reports.append(report), "continue")[1])
    return outcome, reports


def together(bench: Workbench, members: list[Assignment]) -> tuple[dict[str, Outcome], list[Report]]:
    reports: list[Report] = []
    outcomes = train_pack(members, bench, lambda report: (reports.append(report), "continue")[1])
    return {outcome.trial_id: outcome for outcome in outcomes}, reports


def assert_as_alone(bench: Workbench, name: str, outcome: Outcome, reports: list[Report], folder: Path) -> None:
    expected, expected_reports = alone(bench, name)
    mine = [report for report in reports if report.trial_id == name]
    assert [report.step for report in mine] == [report.step for report in expected_reports]
    for report, other in zip(mine, expected_reports, strict=True):
        assert report.metrics == pytest.approx(other.metrics, rel=1e-4)
    assert outcome.metrics["accuracy"] == expected.metrics["accuracy"]
    sides = (("packed", outcome), ("alone", expected))
    adapters = [exported(bench, one, folder / name / side) for side, one in sides]
    assert adapters[0].keys() == adapters[1].keys()
    for key, value in adapters[1].items():
        torch.testing.assert_close(adapters[0][key], value, rtol=1e-2, atol=1e-4)


@pytest.mark.slow
def test_members_of_every_kind_train_as_alone(bench: Workbench, tmp_path: Path) -> None:
    outcomes, reports = together(bench, [assignment(name) for name in MEMBERS])
    for name in MEMBERS:
        assert_as_alone(bench, name, outcomes[name], reports, tmp_path)
    assert outcomes["a"].environment["packed_with"] == "b, c, d"


FORMS: dict[str, dict[str, Any]] = {
    "dora": {"rank": 3, "targets": "all", "top_layers": 1}, "pissa": {"rank": 2}, "lora_bias": {"rank": 4},
    "lora_ranks": {}, "ia3": {}, "ssf": {}, "difffit": {}, "bitfit": {}, "ln_tuning": {},
    "adapter_houlsby": {"size": 4}, "mam": {"size": 4, "prefix_length": 3},
    "autopeft": {"serial_size": 4, "parallel_size": 2},
}  # fmt: skip


@pytest.mark.parametrize("way", [LOOPED, replace(ON_GPU, captured=False)], ids=["as on a CPU", "as on a GPU"])
def test_what_members_of_every_form_export_is_what_they_export_alone(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch, way: Way
) -> None:
    task = TextClassificationSpec.model_validate(tiny_job(tmp_path, trials=1, train_rows=40)["task"])
    bench = Workbench(tmp_path / "home", ArtifactStore(tmp_path / "artifacts"))
    members = [
        Assignment(
            trial_id=name, attempt=1, task=task, config={"method": name, "learning_rate": 3e-3, **knobs}, epochs=1,
            seed=seed, measure_latency=False,
        )
        for seed, (name, knobs) in enumerate(FORMS.items())
    ]  # fmt: skip
    monkeypatch.setattr("workers.running.trial_pack.way_on", lambda _device: way)
    together = {one.trial_id: one for one in train_pack(members, bench, lambda _: "continue", at_once=8)}
    for member in members:
        name, alone = member.trial_id, train(member, bench, lambda _: "continue")
        assert together[name].status == "completed", together[name].reason
        mine, theirs = (
            exported(bench, one, tmp_path / name / str(side)) for side, one in enumerate((together[name], alone))
        )
        assert mine.keys() == theirs.keys()
        for key, value in theirs.items():
            if not key.endswith(("key.bias", "key.shift")):  # softmax ignores it: its gradient is rounding alone
                torch.testing.assert_close(
                    mine[key], value, rtol=1e-2, atol=3e-4, msg=lambda why, key=key: f"{key}: {why}"
                )
        for metric in ("accuracy", "loss", "trainable_params", "adapter_bytes", "peak_memory_mb"):
            assert together[name].metrics[metric] == pytest.approx(alone.metrics[metric], rel=1e-3), (name, metric)


def exported(bench: Workbench, outcome: Outcome, folder: Path) -> dict[str, torch.Tensor]:
    assert outcome.adapter is not None
    extracted = bench.artifacts.extract(outcome.adapter.sha256, folder)
    return {name: value for file in extracted.glob("*.safetensors") for name, value in load_file(file).items()}


def test_a_trial_that_must_train_alone_says_why_where_its_job_packs(bench: Workbench) -> None:
    told = {}
    for pack in ("auto", 1, 4):
        other = Assignment(
            trial_id="v",
            attempt=1,
            task=TASK,
            config={"method": "vera"},
            epochs=0.5,
            seed=0,
            measure_latency=False,
            pack=pack,
        )
        outcome = train(other, bench, lambda _: "continue")
        assert outcome.status == "completed", outcome.reason
        told[pack] = outcome.environment.get("not_in_a_pack")
    assert told == {"auto": None, 1: None, 4: "vera trains something of a form that packs cannot stack"}


def test_a_member_that_turns_nan_leaves_and_touches_nobody(bench: Workbench, tmp_path: Path) -> None:
    broken = assignment("b", config={"learning_rate": 1e30, "max_grad_norm": 0.0, "warmup_ratio": 0.0})
    outcomes, reports = together(bench, [assignment("a"), broken, assignment("c")])
    assert outcomes["b"].status == "failed"
    assert (outcomes["b"].reason or "").startswith("nan_loss: ")
    for name in ("a", "c"):
        assert_as_alone(bench, name, outcomes[name], reports, tmp_path)


@pytest.mark.slow
def test_a_pack_too_big_for_the_memory_goes_on_in_smaller_passes(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run, refused = Pack._pass, []

    def small(self: Pack, shares: Any) -> Any:
        if len(shares) > 1:
            refused.append(len(shares))
            raise torch.OutOfMemoryError("CUDA out of memory. Tried to allocate 2.00 GiB")
        return run(self, shares)

    monkeypatch.setattr(Pack, "_pass", small)
    outcomes, reports = together(bench, [assignment(name) for name in MEMBERS])
    assert refused == [4, 2, 2]  # each half finds out for itself, then it remembers what fits
    for name in MEMBERS:
        assert_as_alone(bench, name, outcomes[name], reports, tmp_path)
        assert outcomes[name].environment["pack_limit"] == "1"


@pytest.mark.slow
def test_passes_hold_what_memory_does_by_what_each_member_needs(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    """As on a GPU: what a member keeps for its way back is measured when it comes aboard, whatever form it has."""
    needed: dict[str, float] = {}
    run, passes = Pack._pass, []

    def measured(prepared: Any, trial: Any, _accounted: bool) -> Any:
        start = start_of(prepared, trial, True)
        needed[prepared.assignment.trial_id] = start.bytes_needed
        return start

    def noted(self: Pack, shares: Any) -> Any:
        passes.append(len(shares))
        return run(self, shares)

    monkeypatch.setattr("workers.running.trial_pack.start_of", measured)
    monkeypatch.setattr("workers.running.trial_pack._PackRun.room", Room(bytes=1.0))
    monkeypatch.setattr(Pack, "_pass", noted)
    outcomes, reports = together(bench, [assignment(name) for name in MEMBERS])
    assert 0 < needed["c"] < needed["a"] < needed["b"]  # a head, one layer's queries and values, two layers' all
    assert set(passes) == {1}
    for name in MEMBERS:
        assert_as_alone(bench, name, outcomes[name], reports, tmp_path)


def test_members_evaluate_in_one_pass_and_what_they_cost_is_measured_outside_the_pack(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    asked, inside, evaluated = [], [], Pack._evaluated

    def noted(self: Pack, members: Any) -> Any:
        asked.append(len(members))
        return evaluated(self, members)

    def measured(prepared: Any, *given: Any) -> Outcome:
        inside.extend(one for one in prepared.resident.base.model.modules() if isinstance(one, StackedLinear))
        return outcome_of(prepared, *given)

    monkeypatch.setattr(Pack, "_evaluated", noted)
    monkeypatch.setattr("workers.running.trial_pack.outcome_of", measured)
    outcomes, _ = together(bench, [assignment(name, epochs=1) for name in ("a", "d")])
    assert asked == [2, 2]  # both report twice an epoch
    assert not inside
    assert {one.status for one in outcomes.values()} == {"completed"}


def test_a_trial_by_itself_is_a_pack_of_one_where_a_gpu_is() -> None:
    def of(device: str, **changes: Any) -> bool:
        return in_a_pack_of_one(assignment("a", **changes), device, describe)

    assert of("cuda")
    assert not of("cpu")
    assert not of("cuda", shards=2)
    assert not of("cuda", engine="reference")
    assert not of("cuda", config={"method": "vera"})


@pytest.mark.slow
def test_a_member_that_breaks_the_pass_fails_and_touches_nobody(
    bench: Workbench, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    run = Pack._pass

    def break_b(self: Pack, shares: Any) -> Any:
        losses = run(self, shares)
        if any(share.hyperparameters.gradient_accumulation == 3 for share in shares):
            raise RuntimeError("a kernel that dislikes this shape")
        return losses

    monkeypatch.setattr(Pack, "_pass", break_b)
    outcomes, reports = together(bench, [assignment(name) for name in MEMBERS])
    assert outcomes["b"].status == "failed"
    assert outcomes["b"].reason == "exception: RuntimeError: a kernel that dislikes this shape"
    for name in ("a", "c"):
        assert_as_alone(bench, name, outcomes[name], reports, tmp_path)


def test_a_configuration_that_cannot_begin_fails_and_touches_nobody(bench: Workbench, tmp_path: Path) -> None:
    outcomes, reports = together(bench, [assignment("a"), assignment("b", config={"top_layers": 99})])
    assert (outcomes["b"].reason or "").startswith("invalid_config: ")
    assert_as_alone(bench, "a", outcomes["a"], reports, tmp_path)


@pytest.mark.slow
def test_the_place_of_one_that_ends_is_refilled(bench: Workbench, tmp_path: Path) -> None:
    reports: list[Report] = []

    def stop_a(report: Report) -> str:
        reports.append(report)
        return "stop" if report.trial_id == "a" else "continue"

    outcomes = list(train_pack([assignment(name) for name in MEMBERS], bench, stop_a, at_once=2))
    status = {outcome.trial_id: outcome.status for outcome in outcomes}
    assert status == {name: "stopped" if name == "a" else "completed" for name in MEMBERS}
    assert [report.trial_id for report in reports].index("c") > [report.trial_id for report in reports].index("a")
    for outcome in outcomes:
        if outcome.trial_id != "a":
            assert_as_alone(bench, outcome.trial_id, outcome, reports, tmp_path)


def test_one_that_arrives_comes_aboard_while_the_others_train(bench: Workbench, tmp_path: Path) -> None:
    reports: list[Report] = []
    arrivals = Arrivals()

    def call_c(report: Report) -> str:
        if not reports:
            assert arrivals.add(assignment("c"))
        reports.append(report)
        return "continue"

    outcomes = {}
    for outcome in train_pack([assignment("a"), assignment("b")], bench, call_c, at_once=3, arrivals=arrivals):
        assert [report.trial_id for report in reports].count(outcome.trial_id) == 4  # it comes when the trial has ended
        outcomes[outcome.trial_id] = outcome
    assert not arrivals.add(assignment("c"))  # the pack is over
    assert outcomes["c"].environment["packed_with"] == "a, b"
    order = [report.trial_id for report in reports]
    assert order.index("c") < len(order) - 1 - order[::-1].index("b")  # they trained side by side
    for name in "abc":
        assert_as_alone(bench, name, outcomes[name], reports, tmp_path)


def test_what_a_pack_saved_goes_on_alone_and_in_a_pack(bench: Workbench) -> None:
    """Also where the method keeps what it started from: CorDA's factors come from the data."""
    config = {"method": "corda", "rank": 2, "samples": 16, "targets": "qv", "top_layers": 1, "learning_rate": 1e-3}

    def corda(**more: Any) -> Assignment:
        fields = {"epochs": 2, "seed": 1, "measure_latency": False, "reports_per_epoch": 1} | more
        return Assignment(trial_id="k", attempt=1, task=TASK, config=config, **fields)

    whole = train(corda(), bench, lambda _: "continue")
    (paused,) = train_pack([corda(pause_every=1)], bench, lambda _: "continue")
    assert paused.status == "paused"
    alone = train(corda(checkpoint=paused.checkpoint), bench, lambda _: "continue")
    (packed,) = train_pack([corda(checkpoint=paused.checkpoint)], bench, lambda _: "continue")
    for outcome in (alone, packed):
        assert "started_afresh" not in outcome.environment
        assert outcome.metrics["loss"] == pytest.approx(whole.metrics["loss"], rel=1e-4)


def test_an_interrupted_pack_ends_at_once_and_its_trials_go_on(
    bench: Workbench, monkeypatch: pytest.MonkeyPatch
) -> None:
    whole = train(assignment("a"), bench, lambda _: "continue")
    reported: list[Report] = []
    with monkeypatch.context() as leaving:
        leaving.setattr(bench, "interrupted", lambda: len(reported) >= 2)
        three = [assignment("a"), assignment("b"), assignment("c")]
        tell = train_pack(three, bench, lambda report: (reported.append(report), "continue")[1], at_once=2)
        left = {outcome.trial_id: outcome for outcome in tell}
    assert {outcome.status for outcome in left.values()} == {"interrupted"}
    assert left["c"].checkpoint is None  # it had no place yet, and was given back
    assert left["b"].checkpoint is not None
    rest = train(assignment("a", checkpoint=left["a"].checkpoint), bench, lambda _: "continue")
    assert "started_afresh" not in rest.environment
    assert rest.metrics["loss"] == pytest.approx(whole.metrics["loss"], rel=1e-4)


def test_a_trial_of_another_task_that_arrives_fails_alone(bench: Workbench) -> None:
    arrivals = Arrivals()
    arrivals.add(assignment("b", task=TASK.model_copy(update={"train_rows": 32})))
    outcomes = list(train_pack([assignment("a", epochs=0.5)], bench, lambda _: "continue", 2, arrivals))
    assert {outcome.trial_id: outcome.status for outcome in outcomes} == {"a": "completed", "b": "failed"}


def test_what_cannot_share_a_pass_is_refused(bench: Workbench) -> None:
    other = assignment("a", task=TASK.model_copy(update={"train_rows": 32}))
    with pytest.raises(ValueError, match="one task"):
        list(train_pack([assignment("b"), other], bench, lambda _report: "continue"))
    alone = Assignment(trial_id="v", attempt=1, task=TASK, config={"method": "vera"}, epochs=1, seed=0)
    with pytest.raises(ValueError, match="vera trains something of a form"):
        list(train_pack([alone], bench, lambda _report: "continue"))


def test_the_base_is_as_before(bench: Workbench) -> None:
    base, batch = bench.base(TASK.model, 4).base, bench.data(TASK, 0).train.batch(np.arange(4))

    def logits() -> torch.Tensor:
        base.initialise_head(0)
        with torch.no_grad():
            return base.model(**batch).logits

    before = logits()
    together(bench, [assignment("a", epochs=0.5)])
    assert torch.equal(logits(), before)
