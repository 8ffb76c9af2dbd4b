"""Pictures that are one click away: photos that come with Gradio, and drawn scenes."""

from pathlib import Path

import gradio as gr

SCENES = (1, 37, 59, 27)
SIDE = 384
SHIPPED = Path(gr.__file__).parent / "media_assets" / "images"


def folder(data: Path) -> Path:
    """Where the drawn ones lie, below the folder that the app keeps what it makes in."""
    return Path(data) / "examples"


def photos(data: Path) -> list[Path]:
    """Example pictures; the drawn ones are made at the first start.

    Args:
        data: Where the app keeps what it makes.
    """
    found = [SHIPPED / name for name in ("cheetah1.jpg", "lion.jpg", "bus.png", "tower.jpg")]
    return [file for file in found if file.is_file()] + scenes(data)


def scenes(data: Path) -> list[Path]:
    """Drawn scenes as files."""
    from multimodal.data.toybox import draw, make_scene

    files = []
    for seed in SCENES:
        file = folder(data) / f"scene-{seed}-{SIDE}.png"
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(".part.png")
            draw(make_scene(seed), SIDE).save(part)
            part.replace(file)
        files.append(file)
    return files
