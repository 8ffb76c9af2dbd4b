"""Reading a caption back to the facts it claims, and checking them against a scene."""

from __future__ import annotations

import itertools
import re
from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from functools import lru_cache

from ...errors import UserError
from . import words
from .scene import Scene, Thing, place, relations


@dataclass(frozen=True)
class Group:
    """Things of one description; what is None was not said.

    Attributes:
        kind: What they are.
        colour: Their colour.
        size: ``"small"`` or ``"big"``.
        count: How many; 1 means at least one, more means exactly so many.
        place: ``"left"``, ``"middle"`` or ``"right"`` of the picture.
    """

    kind: str
    colour: str | None = None
    size: str | None = None
    count: int = 1
    place: str | None = None

    def fits(self, thing: Thing) -> bool:
        """Whether a thing is as described."""
        return (
            self.kind == thing.kind
            and self.colour in (None, thing.colour)
            and self.size in (None, thing.size)
            and self.place in (None, place(thing))
        )


@dataclass(frozen=True)
class Relation:
    """Group ``subject`` is left of, right of, above, under or beside group ``object``."""

    subject: int
    name: str
    object: int


@dataclass(frozen=True)
class Facts:
    """What a caption claims."""

    groups: tuple[Group, ...]
    relations: tuple[Relation, ...] = ()
    background: str | None = None


@dataclass(frozen=True)
class Verdict:
    """How a picture stands to a prompt; ``relations`` and ``background`` are None where unsaid.

    Attributes:
        things: All described things are there, each described thing another one.
        relations: They can be chosen such that all stand as claimed.
        background: It is the claimed one; None also where the picture's is not known.
    """

    things: bool
    relations: bool | None
    background: bool | None

    @property
    def obeyed(self) -> bool:
        """Everything that was said is so."""
        return self.things and self.relations is not False and self.background is not False


def shows(seen: Scene | Sequence[Thing], prompt: Facts | str) -> bool:
    """Whether a picture shows what the prompt says, exactly.

    Args:
        seen: A scene, or only the things that were found in a picture; then its background is
            not checked.
        prompt: Facts, or a caption in English or Korean.

    Returns:
        True if every claim holds.

    Raises:
        UserError: The caption has words that this world does not know.
    """
    return verdict(seen, prompt).obeyed


def verdict(seen: Scene | Sequence[Thing], prompt: Facts | str) -> Verdict:
    """The parts of :func:`shows` one by one; same arguments."""
    facts = parse(prompt) if isinstance(prompt, str) else prompt
    things = seen.things if isinstance(seen, Scene) else tuple(seen)
    background = None
    if facts.background is not None and isinstance(seen, Scene):
        background = seen.background == facts.background
    there = False
    for chosen in _choices(facts.groups, things):
        there = True
        if all(_holds(relation, chosen) for relation in facts.relations):
            return Verdict(True, True if facts.relations else None, background)
    return Verdict(there, False if facts.relations else None, background)


def facts_of(scene: Scene) -> Facts:
    """All there is to say of a scene, without relations: like things are counted together."""
    counts: dict[Group, int] = {}
    for thing in scene.things:
        group = Group(thing.kind, thing.colour, thing.size)
        counts[group] = counts.get(group, 0) + 1
    groups = tuple(Group(g.kind, g.colour, g.size, n) for g, n in counts.items())
    return Facts(groups, (), scene.background)


def _choices(
    groups: tuple[Group, ...], things: tuple[Thing, ...]
) -> Iterator[tuple[tuple[Thing, ...], ...]]:
    """Every way to give each group its things, no thing twice."""
    options = []
    for group in groups:
        fitting = [i for i, thing in enumerate(things) if group.fits(thing)]
        if group.count > 1:
            options.append([tuple(fitting)] if len(fitting) == group.count else [])
        else:
            options.append([(i,) for i in fitting])
    for choice in itertools.product(*options):
        used = list(itertools.chain.from_iterable(choice))
        if len(set(used)) == len(used):
            yield tuple(tuple(things[i] for i in part) for part in choice)


