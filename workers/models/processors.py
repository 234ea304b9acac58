"""What makes a model's inputs of rows that are no texts, as its folder describes it. Imports no transformers."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

from workers.errors import InvalidInput
from workers.models.anatomy import Anatomy
from workers.models.weights import refuse_pointer

PROCESSOR_FILE = "preprocessor_config.json"
_CALLED = {"image": "image processor", "sound": "feature extractor"}
_HOP, _RATE, _WINDOW = 160, 16_000, 30  # samples, Hz and seconds, where Whisper's extractor does not say otherwise


def check_processor(folder: Path, parts: Anatomy) -> None:
    """Raise `InvalidInput` with field `model` unless a folder has the processor of its model.

    Of sizes that are not written there, loading looks at what comes out.
    """
    path, called = folder / PROCESSOR_FILE, _CALLED[parts.modality]
    if not path.is_file():
        raise InvalidInput("model", f"{folder} without {PROCESSOR_FILE}", f"a folder with the model's {called}")
    refuse_pointer(path)
    try:
        written = json.loads(path.read_text(encoding="utf-8"))
    except (OSError, ValueError, RecursionError) as error:
        raise InvalidInput("model", f"{path}: {error}", f"a file of its {called} that can be read") from error
    if not isinstance(written, dict):
        raise InvalidInput("model", f"{path}, which holds no object", f"a file of its {called} that can be read")
    made = _pixels(written, parts) if parts.modality == "image" else _spectrogram(written)
    if made is not None and made != parts.input_shape:
        raise unfit(made, parts)


def unfit(made: tuple[int, ...], parts: Anatomy) -> InvalidInput:
    """What to say of a processor that makes other inputs than its model reads."""
    called = _CALLED[parts.modality]
    text = f"its {called} makes {' x '.join(map(str, made))}, and the model reads "
    allowed = f"a model and a folder's {called} that belong together"
    return InvalidInput("model", text + " x ".join(map(str, parts.input_shape)), allowed)


def _pixels(written: dict[str, Any], parts: Anatomy) -> tuple[int, ...] | None:
    size = written.get("crop_size" if written.get("do_center_crop") else "size")
    if isinstance(size, int):
        size = {"height": size, "width": size}
    if isinstance(size, dict) and {"height", "width"} <= size.keys():
        return (parts.input_shape[0], size["height"], size["width"])
    return None


def _spectrogram(written: dict[str, Any]) -> tuple[int, ...] | None:
    match written.get("feature_extractor_type"):
        case "WhisperFeatureExtractor":
            samples = written.get("chunk_length", _WINDOW) * written.get("sampling_rate", _RATE)
            return (written.get("feature_size", 80), int(samples // written.get("hop_length", _HOP)))
        case "ASTFeatureExtractor":
            return (written.get("max_length", 1024), written.get("num_mel_bins", 128))
    return None
