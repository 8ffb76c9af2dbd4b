"""A gallery on disk; its manifest is the point of commitment.

    manifest.json                     format, model and its fingerprint, counts, digests
    embeddings-000002-0.safetensors  `images` (rows, dim), `captions` (lines, dim), `owners`,
                                      the row of each caption's picture; more files follow
    items.jsonl                       a line per row; bytes beyond the manifest's do not count
    index-000009.faiss                approximate index of a large gallery
    photos/                           pictures that came without a lasting file, such as uploads
    thumbnails/                       small JPEGs, made when they are first shown

Every commit writes the vectors, then the lines, then the manifest, each flushed to the disk, the
manifest by renaming. A job killed at any moment loses the rows since its last commit, no more.
"""

import hashlib
import json
import os
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import replace
from datetime import UTC, datetime
from pathlib import Path
from typing import Any

import numpy as np

from multimodal.retrieval.items import Item
from multimodal.retrieval.manifest import (
    MANIFEST,
    GalleryError,
    IndexFile,
    Manifest,
    Shard,
    read_manifest,
)

ITEMS, LOCK = "items.jsonl", ".lock"
PHOTOS, THUMBNAILS = "photos", "thumbnails"
MERGED_ROWS = 262_144  # files of vectors are merged up to this size: 512 MB at a width of 512
MERGED_FILES, SMALL_ROWS = 8, 16_384  # once there are so many files, or so few rows
MAPPED_BYTES = 512 * 2**20  # more vectors than this stay on disk and are mapped into memory


