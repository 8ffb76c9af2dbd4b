"""Downloads one large file: resumes where it was cut, verifies, reports progress."""

import errno
import hashlib
import http.client
import json
import os
import shutil
import time
import urllib.error
import urllib.request
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from urllib.parse import urlsplit

from multimodal.errors import UserError
from multimodal.progress import Progress

ATTEMPTS = 6  # in a row without a single new byte
TIMEOUT = 30.0  # seconds without a byte
SPARE_BYTES = 200 * 2**20  # of the disk that are left alone
BLOCK = 1 << 20  # bytes read at a time
TICK = 0.2  # seconds between two reports
USER_AGENT = "multimodal-classroom"


class DownloadError(UserError):
    """A file cannot be downloaded or is not what it should be."""


class Meter:
    """Turns byte counts into reports, a few a second."""

    def __init__(self, note: str, total: int | None, start: int = 0) -> None:
        self.note, self.total, self.start = note, total, start
        self.began = self.last = time.monotonic()

    def report(self, done: int) -> Progress:
        """Where it stands."""
        seconds = time.monotonic() - self.began
        rate = (done - self.start) / seconds if seconds > 0 else None
        return Progress(done, self.total, self.note, rate)

    def tick(self, done: int) -> Iterator[Progress]:
        """A report if it is time for one."""
        if time.monotonic() - self.last >= TICK:
            self.last = time.monotonic()
            yield self.report(done)


def download(
    url: str,
    target: Path,
    *,
    size: int | None = None,
    sha256: str | None = None,
    md5: str | None = None,
    headers: Mapping[str, str] | None = None,
    wait: Callable[[float], None] = time.sleep,
) -> Iterator[Progress]:
    """Downloads a file to `target`, by way of `target` + ``.part``, and verifies it.

    A cut download goes on, in this run or a later one, with an HTTP range request (RFC 9110,
    14.2) that holds only if the file on the server is still the same (If-Range); a server that
    knows no ranges starts again. What was cut or stopped stays on the disk.

    Args:
        url: Where it lies.
        target: Where to put it; if it is there already, it is only verified.
        size: Its bytes, for the display and the disk check; the file is held to it only where no
            sum is given.
        sha256: Its SHA-256 in hexadecimal digits; the first few of them suffice.
        md5: Its MD5 in hexadecimal digits.
        headers: Further request headers; ``Authorization`` never leaves the first host.
        wait: Sleeps between two attempts.

    Yields:
        Progress in bytes; the file's name and what is being done in its note.

    Raises:
        DownloadError: one sentence with the cure: no network, refused by the server, another file
            than expected, no room on the disk, or a second download of the same file at work.
    """
    target = Path(target)
    try:
        target.parent.mkdir(parents=True, exist_ok=True)
        with _alone(target):
            if target.exists():
                yield from _verify(target, target, size, sha256, md5)
                return
            part = target.with_name(target.name + ".part")
            summed = sha256 is not None or md5 is not None
            yield from _fetch(url, part, target, size, summed, dict(headers or {}), wait)
            yield from _verify(part, target, size, sha256, md5)
            _state(part).unlink(missing_ok=True)
            os.replace(part, target)
    except OSError as error:
        raise _disk_error(error, target) from error


def gigabytes(size: int) -> str:
    """Bytes in words: ``0.6 GB``, and ``4 MB`` below a tenth of one."""
    return f"{size / 1e9:.1f} GB" if size >= 95e6 else f"{size / 1e6:.0f} MB"


def open_url(request: urllib.request.Request) -> http.client.HTTPResponse:
    """`urllib.request.urlopen` that keeps ``Authorization`` to the host it was meant for."""
    return urllib.request.build_opener(_Redirects).open(request, timeout=TIMEOUT)


class _Redirects(urllib.request.HTTPRedirectHandler):
    def redirect_request(self, req, fp, code, msg, headers, newurl):
        follow = super().redirect_request(req, fp, code, msg, headers, newurl)
        if follow is not None and urlsplit(newurl).netloc != urlsplit(req.full_url).netloc:
            follow.remove_header("Authorization")
        return follow


@contextmanager
def _alone(target: Path) -> Iterator[None]:
    """Holds the right to write the file; another thread or process that has it is an error."""
    from filelock import FileLock, Timeout

    path = target.with_name(target.name + ".lock")
    # not thread_local: a web server resumes one generator from several threads
    lock = FileLock(path, timeout=0, thread_local=False)
    try:
        lock.acquire()
    except Timeout as error:
        raise DownloadError(
            f"{target.name} is being downloaded already: wait until that has finished."
        ) from error
    try:
        yield
    finally:
        lock.release()
        path.unlink(missing_ok=True)


def _fetch(
    url: str,
    part: Path,
    target: Path,
    size: int | None,
    summed: bool,
    headers: dict[str, str],
    wait: Callable[[float], None],
) -> Iterator[Progress]:
    """Asks until `part` is complete or nothing has come for `ATTEMPTS` times."""
    failures, before = 0, -1
    while True:
        have = _size(part)
        failures = 0 if have > before >= 0 else failures
        before = have
        try:
            if (yield from _stream(url, part, target.name, size, summed, headers)):
                return
            problem = "the connection was cut"
        except urllib.error.HTTPError as error:
            error.close()
            if error.code not in (408, 425, 429) and error.code < 500:
                raise _refusal(url, target, error) from error
            problem = f"{error.code} {error.reason}"
        except (urllib.error.URLError, http.client.HTTPException, TimeoutError) as error:
            problem = str(getattr(error, "reason", error)) or type(error).__name__
        except ConnectionError as error:
            problem = error.strerror or str(error)
        failures += 1
        if failures >= ATTEMPTS:
            raise DownloadError(
                f"{url} cannot be downloaded ({problem}): check the network, then try again and "
                "it goes on where it stopped."
            )
        yield Progress(_size(part), size, f"{target.name}: {problem}, trying again")
        wait(min(30.0, 2.0 ** (failures - 1)))


