"""`vilbert-toybox`: learns to answer questions about the drawn world, in English and Korean.

Words are learned from nothing; the regions come from the tower of `clip-toybox`, which goes on
learning here. Questions, captions and hidden regions are trained on together.
"""

import itertools
import random
from collections import defaultdict
from collections.abc import Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor, nn

from multimodal.clip.dual import DualEncoderClip
from multimodal.data.toybox import (
    BACKGROUNDS,
    FORMS,
    KINDS,
    Question,
    Scene,
    answers,
    balanced_questions,
    captions,
    draw,
    full_caption,
    hard_negatives,
    make_scene,
)
from multimodal.progress import Progress
from multimodal.text.tokenizer import TextTokenizer, pad, train_wordpiece
from multimodal.training.loop import TrainingError
from multimodal.training.masking import add_captions
from multimodal.training.vilbert_objective import VilbertObjective, as_answerer, save_vilbert
from multimodal.vilbert.answering import VisualQuestionAnswerer
from multimodal.vilbert.config import VilbertConfig
from multimodal.vilbert.model import Vilbert
from multimodal.vilbert.regions import giveaways, grid_boxes

CONCEPTS = (*KINDS, *BACKGROUNDS)  # what a region may show


@dataclass(frozen=True)
class Lesson:
    """Steps in which only some questions are asked, and no captions are read.

    Where a thing stands is quickly learned alone and not at all among all other questions; once
    learned, it is not lost among them.

    Attributes:
        steps: How many.
        forms: Forms of the questions, see `multimodal.data.toybox.FORMS`; none: everything.
    """

    steps: int
    forms: tuple[str, ...] = ()

    def __post_init__(self) -> None:
        if unknown := set(self.forms) - set(FORMS):
            raise TrainingError(
                f"A lesson asks {sorted(unknown)[0]!r}; questions are {', '.join(FORMS)}."
            )


@dataclass(frozen=True)
class ToyboxSettings:
    """What the toybox recipe draws and asks.

    Attributes:
        image_start: CLIP model whose image tower gives the regions, or empty for a fresh tower.
        init: ViLBERT checkpoint to go on from, or empty.
        fresh: Parts of the model that begin anew all the same, such as ``box_line``.
        scenes: Training scenes, drawn once.
        per_scene: Questions per scene and language at most, of which each step draws some.
        batch: Scenes per step.
        questions: Questions per step.
        captions: Captions per step; 0 leaves the other heads untrained.
        blank: Share of questions asked without a picture.
        image_scale: Learning rate of the image tower against the rest; 0: it stands still.
        vocab_size: Word pieces at most.
        val_scenes: Fresh scenes that each validation asks about.
        weights: Weight of each loss; what is not named counts 1.
        lessons: What comes first, one after the other; all other steps are about everything.
    """

    image_start: str = "clip-toybox"
    init: str = ""
    fresh: tuple[str, ...] = ()
    scenes: int = 12_000
    per_scene: int = 8
    batch: int = 64
    questions: int = 256
    captions: int = 48
    blank: float = 0.05
    image_scale: float = 0.3
    vocab_size: int = 1000
    val_scenes: int = 500
    weights: dict[str, float] = field(default_factory=dict)
    lessons: tuple[Lesson, ...] = ()


@dataclass(frozen=True)
class _Asked:
    """A question as word pieces, the number of its answer, and its form."""

    ids: list[int]
    answer: int
    form: str


@dataclass(frozen=True)
class _Said:
    """What is said and asked of one scene in one language, as word pieces.

    Attributes:
        true: Captions that fit, the full one first.
        false: Captions that are wrong in a word.
        asked: Questions.
    """

    true: list[list[int]]
    false: list[list[int]]
    asked: list[_Asked]


