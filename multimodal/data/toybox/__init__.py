"""Toybox: a small drawn world that knows all about its pictures.

>>> scene = make_scene(7)
>>> picture = draw(scene, side=96)
>>> shows(scene, full_caption(scene, "ko"))
True
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

from .checker import Facts, Group, Relation, Verdict, facts_of, parse, shows, verdict
from .draw import draw
from .language import Contrast, captions, full_caption, hard_negatives, label
from .questions import FORMS, Question, answers, balanced_questions, questions
from .scene import (
    BACKGROUNDS,
    COLOURS,
    HELD_OUT,
    KINDS,
    PALETTE,
    SIZES,
    Scene,
    Split,
    Thing,
    is_held_out,
    make_scene,
    on_grid,
    place,
    plain,
    recoloured,
    relations,
    single_scene,
    small_scenes,
)
from .words import LANGUAGES, josa

if TYPE_CHECKING:
    from PIL import Image

__all__ = [
    "BACKGROUNDS",
    "COLOURS",
    "FORMS",
    "HELD_OUT",
    "KINDS",
    "LANGUAGES",
    "PALETTE",
    "SIZES",
    "Contrast",
    "Facts",
    "Group",
    "Question",
    "Relation",
    "Scene",
    "Split",
    "Thing",
    "Verdict",
    "answers",
    "balanced_questions",
    "captions",
    "draw",
    "facts_of",
    "full_caption",
    "hard_negatives",
    "is_held_out",
    "josa",
    "label",
    "make_scene",
    "on_grid",
    "pairs",
    "parse",
    "place",
    "plain",
    "questions",
    "recoloured",
    "relations",
    "shows",
    "single_scene",
    "small_scenes",
    "verdict",
]


def pairs(
    n: int,
    seed: int = 0,
    split: str | Split = Split.TRAIN,
    languages: Sequence[str] = LANGUAGES,
    *,
    side: int = 96,
) -> Iterator[tuple[Image.Image, str, str, Scene]]:
    """Pictures with a caption each, for training.

    Args:
        n: How many.
        seed: The scenes are those of seeds ``seed`` to ``seed + n - 1``.
        split: ``"train"``, ``"val"`` or ``"held-out"``.
        languages: Taken in turn.
        side: Width and height of the pictures in pixels.

    Yields:
        Picture, caption, language, scene. Every other caption of a language is complete, the
        others are short.
    """
    for i in range(n):
        scene = make_scene(seed + i, split=split)
        language = languages[i % len(languages)]
        if i // len(languages) % 2:
            caption = full_caption(scene, language)
        else:
            caption = captions(scene, language, 1)[0]
        yield draw(scene, side), caption, language, scene
