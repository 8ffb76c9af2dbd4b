"""Thumbnails of a gallery's pictures, kept once they are made."""

import io
import logging
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

from multimodal.images import open_image
from multimodal.retrieval.items import Item
from multimodal.retrieval.store import THUMBNAILS, write_whole

if TYPE_CHECKING:
    from PIL import Image

log = logging.getLogger(__name__)


def thumbnail(
    folder: Path | None, item: Item, side: int, picture: "Callable[[], Image.Image]"
) -> "Image.Image":
    """A picture reduced to fit a square.

    Args:
        folder: The gallery's, where thumbnails are kept; None keeps none.
        item: Which picture.
        side: Pixels of the square.
        picture: Gives the picture where there is no thumbnail yet.

    Raises:
        UserError: if the picture's file is gone or damaged.
    """
    path = thumbnail_file(folder, item, side)
    if path is not None and path.is_file():
        return open_image(path)
    small = picture()
    small.thumbnail((side, side))
    if path is not None:
        data = io.BytesIO()
        small.save(data, "JPEG", quality=85)
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            write_whole(path, data.getvalue(), flush=False)
        except OSError as error:  # a gallery that cannot be written can still be shown
            log.info("No thumbnail is kept at %s: %s", path, error)
    return small


def thumbnail_file(folder: Path | None, item: Item, side: int) -> Path | None:
    """Where an item's thumbnail is kept."""
    if folder is None:
        return None
    return folder / THUMBNAILS / item.sha256[:2] / f"{item.sha256[:32]}-{side}.jpg"
