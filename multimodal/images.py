"""The only door for pictures from outside: whatever comes in, an upright RGB picture goes out.

Size is read from the header and checked before a pixel is decoded, only well-kept Pillow formats
are tried, and every way in which a file can be bad ends in one `ImageError` sentence. Photos in a
zip come through `read_zip`.
"""

import io
import os
import re
import stat
import threading
import warnings
from collections.abc import Collection, Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, ImageCms, features

from multimodal.errors import UserError

Source = str | os.PathLike | bytes | BinaryIO | Image.Image | np.ndarray

MAX_FILE_BYTES = 200 * 2**20  # one picture as a file
MAX_PIXELS = 120_000_000  # a 108-megapixel phone photo passes; checked from the header
WORKING_PIXELS = 40_000_000  # anything larger is handed out at a reduced size
GIANT_PIXELS = 16_000_000  # from here on, pictures are decoded one at a time to bound memory
HUGE_PIXELS = 4_000_000  # with `at_least`, a picture still this large after decoding is reduced

IMAGE_SUFFIXES = frozenset(
    {".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".webp", ".gif", ".bmp", ".dib", ".tif", ".tiff"}
    | ({".avif"} if features.check("avif") else set())
)
# pictures that people will try and that must be named as refused rather than passed over
FOREIGN_SUFFIXES = frozenset({".heic", ".heif", ".avif", ".svg", ".psd", ".ico", ".jp2", ".jxl"})
FOREIGN_SUFFIXES |= {".raw", ".dng", ".cr2", ".cr3", ".nef", ".arw", ".zip"}
_FORMATS = ("JPEG", "PNG", "WEBP", "GIF", "BMP", "TIFF") + (
    ("AVIF",) if features.check("avif") else ()
)
READABLE = "JPEG, PNG, WebP, GIF, BMP, TIFF" + (" or AVIF" if features.check("avif") else "")
_KOREAN_READABLE = ", ".join(_FORMATS)
_UNNAMED = "The picture"
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
_giant_lock = threading.Lock()
_quiet_lock = threading.Lock()
_quiet_depth = 0
_quiet_filter: tuple | None = None


class ImageError(UserError):
    """A picture, a folder of pictures or a zip of pictures cannot be used."""


def open_image(
    source: Source, *, at_least: int | None = None, name: str | None = None
) -> Image.Image:
    """Opens a picture from outside.

    EXIF rotation is applied, transparency is laid on white, palettes, greyscale, CMYK, CIELAB and
    16-bit or floating-point pictures become 8-bit RGB, and of an animation the first frame is
    taken. Metadata (place, camera) does not come along.

    Args:
        source: Path, bytes, binary file, Pillow picture, or array of shape (height, width),
            (height, width, 1), (height, width, 3) or (height, width, 4): bool, integers of 0 to
            255, uint16 of 0 to 65,535, or floats of 0 to 1 or of 0 to 255.
        at_least: Pixels that the short side has to keep. JPEG files are then decoded at 1/2, 1/4
            or 1/8 of their size where that is enough, which is several times faster.
        name: What to call the picture in an error, for sources that have no name.

    Returns:
        An RGB picture, independent of the source, of at most `WORKING_PIXELS`.

    Raises:
        ImageError: one sentence that names the picture and the cure.
    """
    if source is None:
        raise ImageError(
            "No picture was given: choose a file first.",
            "사진이 없습니다. 먼저 파일을 고르세요.",
        )
    with _quiet():
        if isinstance(source, np.ndarray):
            return _finish(_from_array(source, _label(name)), at_least)
        if isinstance(source, Image.Image):
            return _decode(source, at_least, _label(name), draft=False)
        if isinstance(source, bytes | bytearray | memoryview):
            return _open_file(io.BytesIO(source), at_least, _label(name))
        if hasattr(source, "read"):
            return _open_file(io.BytesIO(_read_all(source, _label(name))), at_least, _label(name))
        path = regular_file(source)
        with opened(path) as file:
            return _open_file(file, at_least, _label(name or path.name))


def list_images(folder: str | os.PathLike) -> list[Path]:
    """Finds the pictures in a folder and its subfolders by their suffix.

    Hidden files and folders are passed over, linked folders are not entered, and a linked file
    counts only if it lies inside the folder.

    Args:
        folder: Where to look.

    Returns:
        Paths that start with `folder`, sorted by their relative path.

    Raises:
        ImageError: if `folder` is not a folder that can be read.
    """
    root = Path(folder).expanduser()
    try:
        real_root = root.resolve(strict=True)
        with os.scandir(real_root):
            found = []
    except (OSError, ValueError) as error:
        raise ImageError(
            f"{str(folder)!r} is not a folder that can be read: give the folder of the pictures."
        ) from error
    for here, folders, files in os.walk(root):
        folders[:] = [item for item in folders if not is_junk(item)]
        for item in files:
            path = Path(here, item)
            if path.suffix.lower() not in IMAGE_SUFFIXES or is_junk(item):
                continue
            real = path.resolve()
            if real.is_relative_to(real_root) and real.is_file():
                found.append(path)
    return sorted(found, key=lambda path: path.relative_to(root).parts)


def read_zip(
    source: str | os.PathLike | bytes | BinaryIO, suffixes: Collection[str] = IMAGE_SUFFIXES
) -> Iterator[tuple[str, bytes | ImageError]]:
    """Reads the photos in a zip, one at a time and without writing anything to disk.

    Names are made safe (relative, no `..`, printable, unique); names that Korean Windows wrote
    are read as such. What macOS and Windows leave behind in a zip is passed over.

    Args:
        source: Path, bytes or seekable binary file of the zip.
        suffixes: Which files are wanted, lower case with the dot; add ``.txt`` for captions.

    Returns:
        An iterator of (name, bytes); where one file is bad, an `ImageError` stands in place of
        its bytes, and the rest goes on.

    Raises:
        ImageError: at once, if the zip as a whole is torn, locked, empty or a zip bomb.
    """
    from multimodal.zips import read_photos

    return read_photos(source, suffixes)


# ---------------------------------------------------------------------------------- one picture


def _open_file(file: BinaryIO, at_least: int | None, label: str) -> Image.Image:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size == 0:
        raise ImageError(
            f"{label} is empty (0 bytes): copy or download it again.",
            f"{_korean(label)}: 빈 파일(0바이트)입니다. 다시 복사하거나 내려받으세요.",
        )
    if size > MAX_FILE_BYTES:
        raise ImageError(
            f"{label} has {size // 2**20} MB, more than the {MAX_FILE_BYTES // 2**20} MB "
            "that a picture may have: make it smaller first.",
            f"{_korean(label)}: {size // 2**20} MB입니다. {MAX_FILE_BYTES // 2**20} MB까지 열 수 "
            "있으니 먼저 크기를 줄이세요.",
        )
    head = file.read(64)
    file.seek(0)
    try:
        image = Image.open(file, formats=_FORMATS)
    except Image.DecompressionBombError as error:
        raise _too_large(label) from error
    except Exception as error:  # hostile headers make decoders raise almost anything
        english, korean = _what_it_is(head)
        raise ImageError(f"{label} {english}.", f"{_korean(label)}: {korean}.") from error
    with image:
        return _decode(image, at_least, label)


def _decode(
    image: Image.Image, at_least: int | None, label: str, draft: bool = True
) -> Image.Image:
    """Checks the size that the header tells, then decodes and makes it upright RGB."""
    width, height = image.size
    pixels = width * height
    if pixels == 0:
        raise ImageError(
            f"{label} has no pixels ({width} x {height}): choose another picture.",
            f"{_korean(label)}: 화소가 없습니다({width} x {height}). 다른 사진을 고르세요.",
        )
    if pixels > MAX_PIXELS:
        raise _too_large(label, image.size)
    with _giant_lock if pixels > GIANT_PIXELS else nullcontext():
        try:
            if draft:  # would change the caller's own picture
                _draft(image, at_least)
            image.load()
            return _finish(image, at_least)
        except MemoryError as error:
            raise ImageError(
                f"{label} ({width:,} x {height:,} pixels) does not fit in this computer's memory: "
                "make it smaller first.",
                f"{_korean(label)}: {width:,} x {height:,} 화소라 이 컴퓨터의 메모리에 들어가지 "
                "않습니다. 먼저 크기를 줄이세요.",
            ) from error
        except Exception as error:  # torn data makes decoders raise almost anything
            raise ImageError(
                f"{label} is torn or damaged and cannot be shown: copy or download it again.",
                f"{_korean(label)}: 파일이 깨졌습니다. 다시 복사하거나 내려받으세요.",
            ) from error


def _draft(image: Image.Image, at_least: int | None) -> None:
    """Lets the JPEG decoder skip detail that nobody asked for."""
    if image.format in ("JPEG", "MPO"):
        width, height = image.size
        if at_least is not None:
            image.draft(None, (max(1, at_least), max(1, at_least)))
        elif width * height > WORKING_PIXELS:
            image.draft(None, (max(1, width // 2), max(1, height // 2)))


def _finish(image: Image.Image, at_least: int | None) -> Image.Image:
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
        return Image.fromarray(_from_16_bit(np.asarray(image))).convert("RGB")
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


def _from_16_bit(values: np.ndarray) -> np.ndarray:
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


def _from_array(array: np.ndarray, label: str) -> Image.Image:
    shape = " x ".join(map(str, array.shape)) or "a single number"
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.size == 0 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        raise ImageError(
            f"{label} is an array of shape {shape}: give height x width, or height x width x 3."
        )
    if array.shape[0] * array.shape[1] > MAX_PIXELS:
        raise _too_large(label, (array.shape[1], array.shape[0]))
    if array.dtype == np.uint16:
        array = _from_16_bit(array)
    elif array.dtype == bool:
        array = array * np.uint8(255)
    elif array.dtype != np.uint8:
        if array.dtype.kind not in "iuf":
            raise ImageError(f"{label} is an array of {array.dtype}: give uint8 or float values.")
        low, high = array.min(), array.max()
        if not (low >= 0 and high <= 255):  # written so that NaN is refused as well
            raise ImageError(
                f"{label} is an array with values from {low:g} to {high:g}: "
                "scale them to 0..255, or to 0..1 as floats."
            )
        unit = array.dtype.kind == "f" and high <= 1
        array = np.rint(array * 255 if unit else array).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(array))


def _too_large(label: str, size: tuple[int, int] | None = None) -> ImageError:
    measure = f"{size[0]:,} x {size[1]:,} pixels" if size else "far too many pixels"
    measured = f"{size[0]:,} x {size[1]:,} 화소입니다" if size else "화소가 너무 많습니다"
    return ImageError(
        f"{label} has {measure}, more than the {MAX_PIXELS // 10**6} million "
        "that this app opens: make it smaller first.",
        f"{_korean(label)}: {measured}. {MAX_PIXELS // 10**6}백만 화소까지 열 수 있으니 "
        "먼저 크기를 줄이세요.",
    )


def _what_it_is(head: bytes) -> tuple[str, str]:
    """The rest of a sentence, English and Korean, about a file that is not a readable picture."""
    brand = head[8:12] if head[4:8] == b"ftyp" else b""
    if brand in (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"):
        return (
            f"is a HEIC photo, which this app cannot read: save it as {READABLE}",
            f"HEIC 사진은 읽지 못합니다. 다른 형식({_KOREAN_READABLE})으로 저장하세요",
        )
    start = head.lstrip(b"\xef\xbb\xbf \t\r\n").lower()
    kinds = {
        b"<svg": ("an SVG drawing", "SVG 그림"),
        b"<?xml": ("an XML file", "XML 파일"),
        b"<!doctype": ("a web page", "웹 페이지"),
        b"<html": ("a web page", "웹 페이지"),
        b"%pdf": ("a PDF document", "PDF 문서"),
        b"pk\x03\x04": ("a zip archive", "zip 파일"),
    }
    for magic, (kind, korean) in kinds.items():
        if start.startswith(magic):
            return (
                f"is {kind} and not a photo: give a file of {READABLE}",
                f"사진이 아니라 {korean}입니다. 사진 파일({_KOREAN_READABLE})을 주세요",
            )
    starts = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF")
    if head.startswith(starts) or brand == b"avif":
        return (
            "begins like a picture but is torn or damaged: copy or download it again",
            "사진처럼 시작하지만 파일이 깨졌습니다. 다시 복사하거나 내려받으세요",
        )
    return (
        f"is not a picture that this app can read: give a file of {READABLE}",
        f"읽을 수 있는 사진이 아닙니다. 사진 파일({_KOREAN_READABLE})을 주세요",
    )


def _label(name: str | None) -> str:
    return repr(name) if name else _UNNAMED


def _korean(label: str) -> str:
    return "사진" if label == _UNNAMED else label


def _read_all(file: BinaryIO, label: str) -> bytes:
    try:
        data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ImageError(f"{label} cannot be read ({error}): open it again.") from error
    if not isinstance(data, bytes | bytearray):
        raise ImageError(f"{label} was opened as text: open it in binary mode ('rb').")
    return bytes(data)


def regular_file(source: Any) -> Path:
    """A path that is an ordinary file; devices and pipes, which never end, are refused."""
    if not isinstance(source, str | os.PathLike):
        raise ImageError(
            f"A {type(source).__name__} is not a picture: give a path, bytes, a file or an array."
        )
    text = os.fspath(source)
    if isinstance(text, str) and re.match(r"(?i)(https?|ftp|data):", text):
        raise ImageError(f"{text[:80]!r} is a web address: save the file and give its path.")
    path = Path(os.fsdecode(text)).expanduser()
    try:
        mode = path.stat().st_mode
    except (OSError, ValueError) as error:
        raise ImageError(f"There is no file {str(path)!r}: check the path.") from error
    if stat.S_ISDIR(mode):
        raise ImageError(f"{str(path)!r} is a folder: give one file.")
    if not stat.S_ISREG(mode):
        raise ImageError(f"{str(path)!r} is not an ordinary file: give a file.")
    return path


def opened(path: Path) -> BinaryIO:
    """The file, opened for reading bytes."""
    try:
        return path.open("rb")
    except OSError as error:
        raise ImageError(
            f"{str(path)!r} cannot be read ({error.strerror}): check its permissions."
        ) from error


def is_junk(part: str) -> bool:
    """Whether a file or folder name is hidden or left behind by macOS or Windows."""
    return part.startswith(".") or part.lower() in ("__macosx", "thumbs.db", "desktop.ini")


@contextmanager
def _quiet() -> Iterator[None]:
    """Keeps Pillow's warnings in; `warnings.catch_warnings` would race between threads."""
    global _quiet_depth, _quiet_filter
    with _quiet_lock:
        _quiet_depth += 1
        if _quiet_depth == 1:
            warnings.filterwarnings("ignore", module=r"PIL\b|multimodal\.images")
            _quiet_filter = warnings.filters[0]
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_depth -= 1
            if _quiet_depth == 0 and _quiet_filter in warnings.filters:
                warnings.filters.remove(_quiet_filter)
