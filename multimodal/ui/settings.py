"""What `app.py` was started with."""

from dataclasses import dataclass
from pathlib import Path
from typing import Literal

from multimodal.errors import UserError


@dataclass(frozen=True)
class Settings:
    """Start-up choices.

    Attributes:
        host: Address to listen on; 0.0.0.0 lets the class in.
        port: Port to listen on, or None for the first free one from 7860.
        lang: ``en`` or ``ko`` for everyone, or None for each browser's own.
        gallery: Folder of photos on this machine to offer for searching.
        share: Ask Gradio for a public link (the only thing that needs a network).
        model: CLIP model that the menus start with.
        data: Folder for galleries and thumbnails that the app makes.
    """

    host: str = "127.0.0.1"
    port: int | None = None
    lang: Literal["en", "ko"] | None = None
    gallery: Path | None = None
    share: bool = False
    model: str = "clip-photos"
    data: Path = Path.home() / ".cache" / "multimodal-classroom"

    def __post_init__(self) -> None:
        if self.gallery is not None and not self.gallery.is_dir():
            raise UserError(f"--gallery {self.gallery}: there is no such folder.")
