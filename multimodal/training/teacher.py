"""The pixel start as a teacher: what ImageNet's own classifier says of every photo.

A student that only ever saw captions forgets most of what its start could tell apart. Distilling
the start's own probabilities (Hinton et al. 2015) over the thousand class names keeps it.
"""

from collections.abc import Iterator
from pathlib import Path

import torch
from safetensors.torch import load_file, save_file
from torch import Tensor

from multimodal.clip.image_tower import Normalize, fold_batch_norm
from multimodal.progress import Progress
from multimodal.training.pixels import PixelCache

IMAGE_START = "mobilenet_v2_imagenet1k.safetensors"


def read_image_start(place: Path | None) -> dict[str, Tensor]:
    """MobileNetV2's ImageNet weights under torchvision's names.

    Args:
        place: A safetensors file, or None for torchvision's own download.
    """
    if place is not None:
        return {name: tensor.float() for name, tensor in load_file(place).items()}
    from torchvision.models import MobileNet_V2_Weights

    return MobileNet_V2_Weights.IMAGENET1K_V1.get_state_dict(progress=True)


def class_names() -> list[str]:
    """The start's own names of its thousand classes, in order."""
    from torchvision.models import MobileNet_V2_Weights

    return list(MobileNet_V2_Weights.IMAGENET1K_V1.meta["categories"])


class Teacher:
    """MobileNetV2 with its ImageNet classifier."""

    def __init__(self, start: dict[str, Tensor]) -> None:
        from torchvision.models import mobilenet_v2

        self.network = mobilenet_v2(weights=None).eval()
        self.network.load_state_dict(start)
        fold_batch_norm(self.network.features)
        self.network.to(memory_format=torch.channels_last)
        self.normalize = Normalize()

    @torch.inference_mode()
    def __call__(self, pixels: Tensor) -> tuple[Tensor, Tensor]:
        """Pooled features (batch, 1280) and class logits (batch, 1000) of pictures in 0..1."""
        x = self.normalize(pixels).contiguous(memory_format=torch.channels_last)
        pooled = self.network.features(x).float().mean((2, 3))
        return pooled, self.network.classifier(pooled)


def teach(
    teacher: Teacher, cache: PixelCache, file: Path, side: int, flips: bool = True
) -> Iterator[Progress]:
    """Writes the teacher's view of every photo to a file: `features` and `logits`, half precision.

    Args:
        teacher: The network.
        cache: Decoded photos.
        file: A safetensors file to write; kept if it is there.
        side: Side in pixels that the teacher sees.
        flips: Average over the photo and its mirror image.
    """
    if file.is_file():
        return
    features, logits = [], []
    total = len(cache.photos)
    for first in range(0, total, 64):
        pixels = torch.from_numpy(cache.pixels[first : first + 64].copy())
        pixels = to_side(pixels.permute(0, 3, 1, 2), side)
        views = [pixels, pixels.flip(3)] if flips else [pixels]
        seen = [teacher(view) for view in views]
        features.append(torch.stack([f for f, _ in seen]).mean(0).half())
        logits.append(torch.stack([z for _, z in seen]).mean(0).half())
        yield Progress(min(first + 64, total), total, "asking the teacher")
    part = file.with_suffix(".part")
    save_file({"features": torch.cat(features), "logits": torch.cat(logits)}, part)
    part.replace(file)


def to_side(pixels: Tensor, side: int) -> Tensor:
    """8-bit pictures (batch, 3, h, w) to floats 0..1 of (batch, 3, side, side)."""
    x = pixels.float() / 255
    if x.shape[-1] != side or x.shape[-2] != side:
        x = torch.nn.functional.interpolate(
            x, (side, side), mode="bicubic", antialias=True, align_corners=False
        ).clamp(0, 1)
    return x
