"""Images as users have them: folders, tables, camera files, and what is wrong with some."""

from __future__ import annotations

import hashlib
import json
import struct
from io import BytesIO
from pathlib import Path
from typing import Any

import datasets
import numpy as np
import pytest
from PIL import Image

from workers.data.pictures import decoded
from workers.data.rows import Blob
from workers.errors import InvalidInput
from workers.tasks.registry import task

IMAGES = task("image-classification")


def painted(colour: Any, mode: str = "RGB", size: tuple[int, int] = (6, 4)) -> Image.Image:
    return Image.new(mode, size, colour)


def written(image: Image.Image, kind: str = "PNG", **options: Any) -> bytes:
    buffer = BytesIO()
    image.save(buffer, kind, **options)
    return buffer.getvalue()


def blob(content: bytes) -> Blob:
    return Blob.of("a.png", content, "row 1", hashlib.sha256(content).hexdigest())


def class_folder(root: Path, count: int = 6) -> Path:
    for kind, colour in (("cats", (200, 0, 0)), ("dogs", (0, 0, 200))):
        (root / kind).mkdir(parents=True)
        for number in range(count):
            painted((*colour[:2], colour[2] + number)).save(root / kind / f"{number}.png")
    return root


def read(train: Path | str, **more: Any) -> Any:
    return IMAGES.read(IMAGES.section.model_validate({"model": "builtin:vit", "train": str(train), **more}), 0)


def test_a_folder_of_folders_is_divided_and_one_with_splits_is_not(tmp_path: Path) -> None:
    data = read(class_folder(tmp_path / "plain"), validation=0.5)
    assert data.labels == ("cats", "dogs")
    assert (len(data.train), len(data.validation)) == (6, 6)
    assert not set(data.train.texts) & set(data.validation.texts)
    for split, count in (("train", 5), ("val", 2), ("test", 3)):
        class_folder(tmp_path / "splits" / split, count)
    (tmp_path / "splits" / "train" / "cats" / ".DS_Store").write_bytes(b"x")
    (tmp_path / "splits" / "train" / "cats" / "notes.txt").write_text("x")
    data = read(tmp_path / "splits", test=str(tmp_path / "splits"))
    assert (len(data.train), len(data.validation), len(data.test)) == (10, 4, 6)
    with pytest.raises(InvalidInput, match="folder for each class"):
        read(tmp_path / "plain" / "cats")


def test_tables_name_files_below_their_folder_and_hold_bytes(tmp_path: Path) -> None:
    class_folder(tmp_path / "data")
    names = [f"data/{kind}/{number}.png" for kind in ("cats", "dogs") for number in range(6)]
    lines = [f"{name},{name.split('/')[1]}" for name in names]
    (tmp_path / "labels.csv").write_text("\n".join(["file,label", *lines]))
    by_path = read(tmp_path / "labels.csv", image="file", validation=0.5)
    assert by_path.train.texts[0] in names
    content = [(tmp_path / name).read_bytes() for name in names]
    features = datasets.Features(
        {"image": datasets.Image(decode=False), "label": datasets.ClassLabel(names=["c", "d"])}
    )
    table = {"image": [{"bytes": one, "path": None} for one in content], "label": [0] * 6 + [1] * 6}
    datasets.Dataset.from_dict(table, features=features).save_to_disk(tmp_path / "saved" / "train")
    datasets.Dataset.from_dict(table, features=features).to_parquet(tmp_path / "images.parquet")
    for source in (tmp_path / "saved", tmp_path / "images.parquet"):
        by_bytes = read(source, validation=0.5)
        assert by_bytes.labels == ("c", "d")
        assert [one.digest for one in by_bytes.train.texts] == [one.digest for one in by_path.train.texts]


@pytest.mark.parametrize("name", ["../secret.png", "/etc/hostname", "link.png"])
def test_a_table_leads_nowhere_else(tmp_path: Path, name: str) -> None:
    class_folder(tmp_path / "data")
    painted((1, 2, 3)).save(tmp_path / "secret.png")
    (tmp_path / "data" / "link.png").symlink_to(tmp_path / "secret.png")
    rows = [{"image": f"cats/{number}.png", "label": "ab"[number % 2]} for number in range(6)]
    rows.append({"image": name, "label": "a"})
    (tmp_path / "data" / "t.jsonl").write_text("\n".join(map(json.dumps, rows)))
    with pytest.raises(InvalidInput, match=r"elsewhere") as caught:
        read(tmp_path / "data" / "t.jsonl")
    assert "line 7" in str(caught.value)


