"""The figures that `clip-photos` is chosen by, all on val photos."""

from collections.abc import Sequence
from pathlib import Path
from types import ModuleType

import torch

from multimodal.clip.base import ClipModel
from multimodal.clip.prompts import embed_labels
from multimodal.data import coco, flickr8k, scenes, tiny_imagenet
from multimodal.data.photos import DataError, Photo
from multimodal.evaluation.zero_shot import accuracy, embed_photos
from multimodal.labels import read_label_set
from multimodal.retrieval.metrics import recall_at_k


def photo_figures(model: ClipModel, data: Path, every: int = 1) -> dict[str, float]:
    """Retrieval on Flickr8k and COCO val, zero-shot on scenes and Tiny-ImageNet val.

    Sets that the data folder does not hold are left out.

    Args:
        model: The model.
        data: Folder of the data sets.
        every: Look at every n-th photo of the classified sets only, to save time.
    """
    figures = {}
    for name, module in (("flickr", flickr8k), ("coco", coco)):
        if pairs := [photo for photo in _load(module, data) if photo.captions]:
            recalls = _retrieval(model, pairs)
            figures |= {f"{name}_r1": recalls["t2i_r1"], f"{name}_r10": recalls["t2i_r10"]}
    tiny = read_label_set("tiny_imagenet")
    by_wnid = {label.wnid: i for i, label in enumerate(tiny)}
    by_name = {label.en: i for i, label in enumerate(read_label_set("scenes"))}
    for name, labels, numbers, module in (
        ("tiny", tiny, by_wnid, tiny_imagenet),
        ("scenes", read_label_set("scenes"), by_name, scenes),
    ):
        if photos := _load(module, data)[::every]:
            vectors = embed_labels(model, [label.en for label in labels], ensemble=True)
            truth = torch.tensor([numbers[photo.label] for photo in photos])
            figures[name] = accuracy(embed_photos(model, photos) @ vectors.T, truth)["top1"]
    return figures


def _load(module: ModuleType, data: Path) -> list[Photo]:
    """The val photos of a set, none where the data folder has no such set."""
    try:
        return module.load(data, "val")
    except DataError:
        return []


def _retrieval(model: ClipModel, photos: Sequence[Photo]) -> dict[str, float]:
    captions = [caption for photo in photos for caption in photo.captions]
    owner = [i for i, photo in enumerate(photos) for _ in photo.captions]
    return recall_at_k(
        embed_photos(model, photos), model.encode_texts(captions), torch.tensor(owner)
    )
