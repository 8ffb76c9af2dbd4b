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


def index_photos(page, folder):
    """Makes a gallery of four photos and a torn one."""
    archive = folder / "photos.zip"
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


def test_a_zip_is_indexed_searched_and_a_hit_is_clicked(page, tmp_path):
    index_photos(page, tmp_path)
    assert "torn.jpg" in page.locator("#search-progress").inner_text()
    search(page, "a lion")
    assert page.locator("#search-hits button img").count() >= 4
    # a hit stays one of its own gallery, whatever the menu shows by now
    page.locator("#search-gallery input").click()
    page.get_by_role("option", name="Drawn scenes").click()
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


def test_an_answer_is_told_again_in_the_other_language(page):
    open_tab(page)
    search(page, "a red boat")
    page.locator("#search-hits button img").first.click()
    page.wait_for_function("document.querySelector('#search-about h4') !== null")
    before = page.locator("#search-about ol").inner_text()
    page.locator("#language").get_by_label("한국어").check()
    for part in ("said", "scores", "about"):
        page.wait_for_function(
            f"/[가-힣]/.test(document.querySelector('#search-{part}').innerText)"
        )
    assert "a red boat" in page.locator("#search-said").inner_text()
    assert page.locator("#search-about ol").inner_text() == before


def test_the_two_stream_model_reranks_the_first_hits(page, tmp_path):
    index_photos(page, tmp_path)
    said = "document.querySelector('#search-orders').innerText"
    page.get_by_role("tab", name="Reranked by two streams").click()
    page.locator("#search-rerank").click()
    page.wait_for_function(f"{said}.includes('Search with words alone first')")
    search(page, "a lion")
    page.wait_for_function(f"{said}.trim() === ''")
    page.locator("#search-rerank").click()
    page.wait_for_selector("#search-orders ol img")
    orders = [
        [image.get_attribute("alt") for image in side.locator("img").all()]
        for side in page.locator("#search-orders ol").all()
    ]
    assert len(orders) == 2 and len(orders[0]) == 4 and sorted(orders[0]) == sorted(orders[1])
    assert "cross-attention" in page.locator("#search-orders").inner_text()
    search(page, "사자")
    page.wait_for_function(f"{said}.trim() === ''")
    page.locator("#search-rerank").click()
    page.wait_for_function(f"{said}.includes('reads English only')")


def test_an_empty_query_says_what_to_do(page):
    open_tab(page)
    page.locator("#search-go").click()
    page.wait_for_function("document.querySelector('#search-said .empty') !== null")
