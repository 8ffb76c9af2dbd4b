"""From files to vectors, as fast as the model allows.

Every worker thread takes a batch through all of it: reading, digest, decoding, resizing and the
tower, on one core. Nothing waits for anything else, and there are no barriers between cores as
there are inside one forward pass on many threads.
"""

import hashlib
import io
import itertools
import threading
import time
from collections import deque
from collections.abc import Callable, Iterator, Mapping, Sequence
from concurrent.futures import Future, ThreadPoolExecutor
from contextlib import contextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from PIL import Image

from multimodal.errors import UserError
from multimodal.images import IMAGE_SUFFIXES, MAX_FILE_BYTES, open_image, opened, regular_file
from multimodal.progress import Progress
from multimodal.retrieval.sources import Source

if TYPE_CHECKING:
    from multimodal.clip.base import ClipModel

BATCH = 16
MOST_WORKERS = 8
LOSSLESS_PIXELS = 512 * 512  # pictures without a file are kept as PNG up to this size
_threads_lock = threading.Lock()


@dataclass(frozen=True)
class IndexProgress(Progress):
    """One report of an indexing job; `done` counts all that were looked at.

    Attributes:
        added: Pictures that are new in the gallery.
        skipped: Pictures that were in it already.
        bad: Name and reason of each file that could not be used.
        seconds: Since the job began.
    """

    added: int = 0
    skipped: int = 0
    bad: tuple[tuple[str, UserError], ...] = ()
    seconds: float = 0.0


@dataclass
class Known:
    """What a gallery holds already.

    Attributes:
        paths: Absolute path to size, modification time and row.
        digests: SHA-256 to row.
        captions: Gives a row's captions.
    """

    captions: Callable[[int], tuple[str, ...]]
    paths: dict[str, tuple[int, int, int]] = field(default_factory=dict)
    digests: dict[str, int] = field(default_factory=dict)


@dataclass(frozen=True)
class Record:
    """What became of one source.

    Attributes:
        name: As in the source.
        error: Why it cannot be used, or None.
        known: Row that it is in the gallery already, or None.
        same_as: Row whose picture is the same, so that its vector is taken over, or None.
        path: Its file, or None.
        width, height, file_size, mtime, sha256, captions: as `multimodal.retrieval.items.Item`.
        vector: (dim,) where it was embedded.
        caption_vectors: (captions, dim).
        data: Its file's bytes, where the gallery has to keep them.
    """

    name: str
    error: UserError | None = None
    known: int | None = None
    same_as: int | None = None
    path: Path | None = None
    width: int = 0
    height: int = 0
    file_size: int = 0
    mtime: int = 0
    sha256: str = ""
    captions: tuple[str, ...] = ()
    vector: np.ndarray | None = None
    caption_vectors: np.ndarray | None = None
    data: bytes | None = None


class Embedder:
    """Turns sources into records.

    Args:
        model: Gives the vectors.
        known: What need not be embedded again; may grow meanwhile.
        captions: Name, or file name alone, to captions.
        keep: Whether the gallery keeps the pictures that have a file, too.
    """

    def __init__(
        self,
        model: "ClipModel",
        known: Known,
        captions: Mapping[str, Sequence[str]] | None = None,
        keep: bool = False,
    ) -> None:
        self.model, self.known, self.keep = model, known, keep
        self.captions = captions or {}

    def run(
        self, sources: Iterator[Source], stop: threading.Event | None = None
    ) -> Iterator[list[Record]]:
        """Records in the order of the sources, a batch at a time.

        When the iterator is closed, batches that are not begun are dropped.
        """
        batches = iter(lambda: list(itertools.islice(sources, BATCH)), [])
        waiting: deque[Future[list[Record]]] = deque()
        with _workers() as (pool, count):
            try:
                while True:
                    while len(waiting) < 2 * count and not (stop and stop.is_set()):
                        batch = next(batches, None)
                        if batch is None:
                            break
                        waiting.append(pool.submit(self.embed, batch))
                    if not waiting:
                        return
                    yield waiting.popleft().result()
            finally:
                for future in waiting:
                    future.cancel()

    def embed(self, sources: Sequence[Source]) -> list[Record]:
        """One batch: looks each source up, decodes what is new and embeds it."""
        import torch

        records, pixels, rows = [], [], []
        for source in sources:
            try:
                record, picture = self._read(source)
                if picture is not None:
                    pixels.append(self.model.preprocess(picture))
                    rows.append(len(records))
            except UserError as error:
                record = Record(source.name, error=error)
            records.append(record)
        if pixels:
            vectors = self.model.encode_pixels(torch.stack(pixels)).numpy()
            for row, vector in zip(rows, vectors, strict=True):
                records[row] = _with_vector(records[row], vector)
        lines = [line for record in records for line in record.captions]
        if lines:
            vectors, first = self.model.encode_texts(lines).numpy(), 0
            for row, record in enumerate(records):
                last = first + len(record.captions)
                records[row] = _changed(record, caption_vectors=vectors[first:last])
                first = last
        return records

    def _read(self, source: Source) -> tuple[Record, Image.Image | None]:
        """The record, and the picture where it has to be embedded."""
        wanted = self._captions(source.name)
        content, path, mtime, old = source.content, None, 0, None
        if isinstance(content, UserError):
            raise content
        if isinstance(content, Path):
            path = Path(regular_file(content).absolute())
            status = path.stat()
            mtime, seen = status.st_mtime_ns, self.known.paths.get(str(path))
            if seen is not None:
                old = seen[2]
                if seen[:2] == (status.st_size, mtime) and self._is_captioned(old, wanted):
                    return Record(source.name, known=old), None
            if status.st_size > MAX_FILE_BYTES:
                open_image(path, name=source.name)  # refuses it, in its own words
            with opened(path) as file:
                content = file.read()
        picture, data = None, content
        if not isinstance(content, bytes | bytearray | memoryview):
            picture = open_image(content, name=source.name)
            data = _encoded(picture)
        data = bytes(data)
        sha256 = hashlib.sha256(picture.tobytes() if picture else data).hexdigest()
        same = self.known.digests.get(sha256)
        is_kept = path is None or self.keep
        if same is not None and (is_kept or same == old) and self._is_captioned(same, wanted):
            return Record(source.name, known=same), None
        if picture is None and same is None:
            picture = open_image(data, at_least=self.model.image_size, name=source.name)
        width, height = _size(data, picture) if picture else (0, 0)
        record = Record(
            name=source.name,
            same_as=same,
            path=None if is_kept else path,
            width=width,
            height=height,
            file_size=len(data),
            mtime=0 if is_kept else mtime,
            sha256=sha256,
            captions=wanted if wanted is not None else self._inherited(same),
            data=data if is_kept else None,
        )
        return record, picture if same is None else None

    def _captions(self, name: str) -> tuple[str, ...] | None:
        """The captions that were given for a picture, None where none were."""
        given = self.captions.get(name, self.captions.get(name.rsplit("/", 1)[-1]))
        if given is None:
            return None
        return tuple(text for text in (str(caption).strip() for caption in given) if text)

    def _is_captioned(self, row: int, wanted: tuple[str, ...] | None) -> bool:
        return wanted is None or wanted == self.known.captions(row)

    def _inherited(self, row: int | None) -> tuple[str, ...]:
        return () if row is None else self.known.captions(row)


