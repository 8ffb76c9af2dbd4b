"""Questions have the right answers, and their words do not give them away."""

import random
from collections import Counter, defaultdict

import pytest

from multimodal.data.toybox import (
    Scene,
    Thing,
    answers,
    balanced_questions,
    is_held_out,
    make_scene,
    parse,
    questions,
)
from multimodal.data.toybox.questions import TYPES

SCENE = Scene(
    "beach",
    (
        Thing("cat", "white", "small", 0.15, 0.8),
        Thing("house", "red", "big", 0.5, 0.72),
        Thing("star", "blue", "small", 0.5, 0.15),
        Thing("cat", "green", "small", 0.85, 0.8),
    ),
    0,
)


def _asked(language):
    found = {}
    for seed in range(40):
        found |= {q.text: q.answer for q in questions(SCENE, language, random.Random(seed))}
    return found


def test_golden_answers_in_english():
    found = _asked("en")
    assert found["what is the blue thing?"] == "star"
    assert found["what colour is the house?"] == "red"
    assert found["how many cats are there?"] == "2"
    assert found["how many boats are there?"] == "0"
    assert found["how many things are there?"] == "4"
    assert found["is there a white cat?"] == "yes"
    assert found["is there a boat?"] == "no"
    assert found["what place is this?"] == "beach"
    assert found["where is the house?"] == "middle"
    assert found["what is above the house?"] == "star"
    assert found["what is left of the house?"] == "cat"
    assert "what is under the star?" not in found  # three things are
    assert found["which is bigger, the star or the house?"] == "house"
    assert found["are there more cats than stars?"] == "yes"
    assert found["are there more stars than cats?"] == "no"
    assert found["are the star and the house the same colour?"] == "no"
    assert "what colour is the cat?" not in found  # there are two


def test_golden_answers_in_korean():
    found = _asked("ko")
    assert found["파란 것은 무엇인가요?"] == "별"
    assert found["집은 무슨 색인가요?"] == "빨간색"
    assert found["고양이가 몇 마리 있나요?"] == "2"
    assert found["하얀 고양이가 있나요?"] == "예"
    assert found["배가 있나요?"] == "아니요"
    assert found["여기는 어디인가요?"] == "바닷가"
    assert found["집 위에 무엇이 있나요?"] == "별"
    assert found["별과 집 중에 무엇이 더 큰가요?"] == "집"
    assert found["고양이가 별보다 더 많은가요?"] == "예"


def test_a_wording_has_one_answer_in_a_scene():
    for seed in range(300):
        for language in ("en", "ko"):
            asked = defaultdict(set)
            for q in questions(make_scene(seed), language):
                asked[q.text].add(q.answer)
            assert all(len(found) == 1 for found in asked.values())


@pytest.mark.parametrize("language", ["en", "ko"])
@pytest.mark.parametrize("split", ["train", "held-out"])
def test_guessing_from_the_words_alone_stays_under_60_percent(language, split):
    def pool(first, seed):
        scenes = [make_scene(first + i, split=split) for i in range(2500)]
        return [q for _, q in balanced_questions(scenes, language, random.Random(seed))]

    by_text, by_type = defaultdict(Counter), defaultdict(Counter)
    for q in pool(0, 0):
        by_text[q.text][q.answer] += 1
        by_type[q.type][q.answer] += 1
    hits = defaultdict(list)
    for q in pool(50_000, 1):
        guess = (by_text.get(q.text) or by_type[q.type]).most_common(1)[0][0]
        hits[q.type].append(guess == q.answer)
    assert set(hits) == set(TYPES)
    for kind, found in hits.items():
        assert len(found) > 250, kind
        assert sum(found) / len(found) < 0.6, kind


@pytest.mark.parametrize("language", ["en", "ko"])
def test_balanced_questions_repeat_and_stay_within_their_number(language):
    scenes = [make_scene(seed) for seed in range(400)]
    first = balanced_questions(scenes, language, random.Random(5), per_scene=3)
    assert first == balanced_questions(scenes, language, random.Random(5), per_scene=3)
    assert max(Counter(scene for scene, _ in first).values()) <= 3
    known = set(answers(language))
    assert all(q.answer in known and q.type in TYPES for _, q in first)
    yes = Counter(q.answer for _, q in first if q.type == "exists")
    assert max(yes.values()) < 1.3 * min(yes.values())


def test_training_questions_never_name_a_held_out_combination():
    for seed in range(600):
        for q in questions(make_scene(seed), "en"):
            if q.type == "exists":
                group = parse(q.text.removeprefix("is there ").rstrip("?")).groups[0]
                assert not (group.colour and is_held_out(group.colour, group.kind))
