from pathlib import Path

import gradio

LION = Path(gradio.__file__).parent / "media_assets" / "images" / "lion.jpg"


def open_tab(page):
    page.get_by_role("tab", name="Ask").click()
    page.wait_for_selector("#ask-question textarea", state="visible")


def ask(page, words):
    box = page.locator("#ask-question textarea")
    box.fill(words)
    box.press("Enter")


def ask_about_the_lion(page):
    page.set_input_files("#ask-photo input[type=file]", str(LION))
    page.wait_for_selector("#ask-photo img")
    ask(page, "What animal is this?")
    page.wait_for_selector("#ask-looked .block[aria-pressed=true]", timeout=60_000)  # it loads


def heat(page):
    """The colour of every region in the attention map, "" where it is bare."""
    return page.eval_on_selector_all(
        "#ask-looked button.cell", "cells => cells.map(c => c.style.getPropertyValue('--heat'))"
    )


def said(page):
    return page.locator("#ask-looked .lookedsay").inner_text()


def test_a_question_gets_five_answers_with_and_without_the_photo(page):
    open_tab(page)
    ask_about_the_lion(page)
    for place in ("#ask-answer .twice > :first-child", "#ask-answer .aside"):
        shares = page.locator(f"{place} .share").all_inner_texts()
        values = [float(share.removesuffix("%").strip()) for share in shares]
        assert len(values) == 5 and values == sorted(values, reverse=True)
    first = page.locator("#ask-answer .name").first.inner_text()
    assert first in page.locator("#ask-answer .say").inner_text()
    assert f"“{first}”" in page.locator("#ask-looked h4").last.inner_text()
    assert page.foreign == []


def test_words_light_regions_and_regions_light_words(page):
    open_tab(page)
    ask_about_the_lion(page)
    of_cls = heat(page)
    assert len(set(of_cls)) > 2 and "[CLS]" in said(page)
    page.locator("#ask-looked button.piece", has_text="animal").click()
    assert heat(page) != of_cls and said(page).startswith("“animal” looks most at")

    page.locator("#ask-looked button.cell").nth(8).click()
    assert set(heat(page)) == {""} and "row 2, column 3" in said(page)
    shares = page.locator("#ask-looked button.piece .share").all_inner_texts()
    assert len(shares) == 7 and all(share.endswith("%") for share in shares)
    page.keyboard.press("ArrowDown")
    assert "row 3, column 3" in said(page)
    assert page.locator("#ask-looked button.piece .share").all_inner_texts() != shares


def test_layers_and_heads_are_stepped_through_and_clicked_in_the_diagram(page):
    open_tab(page)
    ask_about_the_lion(page)
    layer, head = page.locator("#ask-looked .now.layer"), page.locator("#ask-looked .now.head")
    assert layer.inner_text().startswith("Co-TRM 2, language")
    assert head.inner_text().startswith("mean of all")
    mean = heat(page)
    page.get_by_role("button", name="Next head").click()
    assert head.inner_text().startswith("1 of") and heat(page) != mean
    page.get_by_role("button", name="Previous layer").click()
    assert layer.inner_text().startswith("Co-TRM 2, vision")
    pressed = page.locator("#ask-looked .block[aria-pressed=true]")
    assert pressed.get_attribute("title") == layer.inner_text()

    page.get_by_role("button", name="TRM 1, vision: regions look at regions").first.click()
    assert said(page).startswith("global token looks most at") and len(set(heat(page))) > 2
    page.locator("#ask-looked button.piece", has_text="animal").click()
    assert "regions look only at regions" in said(page) and set(heat(page)) == {""}
    # the layer stays for the next question
    ask(page, "Is it day or night?")
    page.wait_for_selector("#ask-looked button.piece:has-text('night')")
    assert layer.inner_text().startswith("TRM 1, vision")


