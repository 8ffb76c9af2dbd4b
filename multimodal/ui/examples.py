"""Pictures that are one click away: photos that come with Gradio, and drawn scenes."""

from pathlib import Path

import gradio as gr

SCENES = (1, 37, 59, 27)
SIDE = 384
SHIPPED = Path(gr.__file__).parent / "media_assets" / "images"


def folder(data: Path) -> Path:
    """Where the drawn ones lie, below the folder that the app keeps what it makes in."""
    return Path(data) / "examples"


def pictures(data: Path) -> list[tuple[Path, str]]:
    """Example pictures, each one of ``photos`` or ``scenes``; the drawn ones are made once.

    Args:
        data: Where the app keeps what it makes.
    """
    found = [SHIPPED / name for name in ("lion.jpg", "cheetah1.jpg", "tower.jpg")]
    photos = [(file, "photos") for file in found if file.is_file()]
    return photos + [(file, "scenes") for file in scenes(data)]


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
