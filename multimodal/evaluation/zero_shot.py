"""Zero-shot accuracy on a class-per-folder set."""

import re
from collections.abc import Sequence
from pathlib import Path

import torch
from torch import Tensor

from multimodal.clip.base import ClipModel
from multimodal.clip.prompts import embed_labels
from multimodal.data.photos import DataError, Photo, class_photos
from multimodal.images import open_image

BATCH = 64


def evaluate(
    model: ClipModel,
    images: Path,
    classes: Path | None = None,
    templates: Sequence[str] | None = None,
    *,
    ensemble: bool = True,
) -> dict[str, float]:
    """Classifies every picture of a set by the names of its folders.

    Args:
        model: Any CLIP model.
        images: A folder or uncompressed tar; the innermost folder's name is the class.
        classes: Tab- or comma-separated lines ``folder<TAB>name`` for folders that are not named
            after what they hold, such as WordNet ids; of several names the first counts.
        templates: Own templates; None takes the language's.
        ensemble: Seven templates instead of one.

    Returns:
        top1, top5, mean_per_class in per cent, and images, their number.

    Raises:
        DataError: if there are no pictures or a folder has no name.
    """
    photos = list(class_photos(Path(images)))
    if not photos:
        raise DataError(f"{images} holds no pictures in class folders.")
    folders = sorted({photo.label for photo in photos})
    names = read_classes(classes) if classes else {}
    if names and (unnamed := [folder for folder in folders if folder not in names]):
        raise DataError(f"{classes} has no name for the folder {unnamed[0]!r}.")
    labels = [names.get(folder, folder.replace("_", " ")) for folder in folders]
    vectors = embed_labels(model, labels, templates=templates, ensemble=ensemble)
    truth = torch.tensor([folders.index(photo.label) for photo in photos])
    return accuracy(embed_photos(model, photos) @ vectors.T, truth)


def read_classes(file: Path) -> dict[str, str]:
    """Folder name to class name, from the first two columns of each line."""
    names = {}
    for line in Path(file).read_text("utf-8").splitlines():
        folder, _, rest = line.partition("\t") if "\t" in line else line.partition(",")
        if name := re.split(r"[\t,]", rest)[0].strip():
            names[folder.strip()] = name
    if not names:
        raise DataError(f"{file} has no line of the form folder<TAB>name.")
    return names


def embed_photos(model: ClipModel, photos: Sequence[Photo]) -> Tensor:
    """Embeddings of a data set's photos, (photos, dim)."""
    rows = []
    for first in range(0, len(photos), BATCH):
        images = [
            open_image(photo.read(), at_least=model.image_size)
            for photo in photos[first : first + BATCH]
        ]
        rows.append(model.encode_images(images))
    return torch.cat(rows)


def accuracy(scores: Tensor, truth: Tensor) -> dict[str, float]:
    """Accuracies in per cent.

    Args:
        scores: (images, classes), higher is likelier.
        truth: (images,) class numbers.
    """
    best = scores.topk(min(5, scores.shape[1]), dim=1).indices
    right = best[:, 0] == truth
    per_class = [right[truth == c].float().mean() for c in truth.unique()]
    return {
        "top1": 100 * right.float().mean().item(),
        "top5": 100 * (best == truth[:, None]).any(1).float().mean().item(),
        "mean_per_class": 100 * torch.stack(per_class).mean().item(),
        "images": len(truth),
    }
