"""OpenCLIP models fetched from a small server with the hub's manners, into a cache of the test."""

import hashlib
import http.server
import json
import random
import threading

import pytest
from huggingface_hub import try_to_load_from_cache

from multimodal.clip import openclip
from multimodal.clip.openclip import hub, table
from multimodal.clip.openclip.__main__ import main
from multimodal.download import DownloadError
from multimodal.errors import UserError

NAME = "openclip:ViT-B-32/laion2b_s34b_b79k"
REPO = "laion/CLIP-ViT-B-32-laion2B-s34B-b79K"
WEIGHTS = "open_clip_model.safetensors"
BODY = random.Random(1).randbytes(200_000)
COMMIT = "1" * 40


class Hub(http.server.ThreadingHTTPServer):
    """Redirects to a store for large files, as the hub does."""

    files: dict[str, bytes]  # "owner/name/file"
    renamed: dict[str, str]
    cut_after: list[int]
    status: list[int]
    seen: list[str]
    sums = True

    @property
    def endpoint(self) -> str:
        return f"http://127.0.0.1:{self.server_address[1]}"


class Handler(http.server.BaseHTTPRequestHandler):
    def do_HEAD(self):
        self.answer()

    def do_GET(self):
        self.answer()

    def answer(self):
        server = self.server
        server.seen.append(f"{self.command} {self.path} {self.headers.get('Range', '')}".strip())
        if server.status:
            return self.send_error(server.status.pop(0))
        if self.path.startswith("/store/"):
            return self.store(server.files[self.path.removeprefix("/store/")])
        repo, _, name = self.path.strip("/").partition("/resolve/main/")
        if repo in server.renamed:
            self.send_response(307)
            self.send_header("Location", f"/{server.renamed[repo]}/resolve/main/{name}")
            self.end_headers()
            return None
        body = server.files.get(f"{repo}/{name}")
        if body is None:
            return self.send_error(404)
        if not name.endswith(".safetensors"):
            return self.store(body)
        self.send_response(302)
        self.send_header("Location", f"{server.endpoint}/store/{repo}/{name}")
        if server.sums:
            self.send_header("X-Linked-Etag", f'"{hashlib.sha256(BODY).hexdigest()}"')
            self.send_header("X-Linked-Size", str(len(BODY)))
            self.send_header("X-Repo-Commit", COMMIT)
        self.send_header("Content-Length", "0")
        self.end_headers()
        return None

    def store(self, body: bytes):
        start = int(self.headers.get("Range", "bytes=0-").removeprefix("bytes=").removesuffix("-"))
        self.send_response(206 if start else 200)
        self.send_header("Content-Length", str(len(body) - start))
        self.send_header("ETag", f'"{hashlib.sha1(body).hexdigest()}"')
        self.send_header("X-Repo-Commit", COMMIT)
        if start:
            self.send_header("Content-Range", f"bytes {start}-{len(body) - 1}/{len(body)}")
        self.end_headers()
        if self.command == "GET":
            cut = self.server.cut_after.pop(0) if self.server.cut_after else None
            self.wfile.write(body[start:][:cut])

    def log_message(self, *args):
        """Says nothing in the tests' output."""


@pytest.fixture
def server(tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path / "hub"))
    monkeypatch.delenv("HF_HUB_OFFLINE", raising=False)
    with Hub(("127.0.0.1", 0), Handler) as running:
        running.files, running.renamed = {f"{REPO}/{WEIGHTS}": BODY}, {}
        running.cut_after, running.status, running.seen = [], [], []
        monkeypatch.setenv("HF_ENDPOINT", running.endpoint)
        thread = threading.Thread(target=running.serve_forever, args=(0.01,))
        thread.start()
        yield running
        running.shutdown()
        thread.join()


def no_wait(seconds: float) -> None:
    assert 0 < seconds <= 30


def test_a_downloaded_model_is_found_by_us_and_by_the_hubs_own_library(server, tmp_path):
    assert openclip.openclip_models() == []
    reports = list(openclip.download(NAME))
    assert reports[0].done == reports[0].total == len(BODY)
    assert {report.note for report in reports} == {WEIGHTS, f"{WEIGHTS}: verifying"}
    found = hub.find(REPO, WEIGHTS)
    assert found.read_bytes() == BODY and COMMIT in found.parts
    assert try_to_load_from_cache(REPO, WEIGHTS, cache_dir=tmp_path / "hub") == str(found)
    (info,) = openclip.openclip_models()
    assert (info.name, info.source, info.note) == (NAME, "openclip", "0 MB")
    gets = [request for request in server.seen if request.startswith("GET")]
    list(openclip.download(NAME))
    assert [request for request in server.seen if request.startswith("GET")] == gets


def test_a_cut_download_resumes(server):
    server.cut_after = [50_000, 70_000]
    list(openclip.download(NAME, wait=no_wait))
    assert hub.find(REPO, WEIGHTS).read_bytes() == BODY
    ranges = [request for request in server.seen if "bytes=" in request and "/store/" in request]
    assert [request.rpartition(" ")[2] for request in ranges] == ["bytes=50000-", "bytes=120000-"]


def test_a_wrong_sum_is_refused_and_nothing_is_kept(server):
    server.files[f"{REPO}/{WEIGHTS}"] = BODY[:-1] + b"?"
    with pytest.raises(DownloadError, match=f"{WEIGHTS} of {REPO} is not the file.*try again"):
        list(openclip.download(NAME))
    assert hub.find(REPO, WEIGHTS) is None
    assert not [path for path in hub.cache_folder().rglob("*") if path.is_file()]


