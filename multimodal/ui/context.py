"""What the tabs share: settings, texts, models loaded once, and what they have computed."""

import hashlib
import logging
import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from multimodal.errors import UserError
from multimodal.ui.settings import Settings
from multimodal.ui.texts import Texts

if TYPE_CHECKING:
    from PIL import Image
    from torch import Tensor

    from multimodal.clip.base import ClipModel

_log = logging.getLogger(__name__)

# every event that runs a model waits in this one queue, so that thirty users share two cores
HEAVY = "model"
# indexing and downloading take minutes, so they wait in queues of their own
INDEXING, DOWNLOADING = "index", "download"
SCENE_MODEL = "clip-toybox"  # knows the drawn world


class Recent:
    """The latest results of a function, by key."""

    def __init__(self, capacity: int) -> None:
        self._capacity, self._kept, self._lock = capacity, OrderedDict(), threading.Lock()

    def get(self, key: Any, make: Callable[[], Any]) -> Any:
        """The result kept under a key, made if it is not there."""
        with self._lock:
            if key in self._kept:
                self._kept.move_to_end(key)
                return self._kept[key]
        made = make()
        with self._lock:
            self._kept[key] = made
            while len(self._kept) > self._capacity:
                self._kept.popitem(last=False)
        return made


class Context:
    """Shared by all tabs and all users of one server."""

    def __init__(
        self, settings: Settings, texts: Texts, load: "Callable[[str], ClipModel] | None" = None
    ) -> None:
        self.settings, self.texts = settings, texts
        self._load, self._models, self._lock = load, {}, threading.Lock()
        self._images = Recent(256)
        self._occluded = Recent(32)
        self._labels = None

    def clip(self, name: str) -> "ClipModel":
        """A CLIP model, loaded at its first use."""
        with self._lock:
            if name not in self._models:
                if self._load is None:
                    from multimodal import clip

                    self._load = clip.load
                self._models[name] = self._load(name)
                self._label_cache(self._models[name])
            return self._models[name]

    def clip_choices(self) -> list[tuple[str, str]]:
        """Titles and names of the CLIP models at hand, for a menu."""
        from multimodal import clip

        found = [(info.title, info.name) for info in clip.available()]
        name = self.settings.model
        return found if name in dict(found).values() else [(name, name), *found]

    def about(self, name: str) -> str:
        """A model's size or figures, as the menus know them."""
        from multimodal import clip

        return next((info.note for info in clip.available() if info.name == name), "")

    def warm_up(self) -> None:
        """Loads the first model in the background: the page is up, a photo is still to come."""

        def load() -> None:
            try:
                self.clip(self.settings.model)
            except UserError as error:  # said again, in the answer's place, when it is used
                _log.warning("%s", error)

        threading.Thread(target=load, daemon=True).start()

    def labels(self, model: "ClipModel", labels: list[str], **templates: Any) -> "Tensor":
        """Class embeddings, (labels, dim), encoded once per model, template and label."""
        return self._labels.embed(model, labels, **templates)

    def image(self, model: "ClipModel", image: "Image.Image") -> "Tensor":
        """A photo's embedding, (1, dim), computed once per model and photo."""
        return self._images.get(_key(model, image), lambda: model.encode_images([image]))

    def occluded(self, model: "ClipModel", image: "Image.Image") -> "Tensor":
        """The photo's embeddings with each cell hidden, computed once per model and photo."""
        from multimodal.clip.explain import occluded_embeddings

        return self._occluded.get(_key(model, image), lambda: occluded_embeddings(model, image))

    def _label_cache(self, model: "ClipModel") -> None:
        """Makes the cache of class embeddings at the first model, and adds what each ships."""
        from multimodal.clip.presets import prime
        from multimodal.clip.prompts import LabelCache

        self._labels = self._labels or LabelCache()
        prime(self._labels, model)


def _key(model: "ClipModel", image: "Image.Image") -> tuple[str, str]:
    digest = hashlib.sha256(image.tobytes())
    digest.update(repr(image.size).encode())
    return model.fingerprint, digest.hexdigest()
