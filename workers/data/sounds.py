"""Sounds of rows: checked while rows are read, decoded when a model's inputs are made. Needs soundfile.

soundfile (libsndfile) is imported inside functions: the product reads texts without it.
"""

from __future__ import annotations

import math
import struct
from io import BytesIO
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from workers.data.attached_files import Medium, content_of
from workers.data.rows import Blob
from workers.errors import InvalidInput

if TYPE_CHECKING:
    from soundfile import SoundFile

SUFFIXES = frozenset({".wav", ".flac", ".ogg", ".mp3"})
_FORMATS = frozenset({"WAV", "WAVEX", "RF64", "FLAC", "OGG", "MP3"})
_ALLOWED = "a WAV, FLAC, Ogg or MP3 sound in every row"
_RATES = (1_000, 768_000)  # Hz: below is no sound, above no microphone
_BLOCK = 1 << 18  # frames that are looked through at a time
_MARGIN = 64  # frames of either rate that the resampling filter reads beyond a cut
_STREAMED = (0, 0x7FFFFFFF, 0xFFFFFFFF)  # lengths that programs write which do not know them


def require_soundfile() -> None:
    """Raise `InvalidInput` with field `type` where sounds cannot be read."""
    try:
        import soundfile  # noqa: F401
    except (ImportError, OSError) as error:  # OSError: the package without its library
        raise InvalidInput("type", "no soundfile", "installing it: pip install 'peftsearch[sounds]'") from error


def waveform(sound: Blob, rate: int, longest: int) -> NDArray[np.float32]:
    """The first `longest` samples of a sound at `rate` Hz, between -1 and 1, `[samples]`; the mean of its channels.

    Of a long file no more than that is decoded. Raises `InvalidInput` with its place.
    """
    from scipy.signal import resample_poly

    with _opened(content_of(sound, SOUNDS), sound, sound.place) as file:
        own = int(file.samplerate)
        needed = math.ceil((longest + _MARGIN) * max(own / rate, 1.0)) + _MARGIN if own != rate else longest
        values: NDArray[np.float32] = file.read(needed, dtype="float32", always_2d=True).mean(axis=1)
    if own != rate:
        common = math.gcd(own, rate)
        values = resample_poly(values, rate // common, own // common).astype(np.float32)
    return values[:longest]


def _looked_through(content: bytes, name: str, place: str) -> None:
    """Decode a whole sound a piece at a time."""
    missing = _missing_bytes(content)
    if missing:
        raise _broken(name, f"{missing} bytes of its samples are missing", place)
    with _opened(content, name, place) as file:
        if not _RATES[0] <= file.samplerate <= _RATES[1]:
            raise _broken(name, f"{file.samplerate} samples a second", place)
        frames = 0
        try:
            while len(block := file.read(_BLOCK, dtype="float32", always_2d=True)):
                frames += len(block)
                if not np.isfinite(block).all():
                    raise _broken(name, "samples that are no numbers", place)
        except RuntimeError as error:  # of a damaged frame
            raise _broken(name, str(error), place) from error
    if not frames:
        raise _broken(name, "no samples", place)


def _opened(content: bytes, name: str, place: str) -> SoundFile:
    import soundfile

    try:
        file = soundfile.SoundFile(BytesIO(content))
    except (RuntimeError, TypeError) as error:  # TypeError: bytes without a header
        raise _broken(name, str(error).rpartition(">: ")[2], place) from error
    if file.format not in _FORMATS:
        raise _broken(name, f"{file.format_info}", place)
    return file


def _missing_bytes(content: bytes) -> int:
    """How much shorter a WAV is than it says: libsndfile takes what is there for all."""
    if content[:4] != b"RIFF" or content[8:12] != b"WAVE":
        return 0
    at = 12
    while at + 8 <= len(content):
        name, size = struct.unpack_from("<4sI", content, at)
        if name == b"data":
            return 0 if size in _STREAMED else max(0, at + 8 + size - len(content))
        at += 8 + size + size % 2
    return 0


def _broken(name: str, reason: str, place: str) -> InvalidInput:
    return InvalidInput("audio", f"{name} in {place} ({reason.strip()})", _ALLOWED)


SOUNDS = Medium("audio", "a sound", "audio/wav", SUFFIXES, _looked_through)
