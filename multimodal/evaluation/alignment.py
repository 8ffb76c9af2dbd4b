"""Image-caption alignment: does ViLBERT tell a photo's own caption from another photo's?"""

import random
from collections.abc import Sequence
from pathlib import Path

from multimodal.data.captions import read_captions
from multimodal.data.photos import DataError
from multimodal.evaluation.retrieval import files_of
from multimodal.images import open_image
from multimodal.vilbert.answering import VisualQuestionAnswerer
from multimodal.vilbert.regions import Regions, concatenate

BATCH = 32


def evaluate(
    model: VisualQuestionAnswerer, images: Path, captions: Path, seed: int = 0
) -> dict[str, float]:
    """Shows the model every captioned photo beside its own caption and a random other one's.

    Args:
        model: The model.
        images: Folder of the photos; subfolders count.
        captions: `captions.txt` (csv with the columns image,caption) or COCO's captions JSON; the
            first caption of each photo is taken.
        seed: Chooses the other captions.

    Returns:
        aligned, how often its own caption is preferred, in per cent (chance is 50), and images.

    Raises:
        DataError: if fewer than two captioned photos are there.
    """
    lines = {name: texts for name, texts in read_captions(captions).items() if texts}
    photos = files_of(Path(images), lines)
    if len(photos) < 2:
        raise DataError(
            f"Fewer than two of the photos that {captions} names are in {images}: "
            "give the folder that holds them with --images."
        )
    regions = regions_of(model, [file for _, file in photos])
    own = [lines[name][0] for name, _ in photos]
    return {"aligned": alignment(model, regions, own, seed), "images": len(photos)}


def regions_of(model: VisualQuestionAnswerer, files: Sequence[Path]) -> Regions:
    """Regions of photos on disk, a row per file."""
    side = model.config.image_size
    parts = [files[first : first + BATCH] for first in range(0, len(files), BATCH)]
    return concatenate(
        [model.encode_images([open_image(file, at_least=side) for file in part]) for part in parts]
    )


def alignment(
    model: VisualQuestionAnswerer, regions: Regions, captions: Sequence[str], seed: int = 0
) -> float:
    """How often the alignment head prefers a photo's own caption to a random other one's.

    Args:
        model: The model.
        regions: Of the photos, two or more.
        captions: One of each photo.
        seed: Chooses the other captions.

    Returns:
        Per cent.
    """
    rng, count = random.Random(seed), len(captions)
    others = [(row + rng.randrange(1, count)) % count for row in range(count)]
    good, bad = (
        model.alignment(regions, [captions[row] for row in rows], range(count))
        for rows in (range(count), others)
    )
    return 100 * (good > bad).float().mean().item()
