"""Recall of captions to photos and of photos to captions, on any captioned set."""

from pathlib import Path

from multimodal.clip.base import ClipModel
from multimodal.data.captions import read_captions
from multimodal.data.photos import DataError
from multimodal.images import list_images
from multimodal.retrieval import Gallery
from multimodal.retrieval.metrics import recall_at_k

__all__ = ["evaluate", "recall_at_k"]


def evaluate(model: ClipModel, images: Path, captions: Path) -> dict[str, float]:
    """Embeds every captioned photo and every caption, and ranks each among all others.

    Photos without captions are no part of it, nor are captions whose photo is not in the folder.

    Args:
        model: Any CLIP model.
        images: Folder of the photos; subfolders count.
        captions: `captions.txt` (csv with the columns image,caption) or COCO's captions JSON.

    Returns:
        t2i_r1, t2i_r5, t2i_r10, i2t_r1, i2t_r5, i2t_r10 in per cent, median_rank, images, captions.

    Raises:
        DataError: if no captioned photo is there, or one cannot be read.
    """
    lines = {name: texts for name, texts in read_captions(captions).items() if texts}
    photos = files_of(Path(images), lines)
    if not photos:
        raise DataError(
            f"None of the photos that {captions} names is in {images}: "
            "give the folder that holds them with --images."
        )
    gallery = Gallery.create(None, model)
    for progress in gallery.add(photos, lines):
        if progress.bad:
            raise DataError(progress.bad[0][1])
    return gallery.report()


def files_of(folder: Path, names: dict[str, list[str]]) -> list[tuple[str, Path]]:
    """Name and file of each photo that is there, found by its path or by its name alone."""
    by_name = {path.name: path for path in reversed(list_images(folder))}
    found = []
    for name in names:
        path = folder / name
        path = path if path.is_file() else by_name.get(Path(name).name)
        if path is not None:
            found.append((name, path))
    return found