class Rate:
    """Units per second over the last moments, so that a changed speed shows."""

    def __init__(self, seconds: float = 5.0) -> None:
        self.began = time.monotonic()
        self._seconds = seconds
        self._marks: deque[tuple[float, int]] = deque([(self.began, 0)])

    def at(self, done: int) -> float | None:
        """The rate, now that so much is done; None before it can be told."""
        now = time.monotonic()
        self._marks.append((now, done))
        while len(self._marks) > 2 and now - self._marks[0][0] > self._seconds:
            self._marks.popleft()
        since, before = self._marks[0]
        return (done - before) / (now - since) if now > since and done > before else None


def suffix_of(name: str, data: bytes) -> str:
    """The suffix to keep a picture's file under."""
    suffix = Path(name).suffix.lower()
    if suffix in IMAGE_SUFFIXES and not data.startswith(b"\x89PNG"):
        return suffix
    return ".png" if data.startswith(b"\x89PNG") else ".jpg"


@contextmanager
def _workers() -> Iterator[tuple[ThreadPoolExecutor, int]]:
    """Threads that compute on one core each, together on as many as torch would use.

    torch keeps its number of threads per thread, but a new thread starts from the number that was
    set last, anywhere: therefore every worker sets its own, and then the old one is set again.
    """
    import torch

    with _threads_lock:
        threads = torch.get_num_threads()
        count = min(MOST_WORKERS, threads)
        ready = threading.Barrier(count + 1)

        def on_one_core() -> None:
            torch.get_num_threads()  # the first call in a thread would undo a later setting
            torch.set_num_threads(1)
            ready.wait()

        pool = ThreadPoolExecutor(count, "index", initializer=on_one_core)
        for _ in range(count):
            pool.submit(int)  # a thread is started per task while none is idle
        ready.wait()
        torch.set_num_threads(threads)
    try:
        yield pool, count
    finally:
        pool.shutdown(wait=True, cancel_futures=True)


def _with_vector(record: Record, vector: np.ndarray) -> Record:
    length = np.linalg.norm(vector)
    if not 0.5 < length < 2:  # written so that NaN is refused as well
        problem = UserError(f"{record.name!r} gives no usable embedding.")
        return Record(record.name, error=problem)
    return _changed(record, vector=vector / length)


def _changed(record: Record, **values: Any) -> Record:
    return Record(**{**record.__dict__, **values})


def _encoded(picture: Image.Image) -> bytes:
    """A file for a picture that has none."""
    file = io.BytesIO()
    if picture.width * picture.height <= LOSSLESS_PIXELS:
        picture.save(file, "PNG")
    else:
        picture.save(file, "JPEG", quality=92)
    return file.getvalue()


def _size(data: bytes, picture: Image.Image) -> tuple[int, int]:
    """Upright width and height of a picture that may have been decoded at a reduced size."""
    with Image.open(io.BytesIO(data)) as header:
        width, height = header.size
    turned = (width > height) != (picture.width > picture.height) and width != height
    return (height, width) if turned and picture.width != picture.height else (width, height)
