"""Runs a judge's file: `python -P file_runner.py FILE FUNCTION DESCRIPTOR`, rows as JSON on stdin.

Its scores go to the descriptor, whatever it prints to the log. It imports nothing of ours.
"""

from __future__ import annotations

import importlib.util
import json
import os
import sys


def main() -> None:
    """Score once. A fault of the file ends the process with its traceback."""
    file, function, descriptor = sys.argv[1:]
    rows = json.load(sys.stdin)
    sys.path.insert(0, os.path.dirname(file))  # what lies beside it can be imported
    spec = importlib.util.spec_from_file_location("judge", file)
    if spec is None or spec.loader is None:
        raise ImportError(file)
    module = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(module)
    scores = [float(score) for score in getattr(module, function)(rows)]
    with os.fdopen(int(descriptor), "w") as target:
        json.dump(scores, target)


if __name__ == "__main__":
    main()
