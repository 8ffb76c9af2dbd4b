"""The words of the drawn world in English and Korean: one table for speaking and for reading."""

from __future__ import annotations

from hashlib import blake2b
from typing import TypeVar

LANGUAGES = ("en", "ko")

T = TypeVar("T")

#: For every kind: the words that may name it, the usual one first.
KIND_WORDS = {
    "en": {
        "house": ("house",),
        "tree": ("tree",),
        "flower": ("flower",),
        "car": ("car",),
        "boat": ("boat",),
        "cat": ("cat",),
        "fish": ("fish",),
        "bird": ("bird",),
        "ball": ("ball",),
        "balloon": ("balloon",),
        "umbrella": ("umbrella",),
        "chair": ("chair",),
        "sun": ("sun",),
        "star": ("star",),
    },
    "ko": {
        "house": ("집",),
        "tree": ("나무",),
        "flower": ("꽃",),
        "car": ("자동차", "차"),
        "boat": ("배", "돛단배"),
        "cat": ("고양이",),
        "fish": ("물고기",),
        "bird": ("새",),
        "ball": ("공",),
        "balloon": ("풍선",),
        "umbrella": ("우산",),
        "chair": ("의자",),
        "sun": ("해", "태양"),
        "star": ("별",),
    },
}
#: The words before a noun; the first is the usual one, some others are only understood.
COLOUR_WORDS = {
    "en": {
        colour: (colour,)
        for colour in ("red", "orange", "yellow", "green", "blue", "purple", "pink", "white")
    },
    "ko": {
        "red": ("빨간", "빨간색", "빨강"),
        "orange": ("주황색", "주황", "주황빛"),
        "yellow": ("노란", "노란색", "노랑"),
        "green": ("초록색", "초록", "초록빛", "녹색"),
        "blue": ("파란", "파란색", "파랑"),
        "purple": ("보라색", "보라", "보랏빛"),
        "pink": ("분홍색", "분홍", "분홍빛", "핑크색"),
        "white": ("하얀", "하얀색", "흰색", "흰"),
    },
}
#: A colour as a noun, to answer "what colour".
COLOUR_NAMES = {
    "en": {colour: colour for colour in COLOUR_WORDS["en"]},
    "ko": {
        "red": "빨간색",
        "orange": "주황색",
        "yellow": "노란색",
        "green": "초록색",
        "blue": "파란색",
        "purple": "보라색",
        "pink": "분홍색",
        "white": "하얀색",
    },
}
SIZE_WORDS = {
    "en": {"big": ("big", "large"), "small": ("small", "little", "tiny")},
    "ko": {"big": ("커다란", "큰"), "small": ("작은", "조그만", "자그마한")},
}
#: How many of the words above are spoken; the rest are only understood.
SPOKEN_SIZES = 2
RELATION_WORDS = {
    "en": {
        "left": ("left of", "to the left of"),
        "right": ("right of", "to the right of"),
        "above": ("above", "over"),
        "under": ("under", "below"),
        "beside": ("next to", "beside"),
    },
    "ko": {
        "left": ("왼쪽",),
        "right": ("오른쪽",),
        "above": ("위",),
        "under": ("아래", "밑"),
        "beside": ("옆",),
    },
}
PLACE_WORDS = {
    "en": {"left": "on the left", "middle": "in the middle", "right": "on the right"},
    "ko": {"left": "왼쪽", "middle": "가운데", "right": "오른쪽"},
}
#: As an adverbial ("in a meadow"), the usual one first.
BACKGROUND_PHRASES = {
    "en": {
        "meadow": ("in a meadow", "on a meadow"),
        "sea": ("at sea", "on the sea"),
        "night": ("at night", "in the night"),
        "room": ("in a room", "inside a room"),
        "snow": ("in the snow", "on a snowy day"),
        "beach": ("at the beach", "on the beach"),
        "city": ("in the city", "in a city"),
        "mountains": ("in the mountains", "by the mountains"),
    },
    "ko": {
        "meadow": ("초원에",),
        "sea": ("바다에",),
        "night": ("밤에",),
        "room": ("방에", "방 안에"),
        "snow": ("눈밭에",),
        "beach": ("바닷가에", "해변에"),
        "city": ("도시에",),
        "mountains": ("산에",),
    },
}
#: As a noun: "a meadow with ...", "...이 있는 초원".
BACKGROUND_NOUNS = {
    "en": {
        "meadow": "a meadow",
        "sea": "the sea",
        "night": "a night",
        "room": "a room",
        "snow": "a snowy place",
        "beach": "a beach",
        "city": "a city",
        "mountains": "mountains",
    },
    "ko": {
        "meadow": "초원",
        "sea": "바다",
        "night": "밤 풍경",
        "room": "방",
        "snow": "눈밭",
        "beach": "바닷가",
        "city": "도시",
        "mountains": "산",
    },
}
#: A single word that gives a background away when a caption is read.
BACKGROUND_KEYS = {
    "en": {
        "meadow": "meadow",
        "sea": "sea",
        "night": "night",
        "room": "room",
        "snow": "snow",
        "snowy": "snow",
        "beach": "beach",
        "city": "city",
        "mountains": "mountains",
        "mountain": "mountains",
    },
    "ko": {
        "초원": "meadow",
        "풀밭": "meadow",
        "바다": "sea",
        "밤": "night",
        "밤하늘": "night",
        "방": "room",
        "눈밭": "snow",
        "바닷가": "beach",
        "해변": "beach",
        "도시": "city",
        "산": "mountains",
    },
}
NUMBERS = {"en": ("", "one", "two", "three", "four"), "ko": ("", "한", "두", "세", "네")}
COUNTERS = {"cat": "마리", "fish": "마리", "bird": "마리", "car": "대", "house": "채"} | {
    "tree": "그루",
    "flower": "송이",
    "boat": "척",
}
COUNTER = "개"

