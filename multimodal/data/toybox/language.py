"""Captions of a scene in English and Korean: true ones, complete ones, and nearly true ones."""

from __future__ import annotations

import random
from collections.abc import Sequence
from dataclasses import replace
from typing import NamedTuple

from . import words
from .checker import Facts, Group, Relation, facts_of, shows
from .scene import BACKGROUNDS, COLOURS, KINDS, Scene, Thing, is_held_out, place, relations
from .words import Style, article, josa

_PLAIN_RELATIONS = ("left", "right", "above", "under")
_OPPOSITE = {
    "left": "right",
    "right": "left",
    "above": "under",
    "under": "above",
    "beside": "above",
}


class Contrast(NamedTuple):
    """A true caption and a false one that differs in one word.

    Attributes:
        caption: True of the scene.
        negative: False of the scene.
        change: What was exchanged: colour, kind, size, count, relation or background.
    """

    caption: str
    negative: str
    change: str


class _Plain(Style):
    """Always the first, usual phrasing."""

    def number(self, name: str) -> float:
        return 0.0


def captions(scene: Scene, language: str, n: int = 5, whole: bool = False) -> list[str]:
    """Different true captions of a scene, short and long.

    Args:
        scene: What they tell of.
        language: ``"en"`` or ``"ko"``.
        n: How many at most.
        whole: Only those that name all its things.

    Returns:
        Captions without repetition; the same ones every time.
    """
    rng = random.Random(f"captions/{language}/{scene.background}/{scene.seed}")
    found: dict[str, None] = {}
    for _ in range(12 * n):
        if len(found) == n:
            break
        facts = _some_facts(scene, rng)
        if whole and sum(group.count for group in facts.groups) < len(scene.things):
            continue
        found.setdefault(render(facts, language, Style(rng.getrandbits(32))))
    return list(found)


def full_caption(scene: Scene, language: str) -> str:
    """One caption that names everything in a scene, in the plainest words.

    Args:
        scene: What it tells of.
        language: ``"en"`` or ``"ko"``.

    Returns:
        A caption; scenes that differ in background, things, or how the first two stand to each
        other get different ones.
    """
    facts = facts_of(scene)
    groups = list(facts.groups)
    if len(scene.things) == 1:
        groups[0] = replace(groups[0], place=place(scene.things[0]))
        return render(replace(facts, groups=tuple(groups)), language, _Plain(""))
    singles = [g for g in groups if g.count == 1]
    if len(singles) >= 2:
        a, b = (next(t for t in scene.things if g.fits(t)) for g in singles[:2])
        name = next((r for r in _ordered_relations(a, b)), None)
        if name:
            rest = [g for g in groups if g not in singles[:2]]
            facts = Facts((*singles[:2], *rest), (Relation(0, name, 1),), scene.background)
    return render(facts, language, _Plain(""))


def label(colour: str, kind: str, language: str) -> str:
    """A label for zero-shot classification: "red boat", "빨간 배"."""
    return f"{words.COLOUR_WORDS[language][colour][0]} {words.KIND_WORDS[language][kind][0]}"


def hard_negatives(scene: Scene, language: str) -> list[Contrast]:
    """Captions that are false by one word, beside the true ones they come from.

    Args:
        scene: What the true captions tell of.
        language: ``"en"`` or ``"ko"``.

    Returns:
        At most one for each of colour, kind, size, count, relation and background. Articles,
        particles and counting words follow the exchanged word. Held-out combinations are named
        only for scenes that hold one out themselves, so that training never hears of them.
    """
    rng = random.Random(f"negatives/{language}/{scene.background}/{scene.seed}")
    found: dict[str, Contrast] = {}
    for _ in range(30):
        facts = _some_facts(scene, rng)
        changed = _change(facts, rng, set(found))
        if changed is None:
            continue
        change, wrong = changed
        unheard = any(g.colour and is_held_out(g.colour, g.kind) for g in wrong.groups)
        if shows(scene, wrong) or (unheard and not scene.held_out):
            continue
        style = Style(rng.getrandbits(32))
        found[change] = Contrast(
            render(facts, language, style), render(wrong, language, style), change
        )
    return list(found.values())


