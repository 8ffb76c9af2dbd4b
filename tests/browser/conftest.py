"""A served app and a real browser."""

import pytest
from install_browser import find_browser
from playwright.sync_api import sync_playwright

CHROMIUM = [
    "--no-sandbox", "--disable-gpu", "--disable-background-networking",
    "--disable-component-update", "--disable-sync", "--no-first-run",
]  # fmt: skip


@pytest.fixture(scope="session")
def app(serve, tmp_path_factory):
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
