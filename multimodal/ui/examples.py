"""Pictures that are one click away: photos that come with Gradio, and drawn scenes."""

from pathlib import Path

import gradio as gr

SCENES = (3, 12, 40, 58)
SIDE = 384


def photos(folder: Path) -> list[Path]:
    """Example pictures; the drawn ones are made at the first start.

    Args:
        folder: Where the app keeps what it makes.
    """
    shipped = Path(gr.__file__).parent / "media_assets" / "images"
    found = [shipped / name for name in ("cheetah1.jpg", "lion.jpg", "bus.png", "tower.jpg")]
    return [file for file in found if file.is_file()] + scenes(folder)


def scenes(folder: Path) -> list[Path]:
    """Drawn scenes as files."""
    from multimodal.data.toybox import draw, make_scene

    files = []
    for seed in SCENES:
        file = Path(folder) / "examples" / f"scene-{seed}-{SIDE}.png"
        if not file.is_file():
            file.parent.mkdir(parents=True, exist_ok=True)
            part = file.with_suffix(".part.png")
            draw(make_scene(seed), SIDE).save(part)
            part.replace(file)
        files.append(file)
    return files