def _change(facts: Facts, rng: random.Random, done: set[str]) -> tuple[str, Facts] | None:
    """Exchange one word of the facts, of a sort that is not done yet."""
    i = rng.randrange(len(facts.groups))
    group = facts.groups[i]
    sorts = {"kind"}
    sorts |= {"colour"} if group.colour else set()
    sorts |= {"size"} if group.size else set()
    sorts |= {"count"} if group.count > 1 else set()
    sorts |= {"relation"} if facts.relations else set()
    sorts |= {"background"} if facts.background else set()
    left = sorted(sorts - done)
    if not left:
        return None
    change = rng.choice(left)
    if change == "background":
        other = rng.choice([b for b in BACKGROUNDS if b != facts.background])
        return change, replace(facts, background=other)
    if change == "relation":
        relation = facts.relations[0]
        turned = replace(relation, name=_OPPOSITE[relation.name])
        return change, replace(facts, relations=(turned,))
    options = {
        "kind": [k for k in KINDS if k != group.kind],
        "colour": [c for c in COLOURS if c != group.colour],
        "size": ["small" if group.size == "big" else "big"],
        "count": [n for n in (2, 3, 4) if n != group.count],
    }[change]
    wrong = replace(group, **{change: rng.choice(options)})
    return change, replace(facts, groups=(*facts.groups[:i], wrong, *facts.groups[i + 1 :]))


def _ordered_relations(a: Thing, b: Thing) -> list[str]:
    """The relations that hold, the clearer one first, without "beside"."""
    across = abs(b.x - a.x) >= abs(b.y - a.y)
    order = _PLAIN_RELATIONS if across else _PLAIN_RELATIONS[::-1]
    true = relations(a, b)
    return [name for name in order if name in true]


def _some_facts(scene: Scene, rng: random.Random) -> Facts:
    """Some true things to say, sometimes little and sometimes much."""
    colour, size = rng.random() < 0.85, rng.random() < 0.45
    background = scene.background if rng.random() < 0.45 else None
    sorts = ["one"]
    if len(scene.things) > 1:
        sorts += ["pair"] * 3 + ["all"]
        if len({thing.kind for thing in scene.things}) < len(scene.things):
            sorts += ["count"] * 2
    sort = rng.choice(sorts)
    if sort == "pair":
        pair = _pair(scene, rng, colour, size)
        if pair:
            return Facts(*pair, background)
        sort = "all"
    groups = _grouped(scene.things, colour, size)
    if sort == "count":
        counted = [group for group in groups if group.count > 1]
        groups = [rng.choice(counted)] if counted else groups
    elif sort == "one":
        groups = [_described(rng.choice(scene.things), colour, size)]
        if len(scene.things) == 1 and rng.random() < 0.2:
            groups = [replace(groups[0], place=place(scene.things[0]))]
    else:
        rng.shuffle(groups)
    return Facts(tuple(groups), (), background)


def _pair(
    scene: Scene, rng: random.Random, colour: bool, size: bool
) -> tuple[tuple[Group, ...], tuple[Relation, ...]] | None:
    """Two things and how they stand to each other."""
    a, b = rng.sample(scene.things, 2)
    names = _ordered_relations(a, b)
    if not names:
        return None
    name = names[0] if rng.random() < 0.8 else names[-1]
    if "beside" in relations(a, b) and rng.random() < 0.2:
        name = "beside"
    groups = tuple(_described(thing, colour, size) for thing in (a, b))
    if groups[0] == groups[1]:
        groups = tuple(_described(thing, True, True) for thing in (a, b))
    if groups[0] == groups[1]:
        return None
    return groups, (Relation(0, name, 1),)


def _described(thing: Thing, colour: bool, size: bool) -> Group:
    return Group(thing.kind, thing.colour if colour else None, thing.size if size else None)


def _grouped(things: Sequence[Thing], colour: bool, size: bool) -> list[Group]:
    """Things counted together that look alike in what is told of them."""
    counts: dict[Group, int] = {}
    for thing in things:
        group = _described(thing, colour, size)
        counts[group] = counts.get(group, 0) + 1
    return [replace(group, count=count) for group, count in counts.items()]


def render(facts: Facts, language: str, style: Style) -> str:
    """Put facts into words.

    Args:
        facts: What to say; a relation is between the first two groups.
        language: ``"en"`` or ``"ko"``.
        style: Chooses among the phrasings.

    Returns:
        A caption that :func:`~multimodal.data.toybox.checker.parse` reads back to these facts.
    """
    return _korean(facts, style) if language == "ko" else _english(facts, style)


def _adjectives(group: Group, language: str, style: Style) -> list[str]:
    found = []
    if group.size:
        sizes = words.SIZE_WORDS[language][group.size][: words.SPOKEN_SIZES]
        found.append(style.pick("size", (sizes[0], sizes[0], sizes[1])))
    if group.colour:
        known = words.COLOUR_WORDS[language][group.colour]
        found.append(style.pick("colour", (known[0],) * 4 + known[1:2]))
    return found


