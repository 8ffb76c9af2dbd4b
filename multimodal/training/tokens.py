"""Pictures as image tokens with their captions, made once: the second stage reads no pixels."""

import hashlib
import itertools
import json
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from multimodal.checkpoint import write_text
from multimodal.dalle.image_tokenizer import ImageTokenizer
from multimodal.data import scene_captions
from multimodal.data.photos import Photo
from multimodal.data.toybox import (
    LANGUAGES,
    Scene,
    captions,
    draw,
    full_caption,
    on_grid,
    plain,
    small_scenes,
)
from multimodal.labels import read_label_set
from multimodal.progress import Progress
from multimodal.training.pixels import PixelCache
from multimodal.training.vqvae import CROPPED, ROOM

BATCH = 64
MADE = 8  # made captions per picture and language, of which a step takes one
SHORT = 3  # more captions of a toybox scene and language


@dataclass(frozen=True)
class TokenSet:
    """Tokens and captions of one set.

    Attributes:
        tokens: (pictures, views, image tokens) int32.
        captions: Captions of each picture by language.
    """

    tokens: Tensor
    captions: list[dict[str, list[str]]]


class TokenStore:
    """Files of tokens and captions in one folder."""

    def __init__(self, folder: Path, tokenizer: ImageTokenizer) -> None:
        self.folder, self.tokenizer = Path(folder), tokenizer
        self.sets: dict[str, TokenSet] = {}

    def toybox(
        self, split: str, count: int, first: int, looks: int | None = None, things: int = 4
    ) -> Iterator[Progress]:
        """Draws scenes of at most so many things from seed `first` on, things on the grid of
        tokens; `looks` as in `draw`. Their captions name all things: who asks for a boat wants
        nothing else.

        Where tokens are pairs, the shapes are those of the plain scene, so that a thing has the
        same ones in every colour.
        """
        side, grid = self.tokenizer.image_size, self.tokenizer.grid
        scenes = [on_grid(scene, grid) for scene in small_scenes(split, first, count, things)]

        def written() -> list[dict[str, list[str]]]:
            return [{code: _told(scene, code) for code in LANGUAGES} for scene in scenes]

        def pictures() -> Iterator[np.ndarray]:
            for scene in scenes:
                views = (plain(scene), scene) if self.tokenizer.colours else (scene,)
                yield np.stack([np.asarray(draw(view, side, looks)) for view in views])

        key = f"{count}|{first}|{split}|{looks}|{things}|whole"  # captions that name all
        encode = self._encode_painted if self.tokenizer.colours else self._encode
        yield from self._make(f"toybox-{split}", key, count, pictures(), written, encode)

    def photos(self, name: str, photos: list[Photo], split: str, views: int) -> Iterator[Progress]:
        """Tokens of photos: the whole picture, then cut-outs, every other one mirrored."""
        side = self.tokenizer.image_size
        stored = round(side * ROOM) if name in CROPPED else side
        views = views if stored > side else min(views, 2)  # nothing to cut out
        cache = PixelCache(self.folder, f"{name}-{split}", photos, stored)
        yield from cache.build()
        pixels = cache.pixels

        def pictures() -> Iterator[np.ndarray]:
            for i in range(len(photos)):
                yield _views(pixels[i], side, views, random.Random(i))

        def written() -> list[dict[str, list[str]]]:
            return [_written(name, photo, pixels[i], i) for i, photo in enumerate(photos)]

        key = f"{views}|" + "|".join(photo.name for photo in photos)
        found = f"{name}-{split}"
        yield from self._make(found, key, len(photos), pictures(), written, self._encode)

    def _make(self, name, key, count, pictures, written, encode) -> Iterator[Progress]:
        """Encodes what no file holds yet, and keeps it under `name`."""
        digest = hashlib.sha256(f"{self.tokenizer.fingerprint}|{key}".encode()).hexdigest()[:12]
        file = self.folder / f"tokens-{name}-{digest}.safetensors"
        texts = file.with_suffix(".json")
        if not (file.is_file() and texts.is_file()):
            self.folder.mkdir(parents=True, exist_ok=True)
            done, found = 0, []
            while part := list(itertools.islice(pictures, BATCH)):
                found.append(encode(np.stack(part)))
                done += len(part)
                yield Progress(done, count, f"tokens of {name}")
            yield Progress(0, None, f"captions of {name}")
            write_text(texts, json.dumps(written(), ensure_ascii=False))
            save_file({"tokens": torch.cat(found)}, file.with_suffix(".part"))
            file.with_suffix(".part").replace(file)
        self.sets[name] = TokenSet(load_file(file)["tokens"], json.loads(texts.read_text("utf-8")))

    @torch.inference_mode()
    def _encode(self, views: np.ndarray) -> Tensor:
        """(pictures, views, side, side, 3) to (pictures, views, image tokens)."""
        ids = self.tokenizer.vqvae.tokens(_pixels(views))
        return ids.view(*views.shape[:2], -1).int()

    @torch.inference_mode()
    def _encode_painted(self, views: np.ndarray) -> Tensor:
        """The shapes of the first view with the colours of the second: (pictures, 1, tokens)."""
        ids = self.tokenizer.vqvae.tokens(_pixels(views[:, :1]), _pixels(views[:, 1:]))
        return ids.flatten(1)[:, None].int()


def _pixels(views: np.ndarray) -> Tensor:
    """(pictures, views, side, side, 3) as one batch of pixels in 0..1."""
    flat = torch.from_numpy(views).flatten(0, 1).permute(0, 3, 1, 2)
    return (flat.float() / 255).contiguous(memory_format=torch.channels_last)


def _told(scene: Scene, language: str) -> list[str]:
    """The plainest caption of a drawn scene, then others."""
    return [full_caption(scene, language), *captions(scene, language, SHORT, whole=True)]


def _views(picture: np.ndarray, side: int, views: int, rng: random.Random) -> np.ndarray:
    """(views, side, side, 3): the whole picture, then cut-outs, every other one mirrored."""
    from PIL import Image

    room, found = picture.shape[0] - side, []
    for view in range(views):
        if view < 2 and room:
            cut = np.asarray(
                Image.fromarray(picture).resize((side, side), Image.Resampling.BICUBIC)
            )
        else:
            top, left = rng.randint(0, room), rng.randint(0, room)
            cut = picture[top : top + side, left : left + side]
        found.append(cut[:, ::-1] if view % 2 else cut)
    return np.stack(found)


def _written(name: str, photo: Photo, picture: np.ndarray, number: int) -> dict[str, list[str]]:
    """A photo's captions by language: people's own, or made from what is known of it."""
    if photo.captions:
        return {"en": list(photo.captions)}
    rng = random.Random(number)
    if name == "scenes":
        shown = scene_captions.traits(photo.label, picture)
        return {
            code: [scene_captions.caption(photo.label, shown, code, rng) for _ in range(MADE)]
            for code in scene_captions.LANGUAGES
        }
    if name == "tiny_imagenet":
        label = next(x for x in read_label_set("tiny_imagenet") if x.wnid == photo.label)
        return {code: [label.name(code), *label.everyday(code)[:1]] for code in LANGUAGES}
    korean = {label.en: label.ko for label in read_label_set("coco80")}
    shown = [thing for thing in photo.objects if thing in korean]
    made: dict[str, list[str]] = {"en": [], "ko": []}
    for _ in range(MADE if shown else 0):
        told = rng.sample(shown, min(len(shown), rng.choice((1, 2, 3))))
        made["en"].append(" and ".join(told))
        made["ko"].append(", ".join(korean[thing] for thing in told))
    return made
