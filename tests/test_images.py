"""The picture door: every kind of picture and of bad file, and noise of all sorts."""

import io
import os
import re
import struct
import threading
import warnings
import zlib

import numpy as np
import pytest
from hypothesis import HealthCheck, given, settings
from hypothesis import strategies as st
from PIL import Image, features

from multimodal import images, rgb
from multimodal.errors import UserError
from multimodal.images import ImageError, list_images, open_image

FORMATS = ["JPEG", "PNG", "GIF", "WEBP", "BMP", "TIFF"] + ["AVIF"] * features.check("avif")


def encode(image: Image.Image, kind: str = "PNG", **options) -> bytes:
    file = io.BytesIO()
    image.save(file, kind, **options)
    return file.getvalue()


def gradient(width: int = 48, height: int = 32) -> Image.Image:
    x, y = np.meshgrid(np.linspace(0, 255, width), np.linspace(0, 255, height))
    return Image.fromarray(np.stack([x, y, 255 - x], -1).astype(np.uint8))


def png_header(width: int, height: int) -> bytes:
    """A PNG that announces a size and holds no pixels: a decompression bomb of 60 bytes."""

    def chunk(kind: bytes, data: bytes) -> bytes:
        return (
            struct.pack(">L", len(data)) + kind + data + struct.pack(">L", zlib.crc32(kind + data))
        )

    header = struct.pack(">LLBBBBB", width, height, 8, 2, 0, 0, 0)
    return b"\x89PNG\r\n\x1a\n" + chunk(b"IHDR", header) + chunk(b"IDAT", zlib.compress(b""))


@pytest.mark.parametrize("kind", FORMATS)
def test_every_format_comes_out_as_rgb_with_its_colours(kind):
    picture = open_image(encode(gradient(), kind))
    assert picture.mode == "RGB" and picture.size == (48, 32)
    error = np.abs(np.asarray(picture, float) - np.asarray(gradient(), float)).mean()
    assert error < 12  # GIF's palette and JPEG's blocks


@pytest.mark.parametrize("source", ["path", "string", "file", "bytes", "bytearray", "picture"])
def test_every_kind_of_source(tmp_path, source):
    data, path = encode(gradient()), tmp_path / "photo.png"
    path.write_bytes(data)
    given_source = {
        "path": path,
        "string": str(path),
        "file": io.BytesIO(data),
        "bytes": data,
        "bytearray": bytearray(data),
        "picture": Image.open(path),
    }[source]
    assert np.array_equal(np.asarray(open_image(given_source)), np.asarray(gradient()))


@pytest.mark.parametrize("orientation", range(1, 9))
@pytest.mark.parametrize("kind", ["JPEG", "PNG", "WEBP", "TIFF"])
def test_exif_rotation(kind, orientation):
    upright = Image.new("RGB", (40, 24), "red")
    upright.paste("blue", (0, 0, 20, 12))
    undo = {
        1: None,
        2: Image.Transpose.FLIP_LEFT_RIGHT,
        3: Image.Transpose.ROTATE_180,
        4: Image.Transpose.FLIP_TOP_BOTTOM,
        5: Image.Transpose.TRANSPOSE,
        6: Image.Transpose.ROTATE_90,
        7: Image.Transpose.TRANSVERSE,
        8: Image.Transpose.ROTATE_270,
    }[orientation]
    stored = upright if undo is None else upright.transpose(undo)
    exif = Image.Exif()
    exif[0x0112] = orientation
    picture = open_image(encode(stored, kind, exif=exif))
    assert picture.size == (40, 24)
    red, _, blue = picture.getpixel((5, 5))
    assert blue > 200 > 60 > red
    assert not picture.getexif()


def test_a_damaged_exif_block_does_not_cost_the_picture():
    data = encode(gradient(), "JPEG", exif=b"Exif\0\0II*\0\xff\xff\xff\xff" + b"\xee" * 40)
    assert open_image(data).size == (48, 32)


def test_transparency_is_laid_on_white():
    clear = Image.new("RGBA", (4, 4), (255, 0, 0, 0))
    half = Image.new("RGBA", (4, 4), (255, 0, 0, 128))
    assert open_image(encode(clear)).getpixel((0, 0)) == (255, 255, 255)
    assert open_image(encode(half)).getpixel((0, 0)) == (255, 127, 127)
    grey = Image.new("LA", (4, 4), (0, 0))
    assert open_image(encode(grey)).getpixel((0, 0)) == (255, 255, 255)
    palette = Image.new("P", (4, 4), 3)
    palette.putpalette([9, 9, 9] * 256)
    assert open_image(encode(palette, transparency=3)).getpixel((0, 0)) == (255, 255, 255)
    assert open_image(encode(palette)).getpixel((0, 0)) == (9, 9, 9)
    colour_key = Image.new("RGB", (4, 4), (1, 2, 3))
    keyed = open_image(encode(colour_key, transparency=(1, 2, 3)))
    assert keyed.getpixel((0, 0)) == (255, 255, 255)


