"""All photos at hand: every data set that a folder holds, or else its pairs of files."""

from pathlib import Path

from multimodal.data import coco, flickr8k, folder, scenes, tiny_imagenet
from multimodal.data.photos import DataError, MissingError, Photo

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
    found, broken = {}, []
    for name, module in LOADERS.items():
        try:
            found[name] = module.load(data, split)
        except MissingError:
            continue
        except DataError as error:
            broken.append(str(error))
    if not any(name in found for name in CAPTIONED):
        try:
            found["folder"] = folder.load(data)
        except DataError as error:
            none = (
                f"{data} holds no photos with captions: give the folder of the data sets with "
                "--data, get them with `python -m multimodal data fetch`, or put the caption of "
                "each name.jpg into name.txt beside it."
            )
            raise DataError(" ".join([*broken, none])) from error
    return found