def _holds(relation: Relation, chosen: tuple[tuple[Thing, ...], ...]) -> bool:
    return all(
        relation.name in relations(a, b)
        for a in chosen[relation.subject]
        for b in chosen[relation.object]
    )


def parse(caption: str, language: str | None = None) -> Facts:
    """Read the facts that a caption claims.

    Args:
        caption: English or Korean, in the words of this world.
        language: ``"en"`` or ``"ko"``; without it, Hangul decides.

    Returns:
        The claimed facts.

    Raises:
        UserError: A word is not known, or there is no thing in the caption.
    """
    if language is None:
        language = "ko" if re.search("[가-힣]", caption) else "en"
    if language not in words.LANGUAGES:
        raise UserError(f"Captions are read in {' or '.join(words.LANGUAGES)}, not '{language}'.")
    reader = _read_korean if language == "ko" else _read_english
    facts = reader(caption)
    if not facts.groups:
        kinds = ", ".join(known[0] for known in words.KIND_WORDS[language].values())
        raise UserError(f"'{caption}' names nothing from the drawn world; it has: {kinds}.")
    return facts


class _Reader:
    """Collects facts while a caption's words go by."""

    def __init__(self, caption: str) -> None:
        self.caption = caption
        self.groups: list[Group] = []
        self.relations: list[Relation] = []
        self.background: str | None = None
        self.waiting: tuple[str, int] | None = None  # a relation and the group it was said of
        self.place: str | None = None  # of the next noun
        self.fresh()

    def fresh(self) -> None:
        self.colour: str | None = None
        self.size: str | None = None
        self.count = 1

    def noun(self, kind: str) -> None:
        self.groups.append(Group(kind, self.colour, self.size, self.count, self.place))
        self.place = None
        self.fresh()

    def change(self, **values: object) -> None:
        """Say more of the last thing."""
        if not self.groups:
            raise self.confused()
        self.groups[-1] = Group(**{**vars(self.groups[-1]), **values})

    def relate(self, name: str) -> None:
        if not self.groups or self.waiting:
            raise self.confused()
        self.waiting = (name, len(self.groups) - 1)

    def confused(self) -> UserError:
        return UserError(
            f"'{self.caption}' is built in a way that is not understood here; "
            "try 'a red boat left of a blue cat'."
        )

    def unknown(self, word: str) -> UserError:
        return UserError(f"The drawn world does not know the word '{word}' in '{self.caption}'.")

    def facts(self) -> Facts:
        if self.waiting or self.colour or self.size or self.place:
            raise self.confused()
        return Facts(tuple(self.groups), tuple(self.relations), self.background)


_FILLERS_EN = frozenset(
    "a an the there is are and with of to in on at by inside also too i can see here this picture "
    "drawing shows place day it".split()
)
_RELATIONS_EN = {
    "above": "above",
    "over": "above",
    "under": "under",
    "below": "under",
    "beneath": "under",
    "beside": "beside",
}


@lru_cache(maxsize=1)
def _lexicon_en() -> dict[str, tuple[str, str]]:
    """Word to (role, meaning)."""
    lexicon = {}
    for kind, known in words.KIND_WORDS["en"].items():
        for word in known:
            lexicon[word] = lexicon[words.plural(word)] = ("kind", kind)
    for role, table in (("colour", words.COLOUR_WORDS["en"]), ("size", words.SIZE_WORDS["en"])):
        lexicon |= {word: (role, name) for name, known in table.items() for word in known}
    lexicon |= {key: ("background", name) for key, name in words.BACKGROUND_KEYS["en"].items()}
    lexicon |= {key: ("relation", name) for key, name in _RELATIONS_EN.items()}
    return lexicon