@pytest.mark.parametrize("kind", ["truncated", "text", "empty", "postscript", "no numbers", "another format", "bomb"])
def test_broken_files_are_refused_with_their_place(tmp_path: Path, kind: str) -> None:
    root = class_folder(tmp_path / "data")
    noise = Image.fromarray(np.random.default_rng(0).integers(0, 255, (64, 64, 3), dtype=np.uint8))
    broken = {
        "truncated": written(noise, "JPEG")[:-800],
        "text": b"no image",
        "empty": b"",
        "postscript": b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 1 1\n",
        "no numbers": written(Image.fromarray(np.full((4, 6), np.nan, dtype=np.float32)), "TIFF"),
        "another format": written(noise, "ICO"),
        "bomb": b"BM" + struct.pack("<IIIIiiHHIIiiII", 54, 0, 54, 40, 60_000, 60_000, 1, 24, 0, 0, 0, 0, 0, 0),
    }
    (root / "dogs" / "broken.jpg").write_bytes(broken[kind])
    with pytest.raises(InvalidInput) as caught:
        read(root)
    assert caught.value.field == "image"
    assert "dogs/broken.jpg" in str(caught.value)


def test_modes_of_colour_become_what_the_model_reads() -> None:
    alike = (10, 200, 30)
    for image, wanted in (
        (painted(90, "L"), (90, 90, 90)),
        (painted((*alike, 128), "RGBA"), alike),
        (painted(alike).convert("P", palette=Image.Palette.ADAPTIVE), alike),
        (painted(True, "1"), (255, 255, 255)),
    ):
        assert decoded(blob(written(image)), 3).getpixel((0, 0)) == wanted
    printed = written(painted((0, 255, 255, 0), "CMYK"), "JPEG", quality=95)
    assert decoded(blob(printed), 3).getpixel((1, 1)) == pytest.approx((255, 0, 0), abs=2)
    assert decoded(blob(written(painted((0, 255, 255, 0), "CMYK"), "TIFF")), 3).getpixel((1, 1)) == (255, 0, 0)
    assert decoded(blob(written(painted(90, "L"), "JPEG")), 3).getpixel((1, 1)) == (90, 90, 90)
    deep = Image.fromarray(np.full((4, 6), 40_000, dtype=np.uint16))
    assert decoded(blob(written(deep)), 3).getpixel((0, 0)) == (155, 155, 155)
    for brightness, wanted in ((0.5, 127), (1.0, 255), (200.0, 200), (40_000.0, 155)):  # as instruments write them
        exact = Image.fromarray(np.full((4, 6), brightness, dtype=np.float32))
        assert decoded(blob(written(exact, "TIFF")), 3).getpixel((0, 0)) == (wanted,) * 3
    assert decoded(blob(written(painted(alike))), 1).mode == "L"


@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_a_photograph_is_turned_as_it_was_held(kind: str) -> None:
    corners = [[(250, 0, 0), (0, 250, 0), (0, 0, 250)], [(250, 250, 0), (0, 250, 250), (250, 0, 250)]]
    upright = Image.fromarray(np.kron(np.array(corners, dtype=np.uint8), np.ones((8, 8, 1), dtype=np.uint8)))
    turns = Image.Transpose
    back = (turns.FLIP_LEFT_RIGHT, turns.ROTATE_180, turns.FLIP_TOP_BOTTOM, turns.TRANSPOSE)
    back += (turns.ROTATE_90, turns.TRANSVERSE, turns.ROTATE_270)
    exact = {"JPEG": {"quality": 95, "subsampling": 0}, "WEBP": {"lossless": True}}.get(kind, {})
    for orientation, turn in enumerate(back, start=2):
        notes = Image.Exif()
        notes[0x0112] = orientation
        found = decoded(blob(written(upright.transpose(turn), kind, exif=notes, **exact)), 3)
        assert found.size == upright.size
        assert np.asarray(found, dtype=int) == pytest.approx(np.asarray(upright, dtype=int), abs=2)


@pytest.mark.parametrize("kind", ["GIF", "TIFF", "WEBP", "MPO"])  # MPO: as cameras write JPEGs with a preview
def test_of_several_pictures_in_a_file_the_first_is_read(kind: str) -> None:
    several = written(painted((200, 0, 0)), kind, save_all=True, append_images=[painted((0, 0, 200))])
    assert decoded(blob(several), 3).getpixel((1, 1)) == pytest.approx((200, 0, 0), abs=3)


def test_digits_are_there_without_files_and_are_none_that_the_model_has_seen() -> None:
    data = read("builtin:digits", test="builtin:digits")
    assert data.labels == tuple("0123456789")
    digests = [one.digest for split in (data.train, data.validation, data.test) for one in split.texts]
    assert len(digests) == 898
    assert len(set(digests)) > 890


def test_photographs_as_published_are_read(shared_data: Path) -> None:
    folder = shared_data / "image" / "cifar10_sample"
    data = read(folder, test=str(folder))
    assert (len(data.train), len(data.validation), len(data.test), len(data.labels)) == (650, 150, 300, 10)
