import random
from collections import Counter, defaultdict
from pathlib import Path

import pytest

from multimodal.data.caption_questions import _asked, caption_questions
from multimodal.data.photos import Photo


def photo(*captions, name="1.jpg", objects=()):
    return Photo(Path("x"), name, captions, objects=objects)


@pytest.mark.parametrize(
    ("caption", "question", "answer"),
    [
        ("A red fire hydrant on the sidewalk.", "what color is the fire hydrant?", "red"),
        ("A grey cat.", "what color is the cat?", "gray"),
        ("Two brown dogs run.", "how many dogs are there?", "2"),
        ("Three people wait.", "how many people are there?", "3"),
        ("A man cooks in a small kitchen", "where was this photo taken?", "kitchen"),
        ("A boy is riding a blue bike.", "what is the boy riding?", "bicycle"),
        ("An elephant in the grass", "what animal is this?", "elephant"),
    ],
)
def test_what_a_caption_tells_is_asked_for(caption, question, answer):
    assert _asked(photo(caption))[question] == answer


@pytest.mark.parametrize(
    ("captions", "question"),
    [
        (("A red car.", "A blue car."), "what color is the car?"),  # people do not agree
        (("A black and white cat.",), "what color is the cat?"),  # half of the truth
        (("Two dogs.", "Three dogs."), "how many dogs are there?"),
        (("A cat and a dog.",), "what animal is this?"),
    ],
)
def test_what_captions_leave_open_is_not_asked(captions, question):
    assert question not in _asked(photo(*captions))


def test_made_questions_are_balanced_and_marked():
    rng = random.Random(0)
    colours = ["red"] * 6 + ["blue", "green", "black"]
    photos = [
        photo(f"A {rng.choice(colours)} {rng.choice(['car', 'boat', 'cat'])}", name=f"{i}.jpg")
        for i in range(300)
    ]
    asked = caption_questions(photos, random.Random(1))
    assert asked == caption_questions(photos, random.Random(1))
    assert {q.source for q in asked} == {"captions"} and not any(q.ten_answers for q in asked)
    by_text, presence = defaultdict(Counter), Counter()
    for q in asked:
        by_text[q.text][q.answers[0]] += 1
        if q.type == "yes/no":
            presence[q.answers[0]] += 1
    assert presence["yes"] == presence["no"] > 50
    for text, answers in by_text.items():
        if text.startswith("what color"):
            (_, first), (_, second) = answers.most_common(2)
            assert first == second


def test_no_is_only_said_of_what_nobody_named_or_listed():
    photos = [photo("A teddy bear", name="1.jpg"), photo("A bear", name="2.jpg")]
    photos += [photo("A tree", name="3.jpg", objects=("bear",)), photo("A car", name="4.jpg")]
    asked = [q for q in caption_questions(photos, random.Random(0)) if " bear" in q.text]
    no = {q.image for q in asked if "teddy" not in q.text and q.answers[0] == "no"}
    assert no == {"4.jpg"}


def test_photos_without_captions_give_nothing():
    assert caption_questions([photo()], random.Random(0)) == []