@pytest.mark.parametrize("mode", ["1", "L", "P", "LA", "RGBA", "CMYK", "YCbCr", "HSV", "LAB", "I"])
def test_pillow_modes(mode):
    picture = open_image(Image.new(mode, (5, 7)))
    assert picture.mode == "RGB" and picture.size == (5, 7)


def test_cmyk_jpeg_keeps_its_colours():
    data = encode(Image.new("RGB", (16, 16), (200, 40, 60)).convert("CMYK"), "JPEG")
    assert np.allclose(open_image(data).getpixel((8, 8)), (200, 40, 60), atol=6)


def test_cielab_tiff_white_is_white():
    lab = Image.new("LAB", (8, 8), (255, 128, 128))
    assert min(open_image(encode(lab, "TIFF")).getpixel((4, 4))) >= 253


@pytest.mark.parametrize("kind", ["PNG", "TIFF"])
def test_sixteen_bit_grey_is_scaled_and_not_clipped(kind):
    values = np.array([[0, 256, 32768, 65535]], np.uint16)
    grey = np.asarray(open_image(encode(Image.fromarray(values), kind)))[0, :, 0]
    assert grey.tolist() == [0, 1, 128, 255]


def test_floating_point_tiff():
    unit = encode(Image.fromarray(np.array([[0, 0.5, 1]], np.float32)), "TIFF")
    wide = encode(Image.fromarray(np.array([[-10, 0, 10, np.nan]], np.float32)), "TIFF")
    assert np.asarray(open_image(unit))[0, :, 1].tolist() == [0, 128, 255]
    assert np.asarray(open_image(wide))[0, :, 1].tolist() == [0, 128, 255, 128]


@pytest.mark.parametrize("kind", ["GIF", "WEBP", "PNG", "TIFF"])
def test_of_an_animation_the_first_frame_is_taken(kind):
    frames = [Image.new("RGB", (9, 9), colour) for colour in ("red", "lime", "blue")]
    data = encode(frames[0], kind, save_all=True, append_images=frames[1:])
    red, green, blue = open_image(data).getpixel((4, 4))
    assert red > 240 and green < 15 and blue < 15


@pytest.mark.parametrize("size", [(1, 1), (1, 3000), (3000, 1), (20_000, 2)])
@pytest.mark.parametrize("at_least", [None, 160])
def test_one_pixel_and_thin_pictures(size, at_least):
    assert open_image(encode(Image.new("RGB", size)), at_least=at_least).size == size


def test_metadata_does_not_come_along():
    exif = Image.Exif()
    exif[0x010F] = "Camera"
    picture = open_image(encode(gradient(), "JPEG", exif=exif, dpi=(300, 300)))
    assert picture.info == {} and b"Camera" not in encode(picture, "JPEG")


@pytest.mark.parametrize("size, expected", [((640, 480), (320, 240)), ((1400, 1300), (175, 163))])
def test_at_least_decodes_jpeg_at_a_reduced_size(size, expected):
    data = encode(gradient(*size), "JPEG")
    assert open_image(data, at_least=160).size == expected
    assert open_image(data).size == size


@given(st.integers(1, 900), st.integers(1, 900), st.integers(1, 300))
@settings(max_examples=30, deadline=None)
def test_at_least_is_kept(width, height, at_least):
    picture = open_image(encode(Image.new("RGB", (width, height)), "JPEG"), at_least=at_least)
    assert min(picture.size) >= min(at_least, width, height)


def test_at_least_never_changes_the_callers_picture():
    lazy = Image.open(io.BytesIO(encode(gradient(640, 480), "JPEG")))
    open_image(lazy, at_least=100).paste("black", (0, 0, 50, 50))
    assert lazy.size == (640, 480) and np.asarray(lazy).max() > 200


def test_huge_pictures_are_reduced_in_bands_as_in_one_piece(monkeypatch):
    source = gradient(900, 700).convert("RGBA")
    whole = np.asarray(source.convert("RGB").reduce(3))
    monkeypatch.setattr(rgb, "WORKING_PIXELS", 300 * 234)
    picture = open_image(encode(source))
    assert picture.size == (300, 234)
    assert np.array_equal(np.asarray(picture), whole)


