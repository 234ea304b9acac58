"""`compress` on a real winner: what is promised of ComPEFT, through the same code that a worker runs."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch

from tests.workers.refining.winners import TASK, Winner, loss_of_loaded, refined, trained
from workers.methods.ternary_file import Recipe, TernaryChange, read_ternary, write_ternary
from workers.refining.steps.compress import largest_signs
from workers.running.workbench import Workbench

RECIPE = Recipe("lora", {"rank": 2}, 7, ("classifier",), "SEQ_CLS", 2)


@pytest.mark.parametrize("keep", [0.0, 0.004, 0.2, 0.5, 1.0])
def test_what_is_decoded_is_what_was_encoded(tmp_path: Path, keep: float) -> None:
    draw = np.random.default_rng(3)
    signs = (draw.choice((-1, 1), 9001) * (draw.random(9001) < keep)).astype(np.int8)
    change = TernaryChange(signs, draw.normal(size=5).astype(np.float32), 12.5)
    write_ternary(tmp_path / "x", change, RECIPE)
    found = read_ternary(tmp_path / "x")
    assert np.array_equal(found.signs, signs)
    assert np.array_equal(found.scales, change.scales)
    assert found.start == change.start
    share = signs.astype(bool).mean()
    entropy = 0.0 if share in (0, 1) else -share * np.log2(share) - (1 - share) * np.log2(1 - share)
    header = 300 + len(change.scales) * 4
    assert (tmp_path / "x").stat().st_size <= header + len(signs) * (max(1.06 * entropy, share) + share) / 8


def test_files_that_are_none_of_ours_or_cut_short_are_refused(tmp_path: Path) -> None:
    file = tmp_path / "x"
    write_ternary(file, TernaryChange(np.ones(4000, dtype=np.int8), np.ones(1, dtype=np.float32), 0.0), RECIPE)
    whole = file.read_bytes()
    file.write_bytes(whole[:-300])
    with pytest.raises(ValueError, match="cut short"):
        read_ternary(file)
    file.write_bytes(b"something else")
    with pytest.raises(ValueError, match="no compressed adapter"):
        read_ternary(file)


def test_the_largest_entries_keep_their_signs() -> None:
    signs = largest_signs(torch.tensor([0.1, -5.0, 0.0, 3.0, -0.2]), 0.4)
    assert signs.tolist() == [0, -1, 0, 1, 0]


@pytest.mark.slow
@pytest.mark.parametrize("method", ["lora", "bitfit"])
def test_a_winner_is_an_eighth_of_its_half_precision_size_and_loads_elsewhere(
    bench: Workbench, lora: Winner, tmp_path: Path, method: str
) -> None:
    winner = lora if method == "lora" else trained(bench, {"method": method, "learning_rate": 1e-2})
    outcome = refined(bench, "compress", {"keep": 0.2, "scales": (1.0, 2.0, 4.0)}, [winner])
    assert outcome.status == "completed", outcome.reason
    found = outcome.metrics
    assert found["half_bytes"] >= 8 * found["adapter_bytes"]
    assert found["uncompressed_loss"] == pytest.approx(winner.metrics["loss"], rel=1e-5)
    # It still knows its task: four classes have a loss of ln 4 where nothing is known.
    assert found["loss"] < found["uncompressed_loss"] + 0.3 * (1.386 - found["uncompressed_loss"])
    assert found["scale"] in (1.0, 2.0, 4.0)
    assert outcome.adapter is not None
    folder = bench.artifacts.extract(outcome.adapter.sha256, tmp_path / "adapter")
    assert not list(folder.glob("*.safetensors"))
    assert loss_of_loaded(bench, folder) == pytest.approx(found["loss"], rel=1e-4)


@pytest.mark.slow
def test_the_scale_is_the_best_on_the_validation_rows_and_the_test_rows_have_no_say(
    bench: Workbench, lora: Winner
) -> None:
    task = TASK.model_copy(update={"test": "builtin:pydocs"})
    options = {"keep": 0.3, "scales": (0.5, 2.0, 6.0)}
    chosen = refined(bench, "compress", options, [lora], task=task)
    each = [refined(bench, "compress", options | {"scales": (one,)}, [lora]) for one in options["scales"]]
    assert chosen.metrics["loss"] == pytest.approx(min(one.metrics["loss"] for one in each), rel=1e-6)
    assert "test_loss" in chosen.metrics


def test_another_start_is_refused_rather_than_decoded_wrongly() -> None:
    change = TernaryChange(np.ones(4, dtype=np.int8), np.ones(1, dtype=np.float32), 4.0)
    assert change.applied({"a": torch.ones(4)})["a"].tolist() == [2.0] * 4
    with pytest.raises(ValueError, match="drawn differently"):
        change.applied({"a": torch.zeros(4)})
    with pytest.raises(ValueError, match="other tensors"):
        change.applied({"a": torch.ones(5)})
