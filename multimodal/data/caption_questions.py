"""Questions made from captions by rules, like COCO-QA (Ren et al. 2015): what, what colour, how
many, where, is there. Every one carries the source ``captions``.

A caption tells what someone found worth telling, so a question is made only where the captions
of a photo do not contradict each other, and what no caption names is asked for only if it is not
on the photo's list of objects either. The commonest answer of every wording is thinned out, so
that the words alone do not give it away.
"""

import random
import re
from collections import defaultdict
from collections.abc import Sequence

from multimodal.data.photos import Photo
from multimodal.data.vqa import VqaQuestion, ask_presence, made_question

COLOURS = "black white red blue green yellow orange brown pink purple gray".split()
NUMBERS = {"two": "2", "three": "3", "four": "4", "five": "5", "six": "6"}

# things that captions name plainly; two words before one, so that "fire hydrant" is no fire
THINGS = tuple(
    """
    baseball bat|baseball player|cell phone|fire hydrant|fire truck|parking meter|polar bear|
    remote control|soccer ball|stop sign|stuffed animal|teddy bear|tennis ball|tennis court|
    tennis player|tennis racket|traffic light|wine glass|airplane|apple|backpack|ball|banana|bear|
    bed|bench|bicycle|bike|bird|boat|book|bottle|bowl|bowtie|bridge|broccoli|building|bus|cake|
    camera|car|carrot|cat|chair|clock|coat|couch|cow|cup|curtain|desk|dog|door|donut|dress|
    elephant|fence|flower|fork|frisbee|giraffe|glove|guitar|hat|helmet|horse|house|jacket|kite|
    knife|lamp|laptop|mirror|motorcycle|mug|oven|pillow|pizza|plane|plate|refrigerator|sandwich|
    sheep|shirt|sign|sink|skateboard|skirt|snowboard|sofa|spoon|suitcase|surfboard|sweater|table|
    tie|toilet|towel|tower|train|tree|truck|umbrella|vase|vest|wagon|wall|window|zebra
    """.replace("\n", "")
    .replace("    ", "")
    .split("|")
)
SAME = {"bike": "bicycle", "sofa": "couch", "plane": "airplane"}
PEOPLE = ("people", "men", "women", "children")
ANIMALS = frozenset("bear bird cat cow dog elephant giraffe horse sheep zebra".split())
PLACES = tuple(
    "parking lot|living room|train station|skate park|kitchen|bathroom|bedroom|street|beach|park|"
    "zoo|field|snow|ocean|office|restaurant|airport|city|forest|desert".split("|")
)
WHO = "man woman boy girl person child kid baby dog cat bear skier surfer player".split()
DOINGS = "riding holding eating wearing carrying flying throwing pulling".split()

_PLURALS = {f"{thing}s": thing for thing in THINGS if thing not in ("sheep", "knife", "bus")}
_PLURALS |= {"sheep": "sheep", "knives": "knife", "buses": "bus", "benches": "bench"}
_PLURALS |= {name: name for name in PEOPLE}
_ANY = "|".join(sorted(THINGS, key=len, reverse=True))
_MANY = "|".join(sorted(_PLURALS, key=len, reverse=True))
_COLOUR = re.compile(rf"(?<!and )\b({'|'.join(COLOURS)}|grey) ({_ANY})\b")
_COUNT = re.compile(rf"\b({'|'.join(NUMBERS)}) (?:\w+ )?({_MANY})\b")
_PLACE = re.compile(rf"\b(?:in|on|at) (?:the|a|an) (?:\w+ )?({'|'.join(PLACES)})\b")
_DOING = re.compile(
    rf"\b({'|'.join(WHO)}) (?:is )?({'|'.join(DOINGS)}) (?:on )?(?:an?|the|his|her|some) "
    rf"(?:\w+ )?({_ANY})\b"
)
_NAMED = re.compile(rf"\b({_ANY}|{_MANY})\b")


def caption_questions(photos: Sequence[Photo], rng: random.Random) -> list[VqaQuestion]:
    """Makes questions about captioned photos, balanced.

    Args:
        photos: Photos; those without captions are passed over.
        rng: Chooses what is left out and how presence is asked for.
    """
    told = [photo for photo in photos if photo.captions]
    made = [
        (text, answer, photo) for photo in told for text, answer in sorted(_asked(photo).items())
    ]
    rng.shuffle(made)
    questions = [
        made_question(text, answer, photo, "captions") for text, answer, photo in _thinned(made)
    ]
    return questions + _presence(told, rng)


def _asked(photo: Photo) -> dict[str, str]:
    """The questions that all captions of one photo answer alike."""
    found: dict[str, set[str]] = defaultdict(set)
    for caption in photo.captions:
        text = " ".join(re.findall(r"[a-z]+", caption.lower()))
        for colour, thing in _COLOUR.findall(text):
            found[f"what color is the {thing}?"].add(colour.replace("grey", "gray"))
        for number, things in _COUNT.findall(text):
            found[f"how many {things} are there?"].add(NUMBERS[number])
        for place in _PLACE.findall(text):
            found["where was this photo taken?"].add(place)
        for who, doing, thing in _DOING.findall(text):
            found[f"what is the {who} {doing}?"].add(SAME.get(thing, thing))
    if len(animals := _named(photo) & ANIMALS) == 1:
        found["what animal is this?"] = animals
    return {text: answers.pop() for text, answers in found.items() if len(answers) == 1}


def _named(photo: Photo) -> set[str]:
    """All things that any caption of a photo names, in the singular."""
    things = set()
    for caption in photo.captions:
        text = " ".join(re.findall(r"[a-z]+", caption.lower()))
        things |= {_PLURALS.get(thing, thing) for thing in _NAMED.findall(text)}
    return {SAME.get(thing, thing) for thing in things} - set(PEOPLE)


def _thinned(made: list[tuple[str, str, Photo]]) -> list[tuple[str, str, Photo]]:
    """Cuts the commonest answer of every wording down to the second commonest.

    A wording with one answer only would teach to answer without looking, and goes.
    """
    groups: dict[str, dict[str, list]] = defaultdict(lambda: defaultdict(list))
    for item in made:
        groups[item[0]][item[1]].append(item)
    kept = []
    for by_answer in groups.values():
        sizes = sorted(map(len, by_answer.values()), reverse=True)
        limit = sizes[1] if len(sizes) > 1 else 0
        for items in by_answer.values():
            kept += items[:limit]
    return kept


def _presence(photos: Sequence[Photo], rng: random.Random) -> list[VqaQuestion]:
    """Is it there: as often no as yes for every thing."""
    named = [(photo, _named(photo)) for photo in photos]
    made = []
    for thing in THINGS:
        if thing in SAME:
            continue
        with_it = [photo for photo, things in named if thing in things]
        # a word of it that is named, such as the bear of a teddy bear, makes "no" doubtful
        without = [
            photo
            for photo, things in named
            if thing not in photo.objects
            and not any(thing in other or other in thing for other in things)
        ]
        count = min(len(with_it), len(without))
        for answer, pool in (("yes", with_it), ("no", without)):
            made += [
                made_question(ask_presence(thing, rng), answer, photo, "captions")
                for photo in rng.sample(pool, count)
            ]
    return made