def test_thin_huge_pictures_are_reduced_along_their_length(monkeypatch):
    monkeypatch.setattr(rgb, "WORKING_PIXELS", 1000)
    assert open_image(encode(Image.new("RGB", (5000, 1)))).size == (1000, 1)


@pytest.mark.parametrize("shape", [(4, 5), (4, 5, 1), (4, 5, 3), (4, 5, 4)])
@pytest.mark.parametrize("kind", ["bool", "uint8", "uint16", "int64", "float32", "float64"])
def test_arrays(shape, kind):
    top = {"uint16": 65535, "bool": 1, "float32": 1, "float64": 1}.get(kind, 255)
    picture = open_image(np.full(shape, top, kind))
    assert picture.size == (5, 4) and picture.getpixel((0, 0)) == (255, 255, 255)


def test_float_arrays_of_0_to_255_are_taken_as_such():
    assert open_image(np.full((2, 2, 3), 127.6)).getpixel((0, 0)) == (128, 128, 128)


@pytest.mark.parametrize(
    "array",
    [
        np.zeros(()),
        np.zeros((0, 4, 3)),
        np.zeros((4, 4, 2)),
        np.zeros((3, 4, 4, 3)),
        np.full((2, 2), np.nan),
        np.full((2, 2), 300),
        np.full((2, 2), -1.0),
        np.array([["a"]]),
        np.zeros((2, 2), complex),
    ],
    ids=str,
)
def test_unusable_arrays(array):
    with pytest.raises(ImageError, match="array"):
        open_image(array)


@pytest.mark.parametrize(
    "name, data, said",
    [
        ("empty.jpg", b"", "empty"),
        ("words.png", b"hello, I am a text file", "not a picture"),
        ("page.jpg", b"<!DOCTYPE html><html>404", "web page"),
        ("drawing.png", b"<svg xmlns='http://www.w3.org/2000/svg'/>", "SVG"),
        ("paper.jpg", b"%PDF-1.7 ...", "PDF"),
        ("phone.jpg", b"\0\0\0\x18ftypheic\0\0\0\0mif1heic", "HEIC"),
        ("packed.jpg", b"PK\x03\x04" + bytes(40), "zip"),
        ("stub.jpg", b"\xff\xd8\xff\xe0", "torn"),
        ("other.jpg", encode(gradient(), "PPM"), "not a picture"),
        ("icon.png", encode(gradient(), "ICO"), "not a picture"),
        ("vector.jpg", b"%!PS-Adobe-3.0 EPSF-3.0\n%%BoundingBox: 0 0 9 9\n", "not a picture"),
        ("bomb.png", png_header(60_000, 60_000), "pixels"),
        ("giant.png", png_header(12_001, 10_000), "12,001 x 10,000 pixels"),
        ("nothing.png", png_header(0, 5), "torn"),
        ("cut.png", encode(gradient())[:-40], "torn"),
        ("cut.jpg", encode(gradient(200, 200), "JPEG")[:-400], "torn"),
        ("cut.webp", encode(gradient(), "WEBP")[:-40], "torn"),
        ("cut.tif", encode(gradient(), "TIFF")[:200], "torn"),
    ],
)
def test_bad_files_get_one_sentence_that_names_them(tmp_path, name, data, said):
    path = tmp_path / name
    path.write_bytes(data)
    with pytest.raises(ImageError, match=said) as caught:
        open_image(path)
    text = str(caught.value)
    assert name in text and text.endswith(".") and ":" in text and "\n" not in text
    assert isinstance(caught.value, UserError) and caught.value.said("en") == text
    korean = caught.value.said("ko")
    assert name in korean and re.search("[가-힣]", korean) and korean.endswith(".")
    with pytest.raises(ImageError, match=said) as caught:
        open_image(data)
    assert caught.value.said("ko").startswith("사진: ")


def test_a_bomb_is_refused_before_its_pixels_are_decoded(monkeypatch):
    monkeypatch.setattr(Image.Image, "load", lambda self: pytest.fail("decoded"))
    with pytest.raises(ImageError, match="120 million"):
        open_image(png_header(12_001, 10_000))


def test_files_over_the_byte_limit(monkeypatch):
    monkeypatch.setattr(images, "MAX_FILE_BYTES", 100)
    with pytest.raises(ImageError, match="MB"):
        open_image(encode(gradient()))
    with pytest.raises(ImageError, match="MB"):
        open_image(io.BytesIO(encode(gradient())))


