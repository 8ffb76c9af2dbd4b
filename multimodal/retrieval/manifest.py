"""`manifest.json` of a gallery: what it says is there is there, and nothing else counts."""

import hashlib
import json
from dataclasses import asdict, dataclass
from pathlib import Path
from typing import TypeVar

from multimodal.errors import UserError

FORMAT = 1
KIND = "multimodal gallery"
MANIFEST = "manifest.json"


Entry = TypeVar("Entry", "Shard", "IndexFile")


class GalleryError(UserError):
    """A gallery is missing, torn, foreign, made by another model or cannot be written."""


@dataclass(frozen=True)
class Shard:
    """One file of vectors: its first `rows` pictures and first `captions` captions count."""

    file: str
    rows: int
    captions: int
    sha256: str


@dataclass(frozen=True)
class IndexFile:
    """The approximate index: it covers the first `rows` pictures."""

    file: str
    rows: int
    kind: str
    sha256: str


@dataclass(frozen=True)
class Manifest:
    """What `manifest.json` holds.

    Attributes:
        model: What `multimodal.clip.load` takes.
        fingerprint: Digest of the model that made the vectors.
        embed_dim: Their width.
        created: When the gallery was made, ISO 8601.
        shards: Files of vectors, in the order of the rows.
        items_bytes: How much of `items.jsonl` counts.
        removed: Rows that are no longer part of the gallery.
        index: The approximate index, where there is one.
        changes: Grows with every commit; new files are numbered by it.
    """

    model: str
    fingerprint: str
    embed_dim: int
    created: str
    shards: tuple[Shard, ...] = ()
    items_bytes: int = 0
    removed: tuple[int, ...] = ()
    index: IndexFile | None = None
    changes: int = 0

    @property
    def rows(self) -> int:
        """Rows of vectors, those removed included."""
        return sum(shard.rows for shard in self.shards)

    def to_json(self) -> str:
        """The text of `manifest.json`."""
        digest = hashlib.sha256("".join(shard.sha256 for shard in self.shards).encode())
        body = {
            "kind": KIND,
            "format": FORMAT,
            "count": self.rows - len(self.removed),
            "captions": sum(shard.captions for shard in self.shards),
            "normalised": True,
            "digest": digest.hexdigest(),
        }
        return json.dumps(body | asdict(self), indent=1, ensure_ascii=False) + "\n"

    @classmethod
    def from_json(cls, text: str, path: Path) -> "Manifest":
        """Reads a manifest.

        Raises:
            GalleryError: if it is foreign, torn or of a newer format.
        """
        try:
            body = json.loads(text)
            if body["kind"] != KIND:
                raise ValueError(body["kind"])
            if body["format"] > FORMAT:
                raise GalleryError(
                    f"{path.parent} was made by a newer version of this project (format "
                    f"{body['format']}, this one reads up to {FORMAT}): update the project."
                )
            return cls(
                model=str(body["model"]),
                fingerprint=str(body["fingerprint"]),
                embed_dim=int(body["embed_dim"]),
                created=str(body["created"]),
                shards=tuple(_named(Shard(**shard)) for shard in body["shards"]),
                items_bytes=int(body["items_bytes"]),
                removed=tuple(int(row) for row in body["removed"]),
                index=_named(IndexFile(**body["index"])) if body["index"] else None,
                changes=int(body["changes"]),
            )
        except GalleryError:
            raise
        except (ValueError, KeyError, TypeError, AttributeError) as error:
            raise GalleryError(
                f"{path} is not the manifest of a gallery or is torn: copy the whole gallery "
                "folder again, or index the photos into a new folder."
            ) from error


def read_manifest(folder: Path) -> Manifest:
    """Reads and checks a gallery's manifest.

    Raises:
        GalleryError: if there is none, or it is torn or foreign.
    """
    path = folder / MANIFEST
    try:
        text = path.read_text("utf-8")
    except (FileNotFoundError, NotADirectoryError) as error:
        raise GalleryError(
            f"{folder} is not a gallery (it has no {MANIFEST}): give a folder that "
            "`python -m multimodal index` has made."
        ) from error
    except (OSError, ValueError) as error:
        raise GalleryError(f"{path} cannot be read ({error}): copy the gallery again.") from error
    return Manifest.from_json(text, path)


def _named(entry: Entry) -> Entry:
    """Refuses file names that lead out of the folder."""
    if Path(entry.file).name != entry.file:
        raise ValueError(entry.file)
    return entry
