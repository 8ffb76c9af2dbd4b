"""Anybody's own pairs: a folder of `name.jpg` + `name.txt`, one caption a line."""

from pathlib import Path

from multimodal.data.photos import DataError, Photo
from multimodal.images import list_images


def load(root: Path) -> list[Photo]:
    """Reads all pictures of a folder with the captions beside them.

    Args:
        root: The folder; subfolders are read too.

    Raises:
        DataError: if no picture in it has a caption.
    """
    root = Path(root)
    photos = []
    for file in list_images(root):
        text = file.with_suffix(".txt")
        if text.is_file():
            lines = text.read_text("utf-8", errors="replace").splitlines()
            if captions := tuple(line.strip() for line in lines if line.strip()):
                photos.append(Photo(file, file.relative_to(root).as_posix(), captions))
    if not photos:
        raise DataError(
            f"{root} holds no pair of a picture and a caption: put the caption of name.jpg "
            "into name.txt beside it."
        )
    return photos