@pytest.mark.parametrize(
    "source, said",
    [
        (None, "No picture"),
        (42, "int"),
        ("no/such/file.jpg", "There is no file"),
        ("a\0b.jpg", "There is no file"),
        (".", "folder"),
        ("/dev/zero", "ordinary file|no file"),
        ("https://example.org/cat.jpg", "web address"),
        (io.StringIO("text"), "binary"),
    ],
)
def test_unusable_sources(source, said):
    with pytest.raises(ImageError, match=said):
        open_image(source)


def test_a_pipe_is_refused_and_not_waited_for(tmp_path):
    os.mkfifo(tmp_path / "pipe.jpg")
    with pytest.raises(ImageError, match="ordinary file"):
        open_image(tmp_path / "pipe.jpg")


def test_pillow_warnings_do_not_leak_and_filters_are_left_as_they_were():
    tiff = bytearray(encode(gradient(), "TIFF"))
    tiff[-60:] = b"\xff" * 60
    with warnings.catch_warnings(record=True) as leaked:
        warnings.simplefilter("always")
        before = list(warnings.filters)
        palette = Image.new("P", (4, 4))
        palette.info["transparency"] = bytes(range(4))
        open_image(palette)
        open_image(encode(Image.new("L", (10_000, 9_500))), at_least=8)  # Pillow warns over 89 M
        try:
            open_image(bytes(tiff))
        except ImageError as error:
            assert "torn" in str(error)
        assert warnings.filters == before
    assert leaked == []


def test_many_threads_at_once():
    data, failures = encode(gradient(300, 200), "JPEG"), []
    before = list(warnings.filters)

    def work():
        for _ in range(20):
            if open_image(data, at_least=100).size != (150, 100):
                failures.append("size")

    threads = [threading.Thread(target=work) for _ in range(8)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert failures == [] and warnings.filters == before


SEEDS = [encode(gradient(24, 16), kind) for kind in FORMATS] + [
    encode(gradient(24, 16), "JPEG", progressive=True),
    encode(gradient(24, 16).convert("CMYK"), "JPEG"),
    encode(gradient(24, 16).convert("P"), "PNG", transparency=0),
    encode(Image.fromarray(np.arange(384, dtype=np.uint16).reshape(16, 24)), "PNG"),
    encode(gradient(24, 16), "TIFF", compression="tiff_lzw"),
    encode(gradient(24, 16), "TIFF", compression="jpeg"),
]


def rgb_or_image_error(data: bytes, at_least: int | None) -> None:
    try:
        picture = open_image(data, at_least=at_least)
    except ImageError as error:
        assert str(error).endswith(".")
    else:
        assert picture.mode == "RGB" and picture.width > 0 and picture.height > 0
        picture.load()


@given(st.binary(max_size=400), st.sampled_from([None, 8]))
@settings(max_examples=100, deadline=None)
def test_fuzz_random_bytes(data, at_least):
    rgb_or_image_error(data, at_least)


@given(
    st.sampled_from(SEEDS),
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=12),
    st.floats(0, 1),
    st.binary(max_size=8),
    st.sampled_from([None, 8]),
)
@settings(max_examples=400, deadline=None, suppress_health_check=[HealthCheck.too_slow])
def test_fuzz_mutated_pictures(seed, edits, cut, inserted, at_least):
    data = bytearray(seed)
    for place, value in edits:
        data[int(place * len(data))] = value
    middle = int(cut * len(data))
    rgb_or_image_error(bytes(data[:middle]) + inserted + bytes(data[middle:]), at_least)
    rgb_or_image_error(bytes(data[:middle]), at_least)


def test_list_images(tmp_path):
    inside, outside = tmp_path / "photos", tmp_path / "secret"
    for path in ["b.JPG", "a/2.png", "a/1.webp", ".hidden.png", ".cache/x.png", "notes.txt"]:
        (inside / path).parent.mkdir(parents=True, exist_ok=True)
        (inside / path).write_bytes(b"x")
    outside.mkdir()
    (outside / "private.png").write_bytes(b"x")
    (inside / "__MACOSX").mkdir()
    (inside / "__MACOSX" / "c.png").write_bytes(b"x")
    (inside / "link.png").symlink_to(outside / "private.png")
    (inside / "loop").symlink_to(inside)
    (inside / "gone.png").symlink_to(inside / "nowhere.png")
    (inside / "same.png").symlink_to(inside / "a" / "2.png")
    (inside / "dir.png").mkdir()
    found = [path.relative_to(inside).as_posix() for path in list_images(inside)]
    assert found == ["a/1.webp", "a/2.png", "b.JPG", "same.png"]
    with pytest.raises(ImageError, match="folder"):
        list_images(inside / "b.JPG")
    with pytest.raises(ImageError, match="folder"):
        list_images(tmp_path / "missing")
