"""`python -m benchmarks.sft`: a trial beside TRL's `SFTTrainer`, all layers and the uppermost ones, and one of
preferences beside its `DPOTrainer`, in one run.

Each side runs in a process of its own, on one core, one after the other, and so do the products that both need.
Processor time is compared: what else the machine does makes little difference to it. The record goes to
`benchmarks/results/sft.json` (`sft.quick.json` with --quick).
"""

from __future__ import annotations

import argparse
import json
import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import numpy as np

from benchmarks.sft.plan import Plan, pairs_plan, plan
from workers.engines.precision import Precision

HERE = Path(__file__).parent
RESULTS = HERE.parent / "results"
PEER = HERE.parents[1] / ".venv-trl" / "bin" / "python"
EPOCHS, STEPS = 3, 10  # steps of an epoch
BATCH = {"full": 8, "quick": 2}
# Layers, whether an earlier trial has stored the states below, and the number format of products.
CASES: dict[str, tuple[int | None, bool, Precision]] = {
    "all layers": (None, False, "fp32"),
    "upper four layers": (4, False, "fp32"),
    "upper four layers, a later trial": (4, True, "fp32"),
    "all layers, bfloat16": (None, False, "bf16"),
    "upper four layers, a later trial, bfloat16": (4, True, "bf16"),
}
# Of preferences, whether an earlier trial has stored what the base says of the pairs.
PREFERENCES = {"preferences": False, "preferences, a later trial": True}
PAIRS = {"full": 4, "quick": 1}


def main() -> None:
    """Measure and print the summary."""
    parser = argparse.ArgumentParser(prog="python -m benchmarks.sft", description=__doc__)
    parser.add_argument("--quick", action="store_true", help="batches of 2 rows; at most five minutes on idle cores")
    parser.add_argument("--peer", type=Path, default=PEER, help="the Python that has TRL")
    parser.add_argument("--epochs", type=int, default=EPOCHS)
    parser.add_argument("--steps", type=int, default=STEPS, help="of an epoch")
    parser.add_argument("--results", type=Path, default=RESULTS, help="the folder of the record")
    parser.add_argument(
        "--cases", nargs="+", choices=[*CASES, *PREFERENCES], default=[*CASES, *PREFERENCES], help="all by default"
    )
    given = parser.parse_args()
    form = "quick" if given.quick else "full"
    record: dict[str, Any] = {
        "form": form,
        "epochs": given.epochs,
        "steps": given.epochs * given.steps,
        "load": os.getloadavg()[0],
        "rows_per_step": BATCH[form],
        "peer": versions(given.peer, ("trl", "transformers", "peft", "torch")),
    }
    for name in given.cases:
        if name in PREFERENCES:
            chosen = pairs_plan(given.steps, given.epochs, PAIRS[form], PREFERENCES[name])
            own, peer = "our_preferences", "preference_trainer.py"
        else:
            chosen, own, peer = plan(given.steps, given.epochs, BATCH[form], *CASES[name]), "ours", "peer.py"
        ours = _run([sys.executable, "-m", f"benchmarks.sft.{own}"], chosen)
        theirs = _run([str(given.peer), str(HERE / peer)], chosen)
        products = _run([sys.executable, "-m", "benchmarks.sft.products"], chosen)
        record[name] = compared(chosen, ours, theirs, products["processor_seconds"])
        _save(record, given.results / ("sft.quick.json" if given.quick else "sft.json"))
    print(json.dumps(record, indent=1))


def compared(chosen: Plan, ours: dict[str, Any], theirs: dict[str, Any], products: float) -> dict[str, Any]:
    """The two sides of one case: how far their losses lie apart, and how much faster and smaller ours is.

    `products` are processor seconds of the products with frozen weights that a step cannot do without: what TRL takes
    over these is how much faster anything could be that computes them on this machine.
    """
    tokens = chosen["epochs"] * sum(map(len, chosen["input_ids"]))
    sides = {"ours": ours, "trl": theirs}
    apart = np.abs(np.array(ours["losses"]) - np.array(theirs["losses"]))
    return {
        "tokens": tokens,
        "largest_difference_of_losses": float(apart.max()),
        "times_faster": theirs["processor_seconds"] / ours["processor_seconds"],
        "times_faster_if_all_but_products_were_free": theirs["processor_seconds"] / products,
        "share_of_ours_that_is_products": products / ours["processor_seconds"],
        "times_faster_by_wall_clock": theirs["seconds"] / ours["seconds"],
        "memory_over_trl": ours["memory_mb"] / max(theirs["memory_mb"], 1.0),
        **{
            side: {**one, "tokens_per_processor_second": tokens / one["processor_seconds"]}
            for side, one in sides.items()
        },
    }


def _run(command: list[str], chosen: Plan) -> dict[str, Any]:
    done = subprocess.run(command, input=json.dumps(chosen), stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, Any] = json.loads(done.stdout.strip().splitlines()[-1])
    return found


def versions(peer: Path, names: tuple[str, ...]) -> dict[str, str]:
    """Of packages in the environment of another Python."""
    code = "import json, importlib.metadata as m; print(json.dumps({n: m.version(n) for n in %r}))"
    done = subprocess.run([str(peer), "-c", code % (names,)], stdout=subprocess.PIPE, text=True, check=True)
    found: dict[str, str] = json.loads(done.stdout)
    return found


def _save(record: dict[str, Any], path: Path) -> None:
    path.write_text(json.dumps(record, indent=1) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
