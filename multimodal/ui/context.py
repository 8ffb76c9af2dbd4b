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
    from multimodal.dalle.image_tokenizer import ImageTokenizer
    from multimodal.dalle.pipeline import TextToImage
    from multimodal.vilbert.answering import VisualQuestionAnswerer

_log = logging.getLogger(__name__)

# every event that runs a model waits in this one queue, so that thirty users share two cores
HEAVY = "model"
HEAVILY = {"concurrency_id": HEAVY, "concurrency_limit": 2, "api_visibility": "private"}
LIGHTLY = {"show_progress": "hidden", "api_visibility": "private"}
# indexing and downloading take minutes, so they wait in queues of their own
INDEXING, DOWNLOADING = "index", "download"
SCENE_MODEL = "clip-toybox"  # knows the drawn world
WORLDS = ("toybox", "photos")  # in the order of the menus


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

        def load(name: str) -> "ClipModel":
            from multimodal import clip

            model = (self._load or clip.load)(name)
            self._label_cache(model)
            return model

        return self._once("clip", name, load)

    def dalle(self, name: str) -> "TextToImage":
        """A DALL-E with its VQ-VAE, loaded at its first use."""
        from multimodal import dalle

        return self._once("dalle", name, dalle.load)

    def vqvae(self, name: str) -> "ImageTokenizer":
        """A VQ-VAE, loaded at its first use."""
        from multimodal import dalle

        return self._once("vqvae", name, dalle.load_vqvae)

    def vilbert(self, name: str) -> "VisualQuestionAnswerer":
        """A ViLBERT, loaded at its first use."""
        from multimodal import vilbert

        return self._once("vilbert", name, vilbert.load)

    def _once(self, family: str, name: str, load: Callable[[str], Any]) -> Any:
        with self._lock:
            if (family, name) not in self._models:
                self._models[family, name] = load(name)
            return self._models[family, name]

    def worlds(self, family: str, language: str) -> list[tuple[str, str]]:
        """Titles and names of a family's bundled models, for a menu: the drawn world first."""
        from multimodal.checkpoint import bundled

        here = bundled(family)
        known = {f"{family}-{world}": f"world_{world}" for world in WORLDS}
        found = [(self.texts(key, language), name) for name, key in known.items() if name in here]
        return found + [(name, name) for name in here if name not in known]

    def first(self, family: str, world: str) -> str | None:
        """The bundled model that a menu starts with: that of a world, else another, else none."""
        names = [name for _, name in self.worlds(family, "en")]
        return f"{family}-{world}" if f"{family}-{world}" in names else next(iter(names), None)

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
