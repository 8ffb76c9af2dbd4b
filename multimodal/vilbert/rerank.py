"""Caption-based image retrieval (Lu et al. 2019): which of several photos fits some words best.

A dual encoder such as CLIP makes one vector per photo and one of the words, and compares them with
a dot product: fast, but words and photo never meet before. The two-stream model reads the words
with each photo anew. So the one finds candidates among all photos, and the other puts the few best
in order (Geigle et al. 2022, "Retrieve Fast, Rerank Smart").
"""

import time
from collections.abc import Sequence
from dataclasses import dataclass

from PIL import Image

from multimodal.errors import UserError
from multimodal.vilbert.answering import VisualQuestionAnswerer
from multimodal.vilbert.regions import concatenate


@dataclass(frozen=True)
class Reranking:
    """Photos in the order of the two-stream model.

    Attributes:
        order: (photos,) places in the order given, the best fitting first; photos that fit alike
            stay as they were.
        probabilities: (photos,) in the order given, that the words belong to the photo, 0 to 1.
        regions_ms: Milliseconds for the photos' regions; next to none where they were kept.
        pairs_ms: Milliseconds for reading the words with every photo.
    """

    order: tuple[int, ...]
    probabilities: tuple[float, ...]
    regions_ms: float
    pairs_ms: float


def rerank(model: VisualQuestionAnswerer, pictures: Sequence[Image.Image], words: str) -> Reranking:
    """Puts photos in order by the alignment of each with the words.

    Args:
        model: The model; it keeps the regions of the latest photos.
        pictures: The photos, of any size.
        words: What they should show, in a language of the model.

    Raises:
        UserError: if there are no words or no photos.
    """
    if not words.strip():
        raise UserError("There are no words to rerank by: write some.")
    if not pictures:
        raise UserError("There are no photos to rerank: search first.")
    began = time.perf_counter()
    regions = concatenate([model.regions(picture) for picture in pictures])
    read = time.perf_counter()
    logits = model.alignment(regions, [words] * len(pictures), range(len(pictures)))
    done = time.perf_counter()
    return Reranking(
        tuple(logits.argsort(descending=True, stable=True).tolist()),
        tuple(logits.sigmoid().tolist()),
        1000 * (read - began),
        1000 * (done - read),
    )
