"""Visual question answering: soft accuracy on photos, exact accuracy on the drawn world."""

from __future__ import annotations

import random
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING

import torch

from multimodal.data import vqa
from multimodal.data.photos import DataError
from multimodal.data.toybox import (
    Question,
    Scene,
    Split,
    balanced_questions,
    draw,
    is_held_out,
    make_scene,
)
from multimodal.data.toybox.questions import TYPES as QUESTION_TYPES
from multimodal.data.toybox.words import COLOUR_NAMES, COLOUR_WORDS, KIND_WORDS
from multimodal.data.vqa import TYPES, VqaQuestion
from multimodal.evaluation.alignment import BATCH, alignment, regions_of
from multimodal.images import list_images
from multimodal.vilbert.answering import VisualQuestionAnswerer
from multimodal.vilbert.regions import Regions, concatenate

if TYPE_CHECKING:
    from multimodal.training.region_cache import RegionCache

# far from the seeds that training draws from
SEED_OFFSET = 500_000_000


def evaluate(
    model: VisualQuestionAnswerer,
    images: Path,
    questions: Path,
    answers: Path,
    *,
    all_questions: bool = False,
) -> dict[str, float]:
    """Asks every question whose photo is there.

    Args:
        model: The model.
        images: Folder of the photos, named by COCO's numbers; subfolders count.
        questions: Questions in the official VQA v2 layout.
        answers: Their answers in the same.
        all_questions: Count questions that fewer than ten people answered too.

    Returns:
        In per cent, over questions that ten people answered: accuracy, the official soft
        accuracy; question_only, the same with the image blanked; yes_no, number and other, the
        accuracy by type of answer (0 where there is none of a type). And questions, their number.
        Where no question has ten answers, all count.

    Raises:
        DataError: if no photo of a question is there, or a file is in another layout.
    """
    asked = vqa.read(Path(questions), Path(answers))
    if not all_questions:
        asked = [question for question in asked if question.ten_answers] or asked
    files = {vqa.image_number(path.name): path for path in list_images(Path(images))}
    asked = [question for question in asked if question.image in files]
    if not asked:
        raise DataError(
            f"None of the photos that {questions} asks about is in {images}: "
            "give the folder that holds them with --images."
        )
    numbers = list(dict.fromkeys(question.image for question in asked))
    regions = regions_of(model, [files[number] for number in numbers])
    place = {number: i for i, number in enumerate(numbers)}
    return score(model, regions, asked, [place[question.image] for question in asked])


def score(
    model: VisualQuestionAnswerer,
    regions: Regions,
    asked: Sequence[VqaQuestion],
    picture: Sequence[int],
) -> dict[str, float]:
    """The figures of `evaluate` for questions about pictures whose regions are known.

    Args:
        model: The model.
        regions: Of all pictures.
        asked: The questions.
        picture: Which picture each is about.
    """
    texts = [question.text for question in asked]
    seen, blind = (
        [
            100 * vqa.accuracy(answer, question.answers)
            for answer, question in zip(given, asked, strict=True)
        ]
        for given in (best(model, regions, texts, picture), best(model, model.blank(), texts))
    )
    by_type = {
        kind: [got for got, question in zip(seen, asked, strict=True) if question.type == kind]
        for kind in TYPES
    }
    return {
        "accuracy": _mean(seen),
        "question_only": _mean(blind),
        "yes_no": _mean(by_type["yes/no"]),
        "number": _mean(by_type["number"]),
        "other": _mean(by_type["other"]),
        "questions": len(asked),
    }


def evaluate_toybox(
    model: VisualQuestionAnswerer, seed: int = 0, scenes: int = 1000
) -> dict[str, float | str]:
    """Asks balanced questions about fresh scenes, in all languages of the model.

    Args:
        model: The model.
        seed: Chooses the scenes.
        scenes: Number of scenes, and of scenes with a combination that training never showed.

    Returns:
        In per cent: accuracy; question_only, the same with the image blanked; held_out, on
        questions about things of a combination never seen; worst_type, the accuracy of the type
        of question that is answered worst; worst_type_name, which that is.
    """
    asked, seen, blind = _ask(model, Split.VAL, seed, scenes)
    unseen, right, _ = _ask(model, Split.HELD_OUT, seed, scenes)
    by_type: dict[str, list[float]] = {kind: [] for kind in QUESTION_TYPES}
    for (_, question, _), got in zip(asked, seen, strict=True):
        by_type[question.type].append(got)
    worst = min(filter(by_type.get, by_type), key=lambda kind: _mean(by_type[kind]))
    return {
        "accuracy": _mean(seen),
        "question_only": _mean(blind),
        "held_out": _mean(
            [
                got
                for (scene, question, language), got in zip(unseen, right, strict=True)
                if _is_about_held_out(scene, question, language)
            ]
        ),
        "worst_type": _mean(by_type[worst]),
        "worst_type_name": worst,
    }


