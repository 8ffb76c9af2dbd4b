"""Downloads against a small server on this machine that can misbehave."""

import errno
import hashlib
import itertools
import random
import shutil
import threading
from collections import namedtuple

import pytest
from flaky_server import serving

from multimodal import download as downloading
from multimodal.download import DownloadError, download

BODY = random.Random(0).randbytes(300_000)
SHA256 = hashlib.sha256(BODY).hexdigest()


@pytest.fixture
def server():
    with serving(BODY) as running:
        yield running


@pytest.fixture
def url(server):
    return f"{server.url}/model.safetensors"


@pytest.fixture
def target(tmp_path):
    return tmp_path / "deep" / "model.safetensors"


def no_wait(seconds: float) -> None:
    assert 0 < seconds <= 30


def left(target) -> list[str]:
    return sorted(path.name for path in target.parent.iterdir())


def test_the_whole_way_and_nothing_twice(server, url, target):
    reports = list(download(url, target, sha256=SHA256, size=len(BODY)))
    assert target.read_bytes() == BODY and left(target) == [target.name]
    assert reports[0].done == reports[0].total == len(BODY) and reports[0].rate > 0
    assert [r.note for r in reports] == [target.name, f"{target.name}: verifying"]
    list(download(url, target, sha256=SHA256))
    assert len(server.seen) == 1


@pytest.mark.parametrize("sha256", [SHA256, None])
def test_a_cut_connection_resumes_where_it_was_cut(server, url, target, sha256):
    server.cut_after = [100_000, 70_000]
    notes = [r.note for r in download(url, target, sha256=sha256, wait=no_wait)]
    assert target.read_bytes() == BODY
    assert [request.get("Range") for request in server.seen] == [
        None,
        "bytes=100000-",
        "bytes=170000-",
    ]
    assert server.seen[1]["If-Range"] == '"one"'
    assert sum("trying again" in note for note in notes) == 2


def test_a_stopped_download_resumes_in_the_next_run(server, url, target, monkeypatch):
    monkeypatch.setattr(downloading, "TICK", 0)
    monkeypatch.setattr(downloading, "BLOCK", 50_000)
    steps = download(url, target, sha256=SHA256)
    list(itertools.islice(steps, 2))
    steps.close()  # the Stop button
    part = target.with_name(target.name + ".part")
    have = part.stat().st_size
    assert 50_000 <= have < len(BODY)
    assert left(target) == [part.name, f"{part.name}.json"]
    first = next(iter(download(url, target, sha256=SHA256)))
    assert first.done > have
    list(download(url, target, sha256=SHA256))
    assert server.seen[1]["Range"] == f"bytes={have}-"
    assert target.read_bytes() == BODY


def test_a_generator_may_be_resumed_from_another_thread(url, target, monkeypatch):
    monkeypatch.setattr(downloading, "TICK", 0)
    monkeypatch.setattr(downloading, "BLOCK", 50_000)
    steps = download(url, target, sha256=SHA256)
    next(steps)
    thread = threading.Thread(target=lambda: list(steps))
    thread.start()
    thread.join()
    assert target.read_bytes() == BODY and left(target) == [target.name]


def test_two_downloads_of_one_file_do_not_mix(url, target, monkeypatch):
    monkeypatch.setattr(downloading, "TICK", 0)
    monkeypatch.setattr(downloading, "BLOCK", 50_000)
    first = download(url, target)
    next(first)
    with pytest.raises(DownloadError, match="being downloaded already"):
        list(download(url, target))
    list(first)
    assert target.read_bytes() == BODY


def test_a_server_without_ranges_restarts(server, url, target):
    server.ranges, server.cut_after = False, [100_000]
    list(download(url, target, sha256=SHA256, wait=no_wait))
    assert target.read_bytes() == BODY


def test_a_file_that_changed_on_the_server_restarts(server, url, target):
    target.parent.mkdir()
    part = target.with_name(target.name + ".part")
    part.write_bytes(b"old" * 1000)
    part.with_name(part.name + ".json").write_text(
        f'{{"url": "{url}", "validator": "\\"zero\\"", "total": 9}}'
    )
    list(download(url, target, wait=no_wait))
    assert server.seen[0]["If-Range"] == '"zero"'
    assert target.read_bytes() == BODY


