"""The galleries of the Search tab: drawn scenes, a folder of the server, and the users' own."""

import re
import threading
from collections import defaultdict
from collections.abc import Iterator, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

from multimodal.errors import UserError
from multimodal.progress import drain
from multimodal.ui.context import SCENE_MODEL, Context

if TYPE_CHECKING:
    from multimodal.retrieval import Gallery, IndexProgress

SCENES, FOLDER, MINE = "scenes", "folder", "mine-"
SCENE_COUNT, SCENE_SIDE = 240, 256
LONGEST_NAME = 60


class Galleries:
    """Opens each gallery once for all users, and fills it."""

    def __init__(self, context: Context) -> None:
        self.context, self.text = context, context.texts
        self.root = Path(context.settings.data) / "galleries"
        self._open: dict[str, Gallery] = {}
        self._locks: defaultdict[str, threading.Lock] = defaultdict(threading.Lock)
        self._stops: defaultdict[str, threading.Event] = defaultdict(threading.Event)

    def choices(self, language: str) -> list[tuple[str, str]]:
        """Titles and keys, for the menu."""
        found = [(self.text("search_scenes", language), SCENES)]
        if self.context.settings.gallery:
            found.append((self.text("search_folder", language), FOLDER))
        saved = sorted(self.root.glob(f"{MINE}*/manifest.json")) if self.root.is_dir() else []
        keys = [file.parent.name for file in saved]
        return found + [(key.removeprefix(MINE), key) for key in keys]

    def open(self, key: str) -> "Gallery":
        """A gallery; the drawn scenes are made at their first use.

        Raises:
            UserError: if there is none of that name or it cannot be opened.
        """
        key = str(key or "")
        with self._locks[key]:  # of many users who come at once, one makes it and the rest wait
            if key not in self._open:
                self._open[key] = self._make(key)
            return self._open[key]

    def _make(self, key: str) -> "Gallery":
        from multimodal.retrieval import Gallery

        if key == SCENES:
            return self._scenes()
        if key == FOLDER and self.context.settings.gallery:
            place = Path(self.context.settings.gallery)
            name = re.sub(r"\W+", "-", str(place.resolve()))[-LONGEST_NAME:]
            model = self.context.clip(self.context.settings.model)
            return Gallery.open_or_create(self.root / f"folder{name}-{model.fingerprint}", model)
        named = re.fullmatch(rf"{MINE}[\w -]{{1,{LONGEST_NAME}}}", key)
        if not named or not (self.root / key).is_dir():
            raise UserError(f"There is no gallery named {key!r}: choose one of the menu.")
        gallery = Gallery.open(self.root / key)
        return Gallery.open(self.root / key, self.context.clip(gallery.model_name))

    def _scenes(self) -> "Gallery":
        """Drawn scenes with their captions in both languages."""
        from multimodal.checkpoint import bundled
        from multimodal.data.toybox import draw, full_caption, make_scene
        from multimodal.retrieval import Gallery

        name = SCENE_MODEL if SCENE_MODEL in bundled() else self.context.settings.model
        model = self.context.clip(name)
        gallery = Gallery.open_or_create(self.root / f"scenes-{model.fingerprint}", model)
        if len(gallery) < SCENE_COUNT:
            scenes = {f"scene {i:03}": make_scene(i) for i in range(SCENE_COUNT)}
            captions = {
                title: [full_caption(scene, code) for code in ("en", "ko")]
                for title, scene in scenes.items()
            }
            drawn = ((title, draw(scene, SCENE_SIDE)) for title, scene in scenes.items())
            drain(gallery.add(drawn, captions))
        return gallery

    def fill(self, key: str) -> "Iterator[IndexProgress]":
        """Brings the server's folder up to date; the other galleries need nothing.

        Raises:
            UserError: if the folder cannot be read or its vectors cannot be stored.
        """
        from multimodal.data.captions import captions_beside, folder_texts

        if key != FOLDER:
            return
        place = Path(self.context.settings.gallery)
        captions = captions_beside(folder_texts(place))
        self._stops[key].clear()
        yield from self.open(key).add(place, captions, stop=self._stops[key])

    def free_name(self, name: str, language: str) -> str:
        """A user's name for a gallery as it can be kept; a new one where none was given."""
        name = " ".join(re.sub(r"[^\w -]+", " ", name or "").split())[:LONGEST_NAME]
        if name:
            return name
        plain, number = self.text("search_name_hint", language), 1
        while (self.root / f"{MINE}{plain} {number}").exists():
            number += 1
        return f"{plain} {number}"

    def upload(self, files: Sequence[str], name: str) -> "Iterator[IndexProgress]":
        """Embeds uploaded photos, or zips of photos, into a user's own gallery.

        Text files in a zip are read as captions.

        Args:
            files: Paths of photos and zips.
            name: As `free_name` gives it.

        Yields:
            Progress; its counts begin anew with every zip, and its `bad` holds all bad files.

        Raises:
            UserError: if nothing can be read or stored.
        """
        from dataclasses import replace

        from multimodal.data.captions import captions_beside, zip_texts
        from multimodal.retrieval import Gallery

        key = f"{MINE}{name}"
        model = self.context.clip(self.context.settings.model)
        with self._locks[key]:
            if key not in self._open:
                self._open[key] = Gallery.open_or_create(self.root / key, model)
        gallery, stop = self._open[key], self._stops[key]
        stop.clear()
        zips = [Path(file) for file in files if Path(file).suffix.lower() == ".zip"]
        photos = [(Path(f).name, Path(f)) for f in files if Path(f) not in zips]
        bad: tuple[tuple[str, UserError], ...] = ()
        for sources in ([photos] if photos else []) + zips:
            captions = captions_beside(zip_texts(sources)) if isinstance(sources, Path) else None
            report = None
            for report in gallery.add(sources, captions, keep=True, stop=stop):
                yield replace(report, bad=bad + report.bad)
            bad += report.bad if report else ()
            if stop.is_set():
                return

    def stop(self, key: str) -> None:
        """Ends the indexing of a gallery within a batch; what is embedded stays."""
        self._stops[key].set()
