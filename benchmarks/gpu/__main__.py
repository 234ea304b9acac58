"""`python -m benchmarks.gpu`: packs on a GPU beside Trainer + peft and beside the frozen base alone.

One command on a bare machine: no Ray, no service, no registry. Prints and stores each line as it is measured; a run
that is cut off goes on where it was. `--device cpu --tiny` runs the whole script on small models: it shows that the
script works, its numbers mean nothing, and they are never stored in the record of a GPU.

Where no package can be fetched: `pip install --no-index --no-deps --target DIR` the wheels of transformers, peft,
accelerate, pydantic, pydantic-core, annotated-types, typing-inspection and pyarrow, with DIR on PYTHONPATH.
"""

from __future__ import annotations

import argparse
import gc
import os
import tempfile
import time
from collections.abc import Sequence
from dataclasses import asdict
from functools import partial
from pathlib import Path

import peft
import torch
import transformers

from benchmarks.gpu import ours, peer
from benchmarks.gpu.cases import CASES, TINY, Case
from benchmarks.gpu.clock import Clock
from benchmarks.gpu.commit import commit
from benchmarks.gpu.profiling import profile
from benchmarks.gpu.record import Line, Record
from benchmarks.gpu.search import SIZES as SIZES_OF_SEARCH
from benchmarks.gpu.search import Asked, Size, in_packs, script_trial

RECORD = Path(__file__).resolve().parents[1] / "results" / "gpu.json"
SIZES = {"whole": (1, 4, 8, 16, 32), "quick": (1, 8, 32), "tiny": (1, 2)}
AUTOPEFT = {"whole": 16, "quick": 16, "tiny": 2}


def main(arguments: Sequence[str] | None = None) -> None:
    """Measure what is missing."""
    given = _parser().parse_args(arguments)
    device = torch.device(given.device)
    # Without it, a CPU's threads fight over the tiny models' products.
    if device.type == "cpu":
        torch.set_num_threads(1)
    form = "tiny" if given.tiny else "quick" if given.quick else "whole"
    path = given.out or (RECORD if device.type == "cuda" and not given.tiny else _elsewhere())
    cases = TINY if given.tiny else CASES[:2] if given.quick else CASES
    if given.profile:
        for case in cases:
            print(profile(case, device, SIZES[form][-1]))
        return
    record = Record(path, _environment(device, form))
    started = time.monotonic()
    for case in cases:
        _measure(case, device, form, record)
    if form in SIZES_OF_SEARCH and not given.no_search:
        _search(cases[0], device, SIZES_OF_SEARCH[form], record)
    record.save()
    print(f"stored in {path} after {time.monotonic() - started:.0f} s")


def _measure(case: Case, device: torch.device, form: str, record: Record) -> None:
    gpu = device.type == "cuda"
    clock = Clock(device, 8, 24) if gpu else Clock(device, 2, 3)

    def tokens_per_second(milliseconds: float, members: int) -> int:
        return round(members * case.rows * case.tokens / milliseconds * 1e3)

    def line(milliseconds: float, members: int) -> Line:
        return {
            "ms": round(milliseconds, 3),
            "tokens_per_s": tokens_per_second(milliseconds, members),
            "peak_gib": round(torch.cuda.max_memory_allocated() / 2**30, 2) if gpu else None,
        }

    def other_side() -> Line:
        return line(peer.trainer(case, device, clock), 1)

    def graph() -> Line:
        if not gpu:
            return {"failed": "no GPU: there are no graphs to capture"}
        return line(peer.captured(case, device, clock), 1)

    def fast() -> Line:
        found = ours.alone(case, device, gpu, clock)
        first.append(found.losses[0])
        return line(found.milliseconds, 1) | _ratios(record, case, found.milliseconds, 1)

    def frozen(members: int) -> Line:
        return line(ours.frozen(case, device, gpu, members, clock), members)

    def pack(members: int, method: str) -> Line:
        found = ours.pack(case, device, gpu, members, clock, method)
        own = line(found.milliseconds, members) | _ratios(record, case, found.milliseconds, members)
        if method == "lora":
            reference = first[0] if first else ours.alone(case, device, gpu, Clock(device, 1, 4)).losses[0]
            own["loss_difference"] = float(f"{ours.difference(found.losses[0], reference):.2g}")
        else:
            lora = record.find(case.name, "pack", members)
            own["of_lora_pack"] = round(lora["ms"] / found.milliseconds, 2) if lora and "ms" in lora else None
        return own | {"not_captured": found.captured}

    first: list[tuple[float, ...]] = []
    record.measure(case.name, "trainer", 1, other_side)
    record.measure(case.name, "trainer, captured", 1, graph)
    record.measure(case.name, "alone", 1, fast)
    for members in SIZES[form]:
        _fresh(gpu)
        record.measure(case.name, "frozen", members, partial(frozen, members))
        _fresh(gpu)
        record.measure(case.name, "pack", members, partial(pack, members, "lora"))
    if case.name.startswith("bert"):
        _fresh(gpu)
        record.measure(case.name, "autopeft pack", AUTOPEFT[form], partial(pack, AUTOPEFT[form], "autopeft"))


