from pathlib import Path

import gradio

LION = Path(gradio.__file__).parent / "media_assets" / "images" / "lion.jpg"


def set_labels(page, *labels):
    box = page.locator("#classify-labels input")
    page.locator("#classify-labels .icon-wrap, #classify-labels [aria-label='Clear']").first.click()
    for label in labels:
        box.fill(label)
        box.press("Enter")


def test_a_photo_is_uploaded_and_named(page):
    page.set_input_files("#classify-photo input[type=file]", str(LION))
    page.wait_for_selector("#classify-answer .bar .fill")
    first = page.locator("#classify-answer .bar:not(.barhead) .name").first.inner_text()
    shares = page.locator("#classify-answer .bar:not(.barhead) .share").all_inner_texts()
    values = [float(share.removesuffix("%").strip()) for share in shares]
    assert first in ("cat", "lion") and values == sorted(values, reverse=True)
    page.wait_for_selector("#classify-where .heat")
    assert page.locator("#classify-where figure").count() == 5
    assert page.foreign == []


def test_an_example_is_one_click_away(page):
    page.locator("#classify-examples img").last.click()  # a drawn room with cats
    page.wait_for_function(
        "document.querySelector('#classify-answer').innerText.includes('clip-toybox')"
    )
    first = page.locator("#classify-answer .bar:not(.barhead) .name").first.inner_text()
    assert first in ("cat", "fish", "umbrella")


def test_language_changes_in_place_and_the_answer_stays(page):
    page.set_input_files("#classify-photo input[type=file]", str(LION))
    page.wait_for_selector("#classify-answer .bar .fill")
    page.get_by_label("한국어").click()
    page.wait_for_function("document.querySelector('#head h1').innerText.includes('교실')")
    page.wait_for_function(
        "[...document.querySelectorAll('#classify-answer .name')]"
        ".some(e => e.innerText == '고양이')"
    )
    assert page.locator("#classify-photo img").count() >= 1


def test_a_torn_photo_gets_one_sentence(page, tmp_path):
    torn = tmp_path / "torn.jpg"
    torn.write_bytes(LION.read_bytes()[:2000])
    page.set_input_files("#classify-photo input[type=file]", str(torn))
    problem = page.wait_for_selector("#classify-answer .problem")
    assert "torn.jpg" in problem.inner_text() and "Traceback" not in page.content()


def test_a_phone_needs_no_sideways_scrolling(browser, app):
    context = browser.new_context(locale="en", viewport={"width": 390, "height": 844})
    phone = context.new_page()
    phone.goto(app)
    phone.wait_for_selector("#classify-photo")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()
