"""MS-COCO (Lin et al. 2014): photos, captions and object lists in the official JSON layouts."""

import json
from collections import defaultdict
from pathlib import Path

from multimodal.data.photos import Photo, find


def load(root: Path, split: str = "train") -> list[Photo]:
    """Reads one split, captioned photos and, where listed, photos without a caption.

    Args:
        root: Folder with `annotations/` and the photo folders (`train2014/`, `train2017/`, ...),
            or a folder whose `coco/` is one.
        split: ``train`` or ``val``.

    Raises:
        DataError: if the annotations or the photos are not there.
    """
    root = Path(root)
    root = root / "coco" if (root / "coco").is_dir() else root
    captions_file = find(root, f"annotations/captions_{split}*.json")
    year = captions_file.stem.removeprefix(f"captions_{split}")
    folder = find(root, f"{split}{year}", split)
    body = json.loads(captions_file.read_text("utf-8"))
    captions: dict[int, list[str]] = defaultdict(list)
    for annotation in body["annotations"]:
        captions[annotation["image_id"]].append(annotation["caption"].strip())
    objects = _objects(root, split, year)
    return [
        Photo(
            folder / image["file_name"],
            image["file_name"],
            tuple(captions[image["id"]]),
            objects=objects.get(image["id"], ()),
        )
        for image in body["images"]
        if (folder / image["file_name"]).is_file()
    ]


def _objects(root: Path, split: str, year: str) -> dict[int, tuple[str, ...]]:
    """Object kinds per photo, from a plain list or from the official instances file."""
    for plain in root.glob(f"annotations/objects_{split}{year}.json"):
        listed = json.loads(plain.read_text("utf-8"))
        return {int(image): tuple(names) for image, names in listed.items()}
    for instances in root.glob(f"annotations/instances_{split}{year}.json"):
        body = json.loads(instances.read_text("utf-8"))
        names = {category["id"]: category["name"] for category in body["categories"]}
        shown: dict[int, set[str]] = defaultdict(set)
        for annotation in body["annotations"]:
            shown[annotation["image_id"]].add(names[annotation["category_id"]])
        return {image: tuple(sorted(kinds)) for image, kinds in shown.items()}
    return {}
