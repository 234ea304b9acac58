"""`python -m benchmarks.chaos`: plays scenes until 200 faults have been survived, in parts if need be.

    python -m benchmarks.chaos --minutes 9 --out benchmarks/results/chaos.json

Every scene is a job under faults at seeded moments, and `checker` reads what is left. An undisturbed run of the same
job is measured at the beginning of each part, on the same machine; `time_ratio` compares with that. Scenes that the
file has already are not played again; kinds with the fewest of theirs come first. A point costs four to five seconds of
a scene of outside workers, and half a minute with Ray, which starts again after most of its faults.
"""

from __future__ import annotations

import argparse
import json
import os
import platform
import signal
import sys
import time
from collections import Counter
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from benchmarks.beside_aims import Limits, by_hand, missed
from benchmarks.chaos import ray_scene, scene
from benchmarks.chaos.checker import Verdict
from benchmarks.chaos.scene import Played

WANTED = 200
AIMS = {"kill_points": WANTED, "lost": 0, "doubled": 0, "out_of_order": 0, "worst_time_ratio": 1.5}
LIMITS: Limits = {name: (">=" if name == "kill_points" else "<=", aim) for name, aim in AIMS.items()}
TRIALS, POINTS, GAP = 72, 16, 2.6
RAY_TRIALS, RAY_POINTS, RAY_GAP = 16, 4, 12.0
ORDER = ("sqlite", "postgres", "ray")
SHARES = {"sqlite": 7, "postgres": 7, "ray": 2}
"""Scenes of each kind: 200 points and some more, as a job may end before its last fault."""

LEAST = {"sqlite": 4, "postgres": 4, "ray": 2}
"""Scenes of each kind without which 200 points are no sample of all faults."""


def play(kind: str, seed: int, disturbed: bool) -> Played:
    """One scene."""
    if kind == "ray":
        return ray_scene.play(seed, RAY_TRIALS, RAY_POINTS if disturbed else 0, RAY_GAP)
    return scene.play(kind, seed, TRIALS, POINTS if disturbed else 0, GAP)


def summary(scenes: list[dict[str, Any]]) -> dict[str, Any]:
    """The figures of all scenes played so far, beside their aims."""
    ratios = [one["time_ratio"] for one in scenes]
    return {
        "kill_points": sum(len(one["points"]) for one in scenes),
        **{what: sum(len(one[what]) for one in scenes) for what in ("lost", "doubled", "out_of_order", "wrong")},
        "worst_time_ratio": max(ratios, default=None),
        "median_time_ratio": sorted(ratios)[len(ratios) // 2] if ratios else None,
        "aims": AIMS,
        "scenes": len(scenes),
        "by_kind": dict(sorted(Counter(point for one in scenes for point in one["points"]).items())),
    }


def main() -> int:
    """Play what is left. Exit status 1 when anything was lost, doubled, out of order or wrong."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--out", type=Path, default=Path("benchmarks/results/chaos.json"))
    parser.add_argument("--minutes", type=float, default=20, help="begin no further scene after this long")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--kinds", nargs="+", choices=ORDER, default=list(ORDER))
    arguments = parser.parse_args()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(143))  # a part that is cut short ends the processes of its scene
    known = json.loads(arguments.out.read_text()) if arguments.out.exists() else {}
    scenes: list[dict[str, Any]] = known.get("scenes", [])
    deadline, undisturbed = time.monotonic() + 60 * arguments.minutes, {}
    while (following := _next(scenes, arguments.kinds, arguments.seed)) is not None and time.monotonic() < deadline:
        kind, seed = following
        if kind not in undisturbed:
            undisturbed[kind] = play(kind, seed, disturbed=False).seconds
        scenes.append(_record(kind, seed, undisturbed[kind]))
        print(json.dumps(scenes[-1]), flush=True)
        arguments.out.write_text(json.dumps(_document(scenes, known), indent=1) + "\n")
    told = summary(scenes)
    json.dump(told, sys.stdout, indent=2)
    print()
    return int(any(told[what] for what in ("lost", "doubled", "out_of_order", "wrong")))


def _next(scenes: list[dict[str, Any]], kinds: list[str], seed: int) -> tuple[str, int] | None:
    """The kind and seed of the scene to play: of the kind that lacks the largest part of its scenes, so that a part of
    the run is a sample of all; None when there are points enough, of every kind."""
    played = Counter(one["kind"] for one in scenes)
    known = {(one["kind"], one["seed"]) for one in scenes}
    enough = sum(len(one["points"]) for one in scenes) >= WANTED
    lacking = [kind for kind in kinds if played[kind] < (LEAST if enough else SHARES)[kind]]
    if not lacking:
        return None
    kind = min(lacking, key=lambda kind: (played[kind] / SHARES[kind], ORDER.index(kind)))
    return kind, next(one for one in range(seed * 1000, seed * 1000 + len(known) + 1) if (kind, one) not in known)


def _record(kind: str, seed: int, undisturbed: float) -> dict[str, Any]:
    load = os.getloadavg()[0]
    try:
        played = play(kind, seed, disturbed=True)
    except TimeoutError as error:
        played = Played(float("inf"), [], Verdict(wrong=[str(error)]))
    return {
        "kind": kind,
        "seed": seed,
        "points": played.points,
        "seconds": round(played.seconds, 1),
        "undisturbed_seconds": round(undisturbed, 1),
        "time_ratio": round(played.seconds / undisturbed, 2),
        **played.verdict.__dict__,
        "load": round(load, 1),
    }


def _document(scenes: list[dict[str, Any]], before: Mapping[str, Any]) -> dict[str, Any]:
    """The result file of these scenes; what people wrote into the one before stays."""
    told = summary(scenes)
    return {
        "benchmark": "chaos",
        "what": "jobs under faults at seeded moments; time_ratio: beside an undisturbed run on the same machine",
        "summary": told | {"missed": missed(told, LIMITS, before)},
        "machine": {"cpus": os.cpu_count(), "python": platform.python_version()},
        "scenes": scenes,
        **by_hand(before),
    }


if __name__ == "__main__":
    sys.exit(main())
