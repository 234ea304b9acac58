"""The results of `make bench-service` and `make chaos`: every figure beside its aim, what misses it with a reason."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from benchmarks import beside_aims
from benchmarks.chaos import __main__ as chaos
from benchmarks.service import __main__ as service

RESULTS = Path(__file__).resolve().parents[2] / "benchmarks" / "results"
SERVICE = {
    *("sqlite_trials_per_s", "sqlite_ratio_to_optuna", "postgres_trials_per_s", "http_p99_ms"),
    *("http_rate_at_100_ms", "orchestration_overhead", "lock_errors"),
}
CHAOS = {"kill_points", "lost", "doubled", "out_of_order", "worst_time_ratio"}
BY_HAND = {"standing": "on a busy machine", "why": {"postgres_ratio_to_optuna": "each commit waits for the disk"}}


@pytest.mark.parametrize(("name", "promised"), [("service", SERVICE), ("chaos", CHAOS)])
def test_the_summary_has_every_promised_figure_and_its_aim(name: str, promised: set[str]) -> None:
    summary = json.loads((RESULTS / f"{name}.json").read_text())["summary"]
    assert promised <= summary.keys()
    assert promised <= summary["aims"].keys()


def test_what_misses_its_aim_is_told_by_how_much_and_why() -> None:
    figures = {"postgres_ratio_to_optuna": 5.0, "lock_errors": 2, "http_p99_ms": 100.0, "slowest_ms": None}
    summary = service._document({"store": figures}, BY_HAND)["summary"]
    why = "each commit waits for the disk"
    assert summary["missed"] == {
        "postgres_ratio_to_optuna": {"measured": 5.0, "aim": ">= 20", "times": 4.0, "why": why},
        "lock_errors": {"measured": 2, "aim": "<= 0", "times": None, "why": beside_aims.NOT_SAID},
    }
    assert service.LIMITS.keys() < service.AIMS.keys()


def test_measuring_on_keeps_what_people_wrote() -> None:
    for document in (service._document({}, BY_HAND), chaos._document([], BY_HAND)):
        assert BY_HAND.items() <= document.items()
        assert beside_aims.by_hand(document) == BY_HAND


def _scene(kind: str, seed: int, points: int, ratio: float) -> dict[str, Any]:
    nothing: dict[str, Any] = {what: [] for what in ("lost", "doubled", "out_of_order", "wrong")}
    return {"kind": kind, "seed": seed, "points": ["kill_api"] * points, "time_ratio": ratio, **nothing}


def test_scenes_are_played_until_there_are_points_enough_of_every_kind() -> None:
    scenes: list[dict[str, Any]] = []
    while (following := chaos._next(scenes, list(chaos.ORDER), seed=0)) is not None:
        scenes.append(_scene(*following, points=chaos.RAY_POINTS if following[0] == "ray" else chaos.POINTS, ratio=1.6))
    assert len({(one["kind"], one["seed"]) for one in scenes}) == len(scenes)
    summary = chaos._document(scenes, {})["summary"]
    assert summary["kill_points"] >= 200
    assert summary["missed"].keys() == {"worst_time_ratio"}
    assert summary["missed"]["worst_time_ratio"]["times"] == 1.07


def test_parts_that_were_never_measured_come_before_quick_ones() -> None:
    known: dict[str, Any] = {"store": {}, "http": {"quick": True}, "large_10000": {"quick": True}}
    lacking = service.lacking(known)
    assert "store" not in lacking
    assert lacking[-1] == "http"
    assert set(lacking) == set(service.parts(False)) - {"store"}
