"""Words to pictures: the caption is read once, image tokens are drawn one by one, then decoded."""

import threading
import time
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

import torch
from PIL import Image
from torch import Tensor

from multimodal import checkpoint
from multimodal.dalle import pairs, sampling
from multimodal.dalle.captions import CaptionTokenizer
from multimodal.dalle.image_tokenizer import ImageTokenizer, to_image
from multimodal.dalle.transformer import Cache, Dalle, DalleConfig
from multimodal.errors import UserError

MOST = 16  # pictures at once


@dataclass(frozen=True)
class Settings:
    """How tokens are drawn.

    Attributes:
        temperature: Under 1 safer, over 1 wilder; 0 always takes the likeliest token.
        top_k: Only the k likeliest tokens may be drawn; 0 allows all.
        top_p: Only the likeliest tokens that together have this probability.
        guidance_scale: How much the caption is exaggerated; 1 not at all.
    """

    temperature: float = 1.0
    top_k: int = 0
    top_p: float = 1.0
    guidance_scale: float = 1.0

    def __post_init__(self) -> None:
        if not 0 <= self.temperature <= 10:
            raise UserError(f"temperature is {self.temperature}; give 0 to 10.")
        if self.top_k < 0:
            raise UserError(f"top_k is {self.top_k}; give 0, which allows every token, or more.")
        if not 0 <= self.top_p <= 1:
            raise UserError(f"top_p is {self.top_p}; give 0 to 1.")
        if not 0 <= self.guidance_scale <= 50:
            raise UserError(f"guidance_scale is {self.guidance_scale}; give 0 to 50.")


@dataclass(frozen=True)
class Drawing:
    """Pictures as far as they are drawn.

    Attributes:
        images: The pictures, RGB; what is not drawn yet is hatched.
        done: Whether they are finished.
        ids: (pictures, grid, grid) tokens, -1 where there is none yet.
        seeds: Each picture's own seed; the same seed gives the same picture again.
        settings: How they were drawn.
        tokens_per_second: Tokens of all pictures together.
    """

    images: list[Image.Image]
    done: bool
    ids: Tensor
    seeds: tuple[int, ...]
    settings: Settings
    tokens_per_second: float

    @property
    def rows(self) -> int:
        """Rows of tokens that are drawn."""
        return int((self.ids[0] >= 0).all(1).sum())