def test_an_example_and_a_suggestion_are_one_click_away(page):
    open_tab(page)
    page.locator("#ask-examples img").nth(2).click()
    page.wait_for_selector("#ask-answer .bar")
    assert page.locator("#ask-question textarea").input_value() == "Is it day or night?"
    page.locator("#ask-suggestions-photos").get_by_text("What is this?").click()
    page.wait_for_selector("#ask-looked button.piece:has-text('what')")
    assert page.locator("#ask-question textarea").input_value() == "What is this?"


def test_the_question_may_come_before_the_photo(page):
    open_tab(page)
    page.evaluate(
        """() => {
            window.problems = 0;
            const count = () => (window.problems += document.querySelectorAll(".problem").length);
            new MutationObserver(count).observe(document.body, {childList: true, subtree: true});
        }"""
    )
    page.locator("#ask-suggestions-photos").get_by_text("Where is this?").click()
    page.wait_for_function("document.querySelector('#ask-question textarea').value != ''")
    page.set_input_files("#ask-photo input[type=file]", str(LION))
    page.wait_for_selector("#ask-answer .bar", timeout=60_000)
    assert page.evaluate("window.problems") == 0


def test_a_drawn_scene_is_asked_about_in_its_own_world(page):
    open_tab(page)
    page.locator("#ask-examples img").last.click()
    page.wait_for_selector("#ask-answer .bar")
    assert page.locator("#ask-question textarea").input_value() == "what is left of the fish?"
    assert page.locator("#ask-world input[value=vilbert-toybox]").is_checked()
    page.locator("#ask-suggestions-toybox").get_by_text("여기는 어디인가요?").click()
    page.wait_for_selector("#ask-answer .name:has-text('방')")


def test_captions_blanks_and_hidden_regions(page):
    open_tab(page)
    ask_about_the_lion(page)
    page.get_by_role("tab", name="Does this caption fit?").click()
    page.locator("#ask-fit-caption textarea").fill("a lion on a rock\na boat on the sea")
    page.locator("#ask-fit-go").click()
    page.wait_for_selector("#ask-fit .bar")
    assert page.locator("#ask-fit .name").first.inner_text() == "a lion on a rock"

    page.get_by_role("tab", name="Fill the blank").click()
    page.locator("#ask-fill-caption textarea").fill("an [MASK] on a rock")
    page.locator("#ask-fill-caption textarea").press("Enter")
    page.wait_for_selector("#ask-fill .bar")
    assert page.locator("#ask-fill .bar").count() == 10

    page.get_by_role("tab", name="Hide a region").click()
    page.locator("#ask-cells .cell").nth(0).click()
    page.wait_for_selector("#ask-hide .bar")
    assert page.locator("#ask-cells .covered").count() == 4
    assert page.locator("#ask-hide .bar").count() == 5


def test_errors_are_said_and_the_question_stays(page, tmp_path):
    open_tab(page)
    ask(page, "What is this?")
    assert "no photo" in page.wait_for_selector("#ask-answer .problem").inner_text()
    torn = tmp_path / "torn.jpg"
    torn.write_bytes(LION.read_bytes()[:2000])
    page.set_input_files("#ask-photo input[type=file]", str(torn))
    page.wait_for_selector("#ask-answer .problem:has-text('torn.jpg')")
    assert page.locator("#ask-question textarea").input_value() == "What is this?"


def test_the_language_changes_in_place_and_the_answer_stays(page):
    open_tab(page)
    ask_about_the_lion(page)
    first = page.locator("#ask-answer .name").first.inner_text()
    page.get_by_label("한국어").click()
    page.wait_for_selector("#ask-answer .aside:has-text('사진을 가리면')")
    assert page.locator("#ask-answer .name").first.inner_text() == first
    assert page.locator("#ask-question textarea").input_value() == "What animal is this?"
    page.wait_for_selector("#ask-question:has-text('영어')")


def test_a_phone_needs_no_sideways_scrolling(browser, app):
    context = browser.new_context(locale="ko", viewport={"width": 390, "height": 844})
    phone = context.new_page()
    phone.goto(app)
    phone.get_by_role("tab", name="질문").click()
    phone.locator("#ask-examples img").first.click()
    phone.wait_for_selector("#ask-looked .block[aria-pressed=true]")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()
