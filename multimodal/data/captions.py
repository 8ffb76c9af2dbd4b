"""Captions in the layouts that people have: a table, COCO's JSON, or a text beside each picture."""

import csv
import gzip
import json
from collections import defaultdict
from collections.abc import Iterable, Iterator
from pathlib import Path, PurePosixPath

from multimodal.data.photos import DataError
from multimodal.images import IMAGE_SUFFIXES

HEADER = "image,caption"
LONGEST_TEXT = 32 * 2**20  # bytes of one text file that are looked at


def read_captions(file: Path) -> dict[str, list[str]]:
    """Reads captions by picture file name, in the file's order.

    Args:
        file: `captions.txt` (csv with header `image,caption`), Flickr8k's original
            `Flickr8k.token.txt` (`name#0<TAB>caption`), or COCO's `captions_*.json`.

    Raises:
        DataError: if it is in none of these layouts.
    """
    file = Path(file)
    try:
        text = file.read_text("utf-8")
        captions = _coco(text) if file.suffix.lower() == ".json" else read_table(text)
    except (OSError, ValueError, KeyError, TypeError, AttributeError) as error:
        raise DataError(
            f"{file} is not a caption file: it must be a csv with the columns {HEADER} "
            "or COCO's captions JSON."
        ) from error
    if captions is None:
        raise DataError(f"{file} must begin with the line '{HEADER}'.")
    return captions


def captions_only(root: Path) -> dict[int, list[str]]:
    """Captions of COCO pictures that are not at hand, by COCO's number, from
    `text/coco_captions_no_photo.csv.gz`; none where it is not there."""
    file = Path(root) / "text" / "coco_captions_no_photo.csv.gz"
    captions: dict[int, list[str]] = defaultdict(list)
    if file.is_file():
        with gzip.open(file, "rt", encoding="utf-8", newline="") as lines:
            for row in csv.DictReader(lines):
                captions[int(row["image_id"])].append(row["caption"].strip())
    return dict(captions)


def _coco(text: str) -> dict[str, list[str]]:
    body = json.loads(text)
    names = {image["id"]: image["file_name"] for image in body["images"]}
    captions: dict[str, list[str]] = defaultdict(list)
    for annotation in body["annotations"]:
        captions[names[annotation["image_id"]]].append(annotation["caption"].strip())
    return dict(captions)


def read_table(text: str) -> dict[str, list[str]] | None:
    """Captions by picture out of a table's text, None if it is no table.

    Raises:
        ValueError, AttributeError: if a line of it is broken.
    """
    captions: dict[str, list[str]] = defaultdict(list)
    lines = text.splitlines()
    first = lines[0] if lines else ""
    if first.strip().lower() == HEADER:
        for row in csv.DictReader(lines):
            captions[row["image"]].append(row["caption"].strip())
    elif "\t" in first and "#" in first:
        for line in lines:
            name, caption = line.split("\t", 1)
            captions[name.split("#")[0]].append(caption.strip())
    else:
        return None
    return dict(captions)


def captions_beside(texts: Iterable[tuple[str, str]]) -> dict[str, list[str]]:
    """Captions by picture, out of the text files that lie beside pictures.

    Args:
        texts: Name and content of each text file: a table of captions, or `name.txt` with one
            caption a line for the picture `name.jpg` (or of any other picture suffix).
    """
    captions: dict[str, list[str]] = {}
    for name, text in texts:
        try:
            table = read_table(text)
        except (ValueError, AttributeError, TypeError):  # a broken table is no caption of a picture
            continue
        if table is not None:
            captions |= table
        elif lines := [line.strip() for line in text.splitlines() if line.strip()]:
            stem = str(PurePosixPath(name).with_suffix(""))
            for suffix in IMAGE_SUFFIXES:
                captions[stem + suffix] = captions[stem + suffix.upper()] = lines
    return captions


def folder_texts(folder: Path) -> Iterator[tuple[str, str]]:
    """Name and content of every text file of a folder."""
    for file in sorted(Path(folder).rglob("*.txt")):
        if file.is_file() and file.stat().st_size <= LONGEST_TEXT:
            yield file.relative_to(folder).as_posix(), file.read_text("utf-8", errors="replace")


def zip_texts(file: Path) -> Iterator[tuple[str, str]]:
    """Name and content of every text file of a zip."""
    from multimodal.images import ImageError
    from multimodal.zips import read_zip

    try:
        for name, content in read_zip(file, {".txt"}):
            if isinstance(content, bytes) and len(content) <= LONGEST_TEXT:
                yield name, content.decode("utf-8", errors="replace")
    except ImageError:  # no texts in it; what is wrong with its photos is said when they are read
        return