class Store:
    """A gallery's folder."""

    def __init__(self, folder: Path, manifest: Manifest) -> None:
        self.folder, self.manifest = folder, manifest

    @classmethod
    def create(cls, folder: Path, model: str, fingerprint: str, embed_dim: int) -> "Store":
        """Makes a new, empty gallery.

        Raises:
            GalleryError: if there is something in the folder, or it cannot be written.
        """
        folder = Path(os.path.abspath(Path(folder).expanduser()))
        if (folder / MANIFEST).exists():
            raise GalleryError(f"{folder} holds a gallery already: open it, or give a new folder.")
        now = datetime.now(UTC).isoformat(timespec="seconds")
        store = cls(folder, Manifest(model, fingerprint, embed_dim, now))
        with store._saying():
            folder.mkdir(parents=True, exist_ok=True)
            if any(not _leftover(name) for name in os.listdir(folder)):
                raise GalleryError(
                    f"{folder} is not empty and holds no gallery: give a new folder for it."
                )
            store._commit(store.manifest)
        return store

    @classmethod
    def open(cls, folder: Path) -> "Store":
        """Opens a gallery for reading; nothing is written.

        Raises:
            GalleryError: if there is none or it is torn.
        """
        folder = Path(os.path.abspath(Path(folder).expanduser()))
        return cls(folder, read_manifest(folder))

    def is_stale(self) -> bool:
        """Whether another program has changed the gallery since it was read."""
        return read_manifest(self.folder).changes != self.manifest.changes

    def read(self) -> tuple[bytes, list[dict[str, np.ndarray]]]:
        """Reads lines and vectors.

        Lines that were lost at the end (a copy that was cut off) take their vectors with them.

        Returns:
            The lines, and per file `images`, `captions` and `owners`.

        Raises:
            GalleryError: naming the file that is missing or torn.
        """
        try:
            try:
                return self._read()
            except FileNotFoundError:
                if not self.is_stale():
                    raise
                self.manifest = read_manifest(self.folder)  # another program has merged files
                return self._read()
        except OSError as error:
            raise GalleryError(
                f"{error.filename} cannot be read ({error.strerror}): copy the whole gallery "
                "folder again, or index the photos into a new folder."
            ) from error

    def _read(self) -> tuple[bytes, list[dict[str, np.ndarray]]]:
        manifest = self.manifest
        lines = b""
        if manifest.items_bytes:
            with (self.folder / ITEMS).open("rb") as file:
                lines = file.read(manifest.items_bytes)
        lines = lines[: lines.rfind(b"\n") + 1]
        rows = lines.count(b"\n")
        if rows > manifest.rows or (rows == 0 and manifest.rows):
            raise GalleryError(
                f"{self.folder / ITEMS} does not belong to its manifest: copy the whole gallery "
                "folder again, or index the photos into a new folder."
            )
        mapped = manifest.rows * manifest.embed_dim * 4 > MAPPED_BYTES
        tensors, shards, left = [], [], rows
        for shard in manifest.shards:
            if left <= 0:
                break
            arrays = self._read_shard(shard, mapped)
            keep = min(shard.rows, left)
            start, left = rows - left, left - keep
            captions = int(np.searchsorted(arrays["owners"][: shard.captions], start + keep))
            shards.append(replace(shard, rows=keep, captions=captions))
            tensors.append(
                {
                    "images": arrays["images"][:keep],
                    "captions": arrays["captions"][:captions],
                    "owners": arrays["owners"][:captions],
                }
            )
        index = manifest.index if manifest.index and manifest.index.rows <= rows else None
        removed = tuple(row for row in manifest.removed if row < rows)
        self.manifest = replace(
            manifest,
            shards=tuple(shards),
            items_bytes=len(lines),
            index=index,
            removed=removed,
        )
        return lines, tensors

    def _read_shard(self, shard: Shard, mapped: bool) -> dict[str, np.ndarray]:
        path = self.folder / shard.file
        if digest(path) != shard.sha256:
            raise GalleryError(
                f"{path} is torn or was changed: copy the whole gallery folder again, "
                "or index the photos into a new folder."
            )
        arrays = _map_safetensors(path)
        return arrays if mapped else {name: np.array(array) for name, array in arrays.items()}

    # ------------------------------------------------------------------------------- writing

    @contextmanager
    def writing(self) -> Iterator[None]:
        """Holds the gallery's lock, so that two programs never write at once.

        The system lets go of it when the program ends, however it ends.

        Raises:
            GalleryError: if another program is writing.
        """
        with self._saying():
            file = (self.folder / LOCK).open("ab")
        with file:
            if not _lock(file):
                raise GalleryError(
                    f"{self.folder} is being indexed by another program: "
                    "wait until it is done, or stop it."
                )
            yield

    def tidy(self) -> None:
        """Removes what a killed job has left behind."""
        named = {shard.file for shard in self.manifest.shards}
        named |= {self.manifest.index.file} if self.manifest.index else set()
        with self._saying():
            for path in self.folder.iterdir():
                numbered = path.name.startswith(("embeddings-", "index-"))
                if path.name.endswith(".part") or (numbered and path.name not in named):
                    path.unlink(missing_ok=True)

    def append(
        self, items: Sequence[Item], tensors: Mapping[str, np.ndarray], removed: Sequence[int]
    ) -> None:
        """Commits new rows, or nothing.

        Args:
            items: The new lines.
            tensors: `images` (len(items), dim), `captions` (lines, dim), `owners` (lines,).
            removed: All rows that no longer count.

        Raises:
            GalleryError: if they cannot be written; what was committed before stays as it was.
        """
        manifest = replace(self.manifest, removed=tuple(removed))
        with self._saying():
            if items:
                shard = self._write_shard(tensors)
                lines = b"".join(item.to_line() for item in items)
                with (self.folder / ITEMS).open("ab") as file:
                    file.truncate(manifest.items_bytes)  # what an interrupted commit has left
                    file.write(lines)
                    _flush(file)
                manifest = replace(
                    manifest,
                    shards=(*manifest.shards, shard),
                    items_bytes=manifest.items_bytes + len(lines),
                )
            self._commit(manifest)

    def merge(self) -> None:
        """Merges small files of vectors; the old ones go when the manifest names the new."""
        old, merged = self.manifest.shards, []
        with self._saying():
            for group in _groups(old):
                few = len(group) < MERGED_FILES and sum(s.rows for s in group) > SMALL_ROWS
                if len(group) == 1 or few:  # not worth writing it all again
                    merged.extend(group)
                    continue
                parts = [_map_safetensors(self.folder / shard.file) for shard in group]
                tensors = {
                    name: np.concatenate(
                        [
                            part[name][: shard.rows if name == "images" else shard.captions]
                            for part, shard in zip(parts, group, strict=True)
                        ]
                    )
                    for name in ("images", "captions", "owners")
                }
                merged.append(self._write_shard(tensors, len(merged)))
            if len(merged) < len(old):
                self._commit(replace(self.manifest, shards=tuple(merged)))
                self._unlink({shard.file for shard in old} - {shard.file for shard in merged})

    def set_index(self, rows: int, kind: str, write: Any) -> None:
        """Puts an approximate index beside the vectors.

        Args:
            rows: How many of the first rows it covers.
            kind: faiss's name of it.
            write: Called with the path to write to.
        """
        old = self.manifest.index
        path = self.folder / f"index-{self.manifest.changes + 1:06}.faiss"
        with self._saying():
            part = path.with_name(path.name + ".part")
            try:
                write(part)
            except RuntimeError as error:  # faiss's word for a failed write
                raise OSError(0, str(error).splitlines()[0]) from error
            os.replace(part, path)
            index = IndexFile(path.name, rows, kind, digest(path))
            self._commit(replace(self.manifest, index=index))
            self._unlink({old.file} if old else set())

    def keep(self, sha256: str, suffix: str, data: bytes) -> str:
        """Stores a picture in the gallery.

        Returns:
            Its path relative to the gallery's folder.
        """
        path = self.folder / PHOTOS / sha256[:2] / f"{sha256}{suffix}"
        if not path.is_file() or path.stat().st_size != len(data):
            with self._saying():
                path.parent.mkdir(parents=True, exist_ok=True)
                write_whole(path, data, flush=False)
        return path.relative_to(self.folder).as_posix()

    def _write_shard(self, tensors: Mapping[str, np.ndarray], more: int = 0) -> Shard:
        from safetensors.numpy import save

        path = self.folder / f"embeddings-{self.manifest.changes + 1:06}-{more}.safetensors"
        data = save({name: np.ascontiguousarray(array) for name, array in tensors.items()})
        write_whole(path, data)
        sha256 = hashlib.sha256(data).hexdigest()
        return Shard(path.name, len(tensors["images"]), len(tensors["captions"]), sha256)

    def _commit(self, manifest: Manifest) -> None:
        manifest = replace(manifest, changes=self.manifest.changes + 1)
        write_whole(self.folder / MANIFEST, manifest.to_json().encode())
        self.manifest = manifest

    def _unlink(self, names: set[str]) -> None:
        for name in names:
            try:
                (self.folder / name).unlink(missing_ok=True)
            except OSError:  # Windows keeps mapped files; the next `tidy` takes them
                continue

    @contextmanager
    def _saying(self) -> Iterator[None]:
        try:
            yield
        except OSError as error:
            raise GalleryError(
                f"The gallery {self.folder} cannot be written ({error.strerror or error}): "
                "free some space or make the folder writable, then index again; "
                f"the {self.manifest.rows} pictures saved so far are safe."
            ) from error


