"""Models of images: described exactly, refused where they do not fit, and every method on them works or is refused."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
import torch
from PIL import Image

from tests.workers.tiny_vision_model import write_vision_model
from workers.errors import InvalidInput
from workers.methods.registry import methods
from workers.models.agreement import check_weights, frozen_shapes
from workers.models.description import describe, require_head, with_texts
from workers.models.heads import IMAGE, SEQUENCE
from workers.models.loading import load_base, load_processor
from workers.models.references import read_config


@pytest.fixture(scope="module", params=["ViT", "DeiT"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_vision_model(tmp_path_factory.mktemp("vision") / request.param, request.param)


def test_a_model_of_images_is_known_by_its_configuration(folder: Path) -> None:
    base = load_base(str(folder), 3, kind=IMAGE)
    own = {
        name: tuple(value.shape) for name, value in base.model.named_parameters() if name.startswith(base.head) is False
    }
    assert frozen_shapes(read_config(str(folder))) == own
    check_weights(read_config(str(folder)), folder)
    assert base.head == ("classifier",)
    with torch.no_grad():
        hidden = base.model.base_model(torch.zeros(1, *base.description.anatomy.input_shape)).last_hidden_state
    assert hidden.shape[1] == base.description.anatomy.positions


def test_pixels_are_those_of_the_processor(folder: Path) -> None:
    reader = load_processor(str(folder), IMAGE)
    image = Image.fromarray(np.random.default_rng(0).integers(0, 255, (9, 21, 3), dtype=np.uint8))
    mean, spread = reader.scale()[:, :, None, None]
    wanted = reader.processor(images=[image], return_tensors="np")["pixel_values"]
    assert (reader.pixels([image]) - mean) / spread == pytest.approx(wanted, abs=1e-6)


def test_what_does_not_belong_together_is_refused(folder: Path, tmp_path: Path) -> None:
    other = write_vision_model(tmp_path / "other", size=24)
    with pytest.raises(InvalidInput, match="3 x 24 x 24") as caught:
        load_processor(str(other), IMAGE)
    assert caught.value.field == "model"
    (other / "preprocessor_config.json").unlink()
    with pytest.raises(InvalidInput, match=r"without preprocessor_config\.json"):
        load_processor(str(other), IMAGE)
    with pytest.raises(InvalidInput, match="no head for SequenceClassification"):
        require_head(describe(str(folder)), SEQUENCE)
    with pytest.raises(InvalidInput, match="no head for ImageClassification"):
        require_head(describe("builtin:minilm"), IMAGE)


def test_every_method_works_on_images_or_is_refused_by_name(folder: Path) -> None:
    base = load_base(str(folder), 3, kind=IMAGE)
    model = with_texts(base.description, 0)
    pixels = torch.randn(2, *model.anatomy.input_shape, generator=torch.Generator().manual_seed(0))
    before = {name: value.clone() for name, value in base.model.base_model.state_dict().items()}
    works, refused = [], []
    for name, one in methods().items():
        if not one.supports(model):
            refused.append(name)
            continue
        attached = one.attach(base, one.complete(model, {}), 0, None)
        assert attached.model(pixel_values=pixels).logits.shape == (2, 3), name
        attached.detach()
        works.append(name)
    assert {"lora", "ia3", "bitfit", "head"} <= set(works)
    assert {name for name, one in methods().items() if one.takes_positions} <= set(refused)
    now = base.model.base_model.state_dict()
    assert all(torch.equal(value, now[name]) for name, value in before.items())