def _noun_en(group: Group, style: Style) -> str:
    noun = words.KIND_WORDS["en"][group.kind][0]
    phrase = " ".join([*_adjectives(group, "en", style), noun])
    if group.count > 1:
        phrase = f"{words.NUMBERS['en'][group.count]} {words.plural(phrase)}"
    else:
        phrase = article(phrase)
    return f"{phrase} {words.PLACE_WORDS['en'][group.place]}" if group.place else phrase


def _listed_en(nouns: Sequence[str]) -> str:
    return nouns[0] if len(nouns) == 1 else f"{', '.join(nouns[:-1])} and {nouns[-1]}"


def _english(facts: Facts, style: Style) -> str:
    nouns = [_noun_en(group, style) for group in facts.groups]
    if facts.relations:
        known = words.RELATION_WORDS["en"][facts.relations[0].name]
        core = f"{nouns[0]} {style.pick('relation', known)} {nouns[1]}"
        if nouns[2:]:
            core += f", and also {_listed_en(nouns[2:])}"
    else:
        core = _listed_en(nouns)
    be = "are" if facts.groups[0].count > 1 else "is"
    if facts.background is None:
        forms = (core, core, core, f"there {be} {core}", f"a picture of {core}")
        return style.pick("form", (*forms, f"a drawing of {core}", f"I can see {core}"))
    where = style.pick("where", words.BACKGROUND_PHRASES["en"][facts.background])
    if facts.relations and nouns[2:]:
        return f"{where}, there {be} {core}"
    forms = (f"{core} {where}", f"{core} {where}", f"{where}, there {be} {core}")
    noun = words.BACKGROUND_NOUNS["en"][facts.background]
    return style.pick("form", (*forms, f"{noun} with {core}", f"a picture of {core} {where}"))


def _noun_ko(group: Group, style: Style) -> str:
    noun = words.KIND_WORDS["ko"][group.kind][0]
    phrase = " ".join([*_adjectives(group, "ko", style), noun])
    if group.count > 1 or style.pick("one", (False, False, False, False, True)):
        phrase += f" {words.NUMBERS['ko'][group.count]} {words.counter(group.kind)}"
    return phrase


def _listed_ko(nouns: Sequence[str], style: Style) -> str:
    if len(nouns) == 1:
        return nouns[0]
    if len(nouns) == 2:
        joint = style.pick("and", (josa(nouns[0], "와/과"),) * 2 + (nouns[0] + "하고",))
        return f"{joint} {nouns[1]}"
    return f"{', '.join(nouns[:-1])}, 그리고 {nouns[-1]}"


def _korean(facts: Facts, style: Style) -> str:
    nouns = [_noun_ko(group, style) for group in facts.groups]
    end = style.pick("end", ("있다", "있다", "있어요", "보인다"))
    background = facts.background
    if facts.groups[0].place:
        setting = f"{words.BACKGROUND_NOUNS['ko'][background]} " if background else ""
        where = words.PLACE_WORDS["ko"][facts.groups[0].place]
        return f"{setting}그림 {where}에 {josa(nouns[0], '이/가')} {end}"
    rest = nouns[2:] if facts.relations else []
    if facts.relations:
        known = words.RELATION_WORDS["ko"][facts.relations[0].name]
        where = f"{nouns[1]} {style.pick('relation', known)}"
        phrase = style.pick("link", (f"{where} {nouns[0]}", f"{where}에 있는 {nouns[0]}"))
        clause = f"{where}에 {josa(nouns[0], '이/가')}"
    else:
        phrase = _listed_ko(nouns, style)
        clause = josa(phrase, "이/가")
    sentence = f"{clause} {end}"
    if rest:
        phrase += f", 그리고 {_listed_ko(rest, style)}"
        sentence = f"{clause} 있고, {_listed_ko(rest, style)}도 {end}"
    if background is None:
        forms = [phrase, phrase, sentence, f"{phrase} 그림", f"{josa(phrase, '을/를')} 그린 그림"]
        if facts.relations and not rest:
            forms.append(f"{josa(nouns[0], '은/는')} {where}에 있다")
        return style.pick("form", tuple(forms))
    at = style.pick("where", words.BACKGROUND_PHRASES["ko"][background])
    topic = f"{at}는 {sentence}" if facts.relations else f"{at} {sentence}"
    if rest:
        return topic
    linked = "보이는" if background == "night" else "있는"
    noun = words.BACKGROUND_NOUNS["ko"][background]
    return style.pick("form", (topic, topic, f"{at} {linked} {phrase}", f"{clause} 있는 {noun}"))
