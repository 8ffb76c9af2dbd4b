"""Visual question answering: questions in the official VQA v2 layout, and how answers are scored.

Normalisation and accuracy follow the official evaluation of the VQA challenge
(https://visualqa.org/evaluation.html): people spell alike what they mean alike, and an answer is
fully right once three of the other nine people gave it.
"""

import csv
import gzip
import json
import random
import re
from collections import Counter, defaultdict
from collections.abc import Iterable, Iterator, Sequence
from dataclasses import dataclass
from pathlib import Path

from multimodal.data.photos import DataError, Photo, find

TYPES = ("yes/no", "number", "other")

# what an answer counts in training if 0, 1, 2, 3 or more of ten people gave it (Anderson et al.
# 2018): the mean of the leave-one-out accuracy below
SOFT_SCORES = (0.0, 0.3, 0.6, 0.9, 1.0)

_NUMBER_WORDS = {
    word: str(number)
    for number, word in enumerate("zero one two three four five six seven eight nine ten".split())
} | {"none": "0"}
_ARTICLES = {"a", "an", "the"}
_CONTRACTIONS = """
ain't aren't can't could've couldn't couldn't've didn't doesn't don't hadn't hadn't've hasn't
haven't he'd he'd've he's how'd how'll how's i'd've i'm i've isn't it'd it'd've it'll let's ma'am
might've mightn't mightn't've must've mustn't needn't not've o'clock oughtn't shan't she'd've
should've shouldn't shouldn't've somebody'd somebody'll somebody's someone'd someone'll someone's
something'd something'll that'd that'd've that's there'd there'd've there're there's they'd
they'd've they'll they're they've wasn't we'd've we've weren't what'll what're what's what've
when's where'd where's where've who'd who'd've who'll who's who've why'll why're why's won't
would've wouldn't wouldn't've y'all you'd you'd've you'll you're you've
""".split()
_BY_LETTERS = {word.replace("'", ""): word for word in _CONTRACTIONS}
_PUNCTUATION = ';/[]"{}()=+\\_-><@`,?!'
_NUMBER_COMMA = re.compile(r"\d,\d")
_LONE_PERIOD = re.compile(r"\.(?!\d)")


@dataclass(frozen=True)
class VqaQuestion:
    """A question about a photo, with the answers of one or ten people.

    Attributes:
        text: The question.
        answers: The answers, normalised.
        type: One of ``TYPES``.
        image: COCO's number of the photo or the photo's name; None where there is none.
        source: Where it comes from; ``objects`` and ``captions`` are made by rules.
        ten_answers: Whether ten people answered, so that soft accuracy can be measured.
    """

    text: str
    answers: tuple[str, ...]
    type: str
    image: int | str | None = None
    source: str = ""
    ten_answers: bool = True


# --- answers -----------------------------------------------------------------------------------


def normalise(answer: str) -> str:
    """An answer as the official evaluation compares it: lower case, digits for number words, no
    articles, contractions with their apostrophe, punctuation as there."""
    text = answer.replace("\n", " ").replace("\t", " ").strip()
    cleaned = text
    for sign in _PUNCTUATION:
        beside_space = f"{sign} " in text or f" {sign}" in text
        joined = beside_space or _NUMBER_COMMA.search(text)
        cleaned = cleaned.replace(sign, "" if joined else " ")
    cleaned = _LONE_PERIOD.sub("", cleaned)
    words = [_NUMBER_WORDS.get(word, word) for word in cleaned.lower().split()]
    return " ".join(_BY_LETTERS.get(word, word) for word in words if word not in _ARTICLES)


def accuracy(answer: str, people: Sequence[str]) -> float:
    """The official soft accuracy, 0 to 1: the mean over all ways to leave one person out of
    min(1, how many of the others gave this answer / 3)."""
    answer, people = normalise(answer), [normalise(given) for given in people]
    agree = people.count(answer)
    scores = [min(1.0, (agree - (given == answer)) / 3) for given in people]
    return sum(scores) / len(scores)


def soft_targets(people: Sequence[str]) -> dict[str, float]:
    """What each given answer counts in training, by how many of ten people gave it."""
    return {
        answer: SOFT_SCORES[min(count, len(SOFT_SCORES) - 1)]
        for answer, count in Counter(people).items()
    }


def answer_vocabulary(questions: Iterable[VqaQuestion], size: int) -> tuple[str, ...]:
    """The answers that most questions have, the commonest first; ties in alphabetical order."""
    counts = Counter(Counter(question.answers).most_common(1)[0][0] for question in questions)
    counts.pop("", None)
    return tuple(sorted(counts, key=lambda answer: (-counts[answer], answer))[:size])


def answer_type(answer: str) -> str:
    """``yes/no``, ``number`` or ``other``, for questions that do not say."""
    if answer in ("yes", "no"):
        return "yes/no"
    return "number" if re.fullmatch(r"\d[\d., ]*", answer) else "other"


