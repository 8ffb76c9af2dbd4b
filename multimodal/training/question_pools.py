"""Questions about photos by where they come from, drawn in the numbers that a recipe asks for.

- ``human``: what people asked about photos at hand
- ``objects`` and ``captions``: made by rules from lists of objects and from captions
- ``told``: what people asked about pictures of which only captions are at hand
- ``text``: what people asked, without the picture
"""

import random
from collections.abc import Mapping, Sequence
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from multimodal.data import vqa
from multimodal.data.caption_questions import caption_questions
from multimodal.data.photos import DataError, Photo
from multimodal.data.vqa import VqaQuestion
from multimodal.text.tokenizer import TextTokenizer
from multimodal.training.loop import TrainingError

SOURCES = ("human", "objects", "captions", "told", "text")


class QuestionPools:
    """What people asked, what lists of objects and captions give by rules, and texts alone."""

    def __init__(
        self,
        data: Path,
        photos: Sequence[Photo],
        counts: Mapping[str, int],
        seed: int = 0,
        told: Sequence[int] = (),
    ) -> None:
        """Reads and makes the questions.

        Args:
            data: Folder of the data sets.
            photos: The photos that can be asked about.
            counts: Questions per step by source.
            seed: Chooses among the questions that can be made.
            told: COCO's numbers of the pictures of which there are captions only; their rows
                follow those of the photos.

        Raises:
            TrainingError: if a source is unknown or gives no question.
            DataError: if the questions that people asked are wanted and not there.
        """
        if unknown := set(counts) - set(SOURCES):
            raise TrainingError(
                f"questions names {sorted(unknown)[0]!r}; it may name {', '.join(SOURCES)}."
            )
        self.counts = {name: counts[name] for name in SOURCES if counts.get(name)}
        rows = {photo.name: row for row, photo in enumerate(photos)}
        rows |= {
            vqa.image_number(photo.name): row
            for row, photo in enumerate(photos)
            if photo.objects or photo.file.parent.name.startswith(("train", "val"))
        }
        read = {
            "human": self._human(data),
            "text": list(vqa.text_only(data)) if self.counts else [],
        }
        told_rows = {image: len(photos) + i for i, image in enumerate(told)}
        read["told"] = [question for question in read["text"] if question.image in told_rows]
        if "objects" in self.counts:
            read["objects"] = vqa.presence_questions(photos, random.Random(seed))
        if "captions" in self.counts:
            read["captions"] = caption_questions(photos, random.Random(seed))
        # answers are learned from all that people wrote, also where no step draws it
        self._people = [*read["human"], *read["text"]]
        at_hand = {name: rows for name in ("human", "objects", "captions")} | {"told": told_rows}
        self._asked = {
            name: [(q, at_hand[name][q.image]) for q in read[name] if q.image in at_hand[name]]
            if name in at_hand
            else [(q, -1) for q in read[name]]
            for name in self.counts
        }

    def _human(self, data: Path) -> list[VqaQuestion]:
        if not self.counts:
            return []
        try:
            return vqa.load(data, "train")
        except DataError:
            if "human" in self.counts:
                raise
            return []

    def vocabulary(self, size: int) -> tuple[str, ...]:
        """The commonest answers of people; empty where no questions are drawn."""
        return vqa.answer_vocabulary(self._people, size) if self.counts else ()

    def encode(self, tokenizer: TextTokenizer, answers: Sequence[str]) -> None:
        """Turns texts into word pieces and answers into soft targets.

        Args:
            tokenizer: The model's.
            answers: The model's answers; questions that none of them answers are left out.

        Raises:
            TrainingError: if nothing is left of a source.
        """
        numbers = {answer: i for i, answer in enumerate(answers)}
        self._answers = len(answers)
        self._pools: dict[str, list[tuple[list[int], dict[int, float], int]]] = {}
        for name, asked in self._asked.items():
            ids = tokenizer.ids([question.text for question, _ in asked])
            pool = []
            for words, (question, row) in zip(ids, asked, strict=True):
                scores = vqa.soft_targets(question.answers).items()
                if target := {numbers[a]: score for a, score in scores if a in numbers}:
                    pool.append((words, target, row))
            if not pool:
                raise TrainingError(
                    f"The data has no question of the source {name!r}: set it to 0 in the recipe."
                )
            self._pools[name] = pool
        self._people, self._asked = [], {}  # the pools hold all that is needed now

    def draw(self, rng: np.random.Generator) -> tuple[list[list[int]], Tensor, list[int]]:
        """One step's questions: word pieces, targets (questions, answers), and the row of each
        one's photo, -1 for none."""
        drawn = [
            self._pools[name][rng.integers(len(self._pools[name]))]
            for name, count in self.counts.items()
            for _ in range(count)
        ]
        targets = torch.zeros(len(drawn), self._answers)
        for row, (_, target, _) in enumerate(drawn):
            targets[row, list(target)] = torch.tensor(list(target.values()))
        return [words for words, _, _ in drawn], targets, [row for _, _, row in drawn]
