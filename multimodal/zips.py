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
    KOREAN_READABLE,
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


def read_zip(
    source: str | os.PathLike | bytes | BinaryIO, suffixes: Collection[str] = IMAGE_SUFFIXES
) -> Iterator[tuple[str, bytes | ImageError]]:
    """Reads the photos in a zip, one at a time and without writing anything to disk.

    Names are made safe (relative, no `..`, printable, unique); names that Korean Windows wrote
    are read as such. What macOS and Windows leave behind in a zip is passed over.

    Args:
        source: Path, bytes or seekable binary file of the zip.
        suffixes: Which files are wanted, lower case with the dot; add ``.txt`` for captions.

    Returns:
        An iterator of (name, bytes); where one file is bad, an `ImageError` stands in place of
        its bytes, and the rest goes on.

    Raises:
        ImageError: at once, if the zip as a whole is torn, locked, empty or a zip bomb.
    """
    if isinstance(source, bytes | bytearray | memoryview):
        file, zip_name = io.BytesIO(source), ""
    elif hasattr(source, "read"):
        file, zip_name = source, ""
    else:
        path = regular_file(source)
        file, zip_name = opened(path), path.name
    owned = file is not source
    try:
        archive = _open_zip(file, zip_name)
        entries = _zip_entries(archive, frozenset(suffixes), zip_name)
    except BaseException:
        if owned:
            file.close()
        raise
    return _unpack(archive, entries, file if owned else None)


def _open_zip(file: BinaryIO, zip_name: str) -> zipfile.ZipFile:
    try:
        if _directory_bytes(file) > MAX_ZIP_DIRECTORY_BYTES:
            raise _refused(
                zip_name,
                "lists far too many files: split it into smaller zips",
                "파일이 너무 많습니다. 작은 zip 여러 개로 나누세요",
            )
        return zipfile.ZipFile(file)
    except ImageError:
        raise
    except Exception as error:  # zipfile raises many kinds on hostile bytes
        raise _refused(
            zip_name,
            "is not a zip archive or is torn: make or download it again",
            "zip 파일이 아니거나 깨졌습니다. 다시 만들거나 내려받으세요",
        ) from error


def _refused(zip_name: str, english: str, korean: str) -> ImageError:
    return ImageError.about(zip_name, english, korean, unnamed=("The zip", "zip 파일"))


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
    archive: zipfile.ZipFile, suffixes: Collection[str], zip_name: str
) -> list[tuple[str, zipfile.ZipInfo | ImageError]]:
    """The wanted files under safe names; those that cannot be had as errors."""
    infos = archive.infolist()
    if len(infos) > MAX_ZIP_ENTRIES:
        raise _refused(
            zip_name,
            f"lists {len(infos):,} files, more than the {MAX_ZIP_ENTRIES:,} that may be in one: "
            "split it into smaller zips",
            f"파일이 {len(infos):,}개입니다. {MAX_ZIP_ENTRIES:,}개까지 열 수 있으니 작은 zip 여러 "
            "개로 나누세요",
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
        entries.append((name, ImageError.about(name, *problem) if problem else info))
    wanted = [entry for _, entry in entries if isinstance(entry, zipfile.ZipInfo)]
    if sum(info.file_size for info in wanted) > MAX_ZIP_TOTAL_BYTES:
        raise _refused(
            zip_name,
            f"would unpack to more than {MAX_ZIP_TOTAL_BYTES // 2**30} GB: "
            "split it into smaller zips",
            f"풀면 {MAX_ZIP_TOTAL_BYTES // 2**30} GB가 넘습니다. 작은 zip 여러 개로 나누세요",
        )
    if not entries:
        raise _refused(
            zip_name,
            f"holds no photos: put files of {READABLE} into it",
            f"사진이 없습니다. 사진 파일({KOREAN_READABLE})을 넣으세요",
        )
    if not wanted and all("password" in str(entry) for _, entry in entries):
        raise _refused(
            zip_name,
            "is locked with a password: make it again without one",
            "암호로 잠겨 있습니다. 암호 없이 다시 만드세요",
        )
    return entries


def _zip_problem(info: zipfile.ZipInfo, raw: str, foreign: str) -> tuple[str, str] | None:
    """Why an entry is refused before any of it is read, in English and Korean, or None."""
    parts = raw.replace("\\", "/").split("/")
    if ".." in parts or raw.startswith(("/", "\\")) or re.match(r"[A-Za-z]:", raw):
        return (
            "has a name that points outside the zip: pack the photos again",
            "이름이 zip 밖을 가리킵니다. 사진을 다시 묶으세요",
        )
    if foreign:
        return (
            f"is a {foreign} file, which this app cannot read: save it as {READABLE}",
            f"{foreign} 파일은 읽지 못합니다. 다른 형식({KOREAN_READABLE})으로 저장하세요",
        )
    if stat.S_ISLNK(info.external_attr >> 16):
        return (
            "is a link and not a photo: pack the photo itself",
            "사진이 아니라 링크입니다. 사진을 직접 묶으세요",
        )
    if info.flag_bits & 0x1:
        return (
            "is locked with a password: make the zip again without one",
            "암호로 잠겨 있습니다. 암호 없이 zip을 다시 만드세요",
        )
    if info.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED, zipfile.ZIP_BZIP2):
        return (
            "is packed by a method that is not supported: make the zip again as an ordinary one",
            "지원하지 않는 방식으로 압축되었습니다. 보통 방식으로 zip을 다시 만드세요",
        )
    if info.file_size > MAX_FILE_BYTES:
        most = MAX_FILE_BYTES // 2**20
        return (
            f"has more than the {most} MB that a picture may have",
            f"사진 한 장은 {most} MB까지 열 수 있습니다",
        )
    if info.file_size > max(RATIO_FREE_BYTES, MAX_ZIP_RATIO * info.compress_size):
        return (
            "unpacks to so many times its size that it looks like a zip bomb: leave it out",
            "풀면 지나치게 커져 압축 폭탄으로 보입니다. 빼고 묶으세요",
        )
    return None


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
        problem = ImageError.about(
            name,
            "is torn inside the zip: make or download the zip again",
            "zip 안에서 파일이 깨졌습니다. zip을 다시 만들거나 내려받으세요",
        )
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
