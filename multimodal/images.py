"""The only door for pictures from outside: whatever comes in, an upright RGB picture goes out.

Size is read from the header and checked before a pixel is decoded, only well-kept Pillow formats
are tried, and every way in which a file can be bad ends in one `ImageError` sentence. Photos in a
zip come through `multimodal.zips`.
"""

import io
import os
import re
import stat
import threading
import warnings
from collections.abc import Iterator
from contextlib import contextmanager, nullcontext
from pathlib import Path
from typing import Any, BinaryIO

import numpy as np
from PIL import Image, features

from multimodal.errors import UserError
from multimodal.rgb import WORKING_PIXELS, from_16_bit, upright_rgb

Source = str | os.PathLike | bytes | BinaryIO | Image.Image | np.ndarray

MAX_FILE_BYTES = 200 * 2**20  # one picture as a file
MAX_PIXELS = 120_000_000  # a 108-megapixel phone photo passes; checked from the header
GIANT_PIXELS = 16_000_000  # from here on, pictures are decoded one at a time to bound memory

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
KOREAN_READABLE = ", ".join(_FORMATS)
_UNNAMED = ("The picture", "사진")
_giant_lock = threading.Lock()
_quiet_lock = threading.Lock()
_quiet_depth = 0
_quiet_filter: tuple | None = None


class ImageError(UserError):
    """A picture, a folder of pictures or a zip of pictures cannot be used."""

    @classmethod
    def about(
        cls, name: str | None, english: str, korean: str = "", unnamed: tuple[str, str] = _UNNAMED
    ) -> "ImageError":
        """The error that names a file and says what is wrong with it, in both languages.

        Args:
            name: The file's name, if it has one.
            english: What follows the name, without the full stop.
            korean: The same, after a colon; nothing where only programs can come upon it.
            unnamed: What to call a file without a name, English and Korean.
        """
        first, second = (repr(name), repr(name)) if name else unnamed
        return cls(f"{first} {english}.", f"{second}: {korean}." if korean else "")


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
            return upright_rgb(_from_array(source, name), at_least)
        if isinstance(source, Image.Image):
            return _decode(source, at_least, name, draft=False)
        if isinstance(source, bytes | bytearray | memoryview):
            return _open_file(io.BytesIO(source), at_least, name)
        if hasattr(source, "read"):
            return _open_file(io.BytesIO(_read_all(source, name)), at_least, name)
        path = regular_file(source)
        with opened(path) as file:
            return _open_file(file, at_least, name or path.name)


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


def _open_file(file: BinaryIO, at_least: int | None, name: str | None) -> Image.Image:
    size = file.seek(0, os.SEEK_END)
    file.seek(0)
    if size == 0:
        raise ImageError.about(
            name,
            "is empty (0 bytes): copy or download it again",
            "빈 파일(0바이트)입니다. 다시 복사하거나 내려받으세요",
        )
    if size > MAX_FILE_BYTES:
        raise ImageError.about(
            name,
            f"has {size // 2**20} MB, more than the {MAX_FILE_BYTES // 2**20} MB "
            "that a picture may have: make it smaller first",
            f"{size // 2**20} MB입니다. {MAX_FILE_BYTES // 2**20} MB까지 열 수 있으니 먼저 크기를 "
            "줄이세요",
        )
    head = file.read(64)
    file.seek(0)
    try:
        image = Image.open(file, formats=_FORMATS)
    except Image.DecompressionBombError as error:
        raise _too_large(name) from error
    except Exception as error:  # hostile headers make decoders raise almost anything
        raise ImageError.about(name, *_what_it_is(head)) from error
    with image:
        return _decode(image, at_least, name)


def _decode(
    image: Image.Image, at_least: int | None, name: str | None, draft: bool = True
) -> Image.Image:
    """Checks the size that the header tells, then decodes and makes it upright RGB."""
    width, height = image.size
    pixels = width * height
    if pixels == 0:
        raise ImageError.about(
            name,
            f"has no pixels ({width} x {height}): choose another picture",
            f"화소가 없습니다({width} x {height}). 다른 사진을 고르세요",
        )
    if pixels > MAX_PIXELS:
        raise _too_large(name, image.size)
    with _giant_lock if pixels > GIANT_PIXELS else nullcontext():
        try:
            if draft:  # would change the caller's own picture
                _draft(image, at_least)
            image.load()
            return upright_rgb(image, at_least)
        except MemoryError as error:
            raise ImageError.about(
                name,
                f"({width:,} x {height:,} pixels) does not fit in this computer's memory: make it "
                "smaller first",
                f"{width:,} x {height:,} 화소라 이 컴퓨터의 메모리에 들어가지 않습니다. 먼저 크기를"
                " 줄이세요",
            ) from error
        except Exception as error:  # torn data makes decoders raise almost anything
            raise ImageError.about(
                name,
                "is torn or damaged and cannot be shown: copy or download it again",
                "파일이 깨졌습니다. 다시 복사하거나 내려받으세요",
            ) from error


