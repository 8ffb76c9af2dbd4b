"""A sheet of 64 fixed prompts, first seed, nothing selected: `python benchmarks/samples.py MODEL`.

It is written beside the model as `samples.jpg`, for its card.
"""

import itertools
import sys
import textwrap
from pathlib import Path

from PIL import Image, ImageDraw, ImageFont

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from multimodal import checkpoint, dalle
from multimodal.data.toybox import HELD_OUT, full_caption, label, small_scenes

PICTURE, TEXT, COLUMNS, BATCH = 144, 34, 8, 16
PLACES = ("buildings", "a forest", "a glacier", "a mountain", "the sea", "a street")
TRAITS = ("", "dark", "bright", "golden", "grey", "blue", "green", "snowy")
OTHERS = (
    "a dog running through the grass",
    "two people on a beach",
    "a man riding a wave",
    "a child in a red coat",
    "a bus on a city street",
    "a plate of food",
    "a cat on a bed",
    "a train at a station",
    "a bird in a tree",
    "a boat on a lake",
    "people skiing down a hill",
    "a bathroom with a white sink",
    "a horse in a field",
    "a pizza on a table",
    "a football match",
    "flowers in a vase",
)


def photo_prompts() -> list[str]:
    """Six places in eight kinds of light and colour, then sixteen other things."""
    found = []
    for trait, place in itertools.product(TRAITS, PLACES):
        *article, noun = place.split(" ")
        found.append(" ".join([*article, *([trait] if trait else []), noun]))
    return found + list(OTHERS)


def toybox_prompts() -> list[str]:
    """Full captions of 52 scenes, then the twelve combinations that training never shows."""
    told = [full_caption(scene, "en") for scene in small_scenes("val", 10**9, 52)]
    return told + [label(colour, kind, "en") for colour, kind in HELD_OUT]


def main(name: str) -> None:
    """Draws the sheet."""
    model = dalle.load(name)
    prompts = toybox_prompts() if "toybox" in Path(name).name else photo_prompts()
    images = []
    for first in range(0, len(prompts), BATCH):
        images += model.draw_each(prompts[first : first + BATCH], seed=first).images
    rows = -(-len(prompts) // COLUMNS)
    sheet = Image.new("RGB", (COLUMNS * PICTURE, rows * (PICTURE + TEXT)), "white")
    pen, font = ImageDraw.Draw(sheet), ImageFont.load_default(11)
    for i, (prompt, image) in enumerate(zip(prompts, images, strict=True)):
        x, y = i % COLUMNS * PICTURE, i // COLUMNS * (PICTURE + TEXT)
        sheet.paste(image.resize((PICTURE - 4, PICTURE - 4), Image.Resampling.BICUBIC), (x, y))
        said = "\n".join(textwrap.wrap(prompt, 26)[:2])
        pen.multiline_text((x + 2, y + PICTURE - 3), said, "black", font, spacing=1)
    file = checkpoint.resolve(name) / "samples.jpg"
    sheet.save(file, quality=88)
    print(file)


if __name__ == "__main__":
    main(sys.argv[1])