def write_whole(path: Path, data: bytes, flush: bool = True) -> None:
    """Writes a file whole or not at all; flushed, also where the power fails."""
    part = path.with_name(path.name + ".part")
    with part.open("wb") as file:
        file.write(data)
        if flush:
            _flush(file)
    os.replace(part, path)


def digest(path: Path) -> str:
    """SHA-256 of a file."""
    with path.open("rb") as file:
        return hashlib.file_digest(file, "sha256").hexdigest()


def _flush(file: Any) -> None:
    file.flush()
    os.fsync(file.fileno())


def _leftover(name: str) -> bool:
    return name == LOCK or name.endswith(".part")


def _groups(shards: Sequence[Shard]) -> list[list[Shard]]:
    groups: list[list[Shard]] = []
    for shard in shards:
        if groups and sum(other.rows for other in groups[-1]) + shard.rows <= MERGED_ROWS:
            groups[-1].append(shard)
        else:
            groups.append([shard])
    return groups


def _map_safetensors(path: Path) -> dict[str, np.ndarray]:
    """Arrays of a safetensors file, mapped: 8 bytes length, JSON header, then the values."""
    types = {"F32": np.float32, "I32": np.int32}
    with path.open("rb") as file:
        length = int.from_bytes(file.read(8), "little")
        header = json.loads(file.read(length))
    arrays = {}
    for name, entry in header.items():
        if name == "__metadata__":
            continue
        dtype, shape = types[entry["dtype"]], tuple(entry["shape"])
        first = 8 + length + entry["data_offsets"][0]
        empty = 0 in shape  # nothing to map
        arrays[name] = (
            np.empty(shape, dtype) if empty else np.memmap(path, dtype, "r", first, shape)
        )
    return arrays


def _lock(file: Any) -> bool:
    try:
        import fcntl

        fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
    except ImportError:
        import msvcrt

        try:
            file.seek(0)
            msvcrt.locking(file.fileno(), msvcrt.LK_NBLCK, 1)
        except OSError:
            return False
    except BlockingIOError:
        return False
    except OSError:  # a file system without locks, such as some network shares
        return True
    return True