def _draft(image: Image.Image, at_least: int | None) -> None:
    """Lets the JPEG decoder skip detail that nobody asked for."""
    if image.format in ("JPEG", "MPO"):
        width, height = image.size
        if at_least is not None:
            image.draft(None, (max(1, at_least), max(1, at_least)))
        elif width * height > WORKING_PIXELS:
            image.draft(None, (max(1, width // 2), max(1, height // 2)))


def _from_array(array: np.ndarray, name: str | None) -> Image.Image:
    shape = " x ".join(map(str, array.shape)) or "a single number"
    if array.ndim == 3 and array.shape[2] == 1:
        array = array[:, :, 0]
    if array.size == 0 or not (array.ndim == 2 or (array.ndim == 3 and array.shape[2] in (3, 4))):
        raise ImageError.about(
            name, f"is an array of shape {shape}: give height x width, or height x width x 3"
        )
    if array.shape[0] * array.shape[1] > MAX_PIXELS:
        raise _too_large(name, (array.shape[1], array.shape[0]))
    if array.dtype == np.uint16:
        array = from_16_bit(array)
    elif array.dtype == bool:
        array = array * np.uint8(255)
    elif array.dtype != np.uint8:
        if array.dtype.kind not in "iuf":
            raise ImageError.about(
                name, f"is an array of {array.dtype}: give uint8 or float values"
            )
        low, high = array.min(), array.max()
        if not (low >= 0 and high <= 255):  # written so that NaN is refused as well
            raise ImageError.about(
                name,
                f"is an array with values from {low:g} to {high:g}: "
                "scale them to 0..255, or to 0..1 as floats",
            )
        unit = array.dtype.kind == "f" and high <= 1
        array = np.rint(array * 255 if unit else array).astype(np.uint8)
    return Image.fromarray(np.ascontiguousarray(array))


def _too_large(name: str | None, size: tuple[int, int] | None = None) -> ImageError:
    measure = f"{size[0]:,} x {size[1]:,} pixels" if size else "far too many pixels"
    measured = f"{size[0]:,} x {size[1]:,} 화소입니다" if size else "화소가 너무 많습니다"
    return ImageError.about(
        name,
        f"has {measure}, more than the {MAX_PIXELS // 10**6} million that this app opens: make it "
        "smaller first",
        f"{measured}. {MAX_PIXELS // 10**6}백만 화소까지 열 수 있으니 먼저 크기를 줄이세요",
    )


def _what_it_is(head: bytes) -> tuple[str, str]:
    """The rest of a sentence, English and Korean, about a file that is not a readable picture."""
    brand = head[8:12] if head[4:8] == b"ftyp" else b""
    if brand in (b"heic", b"heix", b"hevc", b"heim", b"heis", b"mif1", b"msf1"):
        return (
            f"is a HEIC photo, which this app cannot read: save it as {READABLE}",
            f"HEIC 사진은 읽지 못합니다. 다른 형식({KOREAN_READABLE})으로 저장하세요",
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
                f"사진이 아니라 {korean}입니다. 사진 파일({KOREAN_READABLE})을 주세요",
            )
    starts = (b"\xff\xd8\xff", b"\x89PNG", b"GIF8", b"BM", b"II*\0", b"MM\0*", b"RIFF")
    if head.startswith(starts) or brand == b"avif":
        return (
            "begins like a picture but is torn or damaged: copy or download it again",
            "사진처럼 시작하지만 파일이 깨졌습니다. 다시 복사하거나 내려받으세요",
        )
    return (
        f"is not a picture that this app can read: give a file of {READABLE}",
        f"읽을 수 있는 사진이 아닙니다. 사진 파일({KOREAN_READABLE})을 주세요",
    )


def _read_all(file: BinaryIO, name: str | None) -> bytes:
    try:
        data = file.read(MAX_FILE_BYTES + 1)
    except (OSError, ValueError) as error:
        raise ImageError.about(name, f"cannot be read ({error}): open it again") from error
    if not isinstance(data, bytes | bytearray):
        raise ImageError.about(name, "was opened as text: open it in binary mode ('rb')")
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
            warnings.filterwarnings("ignore", module=r"PIL\b|multimodal\.(images|rgb)")
            _quiet_filter = warnings.filters[0]
    try:
        yield
    finally:
        with _quiet_lock:
            _quiet_depth -= 1
            if _quiet_depth == 0 and _quiet_filter in warnings.filters:
                warnings.filters.remove(_quiet_filter)
