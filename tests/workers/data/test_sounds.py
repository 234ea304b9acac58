"""Sounds as users have them: folders, tables, rates, channels, lengths, and what is wrong with some."""

from __future__ import annotations

import hashlib
import json
import struct
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from pyarrow import parquet

from tests.workers.tiny_sound_model import RATE, tone, written
from workers.data.commands import WORDS, read_commands
from workers.data.rows import Blob
from workers.data.sounds import waveform
from workers.errors import InvalidInput
from workers.tasks.registry import task

SOUNDS = task("audio-classification")
LONGEST = RATE


def blob(content: bytes) -> Blob:
    return Blob.of("a.wav", content, "row 1", hashlib.sha256(content).hexdigest())


def class_folder(root: Path, count: int = 6, kind: str = "wav") -> Path:
    for name, pitch in (("low", 300.0), ("high", 900.0)):
        (root / name).mkdir(parents=True)
        for number in range(count):
            samples = tone(pitch, 0.1 + 0.05 * number)
            (root / name / f"{number}.{kind}").write_bytes(written(samples, kind=kind.upper()))
    return root


def read(train: Path | str, **more: Any) -> Any:
    return SOUNDS.read(SOUNDS.section.model_validate({"model": "builtin:whisper-base", "train": str(train), **more}), 0)


def test_folders_by_class_tables_and_data_sets_are_read(tmp_path: Path) -> None:
    for split, count in (("train", 5), ("valid", 2), ("test", 3)):
        class_folder(tmp_path / "splits" / split, count, kind="flac")
    (tmp_path / "splits" / "train" / "low" / "notes.txt").write_text("x")
    data = read(tmp_path / "splits", test=str(tmp_path / "splits"))
    assert data.labels == ("high", "low")
    assert (len(data.train), len(data.validation), len(data.test)) == (10, 4, 6)
    class_folder(tmp_path / "data")
    names = [f"data/{kind}/{number}.wav" for kind in ("low", "high") for number in range(6)]
    lines = ["file,label", *(f"{name},{name.split('/')[1]}" for name in names)]
    (tmp_path / "labels.csv").write_text("\n".join(lines))
    by_path = read(tmp_path / "labels.csv", audio="file", validation=0.5)
    content = [{"bytes": (tmp_path / name).read_bytes(), "path": None} for name in names]  # as `datasets` stores them
    parquet.write_table(pa.table({"audio": content, "label": ["l"] * 6 + ["h"] * 6}), tmp_path / "sounds.parquet")
    by_bytes = read(tmp_path / "sounds.parquet", validation=0.5)
    assert by_bytes.labels == ("h", "l")
    assert len(by_bytes.train) == 6
    assert {one.digest for one in by_bytes.train.texts} <= {
        hashlib.sha256((tmp_path / name).read_bytes()).hexdigest() for name in names
    }
    assert by_path.train.texts[0] in names


@pytest.mark.parametrize("rate", [8_000, 11_025, 44_100, 48_000])
@pytest.mark.parametrize("subtype", ["PCM_16", "PCM_24", "FLOAT", "ULAW"])
def test_rates_are_resampled_and_number_formats_are_read(rate: int, subtype: str) -> None:
    found = waveform(blob(written(tone(440, 0.5, rate), rate, subtype=subtype)), RATE, LONGEST)
    assert len(found) == pytest.approx(RATE // 2, abs=2)
    inner = slice(200, -200)  # the filter has nothing beyond the ends
    assert found[inner] == pytest.approx(tone(440, 0.5)[: len(found)][inner], abs=0.04 if subtype == "ULAW" else 0.01)


def test_channels_are_averaged_and_long_sounds_are_cut_as_if_decoded_whole() -> None:
    both = np.stack([tone(440), np.zeros_like(tone(440))], axis=1)
    assert waveform(blob(written(both)), RATE, LONGEST) == pytest.approx(tone(440) / 2, abs=1e-3)
    long = blob(written(tone(440, 4.0, 44_100), 44_100))
    whole = waveform(long, RATE, 10 * RATE)
    assert (len(whole), len(waveform(long, RATE, 1000))) == (4 * RATE, 1000)
    assert waveform(long, RATE, 1000) == pytest.approx(whole[:1000], abs=1e-6)
    assert not waveform(blob(written(np.zeros(800))), RATE, LONGEST).any()  # silence is a sound


@pytest.mark.parametrize("kind", ["FLAC", "OGG", "MP3"])
@pytest.mark.parametrize("channels", [1, 2])
def test_other_formats_are_read_as_they_sound(kind: str, channels: int) -> None:
    samples = np.repeat(tone(440)[:, None], channels, axis=1)
    found = waveform(blob(written(samples, 22_050, kind=kind)), 22_050, 2 * LONGEST)
    strongest = np.abs(np.fft.rfft(found)).argmax() * 22_050 / len(found)
    assert strongest == pytest.approx(440 * 22_050 / RATE, rel=0.01)  # of the same samples at another rate


def _broken() -> dict[str, bytes]:
    good, packed = written(tone(440)), written(np.random.default_rng(0).normal(size=RATE) / 9, kind="FLAC")
    endless = good[:40] + struct.pack("<I", 0xFFFFFFFF) + good[44:]
    assert waveform(blob(endless), RATE, LONGEST) == pytest.approx(tone(440), abs=1e-3)  # as programs stream it
    return {
        "text": b"no sound",
        "nothing": b"",
        "header": good[:30],
        "truncated": good[:-200],
        "truncated FLAC": packed[:-2000],
        "damaged FLAC": packed[:5000] + bytes(3000) + packed[8000:],
        "no samples": written(np.zeros(0)),
        "numbers": written(np.full(800, np.nan), subtype="FLOAT"),
        "another format": written(tone(440), kind="AIFF"),
        "slow": good[:24] + struct.pack("<I", 100) + good[28:],
    }


def test_broken_files_are_refused_with_their_place(tmp_path: Path) -> None:
    for kind, content in _broken().items():
        root = class_folder(tmp_path / kind)
        (root / "high" / "broken.wav").write_bytes(content)
        with pytest.raises(InvalidInput, match=r"high/broken\.wav in column 'audio', row 7 of .*WAV, FLAC") as caught:
            read(root)
        assert caught.value.field == "audio"
    rows = [{"audio": f"high/{number}.wav", "label": "ab"[number % 2]} for number in range(6)]
    table = tmp_path / "text" / "t.jsonl"
    table.write_text("\n".join(map(json.dumps, [*rows, {"audio": "../nothing/high/1.wav", "label": "a"}])))
    with pytest.raises(InvalidInput, match=r"line 7.*elsewhere"):
        read(table)


@pytest.mark.slow
def test_commands_are_there_without_files_and_no_voice_is_in_two_splits() -> None:
    data = read("builtin:commands", test="builtin:commands")
    assert data.labels == tuple(sorted(WORDS))
    assert (len(data.train), len(data.validation), len(data.test)) == (320, 120, 200)
    voices = [set(read_commands(role)["voice"]) for role in ("train", "validation", "test")]
    assert len(set.union(*voices)) == sum(map(len, voices))
    assert read_commands("validation") == read_commands("validation")
    lengths = [len(waveform(one, RATE, 10 * RATE)) for one in data.validation.texts]
    assert RATE // 5 < min(lengths) < max(lengths) < 2 * RATE


def test_spoken_digits_as_published_are_read(shared_data: Path) -> None:
    folder = shared_data / "audio" / "fsdd"
    data = read(folder / "labels.csv", audio="file")
    assert len(data.train) + len(data.validation) == 300
    assert len(data.labels) == 10