def photo_figures(
    model: VisualQuestionAnswerer, data: Path, caches: Mapping[str, RegionCache]
) -> dict[str, float]:
    """The figures that `vilbert-photos` is chosen by, all on val photos.

    Args:
        model: The model.
        data: Folder of the data sets.
        caches: Regions of the val photos of each set.

    Returns:
        In per cent: soft, the soft accuracy on questions that ten people answered; all and
        all_question_only, accuracy on all questions of people with and without the photo;
        aligned, see `alignment.alignment`. Only what the data allow.
    """
    figures = {}
    if (coco := caches.get("coco")) is not None:
        numbers = {vqa.image_number(photo.name): row for row, photo in enumerate(coco.photos)}
        try:
            asked = [question for question in vqa.load(data, "val") if question.image in numbers]
        except DataError:  # captions may be there without questions
            asked = []
        regions = coco.regions()
        for name, part in (
            ("soft", [question for question in asked if question.ten_answers]),
            ("all", asked),
        ):
            if not part:
                continue
            found = score(model, regions, part, [numbers[question.image] for question in part])
            figures |= {name: found["accuracy"], f"{name}_question_only": found["question_only"]}
    for name in ("flickr8k", "coco"):
        if name in caches:
            rows = [row for row, photo in enumerate(caches[name].photos) if photo.captions]
            own = [caches[name].photos[row].captions[0] for row in rows]
            figures["aligned"] = alignment(model, caches[name].regions(rows), own)
            break
    return figures


def best(
    model: VisualQuestionAnswerer,
    regions: Regions,
    questions: Sequence[str],
    picture: Sequence[int] | None = None,
) -> list[str]:
    """The model's answer to each question."""
    rows = model.logits(regions, questions, picture).argmax(1)
    return [model.answers[row] for row in rows.tolist()]


def _ask(
    model: VisualQuestionAnswerer, split: Split, seed: int, scenes: int
) -> tuple[list[tuple[Scene, Question, str]], list[float], list[float]]:
    """Questions with scene and language, and whether they were answered right (100 or 0), with
    the picture and without."""
    first = SEED_OFFSET + seed * 1_000_003
    drawn = [make_scene(first + i, split=split) for i in range(scenes)]
    asked = [
        (scene, question, language)
        for language in model.languages
        for scene, question in balanced_questions(drawn, language, random.Random(seed))
    ]
    side = model.config.image_size
    regions = concatenate(
        [
            model.encode_images([draw(s, side) for s in drawn[i : i + BATCH]])
            for i in range(0, len(drawn), BATCH)
        ]
    )
    place = {scene: i for i, scene in enumerate(drawn)}
    texts = [question.text for _, question, _ in asked]
    seen, blind = (
        [100.0 * (got == q.answer) for got, (_, q, _) in zip(given, asked, strict=True)]
        for given in (
            best(model, regions, texts, [place[scene] for scene, _, _ in asked]),
            best(model, model.blank(), texts),
        )
    )
    return asked, seen, blind


def _is_about_held_out(scene: Scene, question: Question, language: str) -> bool:
    """Whether a question names, or is answered by, a thing whose combination was never seen."""
    said = f"{question.text} {question.answer}"
    return any(
        is_held_out(thing.colour, thing.kind)
        and any(
            name in said
            for name in (
                KIND_WORDS[language][thing.kind][0],
                COLOUR_WORDS[language][thing.colour][0],
                COLOUR_NAMES[language][thing.colour],
            )
        )
        for thing in scene.things
    )


def _mean(values: Sequence[float]) -> float:
    return torch.tensor(values).mean().item() if values else 0.0
