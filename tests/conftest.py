"""Pieces that many tests share: tiny models made on the spot, and a served app."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
import torch

from multimodal import checkpoint
from multimodal.clip.dual import DualEncoderClip
from multimodal.clip.model import ClipConfig, DualEncoder
from multimodal.text.encoder import TextConfig
from multimodal.text.tokenizer import TextTokenizer, train_wordpiece
from multimodal.vilbert.config import VilbertConfig, VisionConfig
from multimodal.vilbert.model import Vilbert

ROOT = Path(__file__).resolve().parent.parent
WORDS = (
    "a photo of a red boat",
    "a big blue house under a yellow sun",
    "the cat sits on the green chair",
    "빨간 배 사진",
    "노란 해 아래 파란 집",
)


@pytest.fixture(scope="session")
def tiny_tokenizer() -> TextTokenizer:
    return TextTokenizer(train_wordpiece(WORDS, 200), 32)


@pytest.fixture(scope="session")
def tiny_config(tiny_tokenizer) -> ClipConfig:
    text = TextConfig(
        vocab_size=tiny_tokenizer.vocab_size, width=32, layers=2, heads=4, hidden=64, max_tokens=32
    )
    return ClipConfig(
        image_tower="conv",
        image_width=8,
        image_size=32,
        embed_dim=24,
        head_hidden=32,
        text=text,
    )


@pytest.fixture
def tiny_encoder(tiny_config) -> DualEncoder:
    torch.manual_seed(0)
    return DualEncoder(tiny_config)


@pytest.fixture
def tiny_folder(tmp_path, tiny_encoder, tiny_config, tiny_tokenizer):
    """A whole checkpoint folder of a tiny CLIP model."""
    folder = tmp_path / "clip-tiny"
    checkpoint.save(
        folder,
        "clip",
        tiny_config,
        tiny_encoder.state_dict(),
        tokenizer=tiny_tokenizer.to_json(),
        card="# tiny\n",
    )
    return folder


@pytest.fixture
def tiny_clip(tiny_folder) -> DualEncoderClip:
    return DualEncoderClip.load(tiny_folder)


@pytest.fixture(scope="session")
def tiny_vilbert_config(tiny_tokenizer) -> VilbertConfig:
    return VilbertConfig(
        text=TextConfig(
            vocab_size=tiny_tokenizer.vocab_size,
            width=16,
            layers=3,
            heads=2,
            hidden=32,
            max_tokens=32,
        ),
        vision=VisionConfig(width=24, layers=2, heads=2, hidden=32),
        co_text=(1, 3),
        co_vision=(1, 2),
        co_width=8,
        co_heads=2,
        fusion_width=16,
        image_tower="conv",
        image_width=4,
        image_size=32,
        rows=4,
        columns=4,
        region_features=32,
        concepts=("sky", "boat", "house"),
        answers=("no", "yes", "red", "blue", "2", "boat"),
        languages=("en", "ko"),
    )


@pytest.fixture
def tiny_vilbert_folder(tmp_path, tiny_vilbert_config, tiny_tokenizer):
    """A whole checkpoint folder of a tiny two-stream model."""
    torch.manual_seed(0)
    folder = tmp_path / "vilbert-tiny"
    checkpoint.save(
        folder,
        "vilbert",
        tiny_vilbert_config,
        Vilbert(tiny_vilbert_config).state_dict(),
        tokenizer=tiny_tokenizer.to_json(),
    )
    return folder


def _free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def run_app(folder: Path, *flags: str, **environment: str):
    """Runs `python app.py` until the block ends; yields (address, seconds to the first page)."""
    port = _free_port()
    url = f"http://127.0.0.1:{port}/"
    log = (folder / "app.log").open("w")
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port), "--data", str(folder), *flags],
        cwd=ROOT,
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**os.environ, "NO_PROXY": "*", **environment},
    )
    try:
        while True:
            try:
                with urllib.request.urlopen(url, timeout=5) as answer:
                    answer.read()
                break
            except OSError:
                assert process.poll() is None, (folder / "app.log").read_text()
                assert time.monotonic() - started < 120, "the page was not served"
                time.sleep(0.1)
        yield url, time.monotonic() - started
    finally:
        process.terminate()
        process.wait(20)
        log.close()


@pytest.fixture(scope="session")
def serve():
    """`run_app`, for tests in other folders."""
    return run_app
