"""Unpacks a downloaded zip or tar without ever writing outside its folder."""

import os
import shutil
import stat
import tarfile
import zipfile
import zlib
from collections.abc import Callable, Iterator
from pathlib import Path, PurePosixPath
from typing import BinaryIO

from multimodal.download import BLOCK, Meter, gigabytes
from multimodal.errors import UserError
from multimodal.progress import Progress

AGAIN = "run the same command again and it goes on where it stopped"

_Member = tuple[str, int, Callable[[], BinaryIO]]  # name, bytes, opener


class FetchError(UserError):
    """A data set cannot be downloaded, verified or unpacked."""


def unpack(archive: Path, folder: Path) -> Iterator[Progress]:
    """Unpacks a zip or tar; nothing is ever written outside the folder.

    Files that are there already in their full size are left as they are, so that a stopped
    unpacking goes on.

    Args:
        archive: The zip or tar.
        folder: Where to.

    Yields:
        Progress in bytes.

    Raises:
        FetchError: if the archive is torn, or holds a link, a device or a name that points
            outside the folder, or would not fit on the disk.
    """
    try:
        if zipfile.is_zipfile(archive):
            with zipfile.ZipFile(archive) as file:
                yield from _write_all(list(_zip_members(file)), archive.name, folder)
        else:
            with tarfile.open(archive) as file:
                yield from _write_all(list(_tar_members(file)), archive.name, folder)
    except (
        zipfile.BadZipFile,
        tarfile.TarError,
        zlib.error,
        EOFError,
        NotImplementedError,  # of zipfile: a compression that it does not know
    ) as error:
        raise FetchError(
            f"{archive} is not an archive or is torn: delete it, then run the same command again."
        ) from error


def _zip_members(file: zipfile.ZipFile) -> Iterator[_Member]:
    for info in file.infolist():
        if stat.S_ISLNK(info.external_attr >> 16):
            raise _unsafe(file.filename, info.filename)
        if not info.is_dir():
            yield info.filename, info.file_size, lambda info=info: file.open(info)


def _tar_members(file: tarfile.TarFile) -> Iterator[_Member]:
    for member in file:
        if member.isfile():
            yield member.name, member.size, lambda member=member: file.extractfile(member)
        elif not member.isdir():
            raise _unsafe(file.name, member.name)


def _write_all(members: list[_Member], archive: str, folder: Path) -> Iterator[Progress]:
    members = [member for member in members if not member[0].startswith("__MACOSX/")]
    root = folder.resolve()
    for name, _, _ in members:  # all of them, before the first is written
        path = PurePosixPath(name.replace("\\", "/"))
        inside = not path.is_absolute() and ".." not in path.parts and ":" not in path.parts[0]
        if not inside or not (root / path).resolve().is_relative_to(root):
            raise _unsafe(archive, name)
    total = sum(size for _, size, _ in members)
    free = shutil.disk_usage(root).free
    if total > free:
        raise FetchError(
            f"{folder} has {gigabytes(free)} free and {archive} unpacks to {gigabytes(total)}: "
            f"free some space, then {AGAIN}."
        )
    meter, done = Meter(f"{archive}: unpacking", total), 0
    for name, size, opened in members:
        path = root / PurePosixPath(name.replace("\\", "/"))
        if not (path.is_file() and path.stat().st_size == size):
            path.parent.mkdir(parents=True, exist_ok=True)
            part = path.with_name(path.name + ".part")
            with opened() as source, part.open("wb") as sink:
                shutil.copyfileobj(source, sink, BLOCK)
            os.replace(part, path)
        done += size
        yield from meter.tick(done)
    yield meter.report(done)


def _unsafe(archive: str | None, name: str) -> FetchError:
    return FetchError(
        f"{archive} holds {name!r}, a link or a name that points outside its folder, so nothing "
        "of it was unpacked: delete it and fetch it from its official address."
    )
