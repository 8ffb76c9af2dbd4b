"""Files of the Hugging Face hub: finds them in the local cache, and fetches them into it.

The cache has the layout of `huggingface_hub` (``models--OWNER--NAME/{blobs,refs,snapshots}``), so
that what was downloaded here is found by every other tool and the other way round. Finding never
touches the network, and neither part imports anything heavy.
"""

import hashlib
import os
import re
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from http.client import HTTPException
from pathlib import Path
from time import sleep
from urllib.parse import quote, urljoin, urlsplit

from multimodal.download import TIMEOUT, USER_AGENT, DownloadError, download
from multimodal.errors import UserError
from multimodal.progress import Progress

ENDPOINT = "https://huggingface.co"
REVISION = "main"


class ModelNotDownloaded(UserError):
    """A model that is known but not on this machine.

    Attributes:
        name: What to download it by.
        size: About how many bytes that is, or None where it is not known.
    """

    def __init__(self, message: str, name: str, size: int | None = None) -> None:
        super().__init__(message)
        self.name, self.size = name, size


@dataclass(frozen=True)
class HubFile:
    """What the server says of a file before it is fetched.

    Attributes:
        repo: ``owner/name``.
        name: File name in it.
        url: Where it lies.
        commit: The commit of the repository that it belongs to.
        etag: Names the content; the SHA-256 for large files.
        size: Bytes, or None.
    """

    repo: str
    name: str
    url: str
    commit: str
    etag: str
    size: int | None

    @property
    def sha256(self) -> str | None:
        """The file's SHA-256, where the server gives it."""
        return self.etag if re.fullmatch(r"[0-9a-f]{64}", self.etag) else None


def cache_folder() -> Path:
    """Where `huggingface_hub` keeps its files, by its own environment variables."""
    for variable, below in (
        ("HF_HUB_CACHE", ""),
        ("HUGGINGFACE_HUB_CACHE", ""),
        ("HF_HOME", "hub"),
        ("XDG_CACHE_HOME", "huggingface/hub"),
    ):
        if value := os.environ.get(variable):
            return Path(value).expanduser() / below
    return Path.home() / ".cache" / "huggingface" / "hub"


def find(repo: str, name: str) -> Path | None:
    """A file of a repository in the cache, the newest by preference, or None."""
    folder = _folder(repo)
    snapshots = folder / "snapshots"
    try:
        newest = snapshots / (folder / "refs" / REVISION).read_text("utf-8").strip() / name
    except OSError:
        newest = None  # some tools fetch by commit and write no reference
    if newest is not None and newest.is_file():
        return newest
    found = [path for path in snapshots.glob(f"*/{name}") if path.is_file()]
    return max(found, key=lambda path: path.stat().st_mtime, default=None)


def inspect(repo: str, name: str, *, endpoint: str | None = None) -> HubFile | None:
    """Asks the server for a file's size and sum.

    Args:
        repo: ``owner/name``.
        name: File name in it.
        endpoint: Base address; the variable ``HF_ENDPOINT`` or huggingface.co by default.

    Returns:
        None where the repository has no such file.

    Raises:
        DownloadError: if the server cannot be reached or refuses.
    """
    if os.environ.get("HF_HUB_OFFLINE", "").upper() in ("1", "TRUE", "YES", "ON"):
        raise DownloadError(
            f"{repo} cannot be downloaded while HF_HUB_OFFLINE is set: unset it, or take the "
            "folder from a machine that has it."
        )
    base = (endpoint or os.environ.get("HF_ENDPOINT") or ENDPOINT).rstrip("/")
    url = f"{base}/{quote(repo)}/resolve/{REVISION}/{quote(name)}"
    try:
        headers = _head(url)
    except urllib.error.HTTPError as error:
        error.close()
        if error.code == 404:
            return None
        raise DownloadError(
            f"{repo} was refused by {base} ({error.code} {error.reason}): try again later, or "
            "take the folder from a machine that has it."
        ) from error
    except (OSError, HTTPException) as error:  # URLError, resets and timeouts among them
        reason = getattr(error, "reason", None) or error
        raise DownloadError(
            f"{base} cannot be reached ({reason}): check the network, then try again."
        ) from error
    etag = (headers.get("X-Linked-Etag") or headers.get("ETag") or "").removeprefix("W/").strip('"')
    if not re.fullmatch(r"[\w.-]{8,128}", etag):
        etag = hashlib.sha1(f"{url} {etag}".encode(), usedforsecurity=False).hexdigest()
    commit = headers.get("X-Repo-Commit") or REVISION
    if not re.fullmatch(r"[\w-]+", commit):
        raise DownloadError(f"{base} answers like no model hub: check HF_ENDPOINT.")
    size = headers.get("X-Linked-Size") or headers.get("Content-Length") or ""
    return HubFile(repo, name, url, commit, etag, int(size) if size.isdigit() else None)


