"""Where the pictures of a gallery come from: a folder, a zip, files, or pictures in memory."""

import zipfile
from collections.abc import Callable, Iterable, Iterator, Sized
from dataclasses import dataclass
from os import PathLike
from pathlib import Path, PurePosixPath
from typing import Any

from multimodal.errors import UserError
from multimodal.images import IMAGE_SUFFIXES, is_junk, list_images
from multimodal.zips import read_zip

Sources = str | PathLike | Iterable[Any]


@dataclass(frozen=True)
class Source:
    """One picture to index.

    Attributes:
        name: What to call it.
        content: Its file's path, its bytes, a picture or array, or the `UserError` that stands
            in its place.
    """

    name: str
    content: Any


@dataclass(frozen=True)
class SourceList:
    """Pictures to index.

    Attributes:
        items: Gives them, once.
        total: How many there are, or None where that is not known.
        folder: The folder that they are all of, or None.
    """

    items: Callable[[], Iterator[Source]]
    total: int | None
    folder: Path | None = None


def read_sources(sources: Sources, excluded: Path | None = None) -> SourceList:
    """Understands what `Gallery.add` takes.

    Args:
        sources: A folder, a zip, a file, or any iterable of paths, pictures or pairs of a name
            and a path, bytes, picture or `UserError` (as `multimodal.zips.read_zip` yields).
        excluded: The gallery's own folder, whose pictures are not indexed again.

    Raises:
        UserError: if there is no such folder, or the zip as a whole is bad.
    """
    if not isinstance(sources, str | PathLike):
        total = len(sources) if isinstance(sources, Sized) else None
        return SourceList(lambda: map(_source, sources, range(1, 2**62)), total)
    path = Path(sources).expanduser()
    if path.suffix.lower() == ".zip" and path.is_file():
        members = read_zip(path)
        return SourceList(lambda: (Source(*member) for member in members), _count(path))
    if path.is_file():
        return SourceList(lambda: iter([Source(path.name, path)]), 1)
    found = list_images(path)
    if excluded is not None:
        found = [file for file in found if not file.absolute().is_relative_to(excluded)]
    return SourceList(
        lambda: (Source(file.relative_to(path).as_posix(), file) for file in found),
        len(found),
        path.absolute(),
    )


def _source(item: Any, number: int) -> Source:
    if isinstance(item, tuple) and len(item) == 2 and isinstance(item[0], str):
        name, content = item
    else:
        name = ""
        content = item
    if isinstance(content, str | PathLike):
        content = Path(content)
        name = name or content.name
    elif hasattr(content, "read"):
        name = name or Path(str(getattr(content, "name", ""))).name
        content = content.read()
    elif isinstance(content, Exception) and not isinstance(content, UserError):
        raise content
    return Source(name or f"picture {number}", content)


def _count(path: Path) -> int:
    """Pictures in a zip that `read_zip` has found sound."""
    with zipfile.ZipFile(path) as archive:
        names = [PurePosixPath(name.replace("\\", "/")) for name in archive.namelist()]
    return sum(
        name.suffix.lower() in IMAGE_SUFFIXES and not any(map(is_junk, name.parts))
        for name in names
    )
