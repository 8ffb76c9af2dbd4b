"""Captions are true, read back to their facts, and are good English and Korean."""

import re

import pytest

from multimodal.data.toybox import (
    COLOURS,
    KINDS,
    Facts,
    Group,
    Relation,
    Scene,
    Thing,
    captions,
    facts_of,
    full_caption,
    hard_negatives,
    is_held_out,
    josa,
    label,
    make_scene,
    parse,
    shows,
    verdict,
)
from multimodal.data.toybox.language import render
from multimodal.data.toybox.words import KIND_WORDS, Style
from multimodal.errors import UserError

BOAT = Thing("boat", "red", "big", 0.5, 0.7)
SUN = Thing("sun", "yellow", "small", 0.5, 0.2)
CAT = Thing("cat", "white", "small", 0.15, 0.7)
CATS = (CAT, Thing("cat", "white", "small", 0.85, 0.7))
SCENE = Scene("sea", (CAT, BOAT, SUN), 0)

UNDER = Facts(
    (Group("boat", "red", "big"), Group("sun", "yellow")), (Relation(0, "under", 1),), None
)


@pytest.mark.parametrize(
    "caption", ["a big red boat under a yellow sun", "노란 해 아래 커다란 빨간 배"]
)
def test_the_captions_of_the_design(caption):
    read = parse(caption)  # Korean names the sun first
    (relation,) = read.relations
    assert (read.groups[relation.subject], relation.name, read.groups[relation.object]) == (
        Group("boat", "red", "big"),
        "under",
        Group("sun", "yellow"),
    )
    assert shows(SCENE, caption)


TWO_CATS = Facts((Group("cat", "white", "small", 2),), (), "sea")
LEFT_CAT = Facts((Group("cat", place="left"),))
BESIDE = (Relation(0, "beside", 1),)
RIGHT = (Relation(0, "right", 1),)


@pytest.mark.parametrize(
    ("caption", "facts"),
    [
        ("two small white cats at sea", TWO_CATS),
        ("바다에 작은 하얀 고양이 두 마리가 있다", TWO_CATS),
        ("a cat on the left", LEFT_CAT),
        ("그림 왼쪽에 고양이가 있다", LEFT_CAT),
        ("a boat to the right of a cat", Facts((Group("boat"), Group("cat")), RIGHT)),
        ("배는 고양이 오른쪽에 있다", Facts((Group("boat"), Group("cat")), RIGHT)),
        (
            "there is a boat right of a cat, and also three birds",
            Facts((Group("boat"), Group("cat"), Group("bird", count=3)), RIGHT),
        ),
        (
            "Two FISH beside an orange umbrella!",
            Facts((Group("fish", count=2), Group("umbrella", "orange")), BESIDE),
        ),
        ("새 세 마리", Facts((Group("bird", count=3),))),
        ("눈밭에 있는 별과 새", Facts((Group("star"), Group("bird")), (), "snow")),
    ],
)
def test_golden_facts(caption, facts):
    assert parse(caption) == facts


@pytest.mark.parametrize(
    ("caption", "true"),
    [
        ("a boat", True),
        ("a blue boat", False),
        ("a small boat", False),
        ("a red boat above a sun", False),
        ("a red boat right of a white cat", True),
        ("a white cat right of a red boat", False),
        ("a boat in a meadow", False),
        ("two boats", False),
        ("a boat and a boat", False),
        ("a cat next to a boat", True),
        ("a cat on the left", True),
        ("a cat on the right", False),
        ("빨간 배 왼쪽에 하얀 고양이가 있다", True),
        ("하얀 고양이 왼쪽에 빨간 배가 있다", False),
        ("해와 배와 고양이", True),
        ("해와 배와 새", False),
    ],
)
def test_golden_checks(caption, true):
    assert shows(SCENE, caption) is true


def test_numbers_are_exact_from_two_on():
    assert shows(CATS, "two cats") and not shows(CATS, "three cats") and shows(CATS, "a cat")
    assert not shows((*CATS, Thing("cat", "red", "big", 0.5, 0.5)), "two cats")
    assert shows((*CATS, Thing("cat", "red", "big", 0.5, 0.5)), "하얀 고양이 두 마리")


def test_a_list_of_found_things_is_checked_without_background():
    assert shows([BOAT, SUN], "a red boat under a sun at night")
    assert verdict([BOAT, SUN], "a red boat at night").background is None
    wrong = verdict(SCENE, "a red boat above a yellow sun at night")
    assert (wrong.things, wrong.relations, wrong.background) == (True, False, False)
    assert not wrong.obeyed


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("split", ["train", "held-out"])
def test_captions_of_many_scenes_are_true_and_read_back(language, split):
    for seed in range(500):
        scene = make_scene(seed, split=split)
        found = captions(scene, language, 5)
        assert len(found) == len(set(found)) >= 3
        assert found == captions(scene, language, 5)
        for caption in (*found, full_caption(scene, language)):
            assert shows(scene, parse(caption, language)), caption
            assert bool(re.search("[가-힣]", caption)) == (language == "ko")
            assert "  " not in caption and caption == caption.strip()


@pytest.mark.parametrize("language", ["en", "ko"])
def test_every_wording_reads_back_to_the_same_facts(language):
    cases = [UNDER, Facts((*UNDER.groups, Group("fish", "blue", "small", 3)), UNDER.relations)]
    cases += [Facts((Group(kind, "pink", "small", 2),), (), "room") for kind in KINDS]
    for facts in cases:
        for seed in range(60):
            read = parse(render(facts, language, Style(seed)))
            assert set(read.groups) == set(facts.groups) and read.background == facts.background
            assert [
                (read.groups[r.subject], r.name, read.groups[r.object]) for r in read.relations
            ] == [
                (facts.groups[r.subject], r.name, facts.groups[r.object]) for r in facts.relations
            ]


