"""The indexing job: takes records as they come, commits them, and always ends in order."""

import os
import threading
import time
from collections.abc import Iterator, Mapping, Sequence
from contextlib import contextmanager, nullcontext
from typing import TYPE_CHECKING

from multimodal.errors import UserError
from multimodal.retrieval.contents import Contents
from multimodal.retrieval.index import APPROXIMATE_FROM, faiss_or_none
from multimodal.retrieval.indexing import Embedder, IndexProgress, Known, Rate, Record, suffix_of
from multimodal.retrieval.items import Item
from multimodal.retrieval.manifest import GalleryError
from multimodal.retrieval.sources import SourceList

if TYPE_CHECKING:
    from multimodal.clip.base import ClipModel

COMMIT_ROWS, COMMIT_SECONDS = 512, 5.0  # a killed job loses no more than this
INDEX_GROWTH = 0.1  # share of rows outside the approximate index at which it is brought up to date


class IndexJob:
    """One run over some sources.

    Args:
        contents: The gallery's.
        model: Gives the vectors.
        sources: What to index.
        captions: Name, or file name alone, to captions.
        keep: Copy pictures that have a file into the gallery too.
        stop: Ends the job early when it is set.
    """

    def __init__(
        self,
        contents: Contents,
        model: "ClipModel",
        sources: SourceList,
        captions: Mapping[str, Sequence[str]] | None,
        keep: bool,
        stop: threading.Event | None,
    ) -> None:
        self.contents, self.sources, self.stop = contents, sources, stop
        self.known = Known(lambda row: contents.items[row].captions)
        self.embedder = Embedder(model, self.known, captions, keep)
        self.done = self.added = self.skipped = 0
        self.bad: tuple[tuple[str, UserError], ...] = ()
        self.rate = Rate()
        self.committed = time.monotonic()

    def run(self, lock: threading.Lock) -> Iterator[IndexProgress]:
        """Indexes; see `Gallery.add`.

        Args:
            lock: Held while the job runs.
        """
        with _held(lock), self._prepared():
            try:
                for records in self.embedder.run(self.sources.items(), self.stop):
                    for record in records:
                        self._take(record)
                    self._commit_sometimes()
                    yield self._progress("Reading the photos")
                self._drop_missing()
            except GalleryError:  # the disk: what is not saved stays in memory for the next time
                self.contents.publish()
                raise
            except BaseException:  # closed, interrupted, or a failing model: save what there is
                self.contents.commit()
                raise
            self.contents.commit()
            if self.contents.store:
                self.contents.store.merge()
            if self._needs_index():
                yield self._progress("Making the search index")
                self.contents.update_index()
            yield self._progress("Stopped" if self._stopped() else "Done")

    @contextmanager
    def _prepared(self) -> Iterator[None]:
        """Holds the folder's lock, brings memory and folder together, learns what is there."""
        contents, store = self.contents, self.contents.store
        with store.writing() if store else nullcontext():
            if store:
                if store.is_stale():  # another program has added
                    contents.reload()
                store.tidy()
                contents.commit()  # what a full disk has kept from being saved
            contents.learn_all(self.known)
            yield

    def _take(self, record: Record) -> None:
        """Puts one record into the gallery, or counts why not."""
        self.done += 1
        if record.error:
            self.bad += ((record.name, record.error),)
            return
        path = str(record.path) if record.path else None
        before = self.known.paths.get(path) if path else None
        twice = self.known.digests.get(record.sha256)
        # the same picture may have come twice, a moment apart, within this job
        is_new = record.known is None and (record.same_as is not None or twice is None)
        if not is_new and (
            record.known is not None or record.data is not None or (before and before[2] == twice)
        ):
            self.skipped += 1
            return
        row, same = len(self.contents.items), None
        if record.same_as is not None:
            same = self.contents.items[record.same_as]
        item = Item(
            id=row,
            name=record.name,
            path=self._place(record),
            width=same.width if same else record.width,
            height=same.height if same else record.height,
            file_size=record.file_size,
            mtime=record.mtime,
            sha256=record.sha256,
            captions=record.captions,
        )
        vector = self.contents.vector(same.id) if same else record.vector
        self.contents.append(item, vector, record.caption_vectors)
        gone = {before[2]} if before else set()
        if same and (record.data is not None or not self._exists(same)):
            gone.add(same.id)  # given new captions, or moved
        self._forget(gone)
        self.contents.learn(self.known, item)
        self.added += 1

    def _place(self, record: Record) -> str | None:
        """Where the item says that its file lies; stores the picture where it has none."""
        store = self.contents.store
        if record.data is not None:
            if store is None:
                self.contents.kept[record.sha256] = record.data
                return None
            return store.keep(record.sha256, suffix_of(record.name, record.data), record.data)
        return self.contents.relative(record.path)

    def _forget(self, rows: set[int]) -> None:
        """Removes rows, and what is known by them."""
        for row in rows:
            item = self.contents.items[row]
            path = str(self.contents.file(item))
            if self.known.paths.get(path, (0, 0, -1))[2] == row:
                del self.known.paths[path]
            if self.known.digests.get(item.sha256) == row:
                del self.known.digests[item.sha256]
        self.contents.remove(rows)

    def _exists(self, item: Item) -> bool:
        file = self.contents.file(item)
        return file is None or file.is_file()

    def _drop_missing(self) -> None:
        """Of a folder that was looked at whole, drops the pictures that are gone from it."""
        folder = self.sources.folder
        if folder is None or self._stopped():
            return
        inside = os.path.join(folder, "")
        gone = {
            row
            for path, (_, _, row) in self.known.paths.items()
            if path.startswith(inside) and not os.path.exists(path)
        }
        self._forget(gone)

    def _commit_sometimes(self) -> None:
        self.contents.publish()
        now = time.monotonic()
        if self.contents.unsaved >= COMMIT_ROWS or now - self.committed > COMMIT_SECONDS:
            self.contents.commit()
            self.committed = now

    def _needs_index(self) -> bool:
        now = self.contents.now
        rows = len(now.images)
        covered = now.index.rows if now.index else 0
        return (
            rows >= APPROXIMATE_FROM
            and rows - covered > INDEX_GROWTH * rows
            and faiss_or_none() is not None
            and not self._stopped()
        )

    def _stopped(self) -> bool:
        return self.stop is not None and self.stop.is_set()

    def _progress(self, note: str) -> IndexProgress:
        return IndexProgress(
            done=self.done,
            total=self.sources.total,
            note=note,
            rate=self.rate.at(self.done),
            added=self.added,
            skipped=self.skipped,
            bad=self.bad,
            seconds=time.monotonic() - self.rate.began,
        )


@contextmanager
def _held(lock: threading.Lock) -> Iterator[None]:
    if not lock.acquire(blocking=False):
        raise GalleryError(
            "This gallery is being added to already: wait until that is done.",
            "이 갤러리에 이미 사진을 더하는 중입니다. 끝날 때까지 기다리세요.",
        )
    try:
        yield
    finally:
        lock.release()
