"""A photo with what is known of it, wherever its bytes lie: a file or a member of a tar."""

import tarfile
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

from multimodal.errors import UserError
from multimodal.images import IMAGE_SUFFIXES


class DataError(UserError):
    """A data set is missing or not in its official layout."""


class MissingError(DataError):
    """A data set is not in the folder at all."""


@dataclass(frozen=True)
class Photo:
    """One picture of a data set.

    Attributes:
        file: The picture's file, or the tar that holds it.
        name: Its name inside the data set.
        captions: What people wrote about it.
        label: Its class, where it has one.
        objects: Kinds of things it shows, where they are listed.
        offset: Where it begins inside the tar, or None for a plain file.
        size: Its bytes inside the tar.
    """

    file: Path
    name: str
    captions: tuple[str, ...] = ()
    label: str | None = None
    objects: tuple[str, ...] = ()
    offset: int | None = None
    size: int = 0

    def read(self) -> bytes:
        """The encoded picture."""
        if self.offset is None:
            return self.file.read_bytes()
        with self.file.open("rb") as tar:
            tar.seek(self.offset)
            return tar.read(self.size)


def find(root: Path, *candidates: str) -> Path:
    """The first of several paths below a folder that exists.

    Args:
        root: The data folder.
        candidates: Relative paths, in order of preference; ``*`` may stand in them.

    Raises:
        MissingError: naming the folder and all that was looked for.
    """
    for candidate in candidates:
        if found := sorted(Path(root).glob(candidate)):
            return found[0]
    raise MissingError(
        f"{root} holds none of {', '.join(candidates)}: give the folder with --data, "
        "or get it with `python -m multimodal data fetch`."
    )


def class_photos(place: Path) -> Iterator[Photo]:
    """Pictures of a class-per-folder set; the innermost folder's name is the class.

    Folders named ``images`` (Tiny-ImageNet has them) do not count as a class.

    Args:
        place: A folder or an uncompressed tar.

    Yields:
        Photos with their label, sorted by name.

    Raises:
        DataError: if there is no such folder or tar.
    """
    for photo in sorted(_walk(place), key=lambda photo: photo.name):
        folders = [part for part in Path(photo.name).parts[:-1] if part != "images"]
        if folders:
            yield Photo(
                photo.file, photo.name, label=folders[-1], offset=photo.offset, size=photo.size
            )


def _walk(place: Path) -> Iterator[Photo]:
    place = Path(place)
    if place.is_dir():
        for file in place.rglob("*"):
            if file.suffix.lower() in IMAGE_SUFFIXES and file.is_file():
                yield Photo(file, file.relative_to(place).as_posix())
        return
    try:
        with tarfile.open(place, "r:") as tar:
            for member in tar:
                if member.isfile() and Path(member.name).suffix.lower() in IMAGE_SUFFIXES:
                    yield Photo(place, member.name, offset=member.offset_data, size=member.size)
    except (OSError, tarfile.TarError) as error:
        raise DataError(
            f"{place} is neither a folder nor an uncompressed tar of pictures."
        ) from error
