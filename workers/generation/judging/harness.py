"""Measures a model by a task of lm-evaluation-harness, from a local task file. Needs torch and the extra `lm-eval`."""

from __future__ import annotations

import logging
import random
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import torch
from torch import nn

from workers.errors import InvalidInput
from workers.generation.judging.places import check_task, code_file
from workers.generation.judging.rows import JudgeFailed
from workers.generation.judging.section import HarnessJudge

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


def measure(judge: HarnessJudge, model: nn.Module, tokenizer: PreTrainedTokenizerBase, folders: Sequence[str]) -> float:
    """What the model reaches by the task's metric. Raises `JudgeFailed`."""
    try:
        file = code_file(judge, folders)
        check_task(judge, file)
        with _own_draws(), torch.inference_mode():
            results = _evaluate(judge, file, model, tokenizer)
    except InvalidInput as error:
        raise JudgeFailed(f"{judge.name}: {error}") from None
    except Exception as error:  # whatever a task file can provoke costs its metric, not the trained model
        raise JudgeFailed(f"{judge.name}: {judge.file}: {type(error).__name__}: {error}") from error
    value = next((value for name, value in results.items() if name.partition(",")[0] == judge.result), None)
    if not isinstance(value, int | float):
        names = sorted({name.partition(",")[0] for name, one in results.items() if isinstance(one, float)})
        raise JudgeFailed(f"{judge.name}: `result` is {judge.result!r}; allowed: {', '.join(names) or 'none came'}")
    if not judge.low <= value <= judge.high:
        raise JudgeFailed(f"{judge.name}: found {value:g}; allowed: {judge.low:g} to {judge.high:g}")
    return float(value)


def _evaluate(
    judge: HarnessJudge, file: Path, model: nn.Module, tokenizer: PreTrainedTokenizerBase
) -> Mapping[str, Any]:
    """Results of the task by `metric,filter`."""
    from lm_eval import simple_evaluate
    from lm_eval.models.huggingface import HFLM
    from lm_eval.tasks import TaskManager
    from lm_eval.tasks._yaml_loader import load_yaml

    for name in ("lm_eval", "lm-eval"):
        logging.getLogger(name).setLevel(logging.ERROR)
    task = load_yaml(file)
    options = dict(task.get("dataset_kwargs") or {})
    options["data_files"] = _absolute(options.get("data_files"), file.parent)
    found = simple_evaluate(
        model=HFLM(pretrained=model, tokenizer=tokenizer, batch_size=judge.batch_size, backend="causal"),
        tasks=[task | {"dataset_kwargs": options}],
        limit=judge.limit,
        task_manager=TaskManager(include_defaults=False),
        bootstrap_iters=0,
        log_samples=False,
    )
    results: Mapping[str, Any] = found["results"][task["task"]]
    return results


def _absolute(files: Any, folder: Path) -> Any:
    """Data files as a task names them, relative to its own folder."""
    if isinstance(files, str):
        return str(folder / files)
    if isinstance(files, Mapping):
        return {split: _absolute(one, folder) for split, one in files.items()}
    return [_absolute(one, folder) for one in files or ()]


@contextmanager
def _own_draws() -> Iterator[None]:
    """The harness seeds every generator there is; trials that train beside this one go on with theirs."""
    python, numpy = random.getstate(), np.random.get_state()  # the one that it seeds
    with torch.random.fork_rng():
        try:
            yield
        finally:
            random.setstate(python)
            np.random.set_state(numpy)
