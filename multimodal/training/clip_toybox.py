"""`clip-toybox`: a dual encoder that learns the drawn world from nothing, in minutes."""

import colorsys
import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn
from torchvision.transforms.v2.functional import adjust_hue

from multimodal.clip.model import ClipConfig, DualEncoder
from multimodal.data.toybox import (
    COLOURS,
    HELD_OUT,
    KINDS,
    PALETTE,
    Scene,
    captions,
    draw,
    full_caption,
    hard_negatives,
    is_held_out,
    label,
    make_scene,
    single_scene,
)
from multimodal.data.toybox.words import COLOUR_WORDS, KIND_WORDS
from multimodal.progress import Progress
from multimodal.text.encoder import TextConfig
from multimodal.text.tokenizer import TextTokenizer, pad, train_wordpiece
from multimodal.training.objective import ClipObjective, as_clip, save_clip

GREY = 0.4  # of the pictures in odd colours
HUE_GAP = 0.1  # of the colour circle, between a turned hue and a held-out one


@dataclass(frozen=True)
class ToyboxSettings:
    """What the toybox recipe draws.

    Attributes:
        scenes: Training scenes, drawn once.
        singles: Training pictures of one thing each, drawn once.
        captions: Short captions written per scene and language, beside the full one.
        batch: Scenes per step.
        single_batch: Pictures of one thing per step.
        odd_colours: Share of these that are shown in grey or with their hues turned, and named by
            their kind only, so that kinds are told by shape.
        vocab_size: Word pieces at most.
        weights: Weight of each loss; what is not named counts 1.
    """

    scenes: int = 12_000
    singles: int = 3_000
    captions: int = 3
    batch: int = 128
    single_batch: int = 32
    odd_colours: float = 0.4
    vocab_size: int = 800
    weights: dict[str, float] | None = None


@dataclass(frozen=True)
class _Texts:
    """What is said of one scene in one language, as word pieces.

    Attributes:
        full: The caption that names everything.
        short: Captions that name a part.
        contrasts: Pairs of a true caption and one that is false in a word.
    """

    full: list[int]
    short: list[list[int]]
    contrasts: list[tuple[list[int], list[int]]]