def test_a_torn_file_in_the_cache_is_fetched_again(server):
    list(openclip.download(NAME))
    pointer = hub.find(REPO, WEIGHTS)
    pointer.resolve().write_bytes(BODY[:1000])
    with pytest.raises(UserError, match="download or copy it again"):
        openclip.load(NAME)
    list(openclip.download(NAME))
    assert hub.find(REPO, WEIGHTS).read_bytes() == BODY


def test_a_damaged_file_in_the_cache_is_named_by_its_path(server):
    blob = hub.cache_folder() / f"models--{REPO.replace('/', '--')}" / "blobs"
    blob.mkdir(parents=True)
    damaged = blob / hashlib.sha256(BODY).hexdigest()
    damaged.write_bytes(BODY[:-1] + b"?")
    with pytest.raises(DownloadError, match=f"{damaged} is not the file .*delete it"):
        list(openclip.download(NAME))


def test_the_command(server, capsys):
    assert main([NAME]) == 0
    assert hub.find(REPO, WEIGHTS).read_bytes() == BODY
    assert main(["openclip:nothing/like-it"]) == 1
    assert "knows no model" in capsys.readouterr().err


def test_a_mirror_without_sums_is_served_too(server):
    server.sums = False
    list(openclip.download(NAME, endpoint=server.endpoint + "/"))
    assert hub.find(REPO, WEIGHTS).read_bytes() == BODY


def test_a_renamed_repository_is_followed(server):
    server.renamed[REPO] = "new/name"
    server.files = {f"new/name/{WEIGHTS}": BODY}
    list(openclip.download(NAME))
    assert hub.find(REPO, WEIGHTS).read_bytes() == BODY


def test_a_publisher_with_only_pickles_is_not_downloaded(server):
    server.files = {f"{REPO}/open_clip_pytorch_model.bin": b"pickle"}
    with pytest.raises(DownloadError, match=r"only pickle files.*ViT-B-32/laion2b_s34b_b79k@FILE"):
        list(openclip.download(NAME))
    assert not any("GET" in request for request in server.seen)


def test_the_tokenizer_comes_with_the_weights(server):
    name, repo = "openclip:ViT-B-16-SigLIP-256/webli", "timm/ViT-B-16-SigLIP-256"
    words = table.architectures()["ViT-B-16-SigLIP-256"]["text_cfg"]["hf_tokenizer_name"]
    server.files[f"{repo}/{WEIGHTS}"] = BODY
    with pytest.raises(DownloadError, match=r"offers no tokenizer\.json"):
        list(openclip.download(name))
    server.files[f"{words}/tokenizer.json"] = b"{}"
    server.files[f"{words}/tokenizer_config.json"] = json.dumps({"pad_token": "<pad>"}).encode()
    list(openclip.download(name))
    folder = hub.find(words, "tokenizer.json").parent
    assert sorted(path.name for path in folder.glob("token*.json")) == [
        "tokenizer.json",
        "tokenizer_config.json",
    ]
    assert [info.name for info in openclip.openclip_models()] == [name]


def test_weights_without_their_tokenizer_are_not_called_present(server):
    name, repo = "openclip:ViT-B-16-SigLIP-256/webli", "timm/ViT-B-16-SigLIP-256"
    server.files[f"{repo}/{WEIGHTS}"] = BODY
    list(hub.fetch(hub.inspect(repo, WEIGHTS)))
    assert openclip.openclip_models() == []
    with pytest.raises(openclip.ModelNotDownloaded, match=r"tokenizer\.json of .* is not: get it"):
        openclip.load(name)


def test_no_network_is_one_sentence(server, monkeypatch):
    monkeypatch.setenv("HF_ENDPOINT", "http://127.0.0.1:9")
    with pytest.raises(DownloadError, match=r"cannot be reached.*check the network") as caught:
        list(openclip.download(NAME))
    assert "\n" not in str(caught.value)
    server.status = [503]
    with pytest.raises(DownloadError, match=r"refused.*503.*try again"):
        list(openclip.download(NAME, endpoint=server.endpoint))


def test_offline_by_choice_is_respected(server, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    with pytest.raises(DownloadError, match="HF_HUB_OFFLINE"):
        list(openclip.download(NAME))
    assert server.seen == []


def test_what_cannot_be_downloaded_is_said(server, tmp_path):
    with pytest.raises(openclip.OpenClipError, match="nothing to download"):
        list(openclip.download(f"openclip:{tmp_path}"))
    with pytest.raises(openclip.OpenClipError, match="knows no model"):
        list(openclip.download("openclip:nothing/like-it"))


@pytest.mark.parametrize(
    ("variables", "below"),
    [
        ({"HF_HUB_CACHE": "a"}, "a"),
        ({"HF_HOME": "b"}, "b/hub"),
        ({"XDG_CACHE_HOME": "c"}, "c/huggingface/hub"),
        ({"HOME": "d"}, "d/.cache/huggingface/hub"),
    ],
)
def test_the_cache_is_where_the_library_has_it(monkeypatch, tmp_path, variables, below):
    for name in ("HF_HUB_CACHE", "HUGGINGFACE_HUB_CACHE", "HF_HOME", "XDG_CACHE_HOME"):
        monkeypatch.delenv(name, raising=False)
    for name, value in variables.items():
        monkeypatch.setenv(name, str(tmp_path / value))
    assert hub.cache_folder() == tmp_path / below


def test_a_snapshot_without_a_reference_is_found(monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_CACHE", str(tmp_path))
    path = tmp_path / "models--owner--name" / "snapshots" / COMMIT / "file.txt"
    path.parent.mkdir(parents=True)
    path.write_text("x")
    assert hub.find("owner/name", "file.txt") == path
    assert hub.find("owner/name", "other.txt") is None
