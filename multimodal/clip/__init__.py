"""CLIP: pictures and words on one unit sphere (Radford et al. 2021)."""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from multimodal.clip.base import ClipModel, ModelInfo


def load(name: str) -> ClipModel:
    """Loads a CLIP model; nothing is ever downloaded.

    Args:
        name: A bundled name (``clip-photos``), a checkpoint folder, or ``openclip:ARCH/TAG``.

    Raises:
        UserError: if it is not there or cannot be used, with the cure.
    """
    if str(name).startswith("openclip:"):
        from multimodal.clip import openclip

        return openclip.load(str(name))
    from multimodal.clip.dual import DualEncoderClip

    return DualEncoderClip.load(name)


def available() -> list[ModelInfo]:
    """Every CLIP model at hand, for menus: the bundled ones, then OpenCLIP's in the cache."""
    from multimodal import checkpoint
    from multimodal.clip import openclip
    from multimodal.clip.base import ModelInfo

    found = []
    for name in checkpoint.bundled("clip"):
        manifest = checkpoint.read_manifest(checkpoint.BUNDLED / name, "clip")
        found.append(
            ModelInfo(
                name,
                name,
                "bundled",
                tuple(manifest.config.get("languages", ("en",))),
                ", ".join(f"{key} {value}" for key, value in manifest.figures.items()),
            )
        )
    return found + openclip.openclip_models(present_only=True)