_JOSA = {
    "이/가": ("이", "가"),
    "을/를": ("을", "를"),
    "은/는": ("은", "는"),
    "와/과": ("과", "와"),
} | {
    "이나/나": ("이나", "나"),
    "이에요/예요": ("이에요", "예요"),
}


def josa(text: str, pair: str) -> str:
    """Add the particle that fits the last syllable.

    Args:
        text: Korean text that ends in a Hangul syllable.
        pair: ``"이/가"``, ``"을/를"``, ``"은/는"``, ``"와/과"``, ``"이나/나"`` or
            ``"이에요/예요"``.

    Returns:
        The text with the form for a final consonant or for a vowel added.
    """
    closed, open_ = _JOSA[pair]
    return text + (closed if has_final_consonant(text) else open_)


def has_final_consonant(text: str) -> bool:
    """Whether the last Hangul syllable ends in a consonant (Unicode: 28 finals, the first none)."""
    return (ord(text[-1]) - 0xAC00) % 28 != 0


def plural(phrase: str) -> str:
    """The English plural of a kind's word, adjectives before it or not."""
    return phrase if phrase.endswith("fish") else phrase + "s"


def article(phrase: str) -> str:
    """An English noun phrase with "a" or "an"."""
    return ("an " if phrase[0] in "aeiou" else "a ") + phrase


def counter(kind: str) -> str:
    """The Korean counting word of a kind."""
    return COUNTERS.get(kind, COUNTER)


class Style:
    """Fixed choices among phrasings: the same seed and name always choose alike.

    Choices do not depend on each other, so two captions of one style differ only where their
    facts differ.
    """

    def __init__(self, seed: int | str) -> None:
        self._seed = str(seed)

    def number(self, name: str) -> float:
        """From 0 up to, not including, 1."""
        digest = blake2b(f"{self._seed}/{name}".encode(), digest_size=6).digest()
        return int.from_bytes(digest, "big") / 2**48

    def pick(self, name: str, options: tuple[T, ...]) -> T:
        """One of the options."""
        return options[int(self.number(name) * len(options))]

    def chance(self, name: str, share: float) -> bool:
        """True for this share of all seeds."""
        return self.number(name) < share
