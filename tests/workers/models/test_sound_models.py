"""Models of sounds: described exactly, refused where they do not fit, trained alike by every engine and method."""

from __future__ import annotations

import io
import json
import struct
from pathlib import Path

import numpy as np
import pytest
import torch
import transformers
from safetensors.numpy import load_file

from tests.workers.tiny_sound_model import RATE, tone, write_sound_model
from workers.engines.prefix import capturing, run_until_captured, upper_layers
from workers.errors import InvalidInput
from workers.methods.registry import methods
from workers.models import ctranslate2_reading
from workers.models.agreement import check_weights, frozen_shapes
from workers.models.description import describe, with_texts
from workers.models.heads import SOUND
from workers.models.loading import load_base, load_processor
from workers.models.processors import check_processor
from workers.models.references import read_config


@pytest.fixture(scope="module", params=["Whisper", "AST"])
def folder(request: pytest.FixtureRequest, tmp_path_factory: pytest.TempPathFactory) -> Path:
    return write_sound_model(tmp_path_factory.mktemp("sounds") / request.param, request.param)


def test_a_model_of_sounds_is_known_by_its_configuration(folder: Path) -> None:
    base = load_base(str(folder), 3, kind=SOUND)
    own = {name: tuple(one.shape) for name, one in base.model.named_parameters() if not name.startswith(base.head)}
    assert frozen_shapes(read_config(str(folder))) == own
    check_weights(read_config(str(folder)), folder)
    body = base.model.get_submodule(base.description.anatomy.body)
    with torch.no_grad():
        hidden = body(torch.zeros(1, *base.description.anatomy.input_shape)).last_hidden_state
    assert hidden.shape[1] == base.description.anatomy.positions


def test_a_published_whisper_brings_its_decoder_along(tmp_path: Path) -> None:
    small = write_sound_model(tmp_path / "small")
    config = transformers.WhisperConfig.from_pretrained(small)
    transformers.WhisperForConditionalGeneration(config).save_pretrained(small)
    check_weights(read_config(str(small)), small)
    base = load_base(str(small), 3, kind=SOUND)
    assert base.head == ("projector", "classifier")
    (small / "config.json").write_text(
        json.dumps(json.loads((small / "config.json").read_text()) | {"encoder_layers": 1})
    )
    with pytest.raises(InvalidInput, match=r"1 layers by config\.json and 2"):
        check_weights(read_config(str(small)), small)
    weighted = read_config(str(small)) | {"use_weighted_layer_sum": True}
    (small / "config.json").write_text(json.dumps(weighted))
    with pytest.raises(InvalidInput, match="use_weighted_layer_sum"):
        describe(str(small))


def test_spectrograms_are_those_of_the_extractor(folder: Path) -> None:
    reader = load_processor(str(folder), SOUND)
    sounds = [tone(440, 0.3), tone(900, 3.0)[: reader.longest], np.zeros(5, dtype=np.float32)]
    found = reader.spectrograms(sounds)
    assert np.isfinite(found).all()
    for number in range(2):
        wanted = reader.extractor(sounds[number], sampling_rate=RATE, return_tensors="np")
        assert found[number] == pytest.approx(wanted[reader.model_input_names[0]][0], abs=1e-6)
    longer = reader.extractor(tone(900, 3.0), sampling_rate=RATE, return_tensors="np")[reader.model_input_names[0]][0]
    shape = reader.parts.input_shape
    over_time = shape.index(max(shape))
    cut, whole = (np.moveaxis(one, over_time, 0)[:-2] for one in (found[1], longer))  # two frames reach beyond the cut
    assert cut == pytest.approx(whole, abs=0.05)


def test_what_does_not_belong_together_is_refused(folder: Path, tmp_path: Path) -> None:
    kind = "Whisper" if describe(str(folder)).anatomy.model_type == "whisper" else "AST"
    other = write_sound_model(tmp_path / "other", kind, bins=20)
    with pytest.raises(InvalidInput, match=r"makes [24]0 x 20, and the model reads") as caught:
        load_processor(str(other), SOUND)
    assert caught.value.field == "model"
    (other / "preprocessor_config.json").write_text("[]")
    with pytest.raises(InvalidInput, match="holds no object"):
        check_processor(other, describe(str(folder)).anatomy)
    (other / "preprocessor_config.json").unlink()
    with pytest.raises(InvalidInput, match=r"without preprocessor_config\.json"):
        load_processor(str(other), SOUND)


def test_stored_states_stand_for_lower_layers(folder: Path) -> None:
    base = load_base(str(folder), 3, kind=SOUND)
    rows = torch.randn(4, *base.description.anatomy.input_shape, generator=torch.Generator().manual_seed(0))
    name = base.model.main_input_name
    with torch.no_grad(), capturing(base, 1) as captured:
        states = run_until_captured(base, captured, {name: rows})
    with torch.no_grad(), upper_layers(base, 1) as entry:
        assert entry is not None
        entry.set(states)
        above = base.model(**{name: torch.zeros(()).expand(rows.shape)}).logits
    with torch.no_grad():
        assert above == pytest.approx(base.model(**{name: rows}).logits, abs=1e-6)


