"""Commands that take what a job found to other tools."""

from __future__ import annotations

from collections.abc import Mapping
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import Annotated, Any

import typer
import yaml

from peftsearch import measured, mlflow_runs, publishing, studies, sweeps
from peftsearch.cli import assignments, jobfile
from peftsearch.cli.options import JobId, Token, TrialId, Url, connect
from peftsearch.cli.output import console
from peftsearch.cli.tables import read_csv
from peftsearch.model_card import tell_search

app = typer.Typer()
BATCH = 1000  # trials in a request
_TABLES = {".csv": studies.write_csv, ".parquet": studies.write_parquet}


@app.command("import")
def import_trials(
    job_id: JobId,
    source: Annotated[str, typer.Argument(help="FILE.csv, or an Optuna storage: sqlite:///FILE.db")],
    study: Annotated[str | None, typer.Option(help="Name of the Optuna study [default: the only one]")] = None,
    rename: Annotated[
        list[str] | None,
        typer.Option(metavar="THEIRS=OURS", help="lr=learning_rate; `notes=` drops it (repeatable)"),
    ] = None,
    constant: Annotated[
        list[str] | None, typer.Option("--set", metavar="NAME=VALUE", help="What all had: method=lora (repeatable)")
    ] = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Add trials that were measured elsewhere to a job: the search learns from them."""
    constants = {name: assignments.value_of(text) for name, text in assignments.read("--set", constant or ()).items()}
    naming = measured.Naming(dict(_parted(text) for text in rename or ()), constants)
    with connect(url, token) as client:
        objectives = client.job(job_id).objectives
        try:
            if "://" in source:
                trials = measured.from_study(source, study, objectives, naming)
            else:
                rows = (_cells(row) for _, row in read_csv(Path(source)))
                trials = measured.from_rows(rows, objectives, naming)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
        told = [client.add_trials(job_id, trials[start : start + BATCH]) for start in range(0, len(trials), BATCH)]
    added, left_out = (sum(one[name] for one in told) for name in ("added", "left_out"))
    known = f"; {left_out} were there already" if left_out else ""
    console.print(f"{added} trials of {source} are in {job_id}{known}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def sweep(
    file: Annotated[Path, typer.Argument(metavar="SWEEP", help="Sweep file of W&B (YAML)")],
    job: Annotated[Path, typer.Argument(metavar="JOB_FILE", help="Job file with the task and the method")],
    rename: Annotated[
        list[str] | None, typer.Option(metavar="THEIRS=OURS", help="lr=learning_rate; `seed=` drops it (repeatable)")
    ] = None,
) -> None:
    """Print a job file that searches what a W&B sweep file says, on the task of a job file."""
    try:
        found = sweeps.job_of(jobfile.read(file), jobfile.read(job), dict(_parted(text) for text in rename or ()))
    except ValueError as error:
        raise typer.BadParameter(f"{file}: {error}") from None
    print(yaml.safe_dump(found, sort_keys=False), end="")


def _cells(row: Mapping[str, str]) -> dict[str, Any]:
    return {name: assignments.value_of(cell) for name, cell in row.items()}


def _parted(text: str) -> tuple[str, str]:
    theirs, found, ours = text.partition("=")
    if not (theirs and found):
        raise assignments.refused("--rename", text, "THEIRS=OURS, such as lr=learning_rate")
    return theirs, ours


@app.command("export-study")
def export_study(
    job_id: JobId,
    target: Annotated[
        str,
        typer.Argument(help="FILE.csv, FILE.parquet, an Optuna storage (sqlite:///FILE.db) or MLflow (http://HOST)"),
    ],
    study: Annotated[str | None, typer.Option(help="Name of the study or experiment [the job's name and id]")] = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Write the trials of a job as a table, as an Optuna study, or as runs of an MLflow tracking server."""
    write = _TABLES.get(Path(target).suffix.lower())
    if "://" not in target and write is None:
        raise typer.BadParameter(
            f"target: found {target!r}; allowed: FILE.csv, FILE.parquet or URL such as sqlite:///x.db"
        )
    if "://" not in target and study is not None:
        raise typer.BadParameter("study: only an Optuna storage has studies")
    with connect(url, token) as client:
        job, trials = client.job(job_id), client.trials(job_id)
        if target.startswith(("http://", "https://")):
            count = mlflow_runs.write_runs(job, trials, client.reports, target, study)
            console.print(f"{count} trials of {job_id} are in {target}", markup=False, highlight=False, soft_wrap=True)
            return
    if "://" in target or write is None:
        count = studies.write_study(f"{job.name} ({job.id})", job.objectives, trials, target, study)
    else:
        count = write(trials, Path(target))
    console.print(f"{count} trials of {job_id} are in {target}", markup=False, highlight=False, soft_wrap=True)


@app.command()
def push(
    trial_id: TrialId,
    repository: Annotated[str, typer.Argument(metavar="OWNER/NAME", help="Model repository, made if it is not there")],
    private: Annotated[bool, typer.Option("--private", help="Make it a private one")] = False,
    hub: Annotated[
        str | None, typer.Option(envvar="HF_ENDPOINT", metavar="URL", help="Address of the hub [the public one]")
    ] = None,
    hub_token: Annotated[
        str | None, typer.Option(envvar="HF_TOKEN", help="Token of the hub [default: what `hf auth login` left]")
    ] = None,
    url: Url = None,
    token: Token = None,
) -> None:
    """Publish the adapter of a trial on a Hugging Face hub, with a model card."""
    with TemporaryDirectory() as scratch:
        with connect(url, token) as client:
            folder = client.export(trial_id, Path(scratch) / "adapter")
            job = tell_search(client, folder, trial_id)
        publishing.finish_card(folder, repository, job.spec["task"])
        try:
            place = publishing.push(folder, repository, hub_token, private, hub)
        except ValueError as error:
            raise typer.BadParameter(str(error)) from None
    console.print(f"adapter of {trial_id} is at {place}", markup=False, highlight=False, soft_wrap=True)
