"""All photos at hand: every data set that a folder holds, or else its pairs of files."""

from pathlib import Path

from multimodal.data import coco, flickr8k, folder, scenes, tiny_imagenet
from multimodal.data.photos import DataError, Photo

LOADERS = {"flickr8k": flickr8k, "coco": coco, "scenes": scenes, "tiny_imagenet": tiny_imagenet}
CAPTIONED = ("flickr8k", "coco", "folder")


def load_sets(data: Path, split: str = "train") -> dict[str, list[Photo]]:
    """The sets that a data folder holds, by name; where none has captions, its own pairs too.

    Args:
        data: Folder of the data sets, or of `name.jpg` + `name.txt` pairs.
        split: ``train`` or ``val``; pairs have no splits.

    Raises:
        DataError: if it holds neither a captioned set nor pairs.
    """
    found, missing = {}, []
    for name, module in LOADERS.items():
        try:
            found[name] = module.load(data, split)
        except DataError as error:
            missing.append(str(error))
    if not any(name in found for name in CAPTIONED):
        try:
            found["folder"] = folder.load(data)
        except DataError as error:
            raise DataError(" ".join([*missing, str(error)])) from error
    return found
