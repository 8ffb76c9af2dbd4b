import zipfile
from pathlib import Path

import gradio

PICTURES = Path(gradio.__file__).parent / "media_assets" / "images"


def open_tab(page):
    page.get_by_role("tab", name="Search").click()
    page.wait_for_selector("#search-text textarea", state="visible")


def search(page, words):
    box = page.locator("#search-text textarea")
    box.fill(words)
    box.press("Enter")
    page.wait_for_function(
        "words => document.querySelector('#search-said').innerText.includes(words)", arg=words
    )
    page.wait_for_selector("#search-hits .thumbnail-lg, #search-hits button img")


def test_a_zip_is_indexed_searched_and_a_hit_is_clicked(page, tmp_path):
    archive = tmp_path / "photos.zip"
    with zipfile.ZipFile(archive, "w") as packed:
        for name in ("lion.jpg", "tower.jpg", "bus.png", "cheetah1.jpg"):
            packed.write(PICTURES / name, name)
        packed.writestr("torn.jpg", b"\xff\xd8\xff nothing")
    open_tab(page)
    page.locator("#search-mine button").first.click()
    page.set_input_files("#search-files input[type=file]", str(archive))
    page.wait_for_function(
        "document.querySelector('#search-files').innerText.includes('photos.zip')"
    )
    page.locator("#search-index").click()
    page.wait_for_function(
        "document.querySelector('#search-progress').innerText.includes('4 photos are searchable')"
    )
    assert "torn.jpg" in page.locator("#search-progress").inner_text()
    search(page, "a lion")
    assert page.locator("#search-hits button img").count() >= 4
    page.locator("#search-hits button img").first.click()
    page.wait_for_function("document.querySelector('#search-about').innerText.includes('lion.jpg')")
    page.locator("#search-again").click()
    page.wait_for_function(
        "document.querySelector('#search-said').innerText.includes('this photo')"
    )
    assert page.foreign == []


def test_drawn_scenes_answer_with_reasons(page):
    open_tab(page)
    search(page, "a red boat")
    page.wait_for_selector("#search-scores .histogram .hit")
    page.get_by_role("tab", name="Where the time went").click()
    page.wait_for_selector("#search-times .bar")
    page.get_by_role("tab", name="Photos against captions").click()
    page.locator("#search-compare").click()
    page.wait_for_selector("#search-matrix td.best")
    page.get_by_role("tab", name="Recall report").click()
    page.locator("#search-measure").click()
    page.wait_for_function("document.querySelector('#search-report').innerText.includes('R@10')")


def test_an_empty_query_says_what_to_do(page):
    open_tab(page)
    page.locator("#search-go").click()
    page.wait_for_function("document.querySelector('#search-said .empty') !== null")