class ToyboxTask:
    """Batches, validation and export of `vilbert-toybox` for the training loop."""

    def __init__(
        self,
        settings: ToyboxSettings,
        config: VilbertConfig,
        seed: int = 0,
        written: Path | None = None,
    ) -> None:
        self.settings, self.config, self.seed, self.written = settings, config, seed, written
        if config.regions != "grid":
            raise TrainingError("The drawn world has grid regions only: regions must be 'grid'.")
        self.boxes = grid_boxes(config.rows, config.columns)
        self.giveaways = giveaways(self.boxes, "grid")

    def prepare(self) -> Iterator[Progress]:
        """Draws the scenes, asks about them, learns the word pieces, builds the model."""
        side, count = self.config.image_size, self.settings.scenes
        init = self.settings.init
        started = VisualQuestionAnswerer.load(init) if init else None
        scenes = [make_scene(self.seed * 1_000_003 + i) for i in range(count)]
        self.pictures = np.zeros((count, side, side, 3), np.uint8)
        for i, scene in enumerate(scenes):
            self.pictures[i] = np.asarray(draw(scene, side))
            if i % 50 == 49:
                yield Progress(i + 1, count, "drawing scenes")
        self.concepts = torch.stack([concept_shares(scene, self.boxes) for scene in scenes]).half()
        yield Progress(0, None, "asking questions")
        self._write(scenes, started)
        self._build_model(started)

    def _write(self, scenes: list[Scene], started: VisualQuestionAnswerer | None) -> None:
        """Captions of the scenes and questions about them, as word pieces."""
        languages = self.config.languages
        known = list(dict.fromkeys(itertools.chain(*(answers(code) for code in languages))))
        asked: dict[tuple[Scene, str], list[Question]] = defaultdict(list)
        for code in languages:
            rng = random.Random(f"{self.seed}/{code}")
            for scene, question in balanced_questions(scenes, code, rng, self.settings.per_scene):
                asked[scene, code].append(question)
        told = {(scene, code): _captions(scene, code) for scene in scenes for code in languages}
        if started is not None:
            self.tokenizer = started.tokenizer
        elif self.written is not None:
            text, longest = self.written.read_text("utf-8"), self.config.text.max_tokens
            self.tokenizer = TextTokenizer.from_json(text, longest)
        else:
            corpus = itertools.chain(
                *(true + false for true, false in told.values()),
                *([question.text for question in found] for found in asked.values()),
            )
            pieces = train_wordpiece(corpus, self.settings.vocab_size)
            self.tokenizer = TextTokenizer(pieces, self.config.text.max_tokens)
        encode = self.tokenizer.ids

        def said(scene: Scene, language: str) -> _Said:
            true, false = told[scene, language]
            found = asked[scene, language]
            texts = encode([question.text for question in found])
            questions = [
                _Asked(ids, known.index(question.answer), question.form)
                for ids, question in zip(texts, found, strict=True)
            ]
            return _Said(encode(true), encode(false), questions)

        self.said = [[said(scene, code) for code in languages] for scene in scenes]
        wanted = {(), *(lesson.forms for lesson in self.settings.lessons)}
        self.asked = {forms: self._about(forms) for forms in wanted}
        self.config = replace(
            self.config,
            text=replace(self.config.text, vocab_size=self.tokenizer.vocab_size),
            answers=tuple(known),
            concepts=CONCEPTS,
        )

    def _about(self, forms: tuple[str, ...]) -> dict[int, list[list[_Asked]]]:
        """Scenes with questions of some forms in every language, and these by language."""
        found = {}
        for i, said in enumerate(self.said):
            asked = [[q for q in one.asked if not forms or q.form in forms] for one in said]
            if all(asked):
                found[i] = asked
        if len(found) < self.settings.batch:
            raise TrainingError(
                f"Too few scenes have questions ({', '.join(forms) or 'of any kind'}): "
                "raise scenes or lower batch."
            )
        return found

    def _build_model(self, started: VisualQuestionAnswerer | None) -> None:
        torch.manual_seed(self.seed)
        model, settings = Vilbert(self.config).train(), self.settings
        try:
            if started is not None:
                own, start = model.state_dict(), started.model.state_dict()
                fresh = {k: v for k, v in own.items() if k.startswith(tuple(settings.fresh))}
                model.load_state_dict(start | fresh)
            elif settings.image_start:
                tower = DualEncoderClip.load(settings.image_start).encoder.image_tower
                model.image_tower.load_state_dict(tower.state_dict())
        except RuntimeError as error:
            raise TrainingError(
                f"{settings.init or settings.image_start} has another shape than the recipe's "
                "[model]: make them alike."
            ) from error
        model.image_tower.train(settings.image_scale > 0)  # a tower at rest keeps its statistics
        self.model = VilbertObjective(model, settings.weights, rows=settings.questions)

    def parameter_groups(self) -> list[dict]:
        tower = self.model.model.image_tower
        tower.requires_grad_(self.settings.image_scale > 0)
        own = list(tower.parameters())
        rest = set(self.model.parameters()) - set(own)
        return [
            {"params": [p for p in self.model.parameters() if p in rest]},
            {"params": own, "scale": self.settings.image_scale},
        ]

    # --- data ----------------------------------------------------------------------------------

    def batch(self, step: int, rank: int = 0, world: int = 1) -> dict[str, Tensor]:
        rng = random.Random(f"{self.seed}/{step}/{rank}")
        forms = self._lesson(step)
        asked = self.asked[forms]
        rows = rng.sample([*asked], self.settings.batch)
        batch = {
            # not shifted as for `clip-toybox`: questions ask where things are
            "pixels": torch.from_numpy(self.pictures[rows]).permute(0, 3, 1, 2),
            "boxes": self.boxes[None],
        }
        self._add_questions(batch, [asked[row] for row in rows], rng)
        if self.settings.captions and not forms:
            self._add_captions(batch, rows, rng)
        return batch

    def _lesson(self, step: int) -> tuple[str, ...]:
        """Forms that are asked alone at a step; none: everything is asked."""
        for lesson in self.settings.lessons:
            step -= lesson.steps
            if step < 0:
                return lesson.forms
        return ()

    def _add_questions(
        self, batch: dict[str, Tensor], asked: list[list[list[_Asked]]], rng: random.Random
    ) -> None:
        ids, numbers, pictures = [], [], []
        for n in range(self.settings.questions):
            place = n % len(asked)
            question = rng.choice(rng.choice(asked[place]))
            ids.append(question.ids)
            numbers.append(question.answer)
            pictures.append(-1 if rng.random() < self.settings.blank else place)
        batch["question_ids"], batch["question_mask"] = pad(ids)
        batch["question_picture"] = torch.tensor(pictures)
        targets = nn.functional.one_hot(torch.tensor(numbers), len(self.config.answers))
        batch["question_targets"] = targets.float()

    def _add_captions(self, batch: dict[str, Tensor], rows: list[int], rng: random.Random) -> None:
        """Captions in turn: one to guess what is hidden, one that fits, the next that does not."""
        ids, kinds = [], []
        for n in range(self.settings.captions):
            language = rng.randrange(len(self.config.languages))
            said = self.said[rows[n % len(rows)]][language]
            kinds.append(("hidden", "fits", "hidden", "not")[n % 4])
            hard = said.false and rng.random() < 0.5
            if kinds[n] != "not":
                # as often full as short, as among the false ones, so that length tells nothing
                ids.append(rng.choice(said.true[1:]) if hard else said.true[0])
            elif hard:
                ids.append(rng.choice(said.false))
            else:
                ids.append(rng.choice(self.said)[language].true[0])
        pictures = torch.arange(len(ids)) % len(rows)
        mask = torch.ones(len(rows), len(self.boxes), dtype=torch.bool)
        add_captions(
            batch,
            self.tokenizer,
            ids,
            kinds,
            pictures,
            mask,
            self.boxes[None],
            self.giveaways[None],
            np.random.default_rng(rng.getrandbits(32)),
        )
        batch["concepts"] = self.concepts[rows]

    # --- results -------------------------------------------------------------------------------

    def validate(self, model: nn.Module) -> dict[str, float]:
        from multimodal.evaluation.vqa import evaluate_toybox

        answerer = as_answerer(model, self.tokenizer)
        figures = evaluate_toybox(answerer, self.seed + 77, self.settings.val_scenes)
        return {key: value for key, value in figures.items() if key != "worst_type_name"}

    def export(self, model: nn.Module, folder: Path) -> None:
        save_vilbert(model, self.tokenizer, folder)


def concept_shares(scene: Scene, boxes: Tensor) -> Tensor:
    """What each region of a scene shows, as shares of its area: (regions, len(CONCEPTS)).

    Things count by their boxes, the background has the rest.
    """
    shares = torch.zeros(len(boxes), len(CONCEPTS))
    x1, y1, x2, y2, area = boxes.unbind(-1)
    for thing in scene.things:
        left, top, right, bottom = thing.box
        width = (x2.clamp(max=right) - x1.clamp(min=left)).clamp(min=0)
        height = (y2.clamp(max=bottom) - y1.clamp(min=top)).clamp(min=0)
        shares[:, CONCEPTS.index(thing.kind)] += width * height / area
    rest = (1 - shares.sum(1)).clamp(min=0)
    shares[:, CONCEPTS.index(scene.background)] = rest
    return shares / shares.sum(1, keepdim=True)


def _captions(scene: Scene, language: str) -> tuple[list[str], list[str]]:
    """True captions, the full one first, and captions that are false by one word."""
    contrasts = hard_negatives(scene, language)
    true = [c.caption for c in contrasts] or captions(scene, language, 2)
    return [full_caption(scene, language), *true], [c.negative for c in contrasts]