def test_every_method_works_on_sounds_or_is_refused_by_name(folder: Path) -> None:
    base = load_base(str(folder), 3, kind=SOUND)
    model = with_texts(base.description, 0)
    rows = torch.randn(2, *model.anatomy.input_shape, generator=torch.Generator().manual_seed(0))
    before = {name: value.clone() for name, value in base.model.state_dict().items() if not name.startswith(base.head)}
    works, refused = [], []
    for name, one in methods().items():
        if not one.supports(model):
            refused.append(name)
            continue
        knobs = one.complete(model, {})
        attached = one.attach(base, knobs, 0, None)
        assert attached.model(**{base.model.main_input_name: rows}).logits.shape == (2, 3), name
        trained = sum(value.numel() for value in attached.parameters().values()) - base.head_size
        assert trained == one.trainable_parameters(model, knobs), name
        attached.detach()
        works.append(name)
    assert {"lora", "ia3", "bitfit", "head", "ssf"} <= set(works)
    assert ("adapter_pfeiffer" in works) == (model.anatomy.model_type != "whisper")
    assert {name for name, one in methods().items() if one.takes_positions} <= set(refused)
    now = base.model.state_dict()
    assert all(torch.equal(value, now[name]) for name, value in before.items())


def _ctranslate2(weights: dict[str, np.ndarray]) -> bytes:
    """A model file in CTranslate2's format with these weights and an option in another type."""

    def text(value: str) -> bytes:
        return struct.pack("<H", len(value) + 1) + value.encode() + b"\0"

    parts = [struct.pack("<I", 6), text("WhisperSpec"), struct.pack("<II", 3, len(weights) + 1)]
    for name, value in weights.items():
        content, sides = value.astype("<f2").tobytes(), struct.pack(f"<{value.ndim}I", *value.shape)
        parts += [text(name), struct.pack("<B", value.ndim), sides, struct.pack("<BI", 4, len(content)), content]
    parts += [text("encoder/num_heads"), struct.pack("<B", 0), struct.pack("<BI", 2, 2), struct.pack("<h", 8)]
    return b"".join(parts)


def test_whisper_base_is_made_of_ctranslate2s_file(tmp_path: Path) -> None:
    random = np.random.default_rng(0)

    def drawn(*shape: int) -> np.ndarray:
        return (0.02 * random.standard_normal(shape, dtype=np.float32)).astype(np.float16)

    width, inner = 512, 2048
    weights = {"encoder/position_encodings/encodings": drawn(1500, width)}
    weights |= {"encoder/conv1/weight": drawn(width, 80, 3), "encoder/conv1/bias": drawn(width)}
    weights |= {"encoder/conv2/weight": drawn(width, width, 3), "encoder/conv2/bias": drawn(width)}
    norms = ["encoder/layer_norm"]
    for number in range(6):
        layer = f"encoder/layer_{number}"
        norms += [f"{layer}/self_attention/layer_norm", f"{layer}/ffn/layer_norm"]
        for name, sides in (
            ("self_attention/linear_0", (3 * width, width)),
            ("self_attention/linear_1", (width, width)),
            ("ffn/linear_0", (inner, width)),
            ("ffn/linear_1", (width, inner)),
        ):
            weights |= {f"{layer}/{name}/weight": drawn(*sides), f"{layer}/{name}/bias": drawn(sides[0])}
    for norm in norms:
        weights |= {f"{norm}/gamma": 1 + drawn(width), f"{norm}/beta": drawn(width)}
    read = ctranslate2_reading.read_weights(io.BytesIO(_ctranslate2(weights)))
    assert read.keys() == weights.keys()
    ctranslate2_reading.write_folder(read, 2, tmp_path / "model")
    check_weights(read_config(str(tmp_path / "model")), tmp_path / "model")
    check_processor(tmp_path / "model", describe(str(tmp_path / "model")).anatomy)
    stored = load_file(tmp_path / "model" / "model.safetensors")
    fused = weights["encoder/layer_3/self_attention/linear_0/weight"]
    assert np.array_equal(stored["encoder.layers.3.self_attn.v_proj.weight"], fused[2 * width :])
    assert np.array_equal(
        stored["encoder.embed_positions.weight"], weights["encoder/position_encodings/encodings"][:100]
    )
    base = load_base(str(tmp_path / "model"), 4, kind=SOUND)
    reader = load_processor(str(tmp_path / "model"), SOUND)
    assert (reader.longest, base.head) == (2 * RATE, ("projector", "classifier"))
    assert reader.spectrograms([tone(440)]).shape == (1, 80, 200)