def test_without_validator_and_sum_a_part_is_not_trusted(server, url, target):
    server.etag = ""
    target.parent.mkdir()
    target.with_name(target.name + ".part").write_bytes(b"?" * 1000)
    list(download(url, target, wait=no_wait))
    assert "Range" not in server.seen[0]
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("extra", [b"", b"more"])
def test_a_complete_or_overlong_part(url, target, extra):
    target.parent.mkdir()
    target.with_name(target.name + ".part").write_bytes(BODY + extra)
    list(download(url, target, sha256=SHA256, wait=no_wait))
    assert target.read_bytes() == BODY


@pytest.mark.parametrize("name", ["sha256", "md5"])
def test_a_wrong_sum_is_refused_and_deleted(url, target, name):
    digest = hashlib.new(name, BODY + b"?").hexdigest()
    with pytest.raises(DownloadError, match=f"should be {digest}"):
        list(download(url, target, **{name: digest}))
    assert left(target) == []


def test_a_right_md5_and_the_first_digits_of_a_sum_are_accepted(url, target):
    md5 = hashlib.md5(BODY).hexdigest().upper()
    list(download(url, target, md5=md5, sha256=SHA256[:8]))
    assert target.read_bytes() == BODY


def test_without_a_sum_the_size_is_checked(url, target):
    with pytest.raises(DownloadError, match="300000 bytes and should have 9"):
        list(download(url, target, size=9))
    assert left(target) == []


def test_a_damaged_file_that_is_there_is_named_and_kept(server, url, target):
    target.parent.mkdir()
    target.write_bytes(BODY[:-1])
    with pytest.raises(DownloadError, match="delete it, then try again"):
        list(download(url, target, sha256=SHA256))
    assert target.exists() and server.seen == []


def test_errors_of_the_server_are_retried_and_refusals_are_not(server, url, target):
    server.status = [503, 500]
    list(download(url, target, wait=no_wait))
    assert len(server.seen) == 3
    target.unlink()
    for status, cure in ((404, "by hand"), (401, "accepted licence")):
        server.status = [status]
        with pytest.raises(DownloadError, match=f"{status}.*{cure}"):
            list(download(url, target, wait=no_wait))
    assert len(server.seen) == 5


def test_no_network_is_one_sentence_after_several_attempts(target):
    waits = []
    with pytest.raises(DownloadError, match="check the network") as caught:
        list(download("http://127.0.0.1:9/model", target, wait=waits.append))
    assert waits == [1, 2, 4, 8, 16] and "\n" not in str(caught.value)


def test_a_login_page_is_not_taken_for_the_file(server, url, target):
    server.content_type = "text/html; charset=utf-8"
    with pytest.raises(DownloadError, match="web page"):
        list(download(url, target))
    assert left(target) == []


def test_a_token_does_not_follow_a_redirect_to_another_host(server, target):
    headers = {"Authorization": "Bearer secret", "X-Kind": "weights"}
    with serving(BODY) as other:
        server.elsewhere = f"{other.url}/blob"
        list(download(f"{server.url}/moved", target, sha256=SHA256, headers=headers))
    assert server.seen[0]["Authorization"] == "Bearer secret"
    assert "Authorization" not in other.seen[0] and other.seen[0]["X-Kind"] == "weights"
    assert target.read_bytes() == BODY


def test_too_little_space_is_said_before_anything_is_written(url, target, monkeypatch):
    usage = namedtuple("usage", "total used free")
    monkeypatch.setattr(shutil, "disk_usage", lambda path: usage(10**9, 0, 10**8))
    with pytest.raises(DownloadError, match=r"0\.1 GB free and 0\.2 GB are needed"):
        list(download(url, target))
    assert left(target) == []


def test_a_full_disk_is_one_sentence_and_keeps_what_came(url, target, monkeypatch):
    def full(self, done):
        raise OSError(errno.ENOSPC, "No space left on device")
        yield

    monkeypatch.setattr(downloading.Meter, "tick", full)
    with pytest.raises(DownloadError, match="is full: free some space") as caught:
        list(download(url, target, sha256=SHA256))
    assert "\n" not in str(caught.value)
    assert target.with_name(target.name + ".part").stat().st_size > 0
    monkeypatch.undo()
    list(download(url, target, sha256=SHA256))
    assert target.read_bytes() == BODY


def test_a_folder_that_cannot_be_made(url, tmp_path):
    (tmp_path / "file").write_text("in the way")
    with pytest.raises(DownloadError, match="cannot be written"):
        list(download(url, tmp_path / "file" / "model"))