def fetch(file: HubFile, *, wait: Callable[[float], None] = sleep) -> Iterator[Progress]:
    """Downloads a file into the cache; what is there already is not fetched again.

    Args:
        file: What `inspect` has returned.
        wait: Sleeps between two attempts.

    Yields:
        Progress in bytes.

    Raises:
        DownloadError: with the cure; what has come is kept and the next call goes on from there.
    """
    folder = _folder(file.repo)
    pointer = folder / "snapshots" / file.commit / file.name
    blob = folder / "blobs" / file.etag
    reference = folder / "refs" / REVISION
    try:
        if not (pointer.is_file() and file.size in (None, pointer.stat().st_size)):
            yield from _into(blob, file, wait)
            pointer.parent.mkdir(parents=True, exist_ok=True)
            _point(pointer, blob)
        reference.parent.mkdir(parents=True, exist_ok=True)
        reference.write_text(file.commit, "utf-8")
    except OSError as error:
        raise DownloadError(
            f"{error.filename or folder} cannot be written ({error.strerror or error}): free some "
            "space or choose another cache with HF_HOME."
        ) from error


def _into(blob: Path, file: HubFile, wait: Callable[[float], None]) -> Iterator[Progress]:
    """Downloads to a path that is named by content, and says the file's own name for it."""
    if blob.is_file() and file.size not in (None, blob.stat().st_size):
        blob.unlink()  # torn: the cache is there to be filled again
    try:
        for report in download(file.url, blob, size=file.size, sha256=file.sha256, wait=wait):
            note = report.note.replace(blob.name, file.name)
            yield Progress(report.done, report.total, note, report.rate)
    except DownloadError as error:
        message = str(error)
        if not blob.exists():  # else its path is needed to delete it
            message = message.replace(str(blob), f"{file.name} of {file.repo}")
            message = message.replace(blob.name, file.name)
        raise DownloadError(message) from error


def _folder(repo: str) -> Path:
    return cache_folder() / ("models--" + repo.replace("/", "--"))


def _point(pointer: Path, blob: Path) -> None:
    pointer.unlink(missing_ok=True)
    try:
        pointer.symlink_to(os.path.relpath(blob, pointer.parent))
    except OSError:  # Windows without the right to make links
        os.replace(blob, pointer)


class _SameHost(urllib.request.HTTPRedirectHandler):
    """Follows a renamed repository, but not the way to the store: its answer has no sums."""

    def redirect_request(self, req, fp, code, msg, headers, newurl):
        if urlsplit(headers.get("Location", "")).netloc:
            return None
        return urllib.request.Request(
            urljoin(req.full_url, newurl), headers=dict(req.header_items()), method="HEAD"
        )


def _head(url: str) -> Mapping[str, str]:
    request = urllib.request.Request(
        url, headers={"User-Agent": USER_AGENT, "Accept-Encoding": "identity"}, method="HEAD"
    )
    try:
        with urllib.request.build_opener(_SameHost).open(request, timeout=TIMEOUT) as response:
            return response.headers
    except urllib.error.HTTPError as error:
        if error.code not in (301, 302, 303, 307, 308):
            raise
        error.close()
        return _without_length(error.headers)


def _without_length(headers: Mapping[str, str]) -> dict[str, str]:
    """A redirect's own headers; its length is not the file's, and its tag may not be either."""
    return {
        name: headers[name]
        for name in ("X-Linked-Etag", "X-Linked-Size", "X-Repo-Commit", "ETag")
        if headers.get(name)
    }
