"""Photos from zips: names, limits, bombs, passwords, torn archives."""

import io
import struct
import zipfile

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from multimodal import zips
from multimodal.images import ImageError
from multimodal.zips import read_zip

PHOTO = b"\xff\xd8\xff" + bytes(range(200))


def pack(files: dict[str, bytes], method: int = zipfile.ZIP_DEFLATED) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w", method) as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()


def read(source, **options) -> dict:
    return dict(read_zip(source, **options))


@pytest.mark.parametrize("source", ["bytes", "path", "file"])
def test_photos_come_out_and_junk_does_not(tmp_path, source):
    data = pack(
        {
            "cat.jpg": PHOTO,
            "trip/day 1/sea.PNG": PHOTO,
            "notes.txt": b"hello",
            "__MACOSX/._cat.jpg": b"junk",
            "trip/.DS_Store": b"junk",
            ".hidden/dog.jpg": b"junk",
            "trip/Thumbs.db": b"junk",
        }
    )
    path = tmp_path / "photos.zip"
    path.write_bytes(data)
    given_source = {"bytes": data, "path": path, "file": io.BytesIO(data)}[source]
    assert read(given_source) == {"cat.jpg": PHOTO, "trip/day 1/sea.PNG": PHOTO}


def test_captions_can_be_asked_for():
    data = pack({"cat.jpg": PHOTO, "cat.txt": b"a cat"})
    assert read(data, suffixes={".jpg", ".txt"}) == {"cat.jpg": PHOTO, "cat.txt": b"a cat"}


@pytest.mark.parametrize(
    "name, safe",
    [
        ("../../etc/cat.jpg", "etc/cat.jpg"),
        ("/etc/cat.jpg", "etc/cat.jpg"),
        ("a/../../cat.jpg", "a/cat.jpg"),
        ("..\\cat.jpg", "cat.jpg"),
        ("C:\\Windows\\cat.jpg", "Windows/cat.jpg"),
    ],
)
def test_names_that_point_outside_are_refused(name, safe):
    found = read(pack({name: PHOTO, "good.jpg": PHOTO}))
    assert found["good.jpg"] == PHOTO
    assert isinstance(found[safe], ImageError) and "outside" in str(found[safe])


def test_names_are_unique_and_printable():
    with pytest.warns(UserWarning, match="Duplicate"):
        file = io.BytesIO()
        with zipfile.ZipFile(file, "w") as archive:
            for name in ("cat.jpg", "cat.jpg", "CAT.jpg", "line\nbreak.jpg"):
                archive.writestr(name, PHOTO)
    assert list(read(file.getvalue())) == [
        "cat.jpg",
        "cat (2).jpg",
        "CAT (3).jpg",
        "line_break.jpg",
    ]


@pytest.mark.parametrize("encoding", ["utf-8", "euc_kr"])
def test_korean_names_without_the_utf8_flag(encoding):
    raw = "고양이.jpg".encode(encoding)
    stand_in = b"x" * (len(raw) - 4) + b".jpg"
    data = pack({stand_in.decode(): PHOTO}).replace(stand_in, raw)
    assert list(read(data)) == ["고양이.jpg"]


def test_pictures_that_cannot_be_read_are_named_and_not_passed_over():
    found = read(pack({"phone.HEIC": PHOTO, "more.zip": b"PK", "cat.jpg": PHOTO}))
    assert found["cat.jpg"] == PHOTO
    assert "phone.HEIC" in str(found["phone.HEIC"]) and "save it as" in str(found["phone.HEIC"])
    assert isinstance(found["more.zip"], ImageError)


def test_one_torn_photo_does_not_cost_the_others():
    data = bytearray(pack({"a.jpg": b"A" * 500, "b.jpg": b"B" * 500}, zipfile.ZIP_STORED))
    data[data.index(b"A" * 500) + 10] ^= 0xFF
    found = read(bytes(data))
    assert found["b.jpg"] == b"B" * 500
    assert "torn" in str(found["a.jpg"])


