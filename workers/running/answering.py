"""Answers of a trial's model at the end of its training, beside those of its base. Needs torch."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

from workers.assignment import Split
from workers.data.chat.template import chat_template
from workers.engines.resident import ResidentBase
from workers.errors import InvalidInput
from workers.generation.evaluation import Question, Written, evaluate, questions
from workers.generation.judging.scoring import Panel
from workers.generation.section import ANSWERS_FILE, GenerationSpec
from workers.methods.attached import Attached
from workers.models.loading import load_tokenizer
from workers.running.workbench import PreparedData, Workbench
from workers.tasks.section import TaskSection

if TYPE_CHECKING:
    from transformers import PreTrainedTokenizerBase


@dataclass(frozen=True)
class Asked:
    """What every trial of a job is asked, what the base answers, and who judges. Without `spec` nothing is written: the
    model alone is measured, by the tasks of the panel."""

    spec: GenerationSpec | None
    questions: tuple[Question, ...]
    tokenizer: PreTrainedTokenizerBase
    base: Written
    panel: Panel


def ask(
    task: TaskSection, data: PreparedData, split: Split, resident: ResidentBase, shards: int, workbench: Workbench
) -> Asked | None:
    """The questions of a job, answered by the base once for all processes of the machine; None where it has none.

    Call it while the base carries no adapter. Raises `InvalidInput`.
    """
    spec: GenerationSpec | None = getattr(task, "generation", None)
    panel = Panel.of(getattr(task, "judges", ()), split == "test", workbench.judging())
    if spec is None and not panel.tasks:
        return None
    if shards > 1:
        field = "task.judges" if spec is None else "task.generation"
        raise InvalidInput(field, f"with a base in {shards} parts", "a base that is whole (`shards: 1`)")
    tokenizer = _tokenizer(task)
    if spec is None:
        return Asked(None, (), tokenizer, Written({}, [], []), panel)
    tokens = data.tokens.validation if split == "validation" else data.tokens.test
    assert tokens is not None  # `data.split` has refused a task without such rows
    model = resident.base.model
    asked = tuple(questions(tokens, tokenizer, spec, data.pairs.get(split), model.generation_config))
    key = (resident.weights_hash, spec.model_dump_json(), [asdict(one) for one in asked], tokenizer.chat_template)
    answers = Written(**workbench.once("written", key, lambda: asdict(evaluate(model, tokenizer, asked, spec))))
    # Services may answer otherwise tomorrow: what they said of the base is kept by this process alone.
    here = json.dumps([*key, [one.model_dump() for one in panel.judges]])
    base = workbench.judged.get(here) or panel.judged(answers, asked, tokenizer, patient=False)
    workbench.judged = {} if base.unmeasured else {here: base}
    return Asked(spec, asked, tokenizer, base, panel)


def answers_of(attached: Attached, asked: Asked) -> Written:
    """What the trained model answers, and what it reaches by the job's own metrics."""
    attached.set_training(False)
    try:
        written = asked.base
        if asked.spec is not None:
            written = evaluate(attached.model, asked.tokenizer, asked.questions, asked.spec)
            written = asked.panel.judged(written, asked.questions, asked.tokenizer)
        return asked.panel.measured(written, attached.model, asked.tokenizer)
    finally:
        attached.set_training(True)


def keep_answers(folder: Path, written: Written, asked: Asked) -> None:
    """Write the kept answers into the folder of an adapter, each beside that of the base."""
    if asked.spec is None:
        return
    rows = [
        {**own, "base": {"answer": theirs["answer"], "scores": theirs["scores"]}}
        for own, theirs in zip(written.kept, asked.base.kept, strict=True)
    ]
    found: dict[str, Any] = {
        "settings": asked.spec.model_dump(exclude_none=True),
        "rows": len(asked.questions),
        "metrics": written.metrics,
        "base_metrics": asked.base.metrics,
        "answers": rows,
    }
    (folder / ANSWERS_FILE).write_text(json.dumps(found, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _tokenizer(task: TaskSection) -> PreTrainedTokenizerBase:
    tokenizer = load_tokenizer(task.model, task.added_tokens())
    path = getattr(task, "chat_template_path", None)
    own = None if path is None else chat_template(task.model, path)
    if own is not None:
        tokenizer.chat_template = own.source
    return tokenizer
