"""Artifacts: same content is one artifact, half a file is never seen, damage and escapes are caught."""

from __future__ import annotations

import io
import os
import time
import zipfile
from pathlib import Path

import pytest

from workers.artifacts import ArtifactDamaged, ArtifactMissing, ArtifactStore


@pytest.fixture(params=["folder", "memory"])
def store(request: pytest.FixtureRequest, tmp_path: Path) -> ArtifactStore:
    return ArtifactStore(tmp_path / "store" if request.param == "folder" else f"memory://{tmp_path.name}-{time.time()}")


def folder_with(path: Path, files: dict[str, str]) -> Path:
    for name, text in files.items():
        (path / name).parent.mkdir(parents=True, exist_ok=True)
        (path / name).write_text(text)
    return path


def test_folder_comes_back_as_it_was(store: ArtifactStore, tmp_path: Path) -> None:
    source = folder_with(tmp_path / "a", {"adapter_config.json": "{}", "deep/x.txt": "x"})
    artifact = store.put_folder(source)
    back = store.extract(artifact.sha256, tmp_path / "back")
    assert (back / "adapter_config.json").read_text() == "{}"
    assert (back / "deep/x.txt").read_text() == "x"
    with store.open(artifact.sha256) as stream:
        data = stream.read()
    assert len(data) == artifact.size
    assert sorted(zipfile.ZipFile(io.BytesIO(data)).namelist()) == ["adapter_config.json", "deep/x.txt"]


def test_equal_folders_are_one_artifact_whatever_their_times(store: ArtifactStore, tmp_path: Path) -> None:
    first = folder_with(tmp_path / "a", {"x": "1", "y": "2"})
    second = folder_with(tmp_path / "b", {"y": "2", "x": "1"})
    os.utime(second / "x", (1, 1))
    assert store.put_folder(first) == store.put_folder(second)
    assert len(list(store.hashes())) == 1
    assert store.put_folder(folder_with(tmp_path / "c", {"x": "1", "y": "3"})).sha256 not in (
        store.put_folder(first).sha256,
    )


def test_unknown_and_malformed_hashes_are_missing(store: ArtifactStore) -> None:
    for name in ("0" * 64, "../../etc/passwd"):
        with pytest.raises(ArtifactMissing):
            store.open(name)


def test_what_was_derived_is_found_until_it_is_collected(store: ArtifactStore, tmp_path: Path) -> None:
    source = store.put_folder(folder_with(tmp_path / "a", {"x": "1"}))
    assert store.derived(source.sha256, "merged") is None
    made = store.put_folder(folder_with(tmp_path / "b", {"x": "2"}))
    store.keep_derived(source.sha256, "merged", made)
    assert store.derived(source.sha256, "merged") == made
    assert store.derived(source.sha256, "other") is None
    assert set(store.hashes()) == {source.sha256, made.sha256}
    store.collect_garbage({source.sha256}, min_age=0)
    assert store.derived(source.sha256, "merged") is None
    assert set(store.hashes()) == {source.sha256}


def test_garbage_is_what_nobody_refers_to_and_old_enough(store: ArtifactStore, tmp_path: Path) -> None:
    kept = store.put_folder(folder_with(tmp_path / "a", {"x": "1"}))
    lost = store.put_folder(folder_with(tmp_path / "b", {"x": "2"}))
    assert store.collect_garbage({kept.sha256}, min_age=3600) == ()
    assert store.collect_garbage({kept.sha256}, min_age=0) == (lost.sha256,)
    assert kept.sha256 in store
    assert lost.sha256 not in store


def test_storing_again_what_nobody_refers_to_makes_it_young(
    store: ArtifactStore, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    folder = folder_with(tmp_path / "a", {"x": "1"})
    first = store.put_folder(folder)
    time.sleep(0.3)
    between = time.time()
    assert store.put_folder(folder) == first
    monkeypatch.setattr("workers.artifacts.time.time", lambda: between + 1000)  # however long this machine pauses here
    assert store.collect_garbage((), min_age=1000.15) == ()
    assert first.sha256 in store


def test_artifacts_belong_to_who_came_first(store: ArtifactStore, tmp_path: Path) -> None:
    assert store.belongs_to("ours")
    assert store.belongs_to("ours")
    assert not store.belongs_to("theirs")
    kept = store.put_folder(folder_with(tmp_path / "a", {"x": "1"}))
    assert list(store.hashes()) == [kept.sha256]
    store.collect_garbage((), min_age=0)
    assert not store.belongs_to("theirs")  # the mark is no garbage


def test_damage_is_noticed(tmp_path: Path) -> None:
    store = ArtifactStore(tmp_path / "store")
    artifact = store.put_folder(folder_with(tmp_path / "a", {"x": "1"}))
    (tmp_path / "store" / artifact.sha256[:2] / artifact.sha256).write_bytes(b"rotten")
    with pytest.raises(ArtifactDamaged, match="is damaged"):
        store.extract(artifact.sha256, tmp_path / "back")


def test_a_member_cannot_leave_its_folder(store: ArtifactStore, tmp_path: Path) -> None:
    evil = tmp_path / "evil.zip"
    with zipfile.ZipFile(evil, "w") as archive:
        archive.writestr("../outside.txt", "no")
    artifact = store.put_file(evil)
    with pytest.raises(ArtifactDamaged, match="outside"):
        store.extract(artifact.sha256, tmp_path / "inside")
    assert not (tmp_path / "outside.txt").exists()


def test_only_folders_are_stored_as_folders(store: ArtifactStore, tmp_path: Path) -> None:
    with pytest.raises(NotADirectoryError, match="not a folder"):
        store.put_folder(tmp_path / "absent")
