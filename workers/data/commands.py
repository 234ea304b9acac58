"""`builtin:commands`: ten short words that made-up voices speak, computed and not recorded. See docs/data.md.

Source and filter (Fant 1960): pulses of the glottis, or noise, pass three resonators at the formants of a vowel
(Peterson and Barney 1952, men), which glide to the next; a fricative is noise above 4 kHz. Voices differ in pitch, in
the length of the vocal tract, which scales all formants, in speed, breath and the noise of the room. No voice is in two
splits.
"""

from __future__ import annotations

import io
import wave
from dataclasses import dataclass
from typing import Any

import numpy as np
from numpy.typing import NDArray

from workers.errors import InvalidInput

RATE = 16_000  # Hz
_FRAME = 80  # samples of one setting of the filters: 5 ms
_BANDWIDTHS = (80.0, 100.0, 140.0)  # Hz
_FORMANTS = {"a": (730, 1090, 2440), "i": (270, 2290, 3010), "u": (300, 870, 2240)}  # Hz
_FRICATIVE = "s"
WORDS = ("ai", "ia", "au", "ua", "iu", "ui", "sa", "as", "si", "is")
_VOICES = {"train": (0, 8), "validation": (8, 3), "test": (11, 5)}  # the first one, and how many
_TAKES = 4  # of a word by a voice


@dataclass(frozen=True)
class _Voice:
    pitch: float  # Hz
    tract: float  # formants over those of men
    tempo: float  # sounds per usual length of one
    breath: float  # noise beside the pulses
    room: float  # loudness of the background

    @classmethod
    def drawn(cls, random: np.random.Generator) -> _Voice:
        height = random.uniform()  # long tracts go with low voices, more or less
        tract = 0.86 + 0.38 * np.clip(height + random.normal(0, 0.12), 0, 1)
        return cls(85 * 2 ** (1.6 * height), tract, random.uniform(0.6, 1.7), random.uniform(0.02, 0.4),
                   10 ** random.uniform(-1.7, -0.7))  # fmt: skip


def read_commands(role: str) -> dict[str, list[Any]]:
    """Columns `audio` (bytes of a WAV), `label` (the word) and `voice` of one split."""
    try:
        import scipy.signal  # noqa: F401
    except ImportError as error:
        remedy = "installing it: pip install 'peftsearch[workers]'"
        raise InvalidInput(role, "builtin:commands without scipy", remedy) from error
    first, count = _VOICES[role]
    columns: dict[str, list[Any]] = {"audio": [], "label": [], "voice": []}
    for number in range(first, first + count):
        random = np.random.default_rng([7, number])
        voice = _Voice.drawn(random)
        for word in WORDS * _TAKES:
            columns["audio"].append(_wav(_spoken(word, voice, random)))
            columns["label"].append(word)
            columns["voice"].append(f"voice-{number}")
    return columns


def _spoken(word: str, voice: _Voice, random: np.random.Generator) -> NDArray[np.float64]:
    """Samples of a word, between -1 and 1."""
    lengths = [max(8, round(0.16 * RATE / _FRAME / voice.tempo * random.uniform(0.8, 1.25))) for _ in word]
    frames = sum(lengths)
    tracks, loud = _tracks(word, lengths, voice, random)
    pitch = (
        voice.pitch * random.uniform(0.9, 1.1) * np.linspace(random.uniform(1.0, 1.2), random.uniform(0.8, 1), frames)
    )
    source = _pulses(pitch) + voice.breath * random.normal(size=frames * _FRAME)
    vowels = _filtered(source, tracks) * np.repeat(loud, _FRAME)
    hiss = _high_passed(random.normal(size=frames * _FRAME)) * np.repeat(1 - loud, _FRAME)
    shape = np.minimum(1, np.minimum(np.arange(frames * _FRAME), np.arange(frames * _FRAME)[::-1]) / (0.02 * RATE))
    spoken = (vowels / (np.abs(vowels).max() + 1e-9) + 0.25 * hiss) * shape
    before, after = (np.zeros(int(random.uniform(0.02, 0.2) * RATE)) for _ in range(2))
    whole = np.concatenate([before, spoken * random.uniform(0.2, 0.8), after])
    return np.clip(whole + voice.room * random.normal(size=len(whole)), -1, 1)


def _tracks(
    word: str, lengths: list[int], voice: _Voice, random: np.random.Generator
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Formants `[frames, 3]` in Hz, and how much of each frame is vowel `[frames]`; both glide over 50 ms."""
    vowel = next(sound for sound in word if sound != _FRICATIVE)
    targets = [np.array(_FORMANTS[vowel if sound == _FRICATIVE else sound]) for sound in word]
    targets = [one * voice.tract * random.normal(1, 0.08, size=3) for one in targets]
    tracks = np.concatenate([np.tile(one, (length, 1)) for one, length in zip(targets, lengths, strict=True)])
    loud = np.repeat([float(sound != _FRICATIVE) for sound in word], lengths)
    glide = np.ones(11) / 11
    smooth = [np.convolve(np.pad(one, 5, mode="edge"), glide, "valid") for one in (*tracks.T, loud)]
    return np.stack(smooth[:3], axis=1), smooth[3]


def _pulses(pitch: NDArray[np.float64]) -> NDArray[np.float64]:
    """One pulse for each period of a pitch `[frames]` in Hz, falling by 12 dB an octave, `[samples]`."""
    from scipy.signal import lfilter

    periods = np.floor(np.cumsum(np.repeat(pitch, _FRAME)) / RATE)
    pulses = np.diff(periods, prepend=0.0)
    found: NDArray[np.float64] = lfilter([1.0], [1.0, -1.8, 0.81], pulses)
    found -= found.mean()
    return found


def _filtered(source: NDArray[np.float64], tracks: NDArray[np.float64]) -> NDArray[np.float64]:
    """A source `[samples]` behind resonators in a row, whose frequencies change with each frame."""
    from scipy.signal import lfilter

    signal = source
    for place, width in enumerate(_BANDWIDTHS):
        radius, state, pieces = np.exp(-np.pi * width / RATE), np.zeros(2), []
        for frame, frequency in enumerate(tracks[:, place]):
            turn = 2 * radius * np.cos(2 * np.pi * frequency / RATE)
            poles = [1.0, -turn, radius**2]
            piece, state = lfilter([sum(poles)], poles, signal[frame * _FRAME : (frame + 1) * _FRAME], zi=state)
            pieces.append(piece)
        signal = np.concatenate(pieces)
    return signal


def _high_passed(noise: NDArray[np.float64]) -> NDArray[np.float64]:
    from scipy.signal import butter, lfilter

    numerator, denominator = butter(4, 4_000, "highpass", fs=RATE)
    found: NDArray[np.float64] = lfilter(numerator, denominator, noise)
    return found


def _wav(samples: NDArray[np.float64]) -> bytes:
    buffer = io.BytesIO()
    with wave.open(buffer, "wb") as file:
        file.setnchannels(1)
        file.setsampwidth(2)
        file.setframerate(RATE)
        file.writeframes((samples * 32_767).astype("<i2").tobytes())
    return buffer.getvalue()