# --- reading -----------------------------------------------------------------------------------


def load(root: Path, split: str = "train") -> list[VqaQuestion]:
    """Reads the questions on COCO photos of one split.

    Args:
        root: Folder with `annotations/` (or the two files themselves), or a folder whose `coco/`
            is one. Both `questions_train.json` and the official names are found.
        split: ``train`` or ``val``.

    Raises:
        DataError: if the files are not there or not in the official layout.
    """
    root = Path(root)
    root = root / "coco" if (root / "coco").is_dir() else root
    official = f"v2_OpenEnded_mscoco_{split}2014_questions.json"
    answers = f"v2_mscoco_{split}2014_annotations.json"
    return read(
        find(root, f"annotations/questions_{split}.json", f"annotations/{official}", official),
        find(root, f"annotations/answers_{split}.json", f"annotations/{answers}", answers),
    )


def read(questions: Path, answers: Path) -> list[VqaQuestion]:
    """Reads questions and their answers from two files in the official VQA v2 layout.

    Raises:
        DataError: if one cannot be read or is in another layout.
    """
    asked = {row["question_id"]: row for row in _rows(Path(questions), "questions", "question_id")}
    found = []
    for row in _rows(Path(answers), "annotations", "question_id"):
        question = asked.get(row["question_id"])
        if question is None:
            continue
        try:
            people = tuple(normalise(answer["answer"]) for answer in row["answers"])
            text, image = question["question"], int(question["image_id"])
        except (KeyError, TypeError, ValueError) as error:
            raise DataError(
                f"{answers} and {questions} are not in the VQA v2 layout: question "
                f"{row['question_id']} lacks {error}."
            ) from error
        if people:
            common = Counter(people).most_common(1)[0][0]
            found.append(
                VqaQuestion(
                    text,
                    people,
                    row.get("answer_type") or answer_type(common),
                    image,
                    row.get("source", "vqa2"),
                    row.get("ten_answers", True),
                )
            )
    if not found:
        raise DataError(
            f"{answers} answers no question of {questions}: give files that belong together."
        )
    return found


def _rows(file: Path, key: str, needed: str) -> list[dict]:
    try:
        rows = json.loads(file.read_text("utf-8"))[key]
        if all(needed in row for row in rows):
            return rows
    except (OSError, ValueError, KeyError, TypeError):
        pass
    raise DataError(f"{file} is not a VQA v2 file: it must be JSON with a list {key!r}.")


def text_only(root: Path) -> Iterator[VqaQuestion]:
    """Questions whose photos are not at hand, from `text/vqa_no_photo.csv.gz`, if it is there:
    they teach which answers there are and what a question alone suggests."""
    file = Path(root) / "text" / "vqa_no_photo.csv.gz"
    if not file.is_file():
        return
    with gzip.open(file, "rt", encoding="utf-8", newline="") as lines:
        for row in csv.DictReader(lines):
            if answer := normalise(row["answer"]):
                kind = row["answer_type"] or answer_type(answer)
                image = int(row["image_id"])
                yield VqaQuestion(row["question"], (answer,) * 10, kind, image, "text", False)


def image_number(name: str) -> int | None:
    """COCO's number of a photo by its file name: `COCO_train2014_000000000009.jpg` -> 9."""
    found = re.search(r"(\d+)$", Path(name).stem)
    return int(found.group(1)) if found else None


# --- questions made from what photos show ------------------------------------------------------


def presence_questions(photos: Sequence[Photo], rng: random.Random) -> list[VqaQuestion]:
    """Asks whether a kind of thing is there, as often of photos that lack it as of those that
    show it, so that the words alone tell nothing.

    Args:
        photos: Photos with COCO's list of objects.
        rng: Chooses photos and wordings.
    """
    listed = [photo for photo in photos if photo.objects]
    showing: dict[str, list[Photo]] = defaultdict(list)
    for photo in listed:
        for kind in photo.objects:
            showing[kind].append(photo)
    made = []
    for kind, shown in sorted(showing.items()):
        lacking = [photo for photo in listed if kind not in photo.objects]
        count = min(len(shown), len(lacking))
        for answer, pool in (("yes", shown), ("no", lacking)):
            made += [
                made_question(ask_presence(kind, rng), answer, photo, "objects")
                for photo in rng.sample(pool, count)
            ]
    return made


def ask_presence(thing: str, rng: random.Random) -> str:
    """One of the ways people ask whether something is there."""
    one = f"{'an' if thing[0] in 'aeiou' else 'a'} {thing}"
    forms = ("is there {}?", "is there {} in the photo?", "do you see {}?", "can you see {}?")
    return rng.choice(forms).format(one)


def made_question(text: str, answer: str, photo: Photo, source: str) -> VqaQuestion:
    """A question by rule about a photo, answered as if by ten people alike."""
    return VqaQuestion(text, (answer,) * 10, answer_type(answer), photo.name, source, False)
