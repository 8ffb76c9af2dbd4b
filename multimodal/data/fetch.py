"""Downloads the official files of a data set: resumes, verifies, unpacks.

The MD5 sums in the table are the published ones. They guard against torn files, not against
forgery, so the SHA-256 of what came first is written beside each archive (`NAME.zip.sha256`, in
the format of `sha256sum`) and compared on every later run; a file with no published sum is held to
that record alone.
"""

import errno
import hashlib
import os
import shutil
import time
from collections.abc import Callable, Iterable, Iterator, Mapping
from dataclasses import dataclass
from pathlib import Path, PurePosixPath

from multimodal.data.archives import AGAIN, FetchError, unpack
from multimodal.download import BLOCK, SPARE_BYTES, Meter, download, gigabytes
from multimodal.progress import Progress

ARCHIVES = "archives"  # where the downloaded files lie inside a data set's folder


@dataclass(frozen=True)
class Archive:
    """One file to download.

    Attributes:
        url: Where it lies.
        size: Its bytes: for the disk check and the display; the file is held to it only where
            there is no sum.
        unpacked: About how many bytes come out of it.
        md5: The published sum, or None.
    """

    url: str
    size: int
    unpacked: int
    md5: str | None = None

    @property
    def name(self) -> str:
        """File name."""
        return PurePosixPath(self.url).name


@dataclass(frozen=True)
class DataSet:
    """An official release.

    Attributes:
        folder: Name of its folder below the data folder, as the loaders look for it.
        archives: What it consists of.
        terms: Licence or terms of use, in one sentence.
    """

    folder: str
    archives: tuple[Archive, ...]
    terms: str


_COCO = "http://images.cocodataset.org"
_FLICKR8K = "https://github.com/jbrownlee/Datasets/releases/download/Flickr8k"
SETS: Mapping[str, DataSet] = {
    "coco": DataSet(
        "coco",
        (
            Archive(
                f"{_COCO}/annotations/annotations_trainval2017.zip",
                252_907_541,
                1_000_000_000,
                "f4bbac642086de4f52a3fdda2de5fa2c",
            ),
            Archive(
                f"{_COCO}/zips/val2017.zip",
                815_585_330,
                820_000_000,
                "442b8da7639aecaf257c1dceb8ba8c80",
            ),
            Archive(
                f"{_COCO}/zips/train2017.zip",
                19_336_861_798,
                19_400_000_000,
                "cced6f7f71b7629ddf16f17bbcfab6b2",
            ),
        ),
        "Annotations CC BY 4.0; photos under their photographers' Flickr licences.",
    ),
    "flickr8k": DataSet(
        "flickr8k",
        (
            Archive(
                f"{_FLICKR8K}/Flickr8k_text.zip",
                2_300_000,
                9_000_000,
                "bf6c1abcb8e4a833b7f922104de18627",
            ),
            Archive(
                f"{_FLICKR8K}/Flickr8k_Dataset.zip",
                1_115_000_000,
                1_120_000_000,
                "f18a1e2920de5bd84dae7cf08ec78978",
            ),
        ),
        "For non-commercial research and education; the authors' own server is gone, this is the "
        "copy that is in common use.",
    ),
    "tiny-imagenet": DataSet(
        "tiny-imagenet",
        (
            Archive(
                "http://cs231n.stanford.edu/tiny-imagenet-200.zip",
                248_100_043,
                480_000_000,
                "90528d7ca1a48142e341f4ef8d21d0de",
            ),
        ),
        "ImageNet's terms: non-commercial research and education.",
    ),
}


def fetch(
    name: str,
    out: str | os.PathLike,
    *,
    sets: Mapping[str, DataSet] = SETS,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[Progress]:
    """Downloads, verifies and unpacks a data set; what is already there is not fetched again.

    Args:
        name: A key of `sets`.
        out: The data folder; the set gets its own folder in it.
        sets: What can be fetched.
        wait: Sleeps between two attempts.

    Yields:
        Progress in bytes, the file and the step in its note.

    Raises:
        FetchError: if it cannot be unpacked or there is no room; what has come so far is kept.
        DownloadError: if a file cannot be downloaded or is not the one that it should be.
    """
    if name not in sets:
        raise FetchError(f"There is no data set {name!r}: choose one of {', '.join(sets)}.")
    data_set = sets[name]
    folder = Path(out) / data_set.folder
    store = folder / ARCHIVES
    try:
        store.mkdir(parents=True, exist_ok=True)
        _check_space(data_set.archives, store)
        for archive in data_set.archives:
            target, mark = store / archive.name, store / f"{archive.name}.unpacked"
            if mark.exists() and not target.exists():
                continue  # the user has made room
            known = _recorded(target)
            yield from download(
                archive.url, target, size=archive.size, sha256=known, md5=archive.md5, wait=wait
            )
            if known is None:
                yield from _first_sum(target)
            record = _record(target).read_text("utf-8")
            if mark.exists() and mark.read_text("utf-8") == record:
                continue
            yield from unpack(target, folder)
            mark.write_text(record, "utf-8")
    except OSError as error:
        raise _disk_error(error, folder) from error


def _first_sum(target: Path) -> Iterator[Progress]:
    """Records the SHA-256 of a file that has just come for the first time."""
    digest, done = hashlib.sha256(), 0
    meter = Meter(f"{target.name}: recording its SHA-256", target.stat().st_size)
    with target.open("rb") as file:
        while block := file.read(BLOCK):
            digest.update(block)
            done += len(block)
            yield from meter.tick(done)
    yield meter.report(done)
    _record(target).write_text(f"{digest.hexdigest()}  {target.name}\n", "utf-8")


def _record(target: Path) -> Path:
    return target.with_name(target.name + ".sha256")


def _recorded(target: Path) -> str | None:
    """The SHA-256 that was recorded when the file first came, or None."""
    words = _record(target).read_text("utf-8").split() if _record(target).exists() else []
    return words[0] if words else None


def _check_space(archives: Iterable[Archive], store: Path) -> None:
    need = SPARE_BYTES
    for archive in archives:
        target = store / archive.name
        if (store / f"{archive.name}.unpacked").exists():
            continue
        part = target.with_name(target.name + ".part")
        have = next((path.stat().st_size for path in (target, part) if path.exists()), 0)
        need += max(0, archive.size - have) + archive.unpacked
    free = shutil.disk_usage(store).free
    if free < need:
        raise FetchError(
            f"{store.parent} has {gigabytes(free)} free and {gigabytes(need)} are needed: "
            "free some space or choose another folder with --out."
        )


def _disk_error(error: OSError, folder: Path) -> FetchError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return FetchError(f"The disk of {folder} is full: free some space, then {AGAIN}.")
    return FetchError(
        f"{error.filename or folder} cannot be written ({error.strerror or error}): "
        "choose another folder with --out."
    )
