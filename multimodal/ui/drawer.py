"""What the Draw tab's events compute: pictures as they grow, their scores, files, and sentences."""

import base64
import tempfile
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from html import escape
from pathlib import Path
from typing import TYPE_CHECKING, Any

from multimodal import checkpoint
from multimodal.errors import UserError
from multimodal.ui import pictures, tokens
from multimodal.ui.context import Context, Recent

if TYPE_CHECKING:
    from PIL import Image

    from multimodal.dalle.pipeline import Drawing

MOST = 4  # pictures at once: more cannot be shown large
NAMED = 120  # characters of a prompt that a picture's text alternative repeats
# what the sliders show where there is no model to ask
DEFAULTS = {"temperature": 1.0, "top_k": 200, "top_p": 1.0, "guidance_scale": 3.0, "grid": 12}


@dataclass(frozen=True)
class Asked:
    """What the user wants drawn; a setting that is None is the model's own.

    Attributes:
        prompt: The caption; empty draws whatever the model likes.
        model: A DALL-E by name.
        images: How many pictures.
        seed: The first picture's; the others have the following ones.
        temperature, top_k, top_p, guidance_scale: As in `multimodal.dalle.pipeline.Settings`.
        picture: File of a picture to complete.
        rows: How many rows of its tokens are kept.
    """

    prompt: str
    model: str | None
    images: int = MOST
    seed: int | None = 0
    temperature: float | None = None
    top_k: int | None = None
    top_p: float | None = None
    guidance_scale: float | None = None
    picture: Any = field(default=None, compare=False)  # a copy of it may have another name
    rows: int = 0


@dataclass(frozen=True)
class Turn:
    """A user's latest wish, from the click until it is drawn."""

    asked: Asked
    stop: threading.Event


@dataclass(frozen=True)
class Drawn:
    """Pictures with what made them.

    Attributes:
        prompt: The caption.
        model: Name of the DALL-E.
        drawing: The pictures as far as they are drawn.
        pieces: How many pieces the caption has.
        cut: Whether they fill all of the model's places, so that the end may be missing.
        scores: CLIP's cosine of each finished picture and the caption, where there is one.
    """

    prompt: str
    model: str
    drawing: "Drawing"
    pieces: int
    cut: bool
    scores: tuple[float, ...] = ()

    def order(self, rerank: bool) -> list[int]:
        """Numbers of the pictures as they are shown: by score, or by seed."""
        numbers = list(range(len(self.drawing.images)))
        return sorted(numbers, key=lambda i: -self.scores[i]) if rerank and self.scores else numbers


