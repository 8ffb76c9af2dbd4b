"""Questions about a scene with answers in English and Korean, balanced against guessing."""

from __future__ import annotations

import itertools
import random
from collections import defaultdict
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass, field

from . import words
from .scene import (
    HELD_OUT,
    KINDS,
    SEEN,
    Scene,
    Thing,
    is_held_out,
    place,
    relations,
)
from .words import article, josa, plural

TYPES = ("what", "colour", "count", "exists", "where", "relation", "comparison")
#: A type is also the form of its questions that have no name of their own here.
FORMS = (*TYPES, "coloured", "position", "side", "same", "more")

_YES = {"en": ("no", "yes"), "ko": ("아니요", "예")}
_SIDES = {"en": {"left": "left", "right": "right"}, "ko": {"left": "왼쪽", "right": "오른쪽"}}
_PLACES = {
    "en": {"left": "left", "middle": "middle", "right": "right"},
    "ko": words.PLACE_WORDS["ko"],
}
_SETTINGS = {
    "en": {name: noun.split()[-1] for name, noun in words.BACKGROUND_NOUNS["en"].items()}
    | {"snow": "snow"},
    "ko": words.BACKGROUND_NOUNS["ko"] | {"night": "밤"},
}


@dataclass(frozen=True)
class Question:
    """A question about one scene.

    Attributes:
        text: The question.
        answer: Its only right answer, one or two words; numbers are digits.
        type: One of ``TYPES``.
        form: The question without its nouns, by which yes and no are balanced: one of ``FORMS``.
    """

    text: str
    answer: str
    type: str
    form: str = field(default="", compare=False, repr=False)


def answers(language: str) -> tuple[str, ...]:
    """Every answer that a question can have, sorted: the classes of a model that answers.

    Args:
        language: ``"en"`` or ``"ko"``.

    Returns:
        The answers, none twice.
    """
    known = {*_YES[language], *(str(n) for n in range(5)), *_PLACES[language].values()}
    known |= {*_SETTINGS[language].values(), *words.COLOUR_NAMES[language].values()}
    return tuple(sorted(known | {_kind(kind, language) for kind in KINDS}))


def questions(scene: Scene, language: str, rng: random.Random | None = None) -> list[Question]:
    """Questions of every type that has one right answer in this scene.

    Args:
        scene: What is asked about.
        language: ``"en"`` or ``"ko"``.
        rng: Chooses what is asked; the scene's seed does without it.

    Returns:
        Questions that are true but not yet balanced: see :func:`balanced_questions`.
    """
    rng = rng or random.Random(f"questions/{language}/{scene.background}/{scene.seed}")
    asker = _Asker(scene, language, rng)
    return [
        *asker.what(),
        *asker.colour(),
        *asker.count(),
        *asker.exists(),
        *asker.where(),
        *asker.relation(),
        *asker.comparison(),
    ]


