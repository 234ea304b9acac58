"""Hints of confused classes in training images: where they are put, how far pixels move, and that off is off."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest
import torch

from workers.artifacts import ArtifactStore
from workers.assignment import Assignment
from workers.engines.hints import Hints, confusions, watched
from workers.errors import InvalidInput
from workers.methods.attached import Attached
from workers.models.description import describe
from workers.running.packing import why_not_fast, why_not_packed
from workers.running.preparing import PreparedTrial, prepare
from workers.running.trial import attach, train
from workers.running.workbench import Workbench
from workers.tasks.catalogue.image_classification import ImageClassificationSpec
from workers.tasks.catalogue.text_classification import TextClassificationSpec

TASK = ImageClassificationSpec(model="builtin:vit", train="builtin:digits", train_rows=40, validation_rows=40)
LORA = {"method": "lora", "rank": 4, "alpha": 16, "targets": "all", "learning_rate": 5e-3, "batch_size": 20}
HINTS = {"hint_share": 0.5, "hint_bound": 0.02, "hint_patches": 2, "hint_threshold": 0.05}
ROWS = np.arange(40)


def assignment(**config: Any) -> Assignment:
    return Assignment(trial_id="t", attempt=1, task=TASK, config=LORA | config, epochs=2, seed=1, measure_latency=False)


@pytest.fixture(scope="module")
def bench(tmp_path_factory: pytest.TempPathFactory) -> Workbench:
    home = tmp_path_factory.mktemp("bench")
    return Workbench(home, ArtifactStore(home / "artifacts"))


def hints_of(prepared: PreparedTrial, attached: Attached) -> Hints:
    assert prepared.view is not None
    train = prepared.data.train
    return Hints(prepared.resident.base, attached, train, prepared.view, prepared.hyperparameters)


def unsettled(attached: Attached) -> None:
    """As after some training: what is zero at the start is not any more."""
    draw = torch.Generator().manual_seed(0)
    with torch.no_grad():
        for parameter in attached.parameters().values():
            parameter += 0.2 * torch.randn(parameter.shape, generator=draw)


def test_only_detected_patches_move_and_no_pixel_beyond_the_bound(bench: Workbench) -> None:
    prepared = prepare(assignment(**HINTS), bench)
    assert prepared.view is not None
    attached = attach(prepared, 1)
    try:
        unsettled(attached)
        plain = prepared.data.train.batch(ROWS)["pixel_values"]
        images = hints_of(prepared, attached).images(ROWS)
        scale = prepared.data.train.scale
        assert scale is not None
        pixels, before = (values * scale[1] + scale[0] for values in (images, plain))
        assert (pixels - before).abs().max() <= 255 * 0.02 + 1e-3
        assert pixels.min() >= -1e-3
        assert pixels.max() <= 255 + 1e-3

        attached.set_training(False)
        with torch.no_grad(), watched(prepared.resident.base) as attention:
            attached.model(pixel_values=plain)
        risen = (attention.received() - prepared.view.attention) / prepared.view.attention.mean(-1, keepdim=True)
        height, width = prepared.resident.base.description.anatomy.patch
        moved = torch.nn.functional.unfold(images - plain, (height, width), stride=(height, width)).abs().sum(1) > 0
        assert moved.any()
        for rows, rise in zip(moved, risen, strict=True):
            best = rise.topk(2)
            allowed = {int(place) for place, far in zip(best.indices, best.values > 0.05, strict=True) if far}
            assert set(rows.nonzero().flatten().tolist()) <= allowed
    finally:
        attached.detach()


def test_images_lead_towards_what_the_base_confuses_with_their_class(bench: Workbench) -> None:
    prepared = prepare(assignment(**HINTS | {"hint_bound": 0.004, "hint_patches": 16, "hint_threshold": 0.0}), bench)
    view, data = prepared.view, prepared.data.train
    assert view is not None
    assert torch.equal(view.hints.diagonal(), torch.zeros(len(view.hints)))
    assert torch.allclose(view.hints.sum(-1), torch.ones(len(view.hints)))
    attached = attach(prepared, 1)
    try:
        unsettled(attached)
        attached.set_training(False)
        images, wanted = hints_of(prepared, attached).images(ROWS), view.hints[data.targets(ROWS)]
        attached.set_training(False)
        with torch.no_grad():
            towards = [
                (wanted * attached.model(pixel_values=one).logits.log_softmax(-1)).sum()
                for one in (data.batch(ROWS)["pixel_values"], images)
            ]
        assert towards[1] > towards[0] + 1.0
    finally:
        attached.detach()


def test_an_adapter_that_has_changed_nothing_dwells_on_nothing(bench: Workbench) -> None:
    prepared = prepare(assignment(**HINTS), bench)
    attached = attach(prepared, 1)
    try:
        images = hints_of(prepared, attached).images(ROWS)
        assert torch.equal(images, prepared.data.train.batch(ROWS)["pixel_values"])
    finally:
        attached.detach()


def test_confusions_are_shares_of_the_classes_that_lie_near() -> None:
    states = torch.tensor([[1.0, 0.1], [1.0, -0.1], [0.9, 0.4], [0.8, 0.5], [-1.0, 0.0], [-1.0, 0.1]])
    found = confusions(states, torch.tensor([0, 0, 1, 1, 3, 3]))
    assert found.shape == (4, 4)
    assert found[0, 1] > 0.9
    assert found[1, 0] > 0.9
    assert (found[:, 2] == 0).all()  # no row is of it
    assert (found[2] == 0).all()


@pytest.mark.slow
def test_off_is_the_same_training_to_the_bit_and_on_is_another(bench: Workbench) -> None:
    def outcome(engine: str, **more: Any) -> dict[str, float]:
        wanted = assignment(**more).model_copy(update={"engine": engine})
        found = train(wanted, bench, lambda _report: "continue")
        assert found.status == "completed", found.reason
        return {
            name: found.metrics[name] for name in ("loss", "train_loss", "accuracy", "train_tflops", "peak_memory_mb")
        }

    plain = outcome("reference")
    assert outcome("reference", **HINTS | {"hint_share": 0.0}) == plain
    hinted = outcome("auto", **HINTS)
    assert hinted["train_loss"] != plain["train_loss"]
    assert hinted["train_tflops"] > 2.5 * plain["train_tflops"]  # three passes through all layers
    assert hinted["peak_memory_mb"] > 1.5 * plain["peak_memory_mb"]


def test_where_hints_cannot_be_given_they_are_refused(bench: Workbench) -> None:
    texts = TextClassificationSpec(model="builtin:minilm", train="builtin:pydocs", train_rows=64, max_length=16)
    with pytest.raises(InvalidInput, match="hint_share"):
        prepare(assignment(**HINTS).model_copy(update={"task": texts}), bench)
    with pytest.raises(InvalidInput, match="shards"):
        prepare(assignment(**HINTS).model_copy(update={"shards": 2}), bench)
    merging = {"method": "pyra", "rank": 2, "alpha": 4, "merged": 2, "batch_size": 20, "learning_rate": 1e-3}
    wanted = assignment().model_copy(update={"config": merging | HINTS})
    outcome = train(wanted, bench, lambda _report: "continue")
    assert outcome.status == "failed"
    assert "hint_share" in str(outcome.reason)
    assert "keeps all patches" in str(outcome.reason)


def test_such_trials_train_alone_on_the_reference_engine() -> None:
    wanted, model = assignment(**HINTS), describe("builtin:vit")
    assert "hints" in str(why_not_fast(wanted, model))
    assert "hints" in str(why_not_packed(wanted, model))
    assert why_not_fast(assignment(hint_share=0.0), model) is None
