"""What the commands share: types of their arguments, checks before the work, and output."""

import json as json_format
import os
from pathlib import Path
from typing import Annotated, Any

import tyro

from multimodal.errors import UserError

DEFAULT_CLIP, DEFAULT_VILBERT = "clip-photos", "vilbert-photos"
DEFAULT_VQVAE, DEFAULT_DALLE = "vqvae-photos", "dalle-photos"

OPTIONAL = "(optional)"
Name = Annotated[str, tyro.conf.arg(metavar="NAME")]
Folder = Annotated[Path, tyro.conf.arg(metavar="DIR")]
File = Annotated[Path, tyro.conf.arg(metavar="FILE")]
SomeFolder = Annotated[Path | None, tyro.conf.arg(metavar="DIR", help_behavior_hint=OPTIONAL)]
SomeFile = Annotated[Path | None, tyro.conf.arg(metavar="FILE", help_behavior_hint=OPTIONAL)]


def one_line(text: str) -> str:
    """A message without line breaks."""
    return " ".join(text.split())


def check_json(file: Path | None) -> None:
    """Says before the work, and not after it, that the result could not be written."""
    if file is not None and not file.absolute().parent.is_dir():
        raise UserError(f"--json {file}: there is no folder {file.parent}, so make it first.")
    if file is not None and file.is_dir():
        raise UserError(f"--json {file} is a folder: give the name of a file.")


def check_exists(option: str, path: Path | None) -> None:
    """Says before a model is loaded that its input is not there."""
    if path is not None and not path.exists():
        raise UserError(f"{option} {path}: there is no such file or folder, so check the path.")


def check_at_least_one(option: str, value: int) -> None:
    """Says that a count must be positive."""
    if value < 1:
        raise UserError(f"{option} is {value}: give 1 or more.")


def figures(values: dict[str, Any], json: Path | None) -> int:
    """Prints figures one a line and writes them to a file if asked to."""
    width = max(map(len, values))
    for name, value in values.items():
        print(
            f"{name:<{width}}  {value:.2f}"
            if isinstance(value, float)
            else f"{name:<{width}}  {value}"
        )
    write_json(json, values)
    return 0


def write_json(file: Path | None, values: dict[str, Any]) -> None:
    """Writes one object, whole or not at all."""
    if file is None:
        return
    text = json_format.dumps(values, ensure_ascii=False, indent=2, allow_nan=False)
    part = file.with_name(file.name + ".part")
    part.write_text(text + "\n", "utf-8")
    os.replace(part, file)