def test_zip_bombs(monkeypatch):
    flat = bytes(9 * 2**20)
    found = read(pack({"bomb.png": flat, "good.jpg": PHOTO}))
    assert "zip bomb" in str(found["bomb.png"]) and found["good.jpg"] == PHOTO

    monkeypatch.setattr(zips, "MAX_FILE_BYTES", 100)
    assert "MB" in str(read(pack({"big.jpg": PHOTO}))["big.jpg"])
    monkeypatch.undo()
    monkeypatch.setattr(zips, "MAX_ZIP_TOTAL_BYTES", 300)
    with pytest.raises(ImageError, match="unpack"):
        read_zip(pack({"a.jpg": PHOTO, "b.jpg": PHOTO}))
    monkeypatch.undo()
    monkeypatch.setattr(zips, "MAX_ZIP_ENTRIES", 1)
    with pytest.raises(ImageError, match="lists 2 files") as caught:
        read_zip(pack({"a.jpg": PHOTO, "b.jpg": PHOTO}))
    assert "2개" in caught.value.said("ko")
    monkeypatch.undo()
    monkeypatch.setattr(zips, "MAX_ZIP_DIRECTORY_BYTES", 50)
    with pytest.raises(ImageError, match="far too many"):
        read_zip(pack({"a.jpg": PHOTO, "b.jpg": PHOTO}))


def test_a_declared_size_that_lies_reads_no_more_than_declared():
    data = bytearray(pack({"a.jpg": bytes(2**20)}))
    for signature, offset in ((b"PK\x03\x04", 22), (b"PK\x01\x02", 24)):
        struct.pack_into("<L", data, data.index(signature) + offset, 10)
    assert "torn" in str(read(bytes(data))["a.jpg"])


def locked(data: bytes) -> bytes:
    """Sets the encryption bit of the first entry, in both of its headers."""
    data = bytearray(data)
    data[data.index(b"PK\x03\x04") + 6] |= 1
    data[data.index(b"PK\x01\x02") + 8] |= 1
    return bytes(data)


def test_locked_zips():
    with pytest.raises(ImageError, match="password"):
        read_zip(locked(pack({"a.jpg": PHOTO})))
    found = read(locked(pack({"a.jpg": PHOTO, "b.jpg": PHOTO})))
    assert "password" in str(found["a.jpg"]) and found["b.jpg"] == PHOTO


def test_links_and_odd_packings_are_refused():
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        link = zipfile.ZipInfo("link.jpg")
        link.external_attr = 0o120777 << 16
        archive.writestr(link, "/etc/passwd")
        archive.writestr("a.jpg", PHOTO, zipfile.ZIP_LZMA)
    found = read(file.getvalue())
    assert "link" in str(found["link.jpg"]) and "method" in str(found["a.jpg"])


@pytest.mark.parametrize(
    "data, said",
    [
        (b"", "not a zip"),
        (b"hello", "not a zip"),
        (pack({"a.jpg": PHOTO})[:-30], "torn"),
        (pack({}), "no photos"),
        (pack({"notes.txt": b"x"}), "no photos"),
    ],
)
def test_zips_that_cannot_be_used_at_all(tmp_path, data, said):
    with pytest.raises(ImageError, match=said):
        read_zip(data)
    path = tmp_path / "class.zip"
    path.write_bytes(data)
    with pytest.raises(ImageError, match=f"class.zip.*{said}"):
        read_zip(path)


def test_a_missing_zip():
    with pytest.raises(ImageError, match="There is no file"):
        read_zip("nowhere.zip")


SEED = pack({"a.jpg": PHOTO, "b/c.png": PHOTO * 3, "d.gif": b""})


@given(
    st.lists(st.tuples(st.floats(0, 1, exclude_max=True), st.integers(0, 255)), max_size=8),
    st.floats(0.3, 1),
)
@settings(max_examples=200, deadline=None)
def test_fuzz_mutated_zips(edits, cut):
    data = bytearray(SEED)
    for place, value in edits:
        data[int(place * len(data))] = value
    for attempt in (bytes(data), bytes(data[: int(cut * len(data))])):
        try:
            for name, content in read_zip(attempt):
                assert isinstance(content, bytes | ImageError)
                assert name and ".." not in name.split("/") and not name.startswith("/")
        except ImageError as error:
            assert str(error).endswith(".")
