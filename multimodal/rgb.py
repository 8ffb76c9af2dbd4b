"""Decoded pixels of any kind to an upright RGB picture of a bearable size."""

import numpy as np
from PIL import Image, ImageCms

WORKING_PIXELS = 40_000_000  # anything larger is handed out at a reduced size
HUGE_PIXELS = 4_000_000  # with `at_least`, a picture still this large after decoding is reduced
_ORIENTATION = 0x0112  # EXIF tag
_UPRIGHT = {
    2: Image.Transpose.FLIP_LEFT_RIGHT,
    3: Image.Transpose.ROTATE_180,
    4: Image.Transpose.FLIP_TOP_BOTTOM,
    5: Image.Transpose.TRANSPOSE,
    6: Image.Transpose.ROTATE_270,
    7: Image.Transpose.TRANSVERSE,
    8: Image.Transpose.ROTATE_90,
}


def upright_rgb(image: Image.Image, at_least: int | None) -> Image.Image:
    """Decoded pixels to an upright RGB picture of a bearable size."""
    orientation = _orientation(image)
    width, height = image.size
    factor = 1
    if at_least is not None and width * height > HUGE_PIXELS:
        factor = max(1, min(image.size) // max(1, at_least))
    while -(-width // min(factor, width)) * -(-height // min(factor, height)) > WORKING_PIXELS:
        factor += 1
    image = _to_rgb(image) if factor == 1 else _reduced(image, factor)
    if orientation in _UPRIGHT:
        image = image.transpose(_UPRIGHT[orientation])
    image.info = {}
    return image


def _reduced(image: Image.Image, factor: int) -> Image.Image:
    """Averages blocks of `factor` pixels, band by band so that no second full copy is made."""
    if image.mode in ("I", "F", "LAB"):  # their range has to be taken over the whole picture
        image = _to_rgb(image)
    width, height = image.size
    across, down = min(factor, width), min(factor, height)
    small = Image.new("RGB", (-(-width // across), -(-height // down)))
    band = down * max(1, 4_000_000 // (width * down))
    for top in range(0, height, band):
        part = image.crop((0, top, width, min(height, top + band)))
        small.paste(_to_rgb(part).reduce((across, down)), (0, top // down))
    return small


def _orientation(image: Image.Image) -> int:
    try:
        return int(image.getexif().get(_ORIENTATION, 1))
    except Exception:  # a damaged EXIF block must not cost the picture
        return 1


def _to_rgb(image: Image.Image) -> Image.Image:
    """Any Pillow mode to a new RGB picture; transparency is laid on white."""
    mode = image.mode
    if mode.startswith("I;16"):
        return Image.fromarray(from_16_bit(np.asarray(image))).convert("RGB")
    if mode in ("I", "F"):
        return Image.fromarray(_stretch(np.asarray(image))).convert("RGB")
    if mode == "LAB":
        profiles = ImageCms.createProfile("LAB"), ImageCms.createProfile("sRGB")
        return ImageCms.profileToProfile(image, *profiles, outputMode="RGB")
    if image.has_transparency_data:
        image = image.convert("RGBA")
        white = Image.new("RGB", image.size, "white")
        white.paste(image, mask=image.getchannel("A"))
        return white
    return image.copy() if mode == "RGB" else image.convert("RGB")


def from_16_bit(values: np.ndarray) -> np.ndarray:
    """0..65535 to 0..255, rounded: 65535 / 255 is exactly 257."""
    return ((values.astype(np.uint32) + 128) // 257).astype(np.uint8)


def _stretch(values: np.ndarray) -> np.ndarray:
    """Greyscale of unknown range to 0..255: 8 bit, 16 bit or 0..1 as it is, others stretched."""
    is_float = values.dtype.kind == "f"
    values = np.nan_to_num(values.astype(np.float64), nan=0.0, posinf=0.0, neginf=0.0)
    low, high = float(values.min()), float(values.max())
    if low >= 0 and high <= 65535:
        low, high = 0.0, 1.0 if is_float and high <= 1 else 255.0 if high <= 255 else 65535.0
    scale = 255.0 / (high - low) if high > low else 0.0
    return np.rint((values - low) * scale).clip(0, 255).astype(np.uint8)