@pytest.mark.parametrize("language", ["en", "ko"])
def test_full_captions_name_everything_and_tell_scenes_apart(language):
    scenes = [make_scene(seed, split="val") for seed in range(1000)]
    for scene in scenes:
        facts = parse(full_caption(scene, language))
        assert facts.background == scene.background
        assert sum(group.count for group in facts.groups) == len(scene.things)
        named = {(g.kind, g.colour, g.size, g.count) for g in facts.groups}
        assert named == {(g.kind, g.colour, g.size, g.count) for g in facts_of(scene).groups}
    assert len({full_caption(scene, language) for scene in scenes}) > 970


@pytest.mark.parametrize("language", ["en", "ko"])
def test_hard_negatives_are_false_by_one_word_and_never_held_out(language):
    changes = set()
    for seed in range(300):
        scene = make_scene(seed)
        for caption, negative, change in hard_negatives(scene, language):
            changes.add(change)
            assert shows(scene, caption) and not shows(scene, negative)
            true, false = parse(caption, language), parse(negative, language)
            assert len(true.groups) == len(false.groups)
            assert not any(g.colour and is_held_out(g.colour, g.kind) for g in false.groups)
            differing = [
                (a, b)
                for g, h in zip(true.groups, false.groups, strict=True)
                for a, b in zip(vars(g).values(), vars(h).values(), strict=True)
                if a != b
            ]
            differing += [true.background] * (true.background != false.background)
            differing += [true.relations] * (true.relations != false.relations)
            assert len(differing) == 1, (caption, negative)
    assert changes == {"colour", "kind", "size", "count", "relation", "background"}


def test_labels():
    assert label("red", "boat", "en") == "red boat"
    assert label("red", "boat", "ko") == "빨간 배"
    for language in ("en", "ko"):
        assert len({label(c, k, language) for c in COLOURS for k in KINDS}) == 8 * 14


@pytest.mark.parametrize(
    ("word", "pair", "right"),
    [
        ("집", "이/가", "집이"),
        ("배", "이/가", "배가"),
        ("풍선", "을/를", "풍선을"),
        ("고양이", "을/를", "고양이를"),
        ("별", "와/과", "별과"),
        ("나무", "와/과", "나무와"),
        ("꽃", "은/는", "꽃은"),
        ("자동차", "은/는", "자동차는"),
        ("공", "이나/나", "공이나"),
        ("해", "이에요/예요", "해예요"),
    ],
)
def test_particles_follow_the_final_consonant(word, pair, right):
    assert josa(word, pair) == right


def test_korean_captions_have_no_wrong_particle():
    open_, closed = [], []
    for known in KIND_WORDS["ko"].values():
        (open_ if (ord(known[0][-1]) - 0xAC00) % 28 == 0 else closed).append(known[0])
    after_vowel = rf"(?:{'|'.join(open_)})(?:이|을|은|과)"
    after_consonant = rf"(?:{'|'.join(closed)})(?:가|를|는|와)"
    wrong = re.compile(rf"(?:^| )(?:{after_vowel}|{after_consonant})(?= |$|,)")
    assert wrong.search("빨간 배이 있다") and wrong.search("집와 배")
    for seed in range(400):
        for caption in captions(make_scene(seed), "ko", 8):
            assert not wrong.search(caption), caption


@pytest.mark.parametrize(
    ("kind", "phrase"),
    [
        ("cat", "고양이 두 마리"),
        ("car", "자동차 두 대"),
        ("house", "집 두 채"),
        ("tree", "나무 두 그루"),
        ("flower", "꽃 두 송이"),
        ("boat", "배 두 척"),
        ("ball", "공 두 개"),
    ],
)
def test_counting_words(kind, phrase):
    facts = Facts((Group(kind, count=2),))
    assert all(phrase in render(facts, "ko", Style(seed)) for seed in range(20))


def test_english_articles_and_plurals():
    def all_of(group):
        return " | ".join(render(Facts((group,)), "en", Style(seed)) for seed in range(20))

    assert "an umbrella" in all_of(Group("umbrella"))
    assert "a big orange cat" in all_of(Group("cat", "orange", "big"))
    assert "an orange cat" in all_of(Group("cat", "orange"))
    assert "two small fish" in all_of(Group("fish", None, "small", 2))
    assert "fishs" not in all_of(Group("fish", None, "small", 2))
    assert "there are two cats" in all_of(Group("cat", count=2))


@pytest.mark.parametrize(
    "prompt",
    [
        "",
        "a dragon",
        "a red",
        "보라색 용",
        "a red boat left of",
        "at night",
        "a boat left of under a cat",
    ],
)
def test_what_is_not_understood_is_refused_in_a_sentence(prompt):
    with pytest.raises(UserError):
        parse(prompt)


def test_an_unknown_word_is_named():
    with pytest.raises(UserError, match="'dragon'"):
        parse("a red dragon")
    with pytest.raises(UserError, match="'fr'"):
        parse("a boat", "fr")


@pytest.mark.parametrize("language", ["en", "ko"])
def test_whole_captions_leave_nothing_out(language):
    scenes = [make_scene(seed) for seed in range(60)]
    told = [captions(scene, language, 3, whole=True) for scene in scenes]
    for scene, texts in zip(scenes, told, strict=True):
        for text in texts:
            assert sum(group.count for group in parse(text).groups) == len(scene.things)
            assert shows(scene, text)
    assert sum(len(texts) for texts in told) > 2 * len(scenes)
