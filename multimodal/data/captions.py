"""Caption files in the two layouts that people have: csv `image,caption` and COCO's JSON."""

import csv
import json
from collections import defaultdict
from pathlib import Path

from multimodal.data.photos import DataError


def read_captions(file: Path) -> dict[str, list[str]]:
    """Reads captions by picture file name, in the file's order.

    Args:
        file: `captions.txt` (csv with header `image,caption`), Flickr8k's original
            `Flickr8k.token.txt` (`name#0<TAB>caption`), or COCO's `captions_*.json`.

    Raises:
        DataError: if it is in none of these layouts.
    """
    file = Path(file)
    captions: dict[str, list[str]] = defaultdict(list)
    try:
        if file.suffix.lower() == ".json":
            body = json.loads(file.read_text("utf-8"))
            names = {image["id"]: image["file_name"] for image in body["images"]}
            for annotation in body["annotations"]:
                captions[names[annotation["image_id"]]].append(annotation["caption"].strip())
            return dict(captions)
        with file.open(encoding="utf-8", newline="") as lines:
            first = lines.readline()
            lines.seek(0)
            if first.strip().lower() == "image,caption":
                for row in csv.DictReader(lines):
                    captions[row["image"]].append(row["caption"].strip())
            elif "\t" in first and "#" in first:
                for line in lines:
                    name, caption = line.rstrip("\n").split("\t", 1)
                    captions[name.split("#")[0]].append(caption.strip())
            else:
                raise DataError(f"{file} must begin with the line 'image,caption'.")
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        if isinstance(error, DataError):
            raise
        raise DataError(
            f"{file} is not a caption file: it must be a csv with the columns image,caption "
            "or COCO's captions JSON."
        ) from error
    return dict(captions)
