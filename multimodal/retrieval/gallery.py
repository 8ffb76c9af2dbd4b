"""A gallery: pictures, their vectors, and the searches over them."""

import os
import threading
from collections import OrderedDict
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from multimodal.errors import UserError
from multimodal.images import open_image
from multimodal.retrieval.adding import IndexJob
from multimodal.retrieval.contents import Contents, Snapshot
from multimodal.retrieval.duplicates import duplicate_groups
from multimodal.retrieval.index import search
from multimodal.retrieval.indexing import IndexProgress
from multimodal.retrieval.items import Item
from multimodal.retrieval.manifest import MANIFEST, GalleryError
from multimodal.retrieval.pictures import thumbnail
from multimodal.retrieval.query import CaptionHit, Hit, SearchResult, Stages, combine
from multimodal.retrieval.report import recall_report
from multimodal.retrieval.rows import View
from multimodal.retrieval.sources import Sources, read_sources
from multimodal.retrieval.store import Store

if TYPE_CHECKING:
    from PIL import Image

    from multimodal.clip.base import ClipModel

DEFAULT_MODEL = "clip-photos"
THRESHOLD = 0.94  # cosine of near duplicates
REMEMBERED = 1024  # texts whose vectors are kept


class Gallery:
    """Pictures that can be searched by words, by a photo, or by both.

    Made by `create`, `open` or `open_or_create`; safe to search from many threads, also while one
    of them adds.
    """

    def __init__(
        self,
        contents: Contents,
        model: "ClipModel | None",
        model_name: str,
        fingerprint: str,
    ) -> None:
        self._contents = contents
        self._model = model
        self.model_name, self.fingerprint = model_name, fingerprint
        self._model_lock, self._text_lock = threading.Lock(), threading.Lock()
        self._adding = threading.Lock()
        self._texts: OrderedDict[str, np.ndarray] = OrderedDict()

    @classmethod
    def create(
        cls, folder: str | os.PathLike | None = None, model: "ClipModel | str" = DEFAULT_MODEL
    ) -> "Gallery":
        """Makes a new, empty gallery.

        Args:
            folder: Where it is kept, a new or empty folder; None keeps it in memory only.
            model: A CLIP model, or what `multimodal.clip.load` takes.

        Raises:
            UserError: if the folder is in use or cannot be written, or there is no such model.
        """
        model = _loaded(model)
        store = None
        if folder is not None:
            store = Store.create(Path(folder), model.name, model.fingerprint, model.embed_dim)
        return cls(Contents(model.embed_dim, store), model, model.name, model.fingerprint)

    @classmethod
    def open(cls, folder: str | os.PathLike, model: "ClipModel | str | None" = None) -> "Gallery":
        """Opens a gallery for searching or for adding to.

        Args:
            folder: The gallery.
            model: The model that made it; None loads it by its name when a search needs it.

        Raises:
            GalleryError: if there is no gallery, it is torn, or another model made it.
        """
        store = Store.open(Path(folder))
        manifest = store.manifest
        if model is not None:
            model = _loaded(model)
            _check_model(model, store)
        return cls(Contents(manifest.embed_dim, store), model, manifest.model, manifest.fingerprint)

    @classmethod
    def open_or_create(
        cls, folder: str | os.PathLike, model: "ClipModel | str" = DEFAULT_MODEL
    ) -> "Gallery":
        """Opens the gallery in a folder, or makes it where there is none."""
        is_there = (Path(folder).expanduser() / MANIFEST).exists()
        return cls.open(folder, model) if is_there else cls.create(folder, model)

    # ------------------------------------------------------------------------------ looking

    def __len__(self) -> int:
        return len(self._contents.now)

    @property
    def folder(self) -> Path | None:
        """Where it is kept, None if in memory only."""
        return self._contents.store.folder if self._contents.store else None

    @property
    def embed_dim(self) -> int:
        """Width of the vectors."""
        return self._contents.embed_dim

    @property
    def captions(self) -> int:
        """How many captions there are."""
        now = self._contents.now
        return len(now.captions) - int(np.isin(now.owners.array(), list(now.removed)).sum())

    @property
    def ids(self) -> list[int]:
        """Ids of all pictures."""
        now = self._contents.now
        return [row for row in range(len(now.images)) if row not in now.removed]

    @property
    def model(self) -> "ClipModel":
        """The model that made the vectors, loaded when it is first needed.

        Raises:
            UserError: if it is not there, or is another one by now.
        """
        with self._model_lock:
            if self._model is None:
                model = _loaded(self.model_name)
                _check_model(model, self._contents.store)
                self._model = model
            return self._model

    def item(self, id: int) -> Item:
        """What is known of one picture.

        Raises:
            UserError: if there is no such picture.
        """
        now = self._contents.now
        if isinstance(id, bool) or not isinstance(id, int | np.integer):
            raise UserError(f"{id!r} is not the number of a picture.")
        if not 0 <= id < len(now.images) or id in now.removed:
            raise UserError(f"The gallery has no picture number {id}: search again.")
        return self._contents.items[int(id)]

    def path(self, id: int) -> Path | None:
        """The file of a picture, None where it lies in memory."""
        return self._contents.file(self.item(id))

    def picture(self, id: int, at_least: int | None = None) -> "Image.Image":
        """A picture, upright RGB.

        Args:
            id: Which.
            at_least: Pixels that its short side has to keep; smaller is faster.

        Raises:
            UserError: if its file is gone or damaged.
        """
        item = self.item(id)
        source: Any = self._contents.file(item) or self._contents.kept[item.sha256]
        return open_image(source, at_least=at_least, name=item.name)

    def thumbnail(self, id: int, side: int = 320) -> "Image.Image":
        """A picture reduced to fit a square; kept in the gallery's folder once made."""
        return thumbnail(self.folder, self.item(id), side, lambda: self.picture(id, side))

    def vectors(self, ids: Sequence[int]) -> np.ndarray:
        """Embeddings of pictures, (len(ids), embed_dim)."""
        return self._contents.now.images.gather([self.item(id).id for id in ids])

    def captioned(self) -> tuple[View, np.ndarray, np.ndarray]:
        """All picture vectors, caption vectors (lines, dim), and each caption's row (lines,)."""
        now = self._contents.now
        owners, captions = now.owners.array()[:, 0], now.captions.array()
        if now.removed:
            here = ~np.isin(owners, list(now.removed))
            owners, captions = owners[here], captions[here]
        return now.images, captions, owners

    # ------------------------------------------------------------------------------- adding

    def add(
        self,
        sources: Sources,
        captions: Mapping[str, Sequence[str]] | None = None,
        *,
        keep: bool = False,
        stop: threading.Event | None = None,
    ) -> Iterator[IndexProgress]:
        """Indexes pictures; what is in the gallery already is not embedded again.

        Bad files are listed and passed over. When the iterator is closed or `stop` is set, what
        is embedded stays, and adding the same again goes on from there. Of a folder that was
        indexed before, pictures that are gone from it are dropped, and changed ones renewed.

        Args:
            sources: A folder, a zip, a file, or any iterable of paths, pictures, or pairs of a
                name and a path, bytes or picture.
            captions: Name (path inside the folder) or file name to captions.
            keep: Copy pictures that have a file into the gallery too, for files that will not
                last, such as uploads. Pictures without a file are always kept.
            stop: Ends the job early when it is set.

        Yields:
            Progress after every batch, and once at the end.

        Raises:
            UserError: if the sources as a whole cannot be read, another job is adding to this
                gallery, or the disk is full; nothing that was indexed is lost.
        """
        found = read_sources(sources, self.folder)
        return IndexJob(self._contents, self.model, found, captions, keep, stop).run(self._adding)

    # ---------------------------------------------------------------------------- searching

    def search(
        self,
        text: str | None = None,
        image: Any = None,
        *,
        plus: Sequence[Any] = (),
        minus: Sequence[Any] = (),
        top_k: int = 12,
        hide_duplicates: bool = False,
        duplicate_threshold: float = THRESHOLD,
        example: int | None = None,
        strength: float = 1.0,
    ) -> SearchResult:
        """Finds the pictures nearest to words, to a photo, or to both.

        The query is normalise(text + image + example + strength * (sum of plus - sum of minus)),
        every part embedded and of length 1.

        Args:
            text: Words.
            image: A photo: anything that `multimodal.images.open_image` takes.
            plus: Words (str) or photos to add.
            minus: Words (str) or photos to take away.
            top_k: How many hits.
            hide_duplicates: Show the best only of pictures that are nearly alike.
            duplicate_threshold: Least cosine of near duplicates, 0 to 1.
            example: Id of a picture of this gallery to search from.
            strength: Weight of `plus` and `minus`.

        Raises:
            UserError: if there is nothing to search with, or a part cannot be used.
        """
        stages = Stages()
        text = text.strip() if text else None
        if not text and image is None and example is None:
            raise UserError("There is nothing to search with: type some words or give a photo.")
        if isinstance(top_k, bool) or not isinstance(top_k, int | np.integer) or top_k < 1:
            raise UserError(f"top_k is {top_k!r}; it must be a whole number from 1 up.")
        if not 0 <= duplicate_threshold <= 1:
            raise UserError(f"duplicate_threshold is {duplicate_threshold}; give 0 to 1.")
        now = self._contents.now
        vectors, weights = [], []
        if example is not None:
            vectors.append(self.vectors([example])[0])
            weights.append(1.0)
        parts = [(text, 1.0), (image, 1.0)] if text else [(image, 1.0)]
        parts += [(part, strength) for part in plus] + [(part, -strength) for part in minus]
        for part, weight in parts:
            if part is not None and part != "":
                vectors.append(self._embed(part, stages))
                weights.append(weight)
        query = combine(vectors, weights)
        rows, scores, hidden = self._nearest(
            now, query, int(top_k), duplicate_threshold if hide_duplicates else None, stages
        )
        with stages("details"):
            hits = tuple(
                self._hit(rank, score, row, others)
                for rank, (score, row, others) in enumerate(
                    zip(scores, rows, hidden, strict=True), 1
                )
            )
        return SearchResult(hits, query, stages.finish(), len(now), now.images, now.removed)

    def _hit(self, rank: int, score: float, row: int, hidden: tuple[int, ...]) -> Hit:
        item = self._contents.items[row]
        path = self._contents.file(item)
        return Hit(rank, float(score), item.id, item.name, path, item.captions, hidden)

    def _nearest(
        self, now: Snapshot, query: np.ndarray, k: int, threshold: float | None, stages: Stages
    ) -> tuple[list[int], list[float], list[tuple[int, ...]]]:
        """Rows, scores and the duplicates left out, best first."""
        fetched = k if threshold is None else 4 * k
        while True:
            with stages("search"):
                scores, rows = search(now.images, query, fetched + len(now.removed), now.index)
            if now.removed:
                here = ~np.isin(rows, list(now.removed))
                scores, rows = scores[here], rows[here]
            if threshold is None:
                return rows[:k].tolist(), scores[:k].tolist(), [()] * len(rows[:k])
            with stages("duplicates"):
                groups = duplicate_groups(now.images.gather(rows), threshold)
            first = np.flatnonzero(groups == np.arange(len(groups)))
            if len(first) >= k or len(rows) == len(now):
                break
            fetched *= 4  # too many were alike: look further
        best = first[:k]
        others = [
            tuple(rows[(groups == row) & (np.arange(len(rows)) != row)].tolist()) for row in best
        ]
        return rows[best].tolist(), scores[best].tolist(), others

    def captions_for(self, source: Any, top_k: int = 5) -> list[CaptionHit]:
        """The gallery's captions that are nearest to a photo, each wording once.

        Args:
            source: Id of a picture of this gallery, or a photo.
            top_k: How many.

        Raises:
            UserError: if the gallery has no captions or the photo cannot be used.
        """
        _, captions, owners = self.captioned()
        if not len(captions):
            raise UserError(
                "This gallery has no captions: add its photos again with a captions file."
            )
        is_id = isinstance(source, int | np.integer)
        query = self.vectors([source])[0] if is_id else self._embed(source, Stages())
        scores = captions @ query
        first = np.searchsorted(owners, owners)  # where each picture's captions begin
        hits: dict[str, CaptionHit] = {}
        for line in np.argsort(-scores, kind="stable"):
            row = int(owners[line])
            words = self._contents.items[row].captions[line - first[line]]
            if words not in hits:
                hits[words] = CaptionHit(len(hits) + 1, float(scores[line]), words, row)
            if len(hits) == top_k:
                break
        return list(hits.values())

    def similarity(self, ids: Sequence[int], captions: Sequence[str] | None = None) -> np.ndarray:
        """CLIP's training picture: cosines of a handful of photos and captions.

        Args:
            ids: Pictures.
            captions: Sentences; None takes the first caption of each picture.

        Returns:
            (len(ids), captions).

        Raises:
            UserError: if a picture has no caption, or there is none.
        """
        lines = [self.item(id).captions[:1] for id in ids] if captions is None else captions
        if captions is None:
            if bare := [
                self.item(id).name for id, line in zip(ids, lines, strict=True) if not line
            ]:
                raise UserError(f"{bare[0]!r} has no caption: type one, or choose another photo.")
            lines = [line[0] for line in lines]
        if not ids or not lines:
            raise UserError("Choose at least one photo and one caption.")
        return self.vectors(ids) @ np.stack([self._embed(line, Stages()) for line in lines]).T

    def report(self) -> dict[str, float]:
        """Recall at 1, 5 and 10 both ways; see `multimodal.retrieval.report.recall_report`."""
        return recall_report(self)

    def _embed(self, part: Any, stages: Stages) -> np.ndarray:
        """The unit vector of words or of a photo."""
        with stages("model"):
            model = self.model
        if not isinstance(part, str):
            with stages("photo"):
                picture = open_image(part, at_least=model.image_size)
                return _unit(model.encode_images([picture]).numpy()[0], "The photo")
        with stages("words"):
            with self._text_lock:
                if part in self._texts:
                    self._texts.move_to_end(part)
                    return self._texts[part]
            vector = _unit(model.encode_texts([part]).numpy()[0], repr(part))
            with self._text_lock:
                self._texts[part] = vector
                while len(self._texts) > REMEMBERED:
                    self._texts.popitem(last=False)
            return vector


def _unit(vector: np.ndarray, name: str) -> np.ndarray:
    length = np.linalg.norm(vector)
    if not length > 0:  # written so that NaN is refused as well
        raise UserError(f"{name} gives no usable embedding: try another one.")
    return (vector / length).astype(np.float32)


def _loaded(model: "ClipModel | str") -> "ClipModel":
    if not isinstance(model, str | os.PathLike):
        return model
    from multimodal import clip

    return clip.load(os.fspath(model))


def _check_model(model: "ClipModel", store: Store) -> None:
    made = store.manifest
    if model.fingerprint == made.fingerprint and model.embed_dim == made.embed_dim:
        return
    by = "another version of it" if model.name == made.model else f"{made.model!r}"
    raise GalleryError(
        f"{store.folder} was indexed by {by} ({made.fingerprint}) and cannot be searched with "
        f"{model.name!r} ({model.fingerprint}): index the photos again into a new folder with "
        f"`python -m multimodal index DIR --out NEW --model {model.name}`."
    )
