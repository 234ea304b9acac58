"""Tokens of an image that become one in front of a layer."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import numpy as np
import pytest
import torch
from torch import Tensor, nn

from peftsearch import load_adapter
from tests.workers.tiny_vision_model import write_vision_model
from workers.artifacts import ArtifactStore
from workers.assignment import Assignment, Outcome
from workers.engines.passes import WholePass, measure_in
from workers.errors import InvalidInput
from workers.methods.forms.token_merging import TokenMerging
from workers.methods.registry import method
from workers.models.description import describe, with_texts
from workers.models.heads import IMAGE
from workers.models.loading import load_base
from workers.running.trial import train
from workers.running.workbench import Workbench
from workers.tasks.registry import task


def merging(merged: int, modulated: bool = False, special: int = 1) -> TokenMerging:
    return TokenMerging(8, merged, special, modulated, None, torch.Generator().manual_seed(0))


def drawn(*shape: int) -> Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(1))


@pytest.mark.parametrize("kind", ["ViT", "DeiT"])
@pytest.mark.parametrize("top", [1, 2])
def test_layers_compute_as_many_tokens_as_the_formula_says(tmp_path: Path, kind: str, top: int) -> None:
    base = load_base(str(write_vision_model(tmp_path / kind, kind)), 3, kind=IMAGE)
    chosen, model = method("pyra"), with_texts(base.description, 0)
    knobs = chosen.complete(model, {"merged": 1, "top_layers": top})
    attached = chosen.attach(base, knobs, 0, None)
    seen: list[int] = []
    for layer in base.model.get_submodule(model.anatomy.layers_path):
        layer.register_forward_hook(lambda _layer, _given, output: seen.append(output.shape[1]))
    attached.model(pixel_values=drawn(2, *model.anatomy.input_shape))
    special = 1 if kind == "ViT" else 2
    assert seen == [special + 4 - max(0, index + top - 1) for index in range(2)]
    count = sum(value.numel() for value in attached.parameters().values()) - base.head_size
    assert count == chosen.trainable_parameters(model, knobs)
    attached.detach()


def test_tokens_that_are_equal_merge_without_changing_what_attention_gives() -> None:
    one, other, cls = drawn(1, 1, 8), -drawn(1, 1, 8), drawn(1, 1, 8) * 3
    tokens = torch.cat([cls, one, one, other, other], 1)
    fewer, sizes = merging(2)(tokens, torch.ones(1, 5, 1))
    assert sizes[0, :, 0].tolist() == [1, 2, 2]
    torch.testing.assert_close(fewer, torch.cat([cls, one, other], 1))
    scores, less = cls @ tokens.mT, cls @ fewer.mT + sizes.log().mT
    torch.testing.assert_close(scores.softmax(-1) @ tokens, less.softmax(-1) @ fewer)


def test_what_is_merged_is_the_mean_of_what_it_stands_for_and_the_class_stays() -> None:
    tokens, sizes = drawn(2, 8, 8), torch.ones(2, 8, 1)
    for part in (merging(2), merging(3)):
        before = (tokens * sizes)[:, 1:].sum(1)
        cls = tokens[:, :1]
        tokens, sizes = part(tokens, sizes)
        torch.testing.assert_close((tokens * sizes)[:, 1:].sum(1), before)
        torch.testing.assert_close(tokens[:, :1], cls)
        assert sizes.sum(1).flatten().tolist() == [8, 8]
    assert tokens.shape[1] == 1 + (7 - 2) - 2  # of five no more than two may go
    assert merging(9)(drawn(1, 2, 8), torch.ones(1, 2, 1))[0].shape[1] == 2


def test_modulation_starts_at_plain_merging_and_is_trained() -> None:
    tokens, sizes = drawn(2, 8, 8), torch.ones(2, 8, 1)
    plain, own = merging(3), merging(3, modulated=True)
    torch.testing.assert_close(plain(tokens, sizes)[0], own(tokens, sizes)[0])
    assert own.channels is not None
    own(tokens, sizes)[0].square().sum().backward()
    assert own.channels.grad is not None
    assert float(own.channels.grad.abs().sum()) > 0
    nn.init.normal_(own.channels, generator=torch.Generator().manual_seed(2))
    assert not torch.allclose(plain(tokens, sizes)[0], own(tokens, sizes)[0])


def test_texts_have_no_tokens_to_merge() -> None:
    model: Any = describe("builtin:minilm")
    with pytest.raises(InvalidInput, match="models that read images"):
        method("pyra").require(model)


def _trained(tmp_path: Path, bench: Workbench, **changes: Any) -> Outcome:
    config = {"method": "pyra", "merged": 1, "top_layers": 2, "rank": 2, "learning_rate": 3e-3, "batch_size": 16}
    section = {"type": "image-classification", "model": str(tmp_path / "model"), "train": "builtin:digits"}
    section |= {"train_rows": 60, "validation_rows": 40}
    fields = {"trial_id": "t", "attempt": 1, "epochs": 2, "seed": 1, "measure_latency": False} | changes
    fields["config"] = config | changes.get("config", {})
    outcome = train(Assignment.model_validate({"task": section, **fields}), bench, lambda _: "continue")
    assert outcome.status == "completed", outcome.reason
    return outcome


def test_trials_that_merge_tokens_agree_on_both_engines_and_predict_alike_elsewhere(tmp_path: Path) -> None:
    write_vision_model(tmp_path / "model")
    bench = Workbench(tmp_path, ArtifactStore(tmp_path / "artifacts"))
    for top in (1, 2):
        reference = _trained(tmp_path, bench, engine="reference", config={"top_layers": top})
        fast = _trained(tmp_path, bench, config={"top_layers": top})
        assert (reference.engine, fast.engine) == ("reference", "fast")
        for name in ("accuracy", "loss"):
            assert fast.metrics[name] == pytest.approx(reference.metrics[name], rel=1e-3, abs=1e-5)
    assert fast.adapter is not None
    folder = bench.artifacts.extract(fast.adapter.sha256, tmp_path / "adapter")
    model = load_adapter(str(tmp_path / "model"), folder)
    kind = task("image-classification")
    section = kind.section.model_validate(
        {"model": str(tmp_path / "model"), "train": "builtin:digits", "train_rows": 60, "validation_rows": 40}
    )
    rows = bench.data(section, 0).validation
    with torch.no_grad():
        again = measure_in(WholePass(model, rows), [np.arange(len(rows))]).result()
    assert again["loss"] == pytest.approx(fast.metrics["loss"], rel=1e-4)
