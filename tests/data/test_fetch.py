"""Whole data sets, fetched from a small server on this machine that can misbehave."""

import errno
import hashlib
import io
import shutil
import tarfile
import zipfile
from collections import namedtuple

import pytest
from flaky_server import serving

from multimodal import download as downloading
from multimodal.data.archives import FetchError, unpack
from multimodal.data.fetch import SETS, Archive, DataSet, fetch
from multimodal.download import DownloadError
from multimodal.errors import UserError


def make_zip(files: dict[str, bytes]) -> bytes:
    file = io.BytesIO()
    with zipfile.ZipFile(file, "w") as archive:
        for name, data in files.items():
            archive.writestr(name, data)
    return file.getvalue()


PHOTOS = {f"set/photos/{number}.jpg": bytes([number]) * 9_000 for number in range(40)}
BODY = make_zip({**PHOTOS, "__MACOSX/._junk": b"x"})


@pytest.fixture
def server():
    with serving(BODY, "application/zip") as running:
        yield running


@pytest.fixture
def archive(server):
    url = f"{server.url}/photos.zip"
    return Archive(url, len(BODY), 400_000, hashlib.md5(BODY).hexdigest())


def run(generator) -> list:
    return list(generator)


def no_wait(seconds: float) -> None:
    assert 0 < seconds <= 30


def assert_unpacked(out) -> None:
    for name, data in PHOTOS.items():
        assert (out / "small" / name).read_bytes() == data


def fetch_all(archive: Archive, out) -> list:
    return run(fetch("small", out, sets={"small": DataSet("small", (archive,), "")}, wait=no_wait))


def test_the_whole_way_and_nothing_twice(server, archive, tmp_path):
    reports = fetch_all(archive, tmp_path)
    assert_unpacked(tmp_path)
    assert not (tmp_path / "small" / "__MACOSX").exists()
    assert [r.note for r in reports] == [
        "photos.zip",
        "photos.zip: verifying",
        "photos.zip: recording its SHA-256",
        "photos.zip: unpacking",
    ]
    assert reports[0].done == reports[0].total == len(BODY) and reports[0].rate > 0
    record = tmp_path / "small" / "archives" / "photos.zip.sha256"
    assert record.read_text() == f"{hashlib.sha256(BODY).hexdigest()}  photos.zip\n"
    left = sorted(path.name for path in record.parent.iterdir())
    assert left == ["photos.zip", "photos.zip.sha256", "photos.zip.unpacked"]

    fetch_all(archive, tmp_path)
    (record.parent / "photos.zip").unlink()  # the user makes room
    fetch_all(archive, tmp_path)
    assert len(server.seen) == 1


def test_a_cut_connection_resumes_where_it_was_cut(server, archive, tmp_path):
    server.cut_after = [100_000, 70_000]
    notes = [report.note for report in fetch_all(archive, tmp_path)]
    assert_unpacked(tmp_path)
    assert [request.get("Range") for request in server.seen] == [
        None,
        "bytes=100000-",
        "bytes=170000-",
    ]
    assert server.seen[1]["If-Range"] == '"one"'
    assert sum("trying again" in note for note in notes) == 2


def test_a_server_without_ranges_restarts(server, archive, tmp_path):
    server.ranges, server.cut_after = False, [100_000]
    fetch_all(archive, tmp_path)
    assert_unpacked(tmp_path)


def test_a_refusal_of_the_server_is_one_sentence(server, archive, tmp_path):
    server.status = [404]
    with pytest.raises(DownloadError, match=r"404.*by hand") as caught:
        fetch_all(archive, tmp_path)
    assert "\n" not in str(caught.value)


def test_a_wrong_sum_is_refused_and_deleted(server, archive, tmp_path):
    server.body = BODY[:-1] + b"?"
    with pytest.raises(DownloadError, match="MD5"):
        fetch_all(archive, tmp_path)
    assert list((tmp_path / "small" / "archives").iterdir()) == []
    server.body = BODY
    fetch_all(archive, tmp_path)
    assert_unpacked(tmp_path)


def test_the_recorded_sum_is_checked_on_every_later_run(archive, tmp_path):
    unpublished = Archive(archive.url, archive.size, 400_000)
    fetch_all(unpublished, tmp_path)
    target = tmp_path / "small" / "archives" / "photos.zip"
    target.write_bytes(BODY[:-1] + b"?")
    with pytest.raises(DownloadError, match=r"SHA-256.*delete"):
        fetch_all(unpublished, tmp_path)
    assert target.exists()