def balanced_questions(
    scenes: Iterable[Scene], language: str, rng: random.Random, per_scene: int = 4
) -> list[tuple[Scene, Question]]:
    """Questions about many scenes such that the words alone do not give the answer away.

    For every wording, the commonest answer is thinned out until it is no commoner than the
    second, and for every form of yes-no question both answers are equally common; then types are
    evened out. Balance needs numbers: give it hundreds of scenes at once.

    Args:
        scenes: What is asked about.
        language: ``"en"`` or ``"ko"``.
        rng: Chooses the questions.
        per_scene: How many questions a scene gets at most.

    Returns:
        Scenes with a question each, in a random order; some scenes may get none.
    """
    pool = [(scene, q) for scene in scenes for q in questions(scene, language, rng)]
    rng.shuffle(pool)
    pool = _thinned(pool, lambda q: q.form, _YES[language], least=0)
    pool = _thinned(pool, lambda q: q.text, (), least=2)
    asked: dict[Scene, list[Question]] = defaultdict(list)
    by_type = {kind: [item for item in pool if item[1].type == kind] for kind in TYPES}
    limit = sorted(len(items) for items in by_type.values())[len(TYPES) // 2]
    evened = [item for items in by_type.values() for item in items[:limit]]
    rng.shuffle(evened)
    kept = []
    for scene, question in evened:
        if len(asked[scene]) < per_scene and question not in asked[scene]:
            asked[scene].append(question)
            kept.append((scene, question))
    return kept


def _thinned(
    pool: Sequence[tuple[Scene, Question]],
    key: Callable[[Question], str],
    only: tuple[str, ...],
    least: int,
) -> list[tuple[Scene, Question]]:
    """Cut the commonest answer of each group of questions down to the second commonest.

    Args:
        pool: Scenes with questions.
        key: The group of a question.
        only: Thin out no other answers than these; all where it is empty.
        least: As many of an answer may always stay: so few tell nothing.
    """
    groups: dict[object, dict[str, list[int]]] = defaultdict(lambda: defaultdict(list))
    for i, (_, question) in enumerate(pool):
        groups[key(question)][question.answer].append(i)
    kept = set()
    for by_answer in groups.values():
        sizes = sorted((len(found) for found in by_answer.values()), reverse=True)
        limit = max(least, sizes[1] if len(sizes) > 1 else 0)
        for answer, found in by_answer.items():
            kept.update(found if only and answer not in only else found[:limit])
    return [item for i, item in enumerate(pool) if i in kept]


def _kind(kind: str, language: str) -> str:
    return words.KIND_WORDS[language][kind][0]


class _Asker:
    """Asks about one scene in one language."""

    def __init__(self, scene: Scene, language: str, rng: random.Random) -> None:
        self.scene, self.language, self.rng = scene, language, rng
        self.korean = language == "ko"
        kinds = [thing.kind for thing in scene.things]
        self.unique = [thing for thing in scene.things if kinds.count(thing.kind) == 1]
        self.kinds = set(kinds)

    def ask(self, english: str, korean: str, answer: str, kind: str, form: str = "") -> Question:
        return Question(korean if self.korean else english, answer, kind, form or kind)

    def name(self, kind: str) -> str:
        return _kind(kind, self.language)

    def yes(self, true: bool) -> str:
        return _YES[self.language][true]

    def what(self) -> list[Question]:
        if len(self.scene.things) == 1:
            kind = self.scene.things[0].kind
            return [self.ask("what is this?", "이것은 무엇인가요?", self.name(kind), "what")]
        colours = [thing.colour for thing in self.scene.things]
        return [
            self.ask(
                f"what is the {thing.colour} thing?",
                f"{words.COLOUR_WORDS['ko'][thing.colour][0]} 것은 무엇인가요?",
                self.name(thing.kind),
                "what",
            )
            for thing in self.scene.things
            if colours.count(thing.colour) == 1
        ]

    def colour(self) -> list[Question]:
        return [
            self.ask(
                f"what colour is the {thing.kind}?",
                f"{josa(_kind(thing.kind, 'ko'), '은/는')} 무슨 색인가요?",
                words.COLOUR_NAMES[self.language][thing.colour],
                "colour",
            )
            for thing in self.unique
        ]

    def count(self) -> list[Question]:
        things = self.scene.things
        missing = self.rng.choice([kind for kind in KINDS if kind not in self.kinds])
        found = []
        for kind in (*sorted(self.kinds), missing):
            number = sum(thing.kind == kind for thing in things)
            counter = words.counter(kind)
            korean = f"{josa(_kind(kind, 'ko'), '이/가')} 몇 {counter} 있나요?"
            found.append(
                self.ask(f"how many {plural(kind)} are there?", korean, str(number), "count")
            )
        everything = ("how many things are there?", "그림에 모두 몇 개가 있나요?")
        return [*found, self.ask(*everything, str(len(things)), "count")]

    def exists(self) -> list[Question]:
        """Each "yes" has a "no" of the same form beside it."""
        thing = self.rng.choice(self.scene.things)
        there = {(t.colour, t.kind) for t in self.scene.things}
        held_out = is_held_out(thing.colour, thing.kind)
        # A held-out scene is asked in vain for other held-out pairs, a seen pair for seen ones:
        # being unheard of is then no hint. Half of the vain ones share the colour or the kind.
        pairs = [pair for pair in (HELD_OUT if held_out else SEEN) if pair not in there]
        near = [p for p in pairs if p[0] == thing.colour or p[1] == thing.kind]
        colour, kind = self.rng.choice(near if near and self.rng.random() < 0.5 else pairs)
        missing = self.rng.choice([k for k in KINDS if k not in self.kinds])
        found = []
        for (c, k), true in (((thing.colour, thing.kind), True), ((colour, kind), False)):
            korean = f"{words.COLOUR_WORDS['ko'][c][0]} {josa(_kind(k, 'ko'), '이/가')} 있나요?"
            english = f"is there {article(f'{c} {k}')}?"
            found.append(self.ask(english, korean, self.yes(true), "exists", "coloured"))
        for k, true in ((thing.kind, True), (missing, False)):
            korean = f"{josa(_kind(k, 'ko'), '이/가')} 있나요?"
            found.append(self.ask(f"is there {article(k)}?", korean, self.yes(true), "exists"))
        return found

    def where(self) -> list[Question]:
        setting = _SETTINGS[self.language][self.scene.background]
        found = [self.ask("what place is this?", "여기는 어디인가요?", setting, "where")]
        for thing in self.unique:
            side = place(thing)
            if side:
                korean = f"{josa(_kind(thing.kind, 'ko'), '은/는')} 어디에 있나요?"
                where = _PLACES[self.language][side]
                english = f"where is the {thing.kind}?"
                found.append(self.ask(english, korean, where, "where", "position"))
        return found

    def relation(self) -> list[Question]:
        found = []
        for thing in self.unique:
            for name in ("left", "right", "above", "under"):
                near = [t for t in self.scene.things if t is not thing]
                standing = [t for t in near if name in relations(t, thing)]
                if len(standing) != 1 or (len(near) > 1 and not _apart(near, thing, name)):
                    continue
                where = words.RELATION_WORDS["ko"][name][0]
                found.append(
                    self.ask(
                        f"what is {words.RELATION_WORDS['en'][name][0]} the {thing.kind}?",
                        f"{_kind(thing.kind, 'ko')} {where}에 무엇이 있나요?",
                        self.name(standing[0].kind),
                        "relation",
                    )
                )
        if len(self.unique) > 1:
            a, b = self.rng.sample(self.unique, 2)
            side = relations(a, b) & {"left", "right"}
            if side and abs(a.x - b.x) >= abs(a.y - b.y):
                korean = (
                    f"{josa(_kind(a.kind, 'ko'), '은/는')} {_kind(b.kind, 'ko')} 왼쪽에 있나요, "
                    "오른쪽에 있나요?"
                )
                answer = _SIDES[self.language][next(iter(side))]
                english = f"is the {a.kind} left or right of the {b.kind}?"
                found.append(self.ask(english, korean, answer, "relation", "side"))
        return found

    def comparison(self) -> list[Question]:
        found = []
        for pair in itertools.combinations(self.unique, 2):
            a, b = self.rng.sample(pair, 2)
            ka, kb = _kind(a.kind, "ko"), _kind(b.kind, "ko")
            same = (
                f"are the {a.kind} and the {b.kind} the same colour?",
                f"{josa(ka, '와/과')} {josa(kb, '은/는')} 같은 색인가요?",
            )
            found.append(self.ask(*same, self.yes(a.colour == b.colour), "comparison", "same"))
            if a.size != b.size:
                bigger = a if a.size == "big" else b
                which = (
                    f"which is bigger, the {a.kind} or the {b.kind}?",
                    f"{josa(ka, '와/과')} {kb} 중에 무엇이 더 큰가요?",
                )
                found.append(self.ask(*which, self.name(bigger.kind), "comparison"))
        if len(self.kinds) > 1:
            first, second = self.rng.sample(sorted(self.kinds), 2)
            more, fewer = (
                sum(t.kind == kind for t in self.scene.things) for kind in (first, second)
            )
            korean = f"{josa(_kind(first, 'ko'), '이/가')} {_kind(second, 'ko')}보다 더 많은가요?"
            english = f"are there more {plural(first)} than {plural(second)}?"
            found.append(self.ask(english, korean, self.yes(more > fewer), "comparison", "more"))
        return found


def _apart(things: Sequence[Thing], thing: Thing, name: str) -> bool:
    """Whether no other thing nearly stands so too, which would make the answer a quarrel."""
    sign = 1 if name in ("left", "above") else -1
    gap = [(thing.x - t.x if name in ("left", "right") else thing.y - t.y) for t in things]
    return sum(sign * g > 0.03 for g in gap) == 1