class ToyboxTask:
    """Batches, validation and export of `clip-toybox` for the training loop."""

    def __init__(
        self,
        settings: ToyboxSettings,
        config: ClipConfig,
        seed: int = 0,
        written: Path | None = None,
    ) -> None:
        self.settings, self.config, self.seed, self.written = settings, config, seed, written
        self.seen = [(c, k) for c in COLOURS for k in KINDS if not is_held_out(c, k)]
        # a thing is named whole, and by its kind or its colour alone: that "red" and "boat" are
        # two ideas is what lets a red boat be known that was never seen
        self.vocabularies = {
            "labels": self.seen,
            "kinds": list(KINDS),
            "colours": list(COLOURS),
        }

    def prepare(self) -> Iterator[Progress]:
        """Draws the scenes, writes their captions, learns the word pieces, builds the model."""
        side, count = self.config.image_size, self.settings.scenes
        self.pictures = np.zeros((count, side, side, 3), np.uint8)
        written: list[list[list[str]]] = []
        for i in range(count):
            scene = make_scene(self.seed * 1_000_003 + i)
            self.pictures[i] = np.asarray(draw(scene, side))
            written.append([self._captions(scene, code) for code in self.config.languages])
            if i % 50 == 49:
                yield Progress(i + 1, count, "drawing scenes")
        self.singles = np.zeros((self.settings.singles, side, side, 3), np.uint8)
        for i in range(len(self.singles)):
            scene = single_scene(*self.seen[i % len(self.seen)], self.seed * 1_000_003 + i)
            self.singles[i] = np.asarray(draw(scene, side))
            if i % 50 == 49:
                yield Progress(i + 1, len(self.singles), "drawing single things")
        names = [name for code in self.config.languages for name in self._names(code)]
        corpus = itertools.chain(names, *(texts for scene in written for texts in scene))
        longest = self.config.text.max_tokens
        if self.written is not None:
            self.tokenizer = TextTokenizer.from_json(self.written.read_text("utf-8"), longest)
        else:
            pieces = train_wordpiece(corpus, self.settings.vocab_size)
            self.tokenizer = TextTokenizer(pieces, longest)
        encode = self.tokenizer.ids
        self.texts = [[self._sorted(encode(texts)) for texts in scene] for scene in written]
        self.name_ids = [encode(self._names(code)) for code in self.config.languages]
        text = TextConfig(**{**vars(self.config.text), "vocab_size": self.tokenizer.vocab_size})
        self.config = ClipConfig(**{**vars(self.config), "text": text})
        torch.manual_seed(self.seed)
        rows, numbers = itertools.count(), {}
        for name, words in self.vocabularies.items():
            numbers[name] = list(itertools.islice(rows, len(words)))
        self.model = ClipObjective(
            DualEncoder(self.config).train(),
            numbers,
            sum(map(len, numbers.values())),
            weights=self.settings.weights,
        )

    def _names(self, language: str) -> list[str]:
        """All labels, kinds and colours, in the order of the vocabularies."""
        return [
            *(label(colour, kind, language) for colour, kind in self.seen),
            *(KIND_WORDS[language][kind][0] for kind in KINDS),
            *(COLOUR_WORDS[language][colour][0] for colour in COLOURS),
        ]

    def _captions(self, scene: Scene, language: str) -> list[str]:
        """The full caption, short ones, then true and false ones in turn."""
        contrasts = hard_negatives(scene, language)
        return [
            full_caption(scene, language),
            *captions(scene, language, self.settings.captions),
            *(text for contrast in contrasts for text in (contrast.caption, contrast.negative)),
        ]

    def _sorted(self, ids: list[list[int]]) -> _Texts:
        short, contrasts = ids[1 : 1 + self.settings.captions], ids[1 + self.settings.captions :]
        return _Texts(ids[0], short, list(zip(contrasts[::2], contrasts[1::2], strict=True)))

    def parameter_groups(self) -> list[dict]:
        return [{"params": list(self.model.parameters())}]

    def batch(self, step: int, rank: int = 0, world: int = 1) -> dict[str, Tensor]:
        rng = random.Random(f"{self.seed}/{step}/{rank}")
        rows = rng.sample(range(len(self.pictures)), self.settings.batch)
        language = rng.randrange(len(self.config.languages))
        said = [self.texts[row][language] for row in rows]
        ids = [t.full if rng.random() < 0.75 else rng.choice(t.short) for t in said]
        contrasts = [rng.choice(t.contrasts) for t in said[: len(said) // 2]]
        singles = [rng.randrange(len(self.singles)) for _ in range(self.settings.single_batch)]
        shown = [self.seen[i % len(self.seen)] for i in singles]
        odd = [rng.random() < self.settings.odd_colours for _ in singles]
        alone = self.singles[singles]
        for i in range(len(singles)):
            if odd[i]:
                alone[i] = _in_odd_colours(alone[i], *shown[i], rng)
        pixels = np.concatenate([self.pictures[rows], alone])
        batch = {
            "pixels": torch.from_numpy(shift(pixels, rng)).permute(0, 3, 1, 2),
            "photo": torch.tensor(rows),
        }
        for name, true in (
            ("labels", shown),
            ("kinds", [kind for _, kind in shown]),
            ("colours", [colour for colour, _ in shown]),
        ):
            words = self.vocabularies[name]
            told = [i for i in range(len(shown)) if name == "kinds" or not odd[i]]
            numbers = torch.tensor([words.index(true[i]) for i in told], dtype=torch.long)
            batch[f"rows_{name}"] = len(rows) + torch.tensor(told, dtype=torch.long)
            batch[f"target_{name}"] = nn.functional.one_hot(numbers, len(words)).float()
        names, languages = len(self.name_ids[0]), len(self.name_ids)
        batch["concept_row"] = torch.arange(names).repeat(languages)
        batch["concept_language"] = torch.arange(languages).repeat_interleave(names)
        batch["caption_ids"], batch["caption_mask"] = pad(ids)
        batch["right_ids"], batch["right_mask"] = pad([right for right, _ in contrasts])
        batch["wrong_ids"], batch["wrong_mask"] = pad([wrong for _, wrong in contrasts])
        batch["concept_ids"], batch["concept_mask"] = pad(list(itertools.chain(*self.name_ids)))
        return batch

    def validate(self, model: nn.Module) -> dict[str, float]:
        from multimodal.evaluation.toybox import evaluate_clip

        return evaluate_clip(as_clip(model, self.tokenizer), seed=self.seed + 77, scenes=500)

    def export(self, model: nn.Module, folder: Path) -> None:
        save_clip(model, self.tokenizer, folder)


def shift(pictures: np.ndarray, rng: random.Random) -> np.ndarray:
    """Moves the batch by up to two pixels, so that places are learned and not pixels."""
    down, right = rng.randint(-2, 2), rng.randint(-2, 2)
    padded = np.pad(pictures, ((0, 0), (2, 2), (2, 2), (0, 0)), mode="edge")
    height, width = pictures.shape[1:3]
    return padded[:, 2 + down : 2 + down + height, 2 + right : 2 + right + width].copy()


def _in_odd_colours(picture: np.ndarray, colour: str, kind: str, rng: random.Random) -> np.ndarray:
    """A picture of one thing in grey or with all hues turned, but never towards a combination
    that is held out: (side, side, 3) uint8."""
    if rng.random() < GREY:
        return picture.mean(-1, keepdims=True).astype(np.uint8).repeat(3, -1)
    banned = [_hue(c) for c, k in HELD_OUT if k == kind and c != "white"]  # white has no hue
    turn = rng.random()
    while any(abs((_hue(colour) + turn - hue + 0.5) % 1 - 0.5) < HUE_GAP for hue in banned):
        turn = rng.random()
    pixels = torch.from_numpy(picture).permute(2, 0, 1)
    return adjust_hue(pixels, (turn + 0.5) % 1 - 0.5).permute(1, 2, 0).numpy()


def _hue(colour: str) -> float:
    """Place of a colour on the colour circle, 0 to 1."""
    return colorsys.rgb_to_hsv(*(value / 255 for value in PALETTE[colour]))[0]