class TextToImage:
    """A DALL-E with its image tokenizer and its caption tokenizer."""

    def __init__(
        self,
        dalle: Dalle,
        tokenizer: ImageTokenizer,
        captions: CaptionTokenizer,
        name: str = "",
        fingerprint: str = "",
    ) -> None:
        self.dalle = dalle.eval().requires_grad_(False)
        self.config = dalle.config
        self.tokenizer, self.captions = tokenizer, captions
        self.name, self.fingerprint = name, fingerprint

    @classmethod
    def load(cls, name: str | Path) -> "TextToImage":
        """Loads a bundled DALL-E or a checkpoint folder, with the VQ-VAE that it was trained on.

        The VQ-VAE is looked for beside the DALL-E first, then among the bundled models.

        Raises:
            UserError: if one is missing, torn, foreign, or they do not belong together.
        """
        loaded = checkpoint.load(name, "dalle")
        folder = loaded.manifest.folder
        config = DalleConfig.from_dict(loaded.manifest.config)
        dalle = Dalle(config)
        checkpoint.fill(dalle, loaded)
        beside = folder.parent / config.image_tokenizer
        tokenizer = ImageTokenizer.load(
            beside if (beside / checkpoint.CONFIG).is_file() else config.image_tokenizer
        )
        if tokenizer.fingerprint != config.fingerprint:
            raise checkpoint.CheckpointError(
                f"{name} was trained on tokens of another {config.image_tokenizer} than the one "
                "that is here: copy both checkpoint folders again, or train it anew."
            )
        captions = CaptionTokenizer.from_json(loaded.tokenizer or "", config.text_tokens)
        if captions.vocab_size != config.vocab_size:
            raise checkpoint.CheckpointError(
                f"The tokenizer in {folder} has {captions.vocab_size} pieces, the model "
                f"{config.vocab_size}: copy the checkpoint folder again."
            )
        return cls(dalle, tokenizer, captions, str(name), loaded.manifest.fingerprint)

    @property
    def defaults(self) -> Settings:
        """The settings that suit this model."""
        config = self.config
        return Settings(config.temperature, config.top_k, config.top_p, config.guidance_scale)

    def generate(
        self,
        prompt: str,
        images: int = 4,
        seed: int = 0,
        *,
        temperature: float | None = None,
        top_k: int | None = None,
        top_p: float | None = None,
        guidance_scale: float | None = None,
        picture: Image.Image | None = None,
        rows: int = 0,
        stop: threading.Event | None = None,
    ) -> Iterator[Drawing]:
        """Draws pictures of a caption.

        Args:
            prompt: The caption; empty draws whatever the model likes.
            images: How many pictures, 1 to 16.
            seed: The first picture's seed; the others have the following ones.
            temperature, top_k, top_p, guidance_scale: As in `Settings`; None: the model's own.
            picture: A picture to complete.
            rows: How many rows of its tokens are kept, from the top.
            stop: Ends the drawing after the row in which it is set.

        Yields:
            A `Drawing` after every row of tokens; the last one is done.

        Raises:
            UserError: if a setting is out of range.
        """
        own = self.defaults
        settings = Settings(
            own.temperature if temperature is None else temperature,
            own.top_k if top_k is None else int(top_k),
            own.top_p if top_p is None else top_p,
            own.guidance_scale if guidance_scale is None else guidance_scale,
        )
        if not 1 <= images <= MOST:
            raise UserError(f"images is {images}; give 1 to {MOST}.")
        grid = self.config.grid
        if not 0 <= rows <= grid:
            raise UserError(f"rows is {rows}; this model draws {grid} rows, so give 0 to {grid}.")
        seeds = tuple(int(seed) + i for i in range(images))
        kept = None
        if picture is not None and rows:
            kept = self.tokenizer.encode([picture])[0, :rows].flatten()
        return self._draw([prompt], seeds, settings, kept, stop or threading.Event())

    def draw_each(self, prompts: Sequence[str], seed: int = 0) -> Drawing:
        """One picture for each of several captions, in one batch with the model's own settings.

        Args:
            prompts: The captions.
            seed: The first picture's seed; the others have the following ones.
        """
        seeds = tuple(seed + i for i in range(len(prompts)))
        *_, last = self._draw(prompts, seeds, self.defaults, None, threading.Event())
        return last

    def _draw(
        self,
        prompts: Sequence[str],
        seeds: tuple[int, ...],
        settings: Settings,
        kept: Tensor | None,
        stop: threading.Event,
    ) -> Iterator[Drawing]:
        grid, total = self.config.grid, self.config.image_tokens
        generators = [torch.Generator().manual_seed(seed % 2**63) for seed in seeds]
        ids = torch.full((len(seeds), total), -1)
        first = 0
        if kept is not None:
            first = len(kept)
            ids[:, :first] = kept
        started, begun = time.monotonic(), first
        with torch.inference_mode():
            each = len(seeds) // len(prompts)
            x, cache = self._read(prompts, ids[:1, :first], each, settings)
        while first < total and not stop.is_set():
            with torch.inference_mode():  # not across a yield: it would hold for the caller too
                until = (first // grid + 1) * grid
                for place in range(first, until):
                    ids[:, place] = self.next_token(x, settings, generators)
                    if place + 1 < total:
                        x = self._step(ids[:, place], place, cache)
                first = until
                images = self._picture(ids)
            rate = len(seeds) * (first - begun) / max(time.monotonic() - started, 1e-6)
            shaped = ids.view(-1, grid, grid).clone()
            yield Drawing(images, first == total, shaped, seeds, settings, rate)
        if begun == total:  # the whole picture was kept
            shaped = ids.view(-1, grid, grid)
            yield Drawing(self._picture(ids), True, shaped, seeds, settings, 0.0)

    def _read(
        self, prompts: Sequence[str], kept: Tensor, pictures: int, settings: Settings
    ) -> tuple[Tensor, Cache]:
        """Reads captions and kept tokens once, and fans each out over its pictures.

        Returns:
            What foretells the first token to draw, (branches x pictures, width), and the cache.
            With guidance there are two branches: the caption, and none.
        """
        guided = settings.guidance_scale != 1
        text = self.captions([*prompts, *([""] * len(prompts) if guided else [])])
        x = self.dalle.embed_text(text)
        if kept.shape[1]:
            x = torch.cat([x, self.dalle.embed_image(kept.expand(len(text), -1))], 1)
        x = x[:, : self.config.text_tokens + self.config.image_tokens]
        cache = Cache(self.config, len(text), x)
        x = self.dalle.stream(x, cache)[:, -1]
        return x.repeat_interleave(pictures, 0), cache.fan_out(pictures)

    def _step(self, drawn: Tensor, place: int, cache: Cache) -> Tensor:
        """What foretells the token after the one drawn at a place, (branches x pictures, width)."""
        drawn = drawn.repeat(cache.keys.shape[1] // len(drawn))
        return self.dalle.stream(self.dalle.embed_image(drawn[:, None], place), cache)[:, -1]

    def next_token(
        self, x: Tensor, settings: Settings, generators: Sequence[torch.Generator]
    ) -> Tensor:
        """Draws one token for each picture, (pictures,); of a pair the shape comes first.

        Args:
            x: (branches x pictures, width), what foretells it: with guidance all pictures' under
                the caption, then all under none.
            settings: How it is drawn.
            generators: One per picture.
        """
        chances = self.chances(self.dalle.image_head(x), settings)
        rows = [sampling.draw(chances, generators)]
        if self.config.colours:
            shapes = rows[0].repeat(len(x) // len(generators))
            chances = self.chances(self.dalle.colour_logits(x, shapes), settings)
            rows.append(sampling.draw(chances, generators))
        return pairs.join(rows, self.config.colours)

    def chances(self, logits: Tensor, settings: Settings) -> Tensor:
        """The distribution that is drawn from.

        Args:
            logits: (rows, codes), or with guidance those under the caption and then those under
                none, (2 x rows, codes).
            settings: How it is drawn.

        Returns:
            (rows, codes) probabilities.
        """
        if settings.guidance_scale != 1:
            logits = sampling.guide(*logits.chunk(2), settings.guidance_scale)
        return sampling.shape(logits, settings.temperature, settings.top_k, settings.top_p)

    def _picture(self, ids: Tensor) -> list[Image.Image]:
        """Decodes (pictures, tokens); cells without a token, -1, are hatched."""
        grid = self.config.grid
        filled = ids.view(-1, grid, grid).clone()
        drawn = int((filled[0] >= 0).all(1).sum())  # whole rows
        if 0 < drawn < grid:
            filled[:, drawn:] = filled[:, drawn - 1 : drawn]  # a quiet edge for the decoder
        pixels = self.tokenizer.vqvae.decode(filled.clamp(min=0))
        pixels[:, :, drawn * self.tokenizer.vqvae.config.cell :] = _hatching(pixels.shape[-1])[
            :, drawn * self.tokenizer.vqvae.config.cell :
        ]
        return [to_image(picture) for picture in pixels]


def _hatching(side: int) -> Tensor:
    """(3, side, side): what stands where nothing is drawn yet."""
    place = torch.arange(side)
    stripes = ((place[:, None] + place[None]) // 3 % 3 == 0).float()
    return (0.93 - 0.12 * stripes).expand(3, side, side)
