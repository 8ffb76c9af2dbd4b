"""Tiny-ImageNet (Stanford CS231n): 64-pixel photos of 200 of ImageNet's classes."""

import tarfile
from dataclasses import replace
from pathlib import Path

from multimodal.data.photos import Photo, class_photos, find

WORD_LISTS = ("classes.tsv", "words.txt")


def load(root: Path, split: str = "train") -> list[Photo]:
    """Reads one split; labels are WordNet ids such as ``n02124075``.

    Args:
        root: `tiny-imagenet-200/`, a tar of it, or a folder that holds either.
        split: ``train`` or ``val``.

    Raises:
        DataError: if it is not there.
    """
    place = _place(Path(root))
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


def class_names(root: Path) -> dict[str, tuple[str, ...]]:
    """The set's own names of its classes, by WordNet id, the usual one first.

    Args:
        root: As for `load`.

    Raises:
        DataError: if it is not there.
    """
    place = _place(Path(root))
    if place.is_dir():
        text = find(place, *WORD_LISTS).read_text("utf-8")
    else:
        with tarfile.open(place, "r:") as tar:
            lists = [m for m in tar if m.isfile() and Path(m.name).name in WORD_LISTS]
            text = tar.extractfile(lists[0]).read().decode("utf-8") if lists else ""
    rows = (line.split("\t", 1) for line in text.splitlines() if "\t" in line)
    return {wnid: tuple(name.strip() for name in names.split(",")) for wnid, names in rows}


def _place(place: Path) -> Path:
    """The folder that holds `train/`, or the tar."""
    if place.is_dir() and not (place / "train").is_dir():
        place = find(
            place,
            "tiny-imagenet-200/train",
            "tiny-imagenet/tiny-imagenet-200/train",
            "tiny-imagenet/*.tar",
            "tiny-imagenet*.tar",
        )
        place = place.parent if place.is_dir() else place
    return place
