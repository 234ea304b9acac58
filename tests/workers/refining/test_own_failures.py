"""`own_failures`: rounds of preferences whose rejected sides are what the model itself got wrong."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from safetensors.torch import load_file
from torch import nn

from service.jobs.refine.results import result_config
from tests.workers.refining.winners import Winner, refined, trained
from tests.workers.tiny_language_model import save_tiny_llama
from workers.assignment import Outcome
from workers.engines.frozen import beside_model
from workers.engines.inputs import Inputs
from workers.errors import InvalidInput
from workers.hyperparameters import Hyperparameters
from workers.methods.loading import load_adapter
from workers.models.description import describe_for
from workers.models.heads import CAUSAL
from workers.models.loading import load_base, load_tokenizer
from workers.models.token_scores import token_scores
from workers.refining.own_answers import Failure, Rehearsal, pairs_of
from workers.running.workbench import Workbench
from workers.tasks.catalogue.causal_lm import CausalLMSpec
from workers.tasks.catalogue.preference import pair_criterion
from workers.tasks.criterion import IGNORED

ANSWERS = {"a": "the cat", "b": "the mat", "c": "on four"}
LORA = {"method": "lora", "rank": 8, "learning_rate": 0.02, "batch_size": 4, "warmup_ratio": 0.0}
CHOICE: Mapping[str, Any] = {
    "way": "pairs",
    "rounds": 1,
    "rows": 24,
    "failed_below": 1.0,
    "loss_type": "orpo",
    "beta": 0.1,
    "learning_rate": 5e-3,
    "epochs": 12.0,
}


@pytest.fixture(scope="module")
def task(tmp_path_factory: pytest.TempPathFactory) -> CausalLMSpec:
    folder = tmp_path_factory.mktemp("rows")
    save_tiny_llama(folder / "model")
    for role, numbers in (("train", range(8)), ("validation", range(8, 12))):
        rows = [
            {"prompt": f"{key} {number}:", "completion": f" {said}"}
            for number in numbers
            for key, said in ANSWERS.items()
        ]
        (folder / f"{role}.jsonl").write_text("\n".join(map(json.dumps, rows)))
    return CausalLMSpec(
        model=str(folder / "model"),
        train=str(folder / "train.jsonl"),
        validation=str(folder / "validation.jsonl"),
        max_length=64,
        generation={"max_new_tokens": 10, "metrics": ["exact_match"]},
    )


@pytest.fixture(scope="module")
def halfway(bench: Workbench, task: CausalLMSpec) -> Winner:
    """A winner that gets some of its rows right."""
    return trained(bench, LORA, task=task, epochs=12, precision="fp32")


def _refined(bench: Workbench, task: CausalLMSpec, winner: Winner, **changes: Any) -> Outcome:
    choice = {**CHOICE, **changes}
    config = result_config("own_failures", choice, [winner.config], describe_for(task))
    return refined(
        bench, "own_failures", choice, [winner], config, task=task, epochs=choice["epochs"], precision="fp32"
    )


def _model(bench: Workbench, task: CausalLMSpec, sha256: str, folder: Path) -> Any:
    model = load_adapter(task.model, bench.artifacts.extract(sha256, folder / sha256[:8]))
    return model.eval()


def _rehearsal(bench: Workbench, task: CausalLMSpec) -> Rehearsal:
    assert task.generation is not None
    tokens = bench.data(task, 0).tokens.train
    return Rehearsal.of(tokens, load_tokenizer(task.model), task.generation, None, 24, 1.0)


def test_rejected_is_what_the_model_wrote_itself_and_what_is_right_makes_no_pair(
    bench: Workbench, task: CausalLMSpec, halfway: Winner, tmp_path: Path
) -> None:
    model = _model(bench, task, halfway.artifact.sha256, tmp_path)
    rehearsal = _rehearsal(bench, task)
    failures = {one.row: one for one in rehearsal.failures(model)}
    assert 0 < len(failures) < len(rehearsal.asked) == 24
    end = rehearsal.tokenizer.eos_token_id
    for question in rehearsal.asked:
        ids = torch.tensor([question.prompt])
        new = model.generate(input_ids=ids, max_new_tokens=10, do_sample=False, eos_token_id=end, pad_token_id=end)
        own = new[0, ids.shape[1] :].tolist()
        said = rehearsal.tokenizer.decode(own, skip_special_tokens=True).strip()
        assert (question.row in failures) == (said != question.reference)
        if question.row in failures:
            one = failures[question.row]
            assert list(one.written) == own
            assert one.reference[-1] == end
            assert rehearsal.tokenizer.decode(one.reference, skip_special_tokens=True).strip() == question.reference


def test_pairs_hold_prompt_and_both_answers_of_which_these_alone_count() -> None:
    tokens = pairs_of([Failure(3, (7, 8, 9), (1, 2), (4, 5, 6)), Failure(5, (7,), (1,), (2, 3))], 5, typed=True)
    assert tokens.lengths().tolist() == [5, 5, 2, 3]  # of the first rejected answer max_length keeps two tokens
    assert tokens.input_ids.tolist() == [7, 8, 9, 1, 2, 7, 8, 9, 4, 5, 7, 1, 7, 2, 3]
    no = IGNORED
    assert tokens.targets.tolist() == [no, no, 1, 2, no, no, no, 4, 5, no, 1, no, 2, 3, no]
    assert tokens.token_type_ids is not None
    assert not tokens.token_type_ids.any()


def test_a_round_measures_preferences_from_the_model_that_it_begins_with(
    bench: Workbench, task: CausalLMSpec, halfway: Winner, tmp_path: Path
) -> None:
    """Beside itself a model prefers nothing, so that every pair's loss is log 2; beside the base it would not be."""
    model = _model(bench, task, halfway.artifact.sha256, tmp_path)
    failures, padding = _rehearsal(bench, task).failures(model), bench.data(task, 0).tokens.pad_token_id
    inputs = Inputs(pairs_of(failures, task.max_length, typed=False), padding, pair_criterion("sigmoid"))
    rows = np.arange(len(inputs))

    def loss(reference: nn.Module) -> float:
        beside, frozen = beside_model(reference, inputs), None
        with torch.no_grad():
            scores, frozen = token_scores(model, inputs.batch(rows), inputs.targets(rows)), beside.frozen(rows)
            assert frozen is not None
            return float(beside.loss(torch.cat([scores, frozen[..., None]], -1), rows, Hyperparameters()))

    assert loss(model) == pytest.approx(len(failures) * math.log(2), rel=1e-4)
    base = load_base(task.model, 0, kind=CAUSAL).model
    assert loss(base) != pytest.approx(len(failures) * math.log(2), rel=1e-2)