class Drawer:
    """What the tab's events call; knows nothing of components."""

    def __init__(self, context: Context) -> None:
        self.context, self.text = context, context.texts
        self._turns: dict[str, Turn] = {}
        self._explained = Recent(64)
        self._walls = Recent(8)

    def defaults(self, model: str | None) -> dict[str, Any]:
        """A model's own settings and its rows, read without loading it."""
        try:
            config = checkpoint.read_manifest(checkpoint.resolve(model or ""), "dalle").config
        except UserError:  # said in the answer's place, when it is used
            config = {}
        return {name: config.get(name, value) for name, value in DEFAULTS.items()}

    def warm_up(self, model: str | None) -> None:
        """Loads a DALL-E and its judge while the user still types."""
        try:
            if model:
                self.context.dalle(model)
                self.context.clip(_judge(model, self.context.settings.model))
        except UserError:  # said again, in the answer's place, when it is used
            pass

    def begin(self, asked: Asked, session: str) -> None:
        """Notes what a user wants, before it may have to wait; their earlier drawing ends."""
        self.stop(session)
        self._turns[session] = Turn(asked, threading.Event())

    def stop(self, session: str) -> None:
        """Ends a user's drawing within a row of tokens."""
        if session in self._turns:
            self._turns[session].stop.set()

    def turn(self, asked: Asked, session: str) -> Turn | None:
        """The user's wish, unless they have asked for something else while it waited."""
        turn = self._turns.get(session)
        return turn if turn and turn.asked == asked else None

    def draw(self, turn: Turn, session: str, language: str) -> Iterator[Drawn]:
        """As `drawings`, until the user stops it."""
        try:
            yield from self.drawings(turn.asked, language, turn.stop)
        finally:
            if self._turns.get(session) is turn:
                del self._turns[session]

    def drawings(
        self, asked: Asked, language: str = "en", stop: threading.Event | None = None
    ) -> Iterator[Drawn]:
        """Draws.

        Yields:
            The pictures after every row of tokens; the finished ones last, with scores.

        Raises:
            UserError: if a setting, the picture or the model cannot be used.
        """
        from multimodal.images import open_image

        if not asked.model:
            raise UserError(self.text("draw_no_model", language))
        if not 1 <= asked.images <= MOST:
            raise UserError(f"images is {asked.images}; give 1 to {MOST}.")
        if asked.seed is None:
            raise UserError(self.text("draw_no_seed", language))
        model = self.context.dalle(asked.model)
        prompt = (asked.prompt or "").encode("utf-8", "ignore").decode()  # no lone surrogates
        pieces = len(model.captions.ids([prompt])[0])
        growing = model.generate(
            prompt,
            int(asked.images),
            int(asked.seed),
            temperature=asked.temperature,
            top_k=asked.top_k,
            top_p=asked.top_p,
            guidance_scale=asked.guidance_scale,
            picture=open_image(asked.picture) if asked.picture else None,
            rows=int(asked.rows),
            stop=stop,
        )
        cut = pieces == model.config.text_tokens
        for drawing in growing:
            drawn = Drawn(prompt, asked.model, drawing, pieces, cut)
            yield drawn
            if drawing.done:
                yield replace(drawn, scores=self._scores(drawn))

    def _scores(self, drawn: Drawn) -> tuple[float, ...]:
        """CLIP's cosines, where there is a caption and a CLIP."""
        if not drawn.pieces:
            return ()
        try:
            clip = self.context.clip(_judge(drawn.model, self.context.settings.model))
        except UserError:  # the pictures are good without
            return ()
        cosines = clip.encode_images(drawn.drawing.images) @ clip.encode_texts([drawn.prompt]).T
        return tuple(cosines[:, 0].tolist())

    def files(self, drawn: Drawn, folder: Path) -> list[Path]:
        """Writes the pictures as PNG files that tell how they were made, in order of seeds."""
        from multimodal.dalle import export

        written = []
        for number, seed in enumerate(drawn.drawing.seeds):
            file = folder / export.file_name(drawn.prompt, seed)
            export.save_png(drawn.drawing, number, file, drawn.prompt, drawn.model)
            written.append(file)
        return written

    def waiting(self, images: int) -> str:
        """The places of pictures that are still to come."""
        blank = '<figure><div class="undrawn"></div><figcaption>&nbsp;</figcaption></figure>'
        return f'<div class="drawn n{images}">{blank * int(images)}</div>'

    def sheet(self, drawn: Drawn, rerank: bool, language: str) -> str:
        """The pictures, each with its seed and, when it is done, its score and a download."""
        from multimodal.dalle import export

        drawing = drawn.drawing
        title = drawn.prompt.strip()[:NAMED] or self.text("draw_unprompted", language)
        links: list[str] = []
        if drawing.done:
            with tempfile.TemporaryDirectory(prefix="draw-") as folder:
                files = self.files(drawn, Path(folder))
                links = [self._link(file, language) for file in files]
        figures = []
        for place, i in enumerate(drawn.order(rerank), 1):
            alt = self.text("draw_alt", language, n=place, prompt=title, seed=drawing.seeds[i])
            said = self.text("draw_seed_said", language, seed=drawing.seeds[i])
            if drawn.scores:
                said += f" · CLIP {drawn.scores[i]:.3f}"
            uri = pictures.data_uri(export.enlarge(drawing.images[i]), export.SIDE)
            figures.append(
                f'<figure><img src="{uri}" alt="{escape(alt)}"><figcaption><span>{escape(said)}'
                f"</span>{links[i] if links else ''}</figcaption></figure>"
            )
        return f'<div class="drawn n{len(figures)}">{"".join(figures)}</div>'

    def _link(self, file: Path, language: str) -> str:
        data = base64.b64encode(file.read_bytes()).decode()
        say = escape(self.text("draw_download", language))
        return (
            f'<a download="{escape(file.name)}" href="data:image/png;base64,{data}" '
            f'aria-label="{say}: {escape(file.name)}">{say}</a>'
        )

    def said(self, drawn: Drawn, rerank: bool, language: str, growing: bool = False) -> str:
        """How far the drawing is; a screen reader hears only when that changes in kind."""
        drawing = drawn.drawing
        grid = drawing.ids.shape[-1]
        how = {"row": drawing.rows, "rows": grid, "rate": f"{drawing.tokens_per_second:,.0f}"}
        if growing:
            row = self.text("draw_row", language, **how)
            first = f'{self.text("draw_drawing", language)} <span aria-hidden="true">{row}</span>'
        elif drawing.done:
            ordered = rerank and bool(drawn.scores) and len(drawing.images) > 1
            first = self.text("draw_done_ordered" if ordered else "draw_done", language, **how)
        else:
            first = self.text("draw_stopped", language, **how)
        notes = [self.text("draw_free", language)] if not drawn.pieces else []
        if drawn.cut:
            notes.append(self.text("draw_cut", language, n=drawn.pieces))
        fine = "".join(f'<p class="fine">{escape(note)}</p>' for note in notes)
        return f'<p class="say">{first}</p>{fine}'

    def explain(self, drawn: Drawn, place: int, rerank: bool, language: str) -> str:
        """The token grid of the picture that is shown at a place, from 1."""
        drawing = drawn.drawing
        number = drawn.order(rerank)[min(int(place), len(drawing.images)) - 1]
        model = self.context.dalle(drawn.model)
        key = (model.fingerprint, drawn.prompt, drawing.seeds[number], drawing.settings, language)
        key += (bytes(drawing.ids[number].flatten().int().numpy()),)
        return self._explained.get(
            key, lambda: tokens.picture_grid(model, drawn, number, self.text, language)
        )

    def codebook(self, model: str | None, order: str, language: str) -> str:
        """The wall of all codes of a VQ-VAE.

        Raises:
            UserError: if there is no such model.
        """
        if not model:
            raise UserError(self.text("draw_no_vqvae", language))
        tokenizer = self.context.vqvae(model)
        key = (tokenizer.fingerprint, order, language)
        return self._walls.get(key, lambda: tokens.walls(tokenizer, order, self.text, language))

    def reconstruct(
        self, image: Any, model: str | None, language: str
    ) -> tuple[tuple["Image.Image", "Image.Image"], str]:
        """A photo's way through the tokens and back.

        Returns:
            The photo as the model sees it and what comes back, and a sentence on it.

        Raises:
            UserError: if the photo or the model cannot be used.
        """
        from multimodal.dalle import export
        from multimodal.images import open_image

        if not model:
            raise UserError(self.text("draw_no_vqvae", language))
        if image is None:
            raise UserError(self.text("draw_no_photo", language))
        tokenizer, photo = self.context.vqvae(model), open_image(image)
        made = tokenizer.reconstruct(photo)
        side, count = tokenizer.image_size, tokenizer.grid**2
        bits = (tokenizer.codes - 1).bit_length()
        say = self.text(
            "draw_reconstructed",
            language,
            psnr=f"{tokenizer.psnr(photo, made):.1f}",
            tokens=count,
            bits=bits,
            size=f"{count * bits / 8:.0f}",
            side=side,
            times=f"{side * side * 3 * 8 / (count * bits):.0f}",
        )
        return (export.enlarge(photo), export.enlarge(made)), say


def _judge(model: str, other: str) -> str:
    """The CLIP of the same world as a DALL-E, or another."""
    twin = model.replace("dalle-", "clip-")
    return twin if twin in checkpoint.bundled("clip") else other