def _read_english(caption: str) -> Facts:
    reader = _Reader(caption)
    tokens = re.findall(r"[\w'-]+", caption.lower())
    for i, token in enumerate(tokens):
        following = tokens[i + 1] if i + 1 < len(tokens) else ""
        role, meaning = _lexicon_en().get(token, ("", ""))
        if role == "kind":
            reader.noun(meaning)
            if reader.waiting:
                name, subject = reader.waiting
                reader.relations.append(Relation(subject, name, len(reader.groups) - 1))
                reader.waiting = None
        elif role in ("colour", "size"):
            setattr(reader, role, meaning)
        elif role == "background":
            reader.background = meaning
        elif role == "relation":
            reader.relate(meaning)
        elif token in ("left", "right") and following == "of":
            reader.relate(token)
        elif token in ("left", "right", "middle"):
            reader.change(place=token)
        elif token == "next" and following == "to":
            reader.relate("beside")
        elif token in words.NUMBERS["en"] or token in ("1", "2", "3", "4"):
            numbers = words.NUMBERS["en"]
            reader.count = numbers.index(token) if token in numbers else int(token)
        elif token not in _FILLERS_EN:
            raise reader.unknown(token)
    return reader.facts()


_PARTICLES = sorted(
    "이 가 을 를 은 는 와 과 의 에 에는 에서 도 하고 이랑 랑 에도 로 으로".split(),
    key=len,
    reverse=True,
)
_FILLERS_KO = frozenset(
    "있는 있다 있어요 있고 있습니다 보인다 보여요 보이는 그림 그린 그려진 그리고 풍경 속 속에 "
    "안 안에 안에는 사진 모습 또".split()
)


@lru_cache(maxsize=1)
def _lexicon_ko() -> dict[str, tuple[str, str]]:
    """Stem to (role, meaning)."""
    lexicon = {}
    for role, table in (
        ("kind", words.KIND_WORDS["ko"]),
        ("colour", words.COLOUR_WORDS["ko"]),
        ("size", words.SIZE_WORDS["ko"]),
        ("relation", words.RELATION_WORDS["ko"]),
    ):
        lexicon |= {word: (role, name) for name, known in table.items() for word in known}
    lexicon |= {key: ("background", name) for key, name in words.BACKGROUND_KEYS["ko"].items()}
    lexicon |= {word: ("counter", "") for word in {words.COUNTER, *words.COUNTERS.values()}}
    lexicon["가운데"] = ("place", "middle")
    return lexicon


@lru_cache(maxsize=4096)
def _stem(token: str) -> tuple[str, str, str]:
    """Role, meaning and particle of a Korean word; the longest stem that leaves a particle wins."""
    lexicon = _lexicon_ko()
    for end in range(len(token), 0, -1):
        rest = token[end:]
        if token[:end] in lexicon and (not rest or rest in _PARTICLES):
            return (*lexicon[token[:end]], rest)
    return "", "", ""


def _read_korean(caption: str) -> Facts:
    reader = _Reader(caption)
    tokens = re.findall(r"[\w]+", caption)
    topic: int | None = None  # what "은/는" sets apart: it is spoken of after the relation
    for i, token in enumerate(tokens):
        before = tokens[i - 1] if i else ""
        following = tokens[i + 1] if i + 1 < len(tokens) else ""
        role, meaning, particle = _stem(token)
        if token in _FILLERS_KO:
            continue
        if token in words.NUMBERS["ko"] and _stem(following)[0] == "counter":
            reader.change(count=words.NUMBERS["ko"].index(token))
        elif role == "counter":
            topic = len(reader.groups) - 1 if particle in ("은", "는") else topic
        elif role == "kind":
            reader.noun(meaning)
            if particle in ("은", "는"):
                topic = len(reader.groups) - 1
            if reader.waiting:
                name, other = reader.waiting
                reader.relations.append(Relation(len(reader.groups) - 1, name, other))
                reader.waiting = None
        elif role in ("colour", "size"):
            setattr(reader, role, meaning)
        elif role == "background":
            reader.background = meaning
        elif role == "place" or (role == "relation" and before == "그림"):
            if meaning not in ("left", "middle", "right"):
                raise reader.confused()
            # "그림 왼쪽에" stands before the thing that it places, so the next noun gets it.
            reader.place = meaning
        elif role == "relation":
            reader.relate(meaning)
        else:
            raise reader.unknown(token)
    if reader.waiting and topic is not None:
        name, other = reader.waiting
        reader.relations.append(Relation(topic, name, other))
        reader.waiting = None
    return reader.facts()
