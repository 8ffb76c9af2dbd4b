"""Drawn pictures as files that tell how they were made."""

import json
import re
import unicodedata
from pathlib import Path

from PIL import Image, PngImagePlugin

from multimodal.dalle.pipeline import Drawing
from multimodal.errors import UserError

SIDE = 384  # pixels that pictures are enlarged to where they are shown


def describe(drawing: Drawing, number: int, prompt: str, model: str) -> dict[str, object]:
    """All that it takes to draw picture `number` again."""
    return {
        "prompt": prompt,
        "model": model,
        "seed": drawing.seeds[number],
        **vars(drawing.settings),
    }


def save_png(drawing: Drawing, number: int, file: Path, prompt: str, model: str) -> None:
    """Writes one picture as PNG; a text chunk `multimodal` in it holds `describe` as JSON.

    Raises:
        UserError: if it cannot be written.
    """
    notes = PngImagePlugin.PngInfo()
    body = json.dumps(describe(drawing, number, prompt, model), ensure_ascii=False)
    notes.add_itxt("multimodal", body)
    _save(drawing.images[number], file, pnginfo=notes)


def save_image(image: Image.Image, file: Path) -> None:
    """Writes a picture in the format that the file's name asks for.

    Raises:
        UserError: if it cannot be written or no picture format has this ending.
    """
    _save(image, file)


def file_name(prompt: str, seed: int) -> str:
    """A file name out of a prompt, safe on every system, and a seed."""
    words = re.findall(r"[^\W_]+", unicodedata.normalize("NFC", prompt))
    return f"{'-'.join(words)[:40].strip('-') or 'picture'}-{seed}.png"


def enlarge(image: Image.Image, side: int = SIDE) -> Image.Image:
    """The picture at the size it is shown at; smooth, as its pixels are not what matters."""
    return image.resize((side, side), Image.Resampling.BICUBIC)


def _save(image: Image.Image, file: Path, **options: object) -> None:
    file = Path(file)
    part = file.with_name(f"{file.stem}.part{file.suffix}")
    try:
        image.save(part, **options)
        part.replace(file)
    except (OSError, ValueError) as error:
        part.unlink(missing_ok=True)
        reason = getattr(error, "strerror", None) or error
        raise UserError(
            f"{file} cannot be written ({reason}): give another file, such as picture.png."
        ) from error
