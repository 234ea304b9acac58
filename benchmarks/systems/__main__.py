"""`python -m benchmarks.systems`: run the job file of every system, one after another, and print a line for each.

A run that was stopped goes on where it was; a job whose file has changed since is run again. `--only 16 24` runs some
rows, `--page` runs none and writes docs/systems.md.
"""

from __future__ import annotations

import argparse
import hashlib
import json
import sys
import time
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from benchmarks.systems.page import PAGE, page
from benchmarks.systems.register import FOLDER, System, systems
from peftsearch import Client
from peftsearch.cli import jobfile
from peftsearch.cli.demo import serving
from peftsearch.errors import PeftsearchError

HOME = Path("build") / "systems"
LONGEST = 600.0  # seconds for a job


def main() -> None:
    """Read the command line, run what is left, print; exits with 1 when a job did not complete."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter)
    parser.add_argument("--home", type=Path, default=HOME, help="folder of the service and the results (%(default)s)")
    parser.add_argument("--only", type=int, nargs="+", metavar="ROW")
    parser.add_argument("--page", action="store_true", help="write docs/systems.md and run nothing")
    given = parser.parse_args()
    rows = systems()
    if given.page:
        PAGE.write_text(page(rows), encoding="utf-8")
        return
    given.home.mkdir(parents=True, exist_ok=True)
    results = given.home / "results.jsonl"
    chosen = [row for row in rows if row.job and (not given.only or row.number in given.only)]
    files = {row.number: _digest(FOLDER / str(row.job)) for row in chosen}
    before = done(results, files)
    left = [row for row in chosen if row.number not in before]
    for line in run(left, given.home) if left else ():
        with results.open("a", encoding="utf-8") as file:
            file.write(json.dumps(line | {"file": files[line["number"]]}) + "\n")
        print(shown(line), flush=True)
    told = done(results, files)
    failed = [row.number for row in chosen if row.number not in told]
    minutes = sum(line["seconds"] for line in told.values()) / 60
    ended = f"{len(chosen) - len(failed)} of {len(chosen)} jobs completed in {minutes:.1f} minutes"
    print(ended + (f", {len(before)} of them earlier" if before else "") + (f"; not: {failed}" if failed else ""))
    sys.exit(bool(failed))


def done(results: Path, files: Mapping[int, str]) -> Mapping[int, dict[str, Any]]:
    """What has completed, by row, of those whose job file is still the one in `files`."""
    lines = results.read_text(encoding="utf-8").splitlines() if results.is_file() else ()
    told = [line for line in map(json.loads, lines) if line.get("file") == files.get(line["number"], "")]
    return {line["number"]: line for line in told if line["state"] == "completed"}


def _digest(file: Path) -> str:
    return hashlib.sha256(file.read_bytes()).hexdigest()


def run(rows: Sequence[System], home: Path) -> Iterator[dict[str, Any]]:
    """Submit the jobs one after another to a service of their own; how each ended."""
    with (
        serving(home.absolute(), FOLDER.parents[1]) as url,
        Client(url, (home / "token").read_text().strip()) as client,
    ):
        for row in rows:
            started = time.monotonic()
            state, said = _submitted(client, FOLDER / str(row.job), started + LONGEST)
            seconds = round(time.monotonic() - started, 1)
            yield {"number": row.number, "system": row.system, "state": state, "said": said, "seconds": seconds}


def _submitted(client: Client, file: Path, until: float) -> tuple[str, str]:
    """State and result of a job; what it was refused for counts as failed."""
    try:
        job = client.submit(jobfile.read(file))
        while not job.over and time.monotonic() < until:
            time.sleep(0.5)
            job = client.job(job.id)
    except PeftsearchError as error:
        return "failed", " ".join(str(error).split())
    if not job.over:
        client.cancel(job.id)
        return "failed", f"not done after {LONGEST:.0f} s"
    best = ", ".join(f"{name} {value:.4g}" for name, value in job.best.items())
    if job.progress.failed:
        return "failed", f"{job.progress.failed} trials failed"
    return job.state, best or (job.reason or "")


def shown(line: Mapping[str, Any]) -> str:
    """A line for people."""
    return f"{line['number']:3d}  {line['system']:36s} {line['state']:10s} {line['seconds']:6.1f} s  {line['said']}"


if __name__ == "__main__":
    main()