def _stream(
    url: str, part: Path, name: str, size: int | None, summed: bool, headers: dict[str, str]
) -> Iterator[Progress]:
    """One request; returns whether the file is complete."""
    have = _size(part)
    state = _read_state(part, url)
    headers = {"User-Agent": USER_AGENT, "Accept-Encoding": "identity", **headers}
    if have and (state.get("validator") or summed):  # else nothing could tell a mixture
        headers["Range"] = f"bytes={have}-"
        if state.get("validator"):
            headers["If-Range"] = state["validator"]
    try:
        response = open_url(urllib.request.Request(url, headers=headers))
    except urllib.error.HTTPError as error:
        if error.code != 416:
            raise
        error.close()
        if have and have == state.get("total"):
            return True
        part.unlink(missing_ok=True)  # longer than the file on the server: start again
        return False
    with response:
        if "text/html" in response.headers.get("Content-Type", ""):
            raise DownloadError(
                f"{url} gave a web page in place of the file: sign in to the network, or look for "
                "the file by hand."
            )
        start, total = _span(response, have)
        have = have if start == have else 0
        _check_space(part, (total or size or 0) - have)
        validator = response.headers.get("ETag", "")
        if not validator or validator.startswith("W/"):  # weak ones must not be used in If-Range
            validator = response.headers.get("Last-Modified", "")
        body = {"url": url, "validator": validator, "total": total}
        _state(part).write_text(json.dumps(body), "utf-8")
        meter = Meter(name, total or size, have)
        with part.open("r+b" if have else "wb") as file:
            file.seek(have)
            while block := response.read(BLOCK):
                file.write(block)
                have += len(block)
                yield from meter.tick(have)
        yield meter.report(have)
    return total is None or have >= total


def _span(response: http.client.HTTPResponse, have: int) -> tuple[int, int | None]:
    """Where the body begins in the file, and how long the whole file is."""
    length = response.headers.get("Content-Length")
    if response.status != 206:
        return 0, int(length) if length and length.isdigit() else None
    unit, _, rest = response.headers.get("Content-Range", "").partition(" ")
    span, _, total = rest.partition("/")
    start = span.partition("-")[0]
    if unit != "bytes" or not start.isdigit() or int(start) != have:
        raise http.client.HTTPException("the server sent another part than was asked for")
    return have, int(total) if total.isdigit() else None


def _verify(
    path: Path, target: Path, size: int | None, sha256: str | None, md5: str | None
) -> Iterator[Progress]:
    """Holds `path`, which is or will be `target`, to its sums, or without any to its size."""
    have, problem = _size(path), ""
    wanted = [
        (name, expected.lower())
        for name, expected in (("SHA-256", sha256), ("MD5", md5))
        if expected is not None
    ]
    if wanted:
        sums = {"SHA-256": hashlib.sha256(), "MD5": hashlib.md5(usedforsecurity=False)}
        meter, done = Meter(f"{target.name}: verifying", have), 0
        with path.open("rb") as file:
            while block := file.read(BLOCK):
                for name, _ in wanted:
                    sums[name].update(block)
                done += len(block)
                yield from meter.tick(done)
        yield meter.report(done)
        for name, expected in wanted:
            if not expected or not sums[name].hexdigest().startswith(expected):
                problem = f"its {name} is {sums[name].hexdigest()} and should be {expected}"
    elif size is not None and have != size:
        problem = f"it has {have} bytes and should have {size}"
    if not problem:
        return
    if path == target:
        cure = "delete it, then try again"
    else:
        path.unlink()
        _state(path).unlink(missing_ok=True)
        cure = "it was deleted, so try again"
    raise DownloadError(f"{target} is not the file that it should be ({problem}): {cure}.")


def _check_space(part: Path, coming: int) -> None:
    free, need = shutil.disk_usage(part.parent).free, coming + SPARE_BYTES
    if coming > 0 and free < need:
        raise DownloadError(
            f"{part.parent} has {gigabytes(free)} free and {gigabytes(need)} are needed: "
            "free some space, then try again."
        )


def _refusal(url: str, target: Path, error: urllib.error.HTTPError) -> DownloadError:
    if error.code in (401, 403):
        cure = "it may need a login or an accepted licence, so fetch it by hand"
    else:
        cure = "the address may have changed, so look for the file by hand"
    return DownloadError(
        f"{url} was refused by its server ({error.code} {error.reason}): {cure} and put it at "
        f"{target}."
    )


def _disk_error(error: OSError, target: Path) -> DownloadError:
    if error.errno in (errno.ENOSPC, errno.EDQUOT):
        return DownloadError(
            f"The disk of {target.parent} is full: free some space, then try again and it goes on "
            "where it stopped."
        )
    return DownloadError(
        f"{error.filename or target} cannot be written ({error.strerror or error}): "
        "choose another folder."
    )


def _size(path: Path) -> int:
    return path.stat().st_size if path.exists() else 0


def _state(part: Path) -> Path:
    return part.with_name(part.name + ".json")


def _read_state(part: Path, url: str) -> dict:
    try:
        state = json.loads(_state(part).read_text("utf-8"))
    except (OSError, ValueError):
        return {}  # none yet, or torn: then only a given sum can vouch for a resumed file
    return state if isinstance(state, dict) and state.get("url") == url else {}
