"""Trains DALL-E transformers by recipe: `python -m multimodal train dalle --recipe NAME`.

Pictures are turned into tokens once (`training/tokens.py`); from then on it is language modelling.
"""

import itertools
import random
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from multimodal import checkpoint
from multimodal.clip.dual import DualEncoderClip
from multimodal.dalle.captions import CaptionTokenizer
from multimodal.dalle.image_tokenizer import ImageTokenizer
from multimodal.dalle.transformer import Dalle, DalleConfig
from multimodal.data.photos import DataError
from multimodal.data.sets import load_sets
from multimodal.progress import Progress
from multimodal.training.loop import TrainingError
from multimodal.training.run import Inputs
from multimodal.training.tokens import TokenSet, TokenStore

VAL = 384  # pictures of each set that validation looks at
WORD_SCALE = 0.06  # spread of words that begin as a CLIP has them; chance begins with 0.02


@dataclass(frozen=True)
class DalleSettings:
    """What a DALL-E recipe learns from.

    Attributes:
        image_tokenizer: The VQ-VAE: a bundled name or a checkpoint folder.
        batch: Pictures per step by set: ``toybox``, ``flickr8k``, ``coco``, ``scenes``,
            ``tiny_imagenet``, ``folder``; what the data folder lacks is left out.
        scenes: Toybox scenes, drawn once.
        things: Things in a toybox scene at most.
        looks: Looks of every toybox place and thing that are drawn; 0 draws all.
        views: Versions of each photo: whole, mirrored, cut out.
        vocab_size: Pieces of the caption tokenizer at most.
        korean: Share of captions taken in Korean where a picture has both.
        dropout: Share of captions left out, so that the model also learns to draw without one,
            which guidance needs.
        image_weight: Weight of the image loss to 1 of the text loss.
        words_from: A CLIP model: each piece of a caption begins as what its text tower makes of
            it, after --init too; empty: as chance or --init has it.
    """

    image_tokenizer: str = ""
    batch: dict[str, int] = field(default_factory=lambda: {"toybox": 64})
    scenes: int = 20_000
    things: int = 4
    looks: int = 0
    views: int = 4
    vocab_size: int = 600
    korean: float = 0.5
    dropout: float = 0.1
    image_weight: float = 7.0
    words_from: str = ""


class DalleObjective(nn.Module):
    """Cross-entropy of the next token: one part text, seven parts image (Ramesh et al. 2021)."""

    def __init__(self, dalle: Dalle, image_weight: float) -> None:
        super().__init__()
        self.dalle, self.image_weight = dalle, image_weight

    def forward(self, batch: dict[str, Tensor]) -> tuple[Tensor, dict[str, Tensor]]:
        """Loss and its parts in nats per token.

        Args:
            batch: `text` (batch, text_tokens + 1), `image` (batch, image_tokens).
        """
        text_logits, image_logits = self.dalle(batch["text"], batch["image"])
        parts = {
            "text": F.cross_entropy(
                text_logits.float().flatten(0, 1), batch["text"][:, 1:].flatten()
            ),
            "image": self.dalle.image_loss(image_logits, batch["image"]),
        }
        loss = parts["text"] + self.image_weight * parts["image"]
        return loss / (1 + self.image_weight), parts


