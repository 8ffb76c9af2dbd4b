"""Captions made by rule for scene photos: the class, and what can be measured in the picture."""

import random
from collections.abc import Sequence

import numpy as np

LANGUAGES = ("en", "ko")

#: Names of the six classes, the usual one first; English ones behind the article that they take.
NAMES = {
    "en": {
        "buildings": (" buildings", "a building", " city buildings"),
        "forest": ("a forest", "a wood", " trees in a forest"),
        "glacier": ("a glacier", " glacier ice", "a wall of glacier ice"),
        "mountain": ("a mountain", " mountains", "a mountain range"),
        "sea": ("the sea", "the ocean", " sea waves"),
        "street": ("a street", "a city street", "a road with houses"),
    },
    "ko": {
        "buildings": ("건물", "건물들", "도시의 건물"),
        "forest": ("숲", "숲속", "나무가 많은 숲"),
        "glacier": ("빙하", "얼음 빙하", "커다란 빙하"),
        "mountain": ("산", "산맥", "높은 산"),
        "sea": ("바다", "넓은 바다", "푸른 물결의 바다"),
        "street": ("거리", "도시의 거리", "길거리"),
    },
}
#: Every trait with its word before a noun and at the end of a caption.
TRAITS = {
    "en": {
        "dark": ("dark", "in the dark"),
        "bright": ("bright", "in bright light"),
        "golden": ("golden", "in golden light"),
        "grey": ("grey", "on a grey day"),
        "blue": ("blue", "in blue colours"),
        "green": ("green", "in green colours"),
        "snowy": ("snowy", "with snow"),
    },
    "ko": {
        "dark": ("어두운", "어두운 곳의"),
        "bright": ("밝은", "환한"),
        "golden": ("황금빛", "노을빛"),
        "grey": ("회색", "흐린 날의"),
        "blue": ("파란", "푸른"),
        "green": ("초록", "초록빛"),
        "snowy": ("눈 덮인", "눈이 있는"),
    },
}
# a bright forest is darker than a bright glacier: mean lightness under which a quarter of the
# training photos of a class are dark, and over which a quarter are bright
LIGHT = {
    "buildings": (0.40, 0.52),
    "forest": (0.25, 0.37),
    "glacier": (0.47, 0.58),
    "mountain": (0.42, 0.52),
    "sea": (0.43, 0.56),
    "street": (0.34, 0.49),
}
GREY = 0.06  # mean of the largest less the smallest channel
HUES = {"golden": 0.15, "green": 0.3, "blue": 0.45}  # share of the picture that has the hue
SNOW = 0.22  # share of the picture that is white


def traits(kind: str, picture: np.ndarray) -> list[str]:
    """What can be measured in a picture.

    Args:
        kind: Its class; what counts as dark depends on it.
        picture: (height, width, 3) uint8.

    Returns:
        Some of dark, bright, golden, grey, blue, green, snowy; at most one of dark and bright.
    """
    rgb = picture.astype(np.float32) / 255
    red, green, blue = rgb[..., 0], rgb[..., 1], rgb[..., 2]
    high, low = rgb.max(-1), rgb.min(-1)
    spread, lightness = high - low, float(rgb.mean())
    dark, bright = LIGHT[kind]
    found = ["dark"] * (lightness < dark) + ["bright"] * (lightness > bright)
    found += ["grey"] * (float(spread.mean()) < GREY)
    hues = {
        "golden": (red > green) & (green > blue) & (red - blue > 0.25),
        "green": (green >= red) & (green >= blue),
        "blue": (blue > red) & (blue >= green),
    }
    coloured = spread > 0.1
    found += [name for name, hue in hues.items() if float((hue & coloured).mean()) > HUES[name]]
    white = (high + low > 1.56) & (spread < 0.16)
    return found + ["snowy"] * (float(white.mean()) > SNOW)


def caption(kind: str, shown: Sequence[str], language: str, rng: random.Random) -> str:
    """One caption of a scene photo, another at every call.

    Args:
        kind: buildings, forest, glacier, mountain, sea or street.
        shown: Its traits.
        language: ``en`` or ``ko``.
        rng: Chooses the words; often only the class is named.
    """
    names = NAMES[language][kind]
    name = names[0] if rng.random() < 0.6 else rng.choice(names)
    # white glaciers are the rule: snow is told of what need not have it
    told = [trait for trait in shown if not (trait == "snowy" and kind in ("glacier", "sea"))]
    told = rng.sample(told, min(len(told), rng.choice((0, 1, 1, 2))))
    words = TRAITS[language]
    if language == "ko":
        return " ".join([*(words[t][rng.random() < 0.3] for t in told), name])
    article, noun = name.split(" ", 1)
    if rng.random() < 0.3:
        return _join(article, noun, *(words[t][1] for t in told))
    return _join(article, *(words[t][0] for t in told), noun)


def _join(article: str, *words: str) -> str:
    if article == "a" and words[0][0] in "aeiou":
        article = "an"
    return " ".join([article, *words]).strip()