def test_too_little_space_is_said_before_the_first_request(server, archive, tmp_path, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 0, 10**8))
    with pytest.raises(FetchError, match=r"0\.1 GB free and 0\.2 GB are needed"):
        fetch_all(archive, tmp_path)
    assert server.seen == []


@pytest.mark.parametrize("step", ["", ": unpacking"])
def test_a_full_disk_is_one_sentence_and_keeps_what_came(archive, tmp_path, monkeypatch, step):
    def full(self, done):
        if self.note == f"photos.zip{step}":
            raise OSError(errno.ENOSPC, "No space left on device")
        yield from ()

    monkeypatch.setattr(downloading.Meter, "tick", full)
    with pytest.raises(UserError, match="is full: free some space") as caught:
        fetch_all(archive, tmp_path)
    assert "\n" not in str(caught.value)
    kept = tmp_path / "small" / "archives" / ("photos.zip" if step else "photos.zip.part")
    assert kept.stat().st_size > 0
    monkeypatch.undo()
    fetch_all(archive, tmp_path)
    assert_unpacked(tmp_path)


def test_a_folder_that_cannot_be_made(archive, tmp_path):
    (tmp_path / "small").write_text("a file in the way")
    with pytest.raises(FetchError, match="cannot be written"):
        fetch_all(archive, tmp_path)


@pytest.mark.parametrize("name", ["../evil.txt", "/evil.txt", "a/../../evil.txt", "..\\evil.txt"])
def test_nothing_is_unpacked_outside_the_folder(tmp_path, name):
    folder = tmp_path / "in"
    folder.mkdir()
    (tmp_path / "a.zip").write_bytes(make_zip({"good.txt": b"1", name: b"2"}))
    with tarfile.open(tmp_path / "a.tar", "w") as tar:
        tar.addfile(tarfile.TarInfo("good.txt"))
        tar.addfile(tarfile.TarInfo(name))
    for archive in ("a.zip", "a.tar"):
        with pytest.raises(FetchError, match="outside"):
            run(unpack(tmp_path / archive, folder))
    assert list(folder.iterdir()) == []


def test_links_are_refused(tmp_path):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        link = tarfile.TarInfo("link")
        link.type, link.linkname = tarfile.SYMTYPE, "/etc"
        tar.addfile(link)
    with zipfile.ZipFile(tmp_path / "a.zip", "w") as archive:
        info = zipfile.ZipInfo("link")
        info.external_attr = 0o120777 << 16
        archive.writestr(info, "/etc")
    for name in ("a.tar.gz", "a.zip"):
        with pytest.raises(FetchError, match="link"):
            run(unpack(tmp_path / name, tmp_path))


def test_a_link_in_the_way_is_not_followed(tmp_path):
    inside, outside = tmp_path / "in", tmp_path / "out"
    inside.mkdir(), outside.mkdir()
    (inside / "set").symlink_to(outside)
    (tmp_path / "a.zip").write_bytes(BODY)
    with pytest.raises(FetchError, match="outside"):
        run(unpack(tmp_path / "a.zip", inside))
    assert list(outside.iterdir()) == []


def test_a_tar_is_unpacked(tmp_path):
    with tarfile.open(tmp_path / "a.tar.gz", "w:gz") as tar:
        member = tarfile.TarInfo("x/y.txt")
        member.size = 5
        tar.addfile(member, io.BytesIO(b"hello"))
    assert run(unpack(tmp_path / "a.tar.gz", tmp_path))[-1].done == 5
    assert (tmp_path / "x" / "y.txt").read_bytes() == b"hello"


@pytest.mark.parametrize("data", [b"", b"no archive", BODY[:100_000]])
def test_torn_archives(tmp_path, data):
    (tmp_path / "a.zip").write_bytes(data)
    with pytest.raises(FetchError, match="torn: delete it"):
        run(unpack(tmp_path / "a.zip", tmp_path))


def test_the_table():
    assert set(SETS) == {"coco", "flickr8k", "tiny-imagenet"}
    for data_set in SETS.values():
        for archive in data_set.archives:
            assert archive.url.startswith(("http://", "https://")) and archive.size > 0
            assert len(archive.md5) == 32 and archive.unpacked >= archive.size
    with pytest.raises(FetchError, match="choose one of coco, flickr8k, tiny-imagenet"):
        run(fetch("imagenet", "."))
