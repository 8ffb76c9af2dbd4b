"""What the Ask tab's events compute: answers, what they rest on, captions and hidden regions."""

import re
from collections.abc import Sequence
from dataclasses import dataclass
from html import escape
from typing import TYPE_CHECKING, Any

from multimodal import checkpoint
from multimodal.errors import UserError
from multimodal.ui import attention, pictures
from multimodal.ui.context import Context

if TYPE_CHECKING:
    from PIL import Image

    from multimodal.vilbert.answering import Answer, VisualQuestionAnswerer

SHOWN = 5  # answers, words and concepts
MOST_CAPTIONS = 20
CLOSE = 1.5  # the second answer's probability times this reaches the first's: a close call
SURE, LIKELY, GUESS = 0.7, 0.4, 0.2  # from which probability on an answer is called so
FIRMER = 0.1  # by how much the photo must change a probability to be worth a word


@dataclass(frozen=True)
class Asked:
    """What the user wants to know.

    Attributes:
        image: File of the photo.
        question: The question.
        model: A ViLBERT by name.
        only: Answers to choose among, with commas between them; empty: all.
    """

    image: Any
    question: str | None
    model: str | None
    only: str | None = ""

    @property
    def complete(self) -> bool:
        """Whether there is something to answer."""
        return bool(self.image and (self.question or "").strip())

    @property
    def allowed(self) -> list[str] | None:
        """The answers to choose among; None: all."""
        return [part.strip() for part in (self.only or "").split(",") if part.strip()] or None


