"""Content-addressed storage of adapters and checkpoints, in a folder or behind any fsspec URL.

An artifact is a file named by the SHA-256 of its bytes. A folder is stored as a zip whose bytes depend on names and
contents only (sorted, no times), so that equal folders are one artifact. Imports neither torch nor ray.
"""

from __future__ import annotations

import hashlib
import shutil
import tempfile
import time
import uuid
import zipfile
from collections.abc import Collection, Iterator
from contextlib import suppress
from pathlib import Path
from typing import IO, BinaryIO

from fsspec.core import url_to_fs
from pydantic import ValidationError

from workers.assignment import Artifact
from workers.room import when_there_is_room

_CHUNK = 1 << 20  # bytes
_ZIP_EPOCH = (1980, 1, 1, 0, 0, 0)  # the earliest time a zip can hold: times must not change the hash
_PARTIAL = ".partial-"
_OWNER = ".owner"


class ArtifactMissing(LookupError):
    """No artifact has this hash."""

    def __init__(self, sha256: str) -> None:
        super().__init__(f"no artifact {sha256!r} in this store")


class ArtifactDamaged(ValueError):
    """Stored bytes no longer have the hash they are filed under."""


class ArtifactStore:
    """Artifacts under one root: a local folder or an fsspec URL such as `s3://bucket/prefix` or `memory://name`."""

    def __init__(self, url: str | Path) -> None:
        self._files, self._root = url_to_fs(str(url), auto_mkdir=True)
        self._files.makedirs(self._root, exist_ok=True)

    def put_file(self, path: Path) -> Artifact:
        """Store the bytes of `path`; storing the same bytes again changes nothing."""
        artifact = Artifact(sha256=_sha256(path), size=path.stat().st_size)
        target = self._path(artifact.sha256)
        if not self._files.exists(target) or not self._renewed(target):
            # Readers must never see half a file: fill a name nobody asks for, then rename.
            partial = f"{self._root}/{_PARTIAL}{uuid.uuid4().hex}"
            try:
                self._files.put_file(str(path), partial)
                self._files.makedirs(target.rsplit("/", 1)[0], exist_ok=True)
                self._files.mv(partial, target)
            except OSError:
                self._remove(partial)  # on a full disk least of all may it stay
                raise
        return artifact

    def _remove(self, path: str) -> None:
        with suppress(OSError):
            self._files.rm_file(path)

    def _renewed(self, path: str) -> bool:
        """Make a file young again, lest it be collected before its new reference is known; False where it cannot be."""
        try:
            self._files.touch(path, truncate=False)
        except (NotImplementedError, ValueError, FileNotFoundError):
            return False
        return True

    def belongs_to(self, owner: str) -> bool:
        """Whether `owner` is who first asked: only the owner knows what is garbage here."""
        path = f"{self._root}/{_OWNER}"
        if not self._files.exists(path):
            self._files.pipe_file(path, owner.encode())
        return bool(self._files.cat_file(path) == owner.encode())

    def put_folder(self, folder: Path) -> Artifact:
        """Store every file below `folder` as one artifact; waits while the disk is full.

        Raises:
            NotADirectoryError: `folder` is not a folder.
        """
        if not folder.is_dir():
            raise NotADirectoryError(f"cannot store {folder}: not a folder")
        return when_there_is_room(lambda: self._put_folder(folder))

    def _put_folder(self, folder: Path) -> Artifact:
        with tempfile.TemporaryDirectory() as scratch:
            packed = Path(scratch) / "folder.zip"
            _zip_folder(folder, packed)
            return self.put_file(packed)

    def open(self, sha256: str) -> BinaryIO:
        """The artifact's bytes as a stream (a zip, if it was a folder).

        Raises:
            ArtifactMissing: nothing is stored under this hash.
        """
        try:
            return self._files.open(self._path(sha256), "rb")  # type: ignore[no-any-return]
        except FileNotFoundError:
            raise ArtifactMissing(sha256) from None

    def open_whole(self, sha256: str) -> BinaryIO:
        """As `open`, once all bytes have been compared with the hash.

        Raises:
            ArtifactMissing: nothing is stored under this hash.
            ArtifactDamaged: the bytes have another hash.
        """
        stored = self.open(sha256)
        try:
            _check(stored, sha256)
        except ArtifactDamaged:
            stored.close()
            raise
        return stored

    def extract(self, sha256: str, to: Path) -> Path:
        """Unpack a stored folder into `to` (made if absent) and return it. The bytes are checked against the hash.

        Raises:
            ArtifactMissing: nothing is stored under this hash.
            ArtifactDamaged: the bytes have another hash, or a member would land outside `to`.
        """
        with tempfile.TemporaryFile() as local, self.open(sha256) as stored:
            shutil.copyfileobj(stored, local, _CHUNK)
            _check(local, sha256)
            to.mkdir(parents=True, exist_ok=True)
            with zipfile.ZipFile(local) as archive:
                for name in archive.namelist():
                    if not (to / name).resolve().is_relative_to(to.resolve()):
                        raise ArtifactDamaged(f"artifact {sha256} holds a path outside its folder: {name!r}")
                archive.extractall(to)
        return to

    def keep_derived(self, source: str, kind: str, derived: Artifact) -> None:
        """Remember what was made of the artifact `source`. Nothing else refers to it: in time it is garbage."""
        self._files.pipe_file(f"{self._path(source)}.{kind}", derived.model_dump_json().encode())

    def derived(self, source: str, kind: str) -> Artifact | None:
        """What was made of the artifact `source` and is still stored."""
        try:
            found = Artifact.model_validate_json(self._files.cat_file(f"{self._path(source)}.{kind}"))
        except (FileNotFoundError, ValidationError):  # never made, collected, or half written by who makes it now
            return None
        return found if self.has(found) else None

    def delete(self, sha256: str) -> None:
        """Remove an artifact; removing an absent one is no error."""
        path = self._path(sha256)
        if self._files.exists(path):
            self._files.rm_file(path)

    def __contains__(self, sha256: object) -> bool:
        return isinstance(sha256, str) and bool(self._files.exists(self._path(sha256)))

    def has(self, artifact: Artifact) -> bool:
        """Whether bytes of this size are stored under this hash; False for what is no hash."""
        try:
            return int(self._files.size(self._path(artifact.sha256))) == artifact.size
        except (ArtifactMissing, FileNotFoundError):
            return False

    def hashes(self) -> Iterator[str]:
        """Every stored hash, in no particular order."""
        for path in self._files.find(self._root):
            name = str(path).rsplit("/", 1)[-1]
            if "." not in name:  # the owner, half a file, what was derived
                yield name

    def collect_garbage(self, referenced: Collection[str], min_age: float = 3600.0) -> tuple[str, ...]:
        """Delete what nothing refers to and return the deleted hashes.

        `min_age` (seconds) protects artifacts whose outcome is still on its way to the database. Where the file
        system cannot tell an age, nothing is young.
        """
        keep = set(referenced)
        removed = []
        for path in self._files.find(self._root):
            name = str(path).rsplit("/", 1)[-1]
            if name not in keep and name != _OWNER and self._age(path) >= min_age:
                self._files.rm_file(path)
                removed.append(name)
        return tuple(removed)

    def _age(self, path: str) -> float:
        try:
            return time.time() - float(self._files.modified(path).timestamp())
        except (NotImplementedError, FileNotFoundError):
            return float("inf")

    def _path(self, sha256: str) -> str:
        if len(sha256) != 64 or not set(sha256) <= set("0123456789abcdef"):
            raise ArtifactMissing(sha256)
        return f"{self._root}/{sha256[:2]}/{sha256}"


def _check(stored: IO[bytes], sha256: str) -> None:
    """Compare all bytes with the hash; the stream is at its start before and afterwards."""
    stored.seek(0)
    found = hashlib.file_digest(stored, "sha256").hexdigest()  # type: ignore[arg-type]  # fsspec's files read like others
    if found != sha256:
        raise ArtifactDamaged(f"artifact {sha256} is damaged: its bytes have the hash {found}")
    stored.seek(0)


def _sha256(path: Path) -> str:
    with path.open("rb") as stream:
        return hashlib.file_digest(stream, "sha256").hexdigest()


def _zip_folder(folder: Path, target: Path) -> None:
    with zipfile.ZipFile(target, "w", zipfile.ZIP_STORED) as archive:
        for path in sorted(p for p in folder.rglob("*") if p.is_file()):
            entry = zipfile.ZipInfo(path.relative_to(folder).as_posix(), date_time=_ZIP_EPOCH)
            entry.external_attr = 0o644 << 16
            with path.open("rb") as source, archive.open(entry, "w", force_zip64=True) as packed:
                shutil.copyfileobj(source, packed, _CHUNK)
