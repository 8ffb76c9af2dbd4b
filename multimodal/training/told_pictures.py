"""Pictures that are known by their captions only: what their features would be, guessed.

Many questions are about pictures that are not at hand, while people's captions of these pictures
are. Photos at hand teach how features follow from captions (ridge regression from CLIP's text
vectors to a photo's mean features); the guess then stands for the whole picture, as one region.
"""

from collections.abc import Callable, Generator, Sequence
from pathlib import Path

import torch
from torch import Tensor
from torch.nn import functional as F

from multimodal.data import vqa
from multimodal.data.captions import captions_only
from multimodal.progress import Progress

CAPTIONS = 3  # of a picture that are read, at most
BATCH = 256
RIDGE = 2.5  # penalty on the squared weights, for text vectors of length 1


def asked_about(data: Path) -> dict[int, list[str]]:
    """Captions of the pictures not at hand that there are questions about, by COCO's number."""
    asked = {question.image for question in vqa.text_only(data)}
    return {image: told for image, told in captions_only(data).items() if image in asked}


def text_vectors(
    encode: Callable[[list[str]], Tensor], told: Sequence[Sequence[str]]
) -> Generator[Progress, None, Tensor]:
    """One vector for the captions of each picture.

    Args:
        encode: Texts to vectors of length 1, such as CLIP's.
        told: Captions of each picture, at least one.

    Yields:
        Progress.

    Returns:
        (pictures, width), each of length 1.
    """
    read = [list(captions[:CAPTIONS]) for captions in told]
    texts = [text for captions in read for text in captions]
    owner = torch.tensor([row for row, captions in enumerate(read) for _ in captions])
    order = sorted(range(len(texts)), key=lambda i: len(texts[i]))  # batches of like length
    vectors = []
    for first in range(0, len(order), BATCH):
        vectors.append(encode([texts[i] for i in order[first : first + BATCH]]).float())
        yield Progress(min(first + BATCH, len(order)), len(order), "reading captions")
    found = torch.cat(vectors)
    total = found.new_zeros(len(read), found.shape[1]).index_add_(0, owner[order], found)
    return F.normalize(total, dim=-1)


def guess_features(vectors: Tensor, features: Tensor, told: Tensor) -> Tensor:
    """Guesses pictures from captions by ridge regression.

    Args:
        vectors: (photos, text width) captions of photos, see `text_vectors`.
        features: (photos, region_features) mean features of these photos.
        told: (pictures, text width) captions of the pictures to guess.

    Returns:
        (pictures, region_features); a tower's features are never negative, and no guess is.
    """
    text_mean, mean = vectors.mean(0), features.mean(0)
    x, y = vectors - text_mean, features - mean
    weights = torch.linalg.solve(x.T @ x + RIDGE * torch.eye(x.shape[1]), x.T @ y)
    return (mean + (told - text_mean) @ weights).clamp(min=0)