class Asker:
    """What the tab's events call; knows nothing of components."""

    def __init__(self, context: Context) -> None:
        self.context, self.text = context, context.texts

    def warm_up(self, model: str | None) -> None:
        """Loads a model while the user still types."""
        try:
            if model:
                self.context.vilbert(model)
        except UserError:  # said again, in the answer's place, when it is used
            pass

    def reads(self, model: str | None, language: str) -> str:
        """Which languages a model reads, without loading it; empty where there is no model."""
        try:
            config = checkpoint.read_manifest(checkpoint.resolve(model or ""), "vilbert").config
        except UserError:  # said in the answer's place, when it is used
            return ""
        return self.text("ask_reads", language, languages=self._languages(config, language))

    def _languages(self, config: dict[str, Any], language: str) -> str:
        codes = config.get("languages", ["en"])
        return ", ".join(self.text(f"ask_language_{code}", language) for code in codes)

    # --- answers -------------------------------------------------------------------------------

    def answers(
        self, asked: Asked, language: str, top_k: int = SHOWN
    ) -> tuple["list[Answer]", "list[Answer]"]:
        """The best answers, and those to the same question with the photo hidden.

        Raises:
            UserError: if the photo, the question, the list or the model cannot be used.
        """
        if top_k < 1:
            raise UserError(f"top_k is {top_k}; give at least 1.")
        model, photo = self._given(asked.image, asked.model, language)
        question = _clean(asked.question)
        if not question:
            raise UserError(self.text("ask_no_question", language))
        return (
            model.answer(photo, question, top_k, asked.allowed),
            model.answer_blind(question, top_k, asked.allowed),
        )

    def _given(
        self, image: Any, name: str | None, language: str
    ) -> tuple["VisualQuestionAnswerer", "Image.Image"]:
        from multimodal.images import open_image

        if not name:
            raise UserError(self.text("ask_no_model", language))
        if image is None:
            raise UserError(self.text("ask_no_photo", language))
        return self.context.vilbert(name), open_image(image)

    def answer(self, asked: Asked, language: str) -> str:
        """The answer's HTML: a sentence, five bars, and the same with the photo hidden."""
        seen, blind = self.answers(asked, language)
        model = self.context.vilbert(asked.model)
        notes = self._notes(model, _clean(asked.question), language)
        notes.append(self.text("ask_meaning_only" if asked.allowed else "ask_meaning", language))
        chip = self.text(
            "ask_chip",
            language,
            name=asked.model,
            n=f"{len(model.answers):,}",
            languages=self._languages(vars(model.config), language),
        )
        return (
            f'<div class="answer"><p class="say">{self._sure(seen, language)}</p>'
            f"{self._twice(seen, blind, self._changed(seen, blind, language), language)}"
            f'{_fine(notes)}<span class="chip">{escape(chip)}</span></div>'
        )

    def _sure(self, seen: "Sequence[Answer]", language: str) -> str:
        """The best answer, and in words how sure it is."""
        first, *others = seen
        names = {"first": f"<b>{escape(first.text)}</b>"}
        if first.probability < GUESS:
            return self.text("ask_guess", language, **names)
        if others and others[0].probability * CLOSE > first.probability:
            names["second"] = f"<b>{escape(others[0].text)}</b>"
            return self.text("ask_close", language, **names)
        levels = (SURE, "ask_sure"), (LIKELY, "ask_likely"), (GUESS, "ask_perhaps")
        key = next(key for least, key in levels if first.probability >= least)
        return self.text(key, language, **names)

    def _changed(self, seen: "Sequence[Answer]", blind: "Sequence[Answer]", language: str) -> str:
        """Whether the photo changes the answer, in a sentence."""
        first = f"<b>{escape(blind[0].text)}</b>"
        if seen[0].text != blind[0].text:
            return self.text("ask_blind_other", language, first=first)
        more = seen[0].probability - blind[0].probability
        key = "surer" if more > FIRMER else "doubts" if more < -FIRMER else "same"
        return self.text(f"ask_blind_{key}", language, first=first)

    def _twice(
        self, seen: "Sequence[Answer]", blind: "Sequence[Answer]", say: str, language: str
    ) -> str:
        """Bars with the photo, and smaller ones without it beside them."""
        return (
            f'<div class="twice"><div>{_bars(seen)}</div>'
            f'<div class="aside"><h4>{escape(self.text("ask_blind", language))}</h4>'
            f"{_bars(blind)}<p>{say}</p></div></div>"
        )

    def _notes(self, model: "VisualQuestionAnswerer", text: str, language: str) -> list[str]:
        """What the model cannot read of a text."""
        from multimodal.text.tokenizer import MAX_CHARACTERS, UNKNOWN

        pieces, most = model.tokenizer.pieces(text), model.tokenizer.max_tokens
        notes = []
        if len(pieces) == most or len(text) > MAX_CHARACTERS:
            notes.append(self.text("ask_cut", language, n=most))
        korean = any("가" <= sign <= "힣" for sign in text)
        if UNKNOWN in pieces or (korean and "ko" not in model.languages):
            languages = self._languages(vars(model.config), language)
            notes.append(self.text("ask_unknown", language, languages=languages))
        return notes

    # --- reasons -------------------------------------------------------------------------------

    def explain(self, asked: Asked, language: str) -> str:
        """The attention explorer for the best answer.

        Raises:
            UserError: as `answers`.
        """
        model, photo = self._given(asked.image, asked.model, language)
        question, best = _clean(asked.question), None  # the model's own
        if asked.allowed:
            best = model.answer(photo, question, 1, asked.allowed)[0].text
        found = model.maps(photo, question, best)
        return attention.explorer(found, photo, model.config.plan(), self.text, language)

    def fits(self, image: Any, captions: str | None, name: str | None, language: str) -> str:
        """How well each caption, one a line, fits the photo.

        Raises:
            UserError: if the photo, the captions or the model cannot be used.
        """
        model, photo = self._given(image, name, language)
        lines = [line for line in _clean(captions, keep="\n").splitlines() if line.strip()]
        told = list(dict.fromkeys(line.strip() for line in lines))
        if not told:
            raise UserError(self.text("ask_no_caption", language))
        if len(told) > MOST_CAPTIONS:
            raise UserError(self.text("ask_many_captions", language, n=MOST_CAPTIONS))
        shares = model.aligned(photo, told)
        ranked = sorted(zip(told, shares, strict=True), key=lambda pair: -pair[1])
        fitting = sum(share >= 0.5 for share in shares)
        say = self.text(
            "ask_fits" if fitting else "ask_fits_none", language, n=fitting, all=len(told)
        )
        notes = [note for line in told for note in self._notes(model, line, language)]
        notes.append(self.text("ask_fits_say", language))
        return (
            f'<p class="say">{say}</p><div class="captions">'
            f"{''.join(pictures.bar(caption, share) for caption, share in ranked)}</div>"
            f"{_fine(notes)}"
        )

    def fill(self, image: Any, caption: str | None, name: str | None, language: str) -> str:
        """The words that fit where a caption says [MASK], with and without the photo.

        Raises:
            UserError: if the photo, the caption or the model cannot be used.
        """
        model, photo = self._given(image, name, language)
        told = _clean(caption)
        if not told:
            raise UserError(self.text("ask_no_caption", language))
        seen, blind = model.fill_mask(photo, told, SHOWN), model.fill_mask(None, told, SHOWN)
        same = seen[0].text == blind[0].text
        say = self.text("ask_filled", language, first=f"<b>{escape(seen[0].text)}</b>")
        beside = self.text(
            "ask_filled_same" if same else "ask_filled_other",
            language,
            first=f"<b>{escape(blind[0].text)}</b>",
        )
        bars, notes = self._twice(seen, blind, beside, language), self._notes(model, told, language)
        return f'<p class="say">{say}</p>{bars}{_fine(notes)}'

    def hideable(self, image: Any, name: str | None, language: str) -> str:
        """The photo with its regions, to hide one.

        Raises:
            UserError: if the photo or the model cannot be used.
        """
        from multimodal.vilbert.regions import giveaways

        model, photo = self._given(image, name, language)
        config, regions = model.config, model.regions(photo)
        boxes = regions.boxes[0, regions.mask[0]]
        grid = (config.rows, config.columns) if config.regions == "grid" else None
        cells = attention.Cells.of(boxes[:, :4], grid, self.text, language)
        hidden = giveaways(boxes, config.regions)
        return attention.hideable(photo, cells, hidden, self.text("ask_cells_hide", language))

    def expected(
        self, image: Any, region: int, caption: str | None, name: str | None, language: str
    ) -> str:
        """What the model expects in a hidden region.

        Raises:
            UserError: if the photo, the region or the model cannot be used.
        """
        model, photo = self._given(image, name, language)
        likely = model.expected_region(photo, region, _clean(caption), SHOWN)
        say = self.text("ask_expected", language, first=f"<b>{escape(likely[0].text)}</b>")
        fine = self.text("ask_expected_say", language, n=f"{len(model.config.concepts):,}")
        return f'<p class="say">{say}</p>{_bars(likely)}{_fine([fine])}'


def _clean(text: str | None, keep: str = "") -> str:
    """A text without what no one can read: control signs and halves of signs."""
    text = (text or "").encode("utf-8", "ignore").decode()
    return re.sub(rf"[^\S{keep} ]|[\x00-\x08\x0b\x0c\x0e-\x1f\x7f]", " ", text).strip()


def _bars(answers: "Sequence[Answer]") -> str:
    return "".join(pictures.bar(answer.text, answer.probability) for answer in answers)


def _fine(notes: Sequence[str]) -> str:
    """Notes in small type, each once."""
    return "".join(f'<p class="fine">{escape(note)}</p>' for note in dict.fromkeys(notes))
