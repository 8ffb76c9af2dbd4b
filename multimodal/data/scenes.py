"""The scene photos: buildings, forest, glacier, mountain, sea, street; one folder each."""

from pathlib import Path

from multimodal.data.photos import Photo, class_photos, find


def load(root: Path, split: str = "train") -> list[Photo]:
    """Reads one split, labelled by folder.

    Args:
        root: A folder with `train/` and `val/` (or `seg_train/`, `seg_test/`), a tar of one, or
            a folder that holds either.
        split: ``train`` or ``val``.

    Raises:
        DataError: if it is not there.
    """
    place = Path(root)
    if place.is_dir():
        official = "seg_test" if split == "val" else f"seg_{split}"
        place = find(
            place,
            split,
            official,
            f"scenes-6/{split}",
            f"scenes/scenes-6/{split}",
            "scenes/*.tar",
            "scenes*.tar",
        )
    if place.is_dir():
        return list(class_photos(place))
    return [photo for photo in class_photos(place) if f"/{split}/" in f"/{photo.name}"]
