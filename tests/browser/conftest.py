"""A served app and a real browser."""

import contextlib
import os
import socket
import subprocess
import sys
import time
import urllib.request
from pathlib import Path

import pytest
from playwright.sync_api import sync_playwright

ROOT = Path(__file__).resolve().parents[2]
sys.path.insert(0, str(ROOT / "tests"))
from install_browser import find_browser  # noqa: E402

CHROMIUM = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
]  # fmt: skip


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return probe.getsockname()[1]


@contextlib.contextmanager
def serve(folder: Path, *flags: str):
    """Runs `python app.py` until the block ends; yields (address, seconds to the first page)."""
    port = free_port()
    url = f"http://127.0.0.1:{port}/"
    log = (folder / "app.log").open("w")
    started = time.monotonic()
    process = subprocess.Popen(
        [sys.executable, "app.py", "--port", str(port), "--data", str(folder), *flags],
        cwd=ROOT,
        stdout=log,
        stderr=subprocess.STDOUT,
        env={**os.environ, "NO_PROXY": "*"},
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
def app(tmp_path_factory):
    with serve(tmp_path_factory.mktemp("app")) as (url, _):
        yield url


@pytest.fixture(scope="session")
def browser():
    with sync_playwright() as playwright:
        chromium = playwright.chromium.launch(executable_path=find_browser(), args=CHROMIUM)
        yield chromium
        chromium.close()


@pytest.fixture
def page(browser, app):
    """The page in English; `page.foreign` lists requests that left this machine."""
    context = browser.new_context(locale="en", viewport={"width": 1366, "height": 900})
    opened = context.new_page()
    opened.foreign = []
    opened.on(
        "request",
        lambda r: (
            opened.foreign.append(r.url) if not r.url.startswith((app, "data:", "blob:")) else None
        ),
    )
    opened.goto(app)
    opened.wait_for_selector("#classify-photo")
    yield opened
    context.close()