class DalleTask:
    """Batches, validation and export of a DALL-E for the training loop."""

    def __init__(
        self,
        settings: DalleSettings,
        config: DalleConfig,
        seed: int = 0,
        *,
        data: Path | None = None,
        cache: Path,
        init: str = "",
    ) -> None:
        self.settings, self.config, self.seed = settings, config, seed
        self.data, self.cache, self.init = data, Path(cache), init

    def prepare(self) -> Iterator[Progress]:
        """Makes tokens, learns the caption pieces, builds the model."""
        tokenizer = ImageTokenizer.load(self.settings.image_tokenizer)
        store = TokenStore(self.cache, tokenizer)
        wanted = [name for name, count in self.settings.batch.items() if count]
        if "toybox" in wanted:
            first, looks = self.seed * 1_000_003, self.settings.looks or None
            for split, count in (("train", self.settings.scenes), ("val", VAL)):
                yield from store.toybox(split, count, first, looks, self.settings.things)
        else:
            yield from self._photos(store, wanted)
        self.train, self.val = (
            {
                name.removesuffix(end): found
                for name, found in store.sets.items()
                if name.endswith(end)
            }
            for end in ("-train", "-val")
        )
        if not self.train:
            raise TrainingError(f"{self.data} holds none of {', '.join(wanted)}.")
        counts = sum(
            torch.bincount(found.tokens.flatten().int(), minlength=tokenizer.codes)
            for found in self.train.values()
        )
        share = (counts + 1) / (counts + 1).sum()
        self.unigram = -share.log()  # nats of every code by its frequency alone
        self._build(tokenizer)
        self._tokenize()

    def _photos(self, store: TokenStore, wanted: list[str]) -> Iterator[Progress]:
        for split in ("train", "val"):
            try:
                found = load_sets(self.data, split)
            except DataError:
                if split == "train":
                    raise
                continue
            for name in wanted:
                photos = found.get(name, [])
                if split == "val":
                    photos = [p for p in photos if p.captions or p.label]
                    photos = photos[:: max(1, len(photos) // VAL)][:VAL]
                if photos and (split == "train" or name != "folder"):
                    views = self.settings.views if split == "train" else 1
                    yield from store.photos(name, photos, split, views)

    def _build(self, tokenizer: ImageTokenizer) -> None:
        if self.init:
            from multimodal.dalle.pipeline import TextToImage

            started = TextToImage.load(self.init)
            self.captions, dalle = started.captions, started.dalle.requires_grad_(True)
            if started.tokenizer.fingerprint != tokenizer.fingerprint:
                raise TrainingError(f"{self.init} was trained on tokens of another VQ-VAE.")
            self.config = dalle.config
        else:
            texts = itertools.chain.from_iterable(
                texts for s in self.train.values() for c in s.captions for texts in c.values()
            )
            places = self.config.text_tokens
            self.captions = CaptionTokenizer.train(texts, self.settings.vocab_size, places)
            self.config = replace(
                self.config,
                vocab_size=self.captions.vocab_size,
                codes=tokenizer.codes,
                colours=tokenizer.colours,
                grid=tokenizer.grid,
                image_tokenizer=self.settings.image_tokenizer,
                fingerprint=tokenizer.fingerprint,
            )
            torch.manual_seed(self.seed)
            dalle = Dalle(self.config)
        if self.settings.words_from:
            self._start_words(dalle)
        self.model = DalleObjective(dalle.train(), self.settings.image_weight)

    @torch.no_grad()
    def _start_words(self, dalle: Dalle) -> None:
        """Words for what looks alike begin alike: "puppy" near "dog", before either was drawn."""
        clip = DualEncoderClip.load(self.settings.words_from)
        seen = clip.encode_texts([self.captions.read([i]) for i in range(self.captions.vocab_size)])
        seen = seen - seen.mean(0)
        width = min(self.config.width, *seen.shape)
        main = seen @ torch.linalg.svd(seen, full_matrices=False).Vh[:width].T
        # larger than what chance begins with, or it would be gone after a few steps
        dalle.words.weight[: len(main), :width] = WORD_SCALE * main / main.std()

    def _tokenize(self) -> None:
        """Captions as numbers: by set, picture and language."""

        def numbered(found: TokenSet) -> list[dict[str, list[list[int]]]]:
            return [
                {code: self.captions.ids(texts) for code, texts in by_language.items() if texts}
                for by_language in found.captions
            ]

        self.ids = {name: numbered(found) for name, found in self.train.items()}
        self.val_ids = {name: numbered(found) for name, found in self.val.items()}

    def parameter_groups(self) -> list[dict]:
        tables = ("words", "places", "codes", "rows", "columns")
        dalle = self.model.dalle
        embeddings = [getattr(dalle, name).weight for name in tables]
        known = {id(p) for p in embeddings}
        others = [p for p in dalle.parameters() if id(p) not in known]
        return [{"params": others}, {"params": embeddings, "decay": False}]

    def batch(self, step: int, rank: int = 0, world: int = 1) -> dict[str, Tensor]:
        rng = random.Random(f"{self.seed}/{step}/{rank}")
        texts, images = [], []
        for name, found in self.train.items():
            pictures, views, _ = found.tokens.shape
            for _ in range(self.settings.batch[name]):
                row = rng.randrange(pictures)
                images.append(found.tokens[row, rng.randrange(views)])
                texts.append(self._caption(self.ids[name][row], rng))
        return {"text": self.captions.fill(texts), "image": torch.stack(images).long()}

    def _caption(self, said: dict[str, list[list[int]]], rng: random.Random) -> list[int]:
        if not said or rng.random() < self.settings.dropout:
            return []
        languages = list(said)
        if len(languages) == 2:
            korean = rng.random() < self.settings.korean
            languages = ["ko" if korean else "en"]
        texts = said[languages[0]]
        return texts[0] if rng.random() < 0.4 else rng.choice(texts)

    @torch.no_grad()
    def validate(self, model: nn.Module) -> dict[str, float]:
        """Nats per image token by set, under the right caption, a wrong one and frequency alone."""
        from multimodal.evaluation.dalle import nats

        figures = {}
        for name, found in self.val.items():
            image = found.tokens[:VAL, 0].long()
            texts = [next(iter(said.values()))[0] if said else [] for said in self.val_ids[name]]
            wrong = [*texts[len(texts) // 2 :], *texts[: len(texts) // 2]]
            figures[name] = nats(model.dalle, self.captions.fill(texts[:VAL]), image)
            figures[f"{name}_wrong"] = nats(model.dalle, self.captions.fill(wrong[:VAL]), image)
            figures[f"{name}_unigram"] = float(self.unigram[image].mean())
        return figures

    def export(self, model: nn.Module, folder: Path) -> None:
        dalle = model.dalle
        checkpoint.save(
            folder, "dalle", dalle.config, dalle.state_dict(), tokenizer=self.captions.to_json()
        )


def task(recipe: dict, inputs: Inputs, seed: int) -> DalleTask:
    """What a DALL-E learns; arguments as in `run.train`.

    Raises:
        UserError: if the recipe, the data or the VQ-VAE is missing.
    """
    return DalleTask(
        DalleSettings(**recipe.get("task", {})),
        DalleConfig.from_dict(recipe.get("model", {})),
        seed,
        data=inputs.photos if recipe["world"] == "photos" else None,
        cache=inputs.kept,
        init=inputs.init,
    )