def _search(case: Case, device: torch.device, size: Size, record: Record) -> None:
    """A whole search on both sides. Trials of the script are lines of their own: a run that was cut off goes on."""
    asked, what = Asked(size), "search, trial of the script"

    def script(number: int) -> Line:
        config = asked.ask(number)
        seconds, loss = script_trial(case, device, config, size.steps)
        asked.tell(loss)
        return {"seconds": round(seconds, 3), "loss": round(loss, 4), "config": asdict(config), "asked": asked.by}

    for number in range(size.trials):
        if (known := record.find(case.name, what, number + 1)) is not None and "loss" in known:
            asked.know(known["config"], known["loss"])
        record.measure(case.name, what, number + 1, partial(script, number))

    def ours() -> Line:
        seconds, losses, reason = in_packs(case, device, device.type == "cuda", size)
        trials = [record.find(case.name, what, number + 1) for number in range(size.trials)]
        spent = [float(one["seconds"]) for one in trials if one is not None and "seconds" in one]
        ratio = round(sum(spent) / seconds, 2) if len(spent) == size.trials else None
        return {
            "seconds": round(seconds, 3), "over_script": ratio, "steps": size.steps, "trials": len(losses),
            "not_captured": reason,
        }  # fmt: skip

    _fresh(device.type == "cuda")
    record.measure(case.name, "search", size.trials, ours)


def _ratios(record: Record, case: Case, milliseconds: float, members: int) -> Line:
    """Over Trainer one after another, over the same captured, and of the frozen base alone."""
    found: Line = {}
    for name, what in (("over_trainer", "trainer"), ("over_captured", "trainer, captured")):
        other = record.find(case.name, what, 1)
        found[name] = round(members * other["ms"] / milliseconds, 2) if other and "ms" in other else None
    limit = record.find(case.name, "frozen", members)
    found["of_frozen"] = round(limit["ms"] / milliseconds, 2) if limit and "ms" in limit else None
    return found


def _fresh(gpu: bool) -> None:
    """Give back what the last line held, and count memory anew."""
    gc.collect()
    if gpu:
        torch.cuda.empty_cache()
        torch.cuda.reset_peak_memory_stats()


def _environment(device: torch.device, form: str) -> dict[str, str]:
    return {
        "gpu": torch.cuda.get_device_name() if device.type == "cuda" else "none",
        "torch": torch.__version__,
        "transformers": transformers.__version__,
        "peft": peft.__version__,
        "commit": commit(),
        "form": form,
    }


def _elsewhere() -> Path:
    return Path(tempfile.gettempdir()) / f"peftsearch-gpu-{os.getuid()}.json"


def _parser() -> argparse.ArgumentParser:
    parser = argparse.ArgumentParser(prog="python -m benchmarks.gpu", description=__doc__)
    parser.add_argument("--device", choices=("cuda", "cpu"), default="cuda")
    parser.add_argument("--tiny", action="store_true", help="small models, to see that the script runs")
    parser.add_argument("--quick", action="store_true", help="two models and fewer sizes: at most two minutes")
    parser.add_argument("--no-search", action="store_true", help="leave the whole search out (it is not in --quick)")
    parser.add_argument("--profile", action="store_true", help="where the time of one step of a pack goes, by part")
    parser.add_argument("--out", type=Path, help="file to store lines in, in place of the record")
    return parser


if __name__ == "__main__":
    main()
