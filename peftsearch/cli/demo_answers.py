"""The end of a demo on a language model: the winner as a plain checkpoint, asked beside its base in a fresh process."""

from __future__ import annotations

import json
import shutil
import subprocess
import sys
from pathlib import Path

from peftsearch import Client, checkpoints
from peftsearch.cli.output import console
from peftsearch.results import Trial

ANSWERS_FILE = "generations.json"
SCRIPT = "check_answers.py"


def answers_better(client: Client, best: Trial, folder: Path, model: str, examples: Path) -> bool:
    """Export the winner, merge it, and ask it and its base what was kept of the held-out questions, with plain
    transformers in a process of their own. Whether the merged model's answers are nearer to the references."""
    adapter = client.export(best.id, folder / best.id)
    merged = folder / f"{best.id}-merged"
    shutil.rmtree(merged, ignore_errors=True)
    checkpoints.merge(adapter, merged)
    kept = json.loads((adapter / ANSWERS_FILE).read_text(encoding="utf-8"))
    questions = folder / f"{best.id}-questions.json"
    questions.write_text(json.dumps(kept["answers"]), encoding="utf-8")
    script = [sys.executable, str(examples / SCRIPT), str(merged), _base_folder(model), str(questions)]
    command = [*script, str(kept["settings"]["max_new_tokens"])]
    lines = subprocess.run(command, check=True, stdout=subprocess.PIPE, text=True).stdout.splitlines()
    console.print("\n".join(lines[:-1]), markup=False, highlight=False, soft_wrap=True)
    found = json.loads(lines[-1])
    better = bool(found["merged"] > found["base"])
    console.print(
        f"\nBest trial: {best.id}, merged into {merged}\n"
        f"  rouge_l in the search: base {kept['base_metrics']['rouge_l']:.3f}, winner {kept['metrics']['rouge_l']:.3f}"
        f" ({kept['rows']} questions)\n"
        f"  words shared with the reference, plain transformers: base {found['base']:.3f}, merged {found['merged']:.3f}"
        f" ({found['questions']} questions)   {'better' if better else 'NOT BETTER'}",
        markup=False,
        highlight=False,
    )
    return better


def _base_folder(model: str) -> str:
    """Where plain transformers finds the base of a job."""
    code = "import sys; from workers.models.references import resolve; print(resolve(sys.argv[1]))"
    done = subprocess.run([sys.executable, "-P", "-c", code, model], check=True, stdout=subprocess.PIPE, text=True)
    return done.stdout.strip()
