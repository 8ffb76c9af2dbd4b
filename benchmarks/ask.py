"""How fast a ViLBERT answers: `python benchmarks/ask.py [MODEL]`.

Side by side in one run: a question about a new photo and about one whose regions are kept, with
all attention maps and the relevance; many questions in batches and one after the other.
"""

import sys
import time
from collections.abc import Callable
from pathlib import Path

import torch
from PIL import Image

sys.path.insert(0, str(Path(__file__).resolve().parent.parent))
from multimodal import checkpoint, vilbert
from multimodal.data.toybox import draw, make_scene
from multimodal.vilbert.answering import VisualQuestionAnswerer
from multimodal.vilbert.regions import concatenate

SIZE = (640, 480)
PHOTOS, QUESTIONS = 32, 512
ASKED = (
    "what color is the house?",
    "is there a boat in the picture?",
    "how many balls are there?",
    "what is to the left of the tree?",
)


def fastest(work: Callable[[int], object], tries: int = 9) -> float:
    """Milliseconds of the fastest of some tries."""
    times = []
    for number in range(tries):
        began = time.perf_counter()
        work(number)
        times.append(time.perf_counter() - began)
    return 1000 * min(times)


def main(names: list[str]) -> None:
    """Prints a table for each model."""
    print(f"{torch.get_num_threads()} threads, pictures of {SIZE[0]} x {SIZE[1]}")
    photos = [draw(make_scene(i), 480).resize(SIZE) for i in range(PHOTOS)]
    for name in names:
        model = vilbert.load(name)
        size = sum(p.numel() for p in model.model.parameters())
        print(f"\n{name}: {size / 1e6:.1f} M parameters, {model.config.region_count} regions")
        one(model, photos)
        many(model, photos)


def one(model: VisualQuestionAnswerer, photos: list[Image.Image]) -> None:
    """One question about one photo, as the page asks it."""

    def ask(photo: Image.Image) -> None:
        model.answer(photo, ASKED[0])
        model.answer_blind(ASKED[0])
        model.maps(photo, ASKED[0])

    ask(photos[-1])  # warm up
    new = fastest(lambda number: ask(photos[number]))
    kept = fastest(lambda _: ask(photos[0]))
    alone = fastest(lambda _: model.answer(photos[0], ASKED[0]))
    print(f"  a new photo: answers, blind ones, maps, relevance  {new:7.1f} ms")
    print(f"  the same with its regions kept                     {kept:7.1f} ms")
    print(f"  the answers alone                                  {alone:7.1f} ms")


def many(model: VisualQuestionAnswerer, photos: list[Image.Image]) -> None:
    """Many questions about photos whose regions are known."""
    regions = concatenate([model.regions(photo) for photo in photos])
    texts = [ASKED[i % len(ASKED)] for i in range(QUESTIONS)]
    picture = [i // (QUESTIONS // PHOTOS) for i in range(QUESTIONS)]
    together = fastest(lambda _: model.logits(regions, texts, picture), 3) / QUESTIONS

    def singly(_: int) -> None:
        for i in range(0, QUESTIONS, 16):
            model.logits(regions[picture[i] : picture[i] + 1], [texts[i]])

    alone = fastest(singly, 3) / (QUESTIONS / 16)
    print(f"  questions in batches   {1000 / together:7.0f} /s   {alone / together:.1f} x the next")
    print(f"  one after the other    {1000 / alone:7.0f} /s")


if __name__ == "__main__":
    main(sys.argv[1:] or checkpoint.bundled("vilbert"))
