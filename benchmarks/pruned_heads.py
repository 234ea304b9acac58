"""`python -m benchmarks.pruned_heads`: what `dsee` saves in time, by the share of heads taken out; as JSON.

A pass of `builtin:minilm` with the adapter over one without it, of one row and of 32, in processor time of one thread.
Which heads go does not matter to the clock, so nothing is trained; pruned weights are zeros in dense matrices.
"""

from __future__ import annotations

import json
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

RESULTS = Path(__file__).resolve().parent / "results" / "pruned_heads.json"
SHARES = (0.0, 0.25, 0.5, 0.75)
TOKENS = 64


def main() -> None:
    """Measure, print, write."""
    import torch

    from workers.methods.registry import method
    from workers.models.loading import load_base
    from workers.running import latency

    torch.set_num_threads(1)
    base, found = load_base("builtin:minilm", 2), []
    for share in SHARES:
        knobs = {"pruned_heads": share, "sparsity": 0.5, "entries": 64, "rank": 4}
        attached = method("dsee").attach(base, knobs, 0, None)
        attached.set_training(False)
        anatomy = base.description.anatomy
        times = {
            name: latency.times_longer(
                attached.model, base.model, attached.without, anatomy, rows, TOKENS, time.process_time
            )
            for name, rows in latency.ROWS.items()
        }
        attached.detach()
        found.append({"pruned_heads": share} | {name: str(ratio) for name, ratio in times.items()})
        print(json.dumps(found[-1]), flush=True)
    RESULTS.write_text(json.dumps({"tokens": TOKENS, "over the base": found}, indent=1) + "\n")


if __name__ == "__main__":
    main()