def test_what_was_mined_fails_less_after_a_round_and_each_round_mines_anew(
    bench: Workbench, task: CausalLMSpec, halfway: Winner, tmp_path: Path
) -> None:
    outcome = _refined(bench, task, halfway)
    assert outcome.adapter is not None, outcome.reason
    found = outcome.metrics
    assert found["asked_rows"] == 24
    assert 0 < found["failed_before"] < 24
    assert found["mined_failed_after"] < found["failed_before"]
    assert found["start_loss"] == pytest.approx(halfway.metrics["loss"], rel=1e-4)
    left = _rehearsal(bench, task).failures(_model(bench, task, outcome.adapter.sha256, tmp_path))
    assert len(left) == found["failed_after"]  # the exported adapter is the one that was asked
    twice = _refined(bench, task, halfway, rounds=2).metrics
    assert twice["failed_before"] == found["failed_before"]
    assert twice["failed_round_2"] == found["failed_after"]
    if twice["failed_round_2"]:
        assert twice["train_seconds"] > 0
        assert twice["train_tokens"] > found["train_tokens"]


def test_ways_to_compare_with_train_on_the_rows_themselves(
    bench: Workbench, task: CausalLMSpec, halfway: Winner
) -> None:
    pairs, failed, every = (
        _refined(bench, task, halfway, way=way, epochs=1.0).metrics for way in ("pairs", "failed_rows", "all_rows")
    )
    assert pairs["failed_before"] == failed["failed_before"] == every["failed_before"]
    assert failed["train_tokens"] < pairs["train_tokens"]  # a pair has its prompt twice
    whole = bench.data(task, 0).train
    assert every["train_tokens"] == float(whole.lengths.sum())


def test_a_model_without_failures_comes_out_as_it_was(
    bench: Workbench, task: CausalLMSpec, halfway: Winner, tmp_path: Path
) -> None:
    assert task.generation is not None
    lenient = task.generation.model_copy(update={"answer_pattern": "^"})  # finds the same in every answer
    outcome = _refined(bench, task.model_copy(update={"generation": lenient}), halfway)
    assert outcome.adapter is not None, outcome.reason
    assert (outcome.metrics["failed_before"], outcome.metrics["train_seconds"]) == (0.0, 0.0)
    assert outcome.metrics["loss"] == outcome.metrics["start_loss"]
    first, second = (
        load_file(bench.artifacts.extract(one.sha256, tmp_path / name) / "adapter_model.safetensors")
        for name, one in (("before", halfway.artifact), ("after", outcome.adapter))
    )
    assert first.keys() == second.keys()
    assert all(torch.equal(first[name], second[name]) for name in first)


def test_what_rows_of_pairs_cannot_carry_is_refused(task: CausalLMSpec) -> None:
    for field, value in (("position_scale", 4), ("demos", 2)):
        with pytest.raises(InvalidInput, match=f"adapters without {field}"):
            result_config("own_failures", CHOICE, [LORA | {field: value}], describe_for(task))
