"""Photos out of a zip that may be hostile: unpacked in memory, never trusted in what it says."""

import io
import os
import re
import stat
import struct
import unicodedata
import zipfile
from collections.abc import Collection, Iterator
from pathlib import PurePosixPath
from typing import BinaryIO

from multimodal.images import (
    FOREIGN_SUFFIXES,
    IMAGE_SUFFIXES,
    MAX_FILE_BYTES,
    READABLE,
    ImageError,
    is_junk,
    opened,
    regular_file,
)

MAX_ZIP_ENTRIES = 50_000
MAX_ZIP_DIRECTORY_BYTES = 32 * 2**20  # the table of contents, read whole by `zipfile`
MAX_ZIP_TOTAL_BYTES = 8 * 2**30  # all of it unpacked
MAX_ZIP_RATIO = 200  # unpacked to packed size; deflate ends at about 1,030
RATIO_FREE_BYTES = 8 * 2**20  # small flat pictures may pack better than that


def read_photos(
    source: str | os.PathLike | bytes | BinaryIO, suffixes: Collection[str] = IMAGE_SUFFIXES
) -> Iterator[tuple[str, bytes | ImageError]]:
    """What `multimodal.images.read_zip` does; see there."""
    if isinstance(source, bytes | bytearray | memoryview):
        file, label = io.BytesIO(source), "The zip"
    elif hasattr(source, "read"):
        file, label = source, "The zip"
    else:
        path = regular_file(source)
        file, label = opened(path), repr(path.name)
    owned = file is not source
    try:
        archive = _open_zip(file, label)
        entries = _zip_entries(archive, frozenset(suffixes), label)
    except BaseException:
        if owned:
            file.close()
        raise
    return _unpack(archive, entries, file if owned else None)


def _open_zip(file: BinaryIO, label: str) -> zipfile.ZipFile:
    torn = f"{label} is not a zip archive or is torn: make or download it again."
    try:
        if _directory_bytes(file) > MAX_ZIP_DIRECTORY_BYTES:
            raise ImageError(f"{label} lists far too many files: split it into smaller zips.")
        archive = zipfile.ZipFile(file)
    except ImageError:
        raise
    except Exception as error:  # zipfile raises many kinds on hostile bytes
        raise ImageError(torn) from error
    return archive


def _directory_bytes(file: BinaryIO) -> int:
    """Size of a zip's table of contents, from its end records (APPNOTE 4.3.14 to 4.3.16)."""
    size = file.seek(0, os.SEEK_END)
    file.seek(max(0, size - 65_557 - 76))
    tail = file.read()
    file.seek(0)
    end = tail.rfind(b"PK\x05\x06")
    if end < 0 or end + 22 > len(tail):
        return 0  # no zip at all: left for zipfile to say
    declared = struct.unpack_from("<L", tail, end + 12)[0]
    if end >= 76 and tail[end - 76 : end - 72] == b"PK\x06\x06":  # zip64
        declared = struct.unpack_from("<Q", tail, end - 76 + 40)[0]
    return min(declared, size)


def _zip_entries(
    archive: zipfile.ZipFile, suffixes: Collection[str], label: str
) -> list[tuple[str, zipfile.ZipInfo | ImageError]]:
    """The wanted files under safe names; those that cannot be had as errors."""
    infos = archive.infolist()
    if len(infos) > MAX_ZIP_ENTRIES:
        raise ImageError(
            f"{label} lists {len(infos):,} files, more than the {MAX_ZIP_ENTRIES:,} "
            "that may be in one: split it into smaller zips."
        )
    entries: list[tuple[str, zipfile.ZipInfo | ImageError]] = []
    taken: set[str] = set()
    for info in infos:
        raw = _zip_name(info)
        name = _safe_name(raw)
        suffix = PurePosixPath(name).suffix.lower()
        if info.is_dir() or any(map(is_junk, PurePosixPath(name).parts)):
            continue
        if suffix not in suffixes and suffix not in FOREIGN_SUFFIXES:
            continue
        number, stem = 2, name.removesuffix(PurePosixPath(name).suffix)
        while name.casefold() in taken:
            name, number = f"{stem} ({number}){suffix}", number + 1
        taken.add(name.casefold())
        problem = _zip_problem(info, raw, suffix if suffix not in suffixes else "")
        entries.append((name, ImageError(f"{name!r} {problem}.") if problem else info))
    wanted = [entry for _, entry in entries if isinstance(entry, zipfile.ZipInfo)]
    if sum(info.file_size for info in wanted) > MAX_ZIP_TOTAL_BYTES:
        raise ImageError(
            f"{label} would unpack to more than {MAX_ZIP_TOTAL_BYTES // 2**30} GB: "
            "split it into smaller zips."
        )
    if not entries:
        raise ImageError(f"{label} holds no photos: put files of {READABLE} into it.")
    if not wanted and all("password" in str(entry) for _, entry in entries):
        raise ImageError(f"{label} is locked with a password: make it again without one.")
    return entries


def _zip_problem(info: zipfile.ZipInfo, raw: str, foreign: str) -> str:
    """Why an entry is refused before any of it is read, or nothing."""
    parts = raw.replace("\\", "/").split("/")
    if ".." in parts or raw.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", raw):
        return "has a name that points outside the zip: pack the photos again"
    if foreign:
        return f"is a {foreign} file, which this app cannot read: save it as {READABLE}"
    if stat.S_ISLNK(info.external_attr >> 16):
        return "is a link and not a photo: pack the photo itself"
    if info.flag_bits & 0x1:
        return "is locked with a password: make the zip again without one"
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2):
        return "is packed by a method that is not supported: make the zip again as an ordinary one"
    if info.file_size > MAX_FILE_BYTES:
        return f"has more than the {MAX_FILE_BYTES // 2**20} MB that a picture may have"
    if info.file_size > max(RATIO_FREE_BYTES, MAX_ZIP_RATIO * info.compress_size):
        return "unpacks to so many times its size that it looks like a zip bomb: leave it out"
    return ""


def _unpack(
    archive: zipfile.ZipFile,
    entries: list[tuple[str, zipfile.ZipInfo | ImageError]],
    owned: BinaryIO | None,
) -> Iterator[tuple[str, bytes | ImageError]]:
    try:
        for name, entry in entries:
            yield name, entry if isinstance(entry, ImageError) else _member(archive, entry, name)
    finally:
        archive.close()
        if owned is not None:
            owned.close()


def _member(archive: zipfile.ZipFile, info: zipfile.ZipInfo, name: str) -> bytes | ImageError:
    try:
        with archive.open(info) as file:  # reads no more than the declared size, checks its CRC
            return file.read(info.file_size + 1)
    except Exception as error:  # zipfile and zlib raise many kinds on torn data
        problem = ImageError(f"{name!r} is torn inside the zip: make or download the zip again.")
        problem.__cause__ = error
        return problem


def _zip_name(info: zipfile.ZipInfo) -> str:
    """The entry's name; without the UTF-8 flag, macOS means UTF-8 and Korean Windows EUC-KR."""
    name = info.filename
    if not info.flag_bits & 0x800 and not name.isascii():
        for encoding in ("utf-8", "euc_kr"):
            try:
                return name.encode("cp437").decode(encoding)
            except UnicodeError:
                continue
    return name


def _safe_name(raw: str) -> str:
    text = unicodedata.normalize("NFC", re.sub(r"^[A-Za-z]:", "", raw).replace("\\", "/"))
    parts = [part for part in text.split("/") if part not in ("", ".", "..")]
    return "".join(char if char.isprintable() else "_" for char in "/".join(parts))
