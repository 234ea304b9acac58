"""Tunes a training script that knows nothing of peftsearch: `python examples/outside/tune.py JOB WORKER SCRIPT`.

Stop it, kill it, start it twice: under the same WORKER it gets its open trial back, and what has been trained is told.
"""

import json
import subprocess
import sys
from pathlib import Path

from peftsearch import Client
from peftsearch.errors import Conflict

job, worker, script = sys.argv[1:]
with Client() as client:
    while not client.job(job).over:
        try:
            if (trial := client.ask(job, worker, wait=10)) is None:
                continue
            metrics = Path(f"{trial['trial_id']}-{trial['attempt']}.json")
            if not metrics.exists():
                config, part = trial["config"], metrics.with_suffix(".part")
                flags = [f"--rank={config['rank']}", f"--learning-rate={config['learning_rate']}", f"--out={part}"]
                with subprocess.Popen([sys.executable, script, *flags]) as training:
                    while training.poll() is None:
                        try:
                            training.wait(trial["lease_seconds"] / 3)
                        except subprocess.TimeoutExpired:
                            client.ask(job, worker)  # still here: renews the lease
                if training.returncode == 0:
                    part.rename(metrics)
            told = {"trial_id": trial["trial_id"], "attempt": trial["attempt"], "status": "failed"}
            if metrics.exists():
                told |= {"status": "completed", "metrics": json.loads(metrics.read_text())}
            else:
                told |= {"reason": f"{script} ended with status {training.returncode}"}
            client.tell(told)
        except Conflict:
            continue  # the job is over, or the trial was given to another worker
