"""T5's encoder: taken out of whole checkpoints, trained by methods on tasks that label tokens, refused by others."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest
import torch
import transformers

from tests.workers.methods.test_conformance import CASES
from tests.workers.models.test_families import knobs_of
from tests.workers.tasks.test_every_position import resident, trained
from tests.workers.tiny_models import CLASSES, TOKEN_BUILDERS, batch, tiny_description, tiny_model
from workers.errors import InvalidInput
from workers.methods.registry import method
from workers.models.agreement import check_weights, frozen_shapes
from workers.models.heads import SEQUENCE, TOKEN
from workers.models.loading import load_base
from workers.models.references import read_config

_EVERY = 16  # one method of so many in the sample


@pytest.mark.parametrize("kind", TOKEN_BUILDERS)
def test_the_anatomy_is_that_of_the_real_encoder(kind: str) -> None:
    model = tiny_model(kind)
    real = {name: tuple(value.shape) for name, value in model.named_parameters() if not name.startswith("classifier")}
    assert frozen_shapes(model.config.to_dict()) == real
    description = tiny_description(kind)
    for layer, linear in description.linears("all"):
        module = model.get_submodule(description.path(layer, linear.name))
        assert isinstance(module, torch.nn.Linear)
        assert (module.in_features, module.out_features) == (linear.in_features, linear.out_features)


@pytest.mark.parametrize("kind", TOKEN_BUILDERS)
def test_the_encoder_of_a_whole_checkpoint_is_loaded(kind: str, tmp_path: Path) -> None:
    """As people have it: encoder, decoder and language head, sharded and in bfloat16."""
    encoder = tiny_model(kind).to(torch.bfloat16)
    whole = getattr(transformers, type(encoder).__name__.replace("TokenClassification", "ConditionalGeneration"))
    made = whole(encoder.config)
    made.encoder.load_state_dict(encoder.transformer.encoder.state_dict())
    made.shared.load_state_dict(encoder.transformer.shared.state_dict())
    made.to(torch.bfloat16).save_pretrained(tmp_path, max_shard_size="20KB")
    assert len(list(tmp_path.glob("*.safetensors"))) > 1
    check_weights(read_config(str(tmp_path)), tmp_path)
    base = load_base(str(tmp_path), CLASSES, kind=TOKEN)
    assert base.head == ("classifier",)
    inputs, alone = batch(), encoder.float().eval()
    with torch.no_grad():
        expected = alone.transformer(**inputs).last_hidden_state
        found = base.model.get_submodule("transformer")(**inputs).last_hidden_state
    torch.testing.assert_close(found, expected)


def test_tasks_that_read_a_whole_text_are_refused(tmp_path: Path) -> None:
    tiny_model("t5").save_pretrained(tmp_path)
    with pytest.raises(InvalidInput, match=r"t5 has no head for SequenceClassification \(it has TokenClassification\)"):
        load_base(str(tmp_path), CLASSES, kind=SEQUENCE)


def _methods(kind: str) -> list[Any]:
    model = tiny_description(kind)
    able = [name for name in CASES if method(name).supports(model)]
    first = list(TOKEN_BUILDERS).index(kind)
    every = os.environ.get("PEFTSEARCH_FAMILIES") == "all"
    return [pytest.param(kind, name, id=f"{kind}-{name}") for name in (able if every else able[first::_EVERY])]


@pytest.mark.parametrize(("kind", "name"), [pair for kind in TOKEN_BUILDERS for pair in _methods(kind)])
def test_methods_train_on_it(kind: str, name: str) -> None:
    where = resident(kind)
    losses = trained(where, name, knobs_of(where.base, name), None)
    assert all(0 < loss < 20 for loss in losses)
