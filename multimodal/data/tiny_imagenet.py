"""Tiny-ImageNet (Stanford CS231n): 64-pixel photos of 200 of ImageNet's classes."""

from dataclasses import replace
from pathlib import Path

from multimodal.data.photos import Photo, class_photos, find


def load(root: Path, split: str = "train") -> list[Photo]:
    """Reads one split; labels are WordNet ids such as ``n02124075``.

    Args:
        root: `tiny-imagenet-200/`, a tar of it, or a folder that holds either.
        split: ``train`` or ``val``.

    Raises:
        DataError: if it is not there.
    """
    place = Path(root)
    if place.is_dir() and not (place / "train").is_dir():
        place = find(
            place,
            "tiny-imagenet-200/train",
            "tiny-imagenet/tiny-imagenet-200/train",
            "tiny-imagenet/*.tar",
            "tiny-imagenet*.tar",
        )
        place = place.parent if place.is_dir() else place
    official = place / "val" / "val_annotations.txt"
    if split == "val" and official.is_file():  # the official val keeps its labels in a list
        rows = [line.split("\t") for line in official.read_text("utf-8").splitlines()]
        return [
            Photo(place / "val" / "images" / row[0], f"val/{row[0]}", label=row[1]) for row in rows
        ]
    if place.is_dir():
        return [
            replace(photo, name=f"{split}/{photo.name}") for photo in class_photos(place / split)
        ]
    return [photo for photo in class_photos(place) if f"{split}/" in f"/{photo.name}"]
