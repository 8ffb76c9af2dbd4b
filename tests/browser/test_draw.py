def open_tab(page):
    page.get_by_role("tab", name="Draw").click()
    page.wait_for_selector("#draw-prompt textarea", state="visible")


def draw(page, words):
    box = page.locator("#draw-prompt textarea")
    box.fill(words)
    box.press("Enter")


def wait_until_said(page, words):
    page.wait_for_function(
        "words => document.querySelector('#draw-said').innerText.includes(words)", arg=words
    )


def test_a_prompt_grows_into_four_pictures_with_reasons(page):
    open_tab(page)
    draw(page, "a big red boat under a yellow sun at sea")
    wait_until_said(page, "of 12")  # rows that are drawn, before all are
    assert page.locator("#draw-answer img").count() == 4
    assert page.locator("#draw-answer a[download]").count() == 0
    wait_until_said(page, "Done")
    assert page.locator("#draw-answer img").count() == 4
    captions = page.locator("#draw-answer figcaption span").all_inner_texts()
    scores = [float(caption.rpartition(" ")[2]) for caption in captions]
    assert scores == sorted(scores, reverse=True)
    with page.expect_download() as download:
        page.locator("#draw-answer a[download]").first.click()
    assert download.value.suggested_filename.startswith("a-big-red-boat")
    page.wait_for_selector("#draw-tokens .cell.shown")
    page.locator("#draw-tokens .cell").nth(40).click()
    assert "Row 4, column 5" in page.locator("#draw-tokens .cellsay").inner_text()
    page.keyboard.press("ArrowDown")
    assert "Row 5, column 5" in page.locator("#draw-tokens .cellsay").inner_text()
    assert page.locator("#draw-tokens .alternative .patch").count() == 5
    page.locator("#draw-tokens .word", has_text="boat").click()
    assert page.locator("#draw-tokens .board .heat").is_visible()
    assert page.foreign == []


def test_stop_keeps_what_is_drawn(page):
    open_tab(page)
    draw(page, "two blue cats in the snow")
    wait_until_said(page, "of 12")
    page.locator("#draw-stop").click()
    wait_until_said(page, "Stopped after row")
    assert page.locator("#draw-answer img").count() == 4


def test_an_example_of_the_other_world_is_one_click_away(page):
    open_tab(page)
    page.locator("#draw-examples-dalle-photos").get_by_text("blue glacier").click()
    wait_until_said(page, "Done")
    assert "blue glacier" in page.locator("#draw-prompt textarea").input_value()
    assert page.locator("#draw-world input[value=dalle-photos]").is_checked()


def test_the_codebook_is_a_wall(page):
    open_tab(page)
    page.get_by_role("tab", name="Codebook").click()
    page.locator("#draw-wall .wall").first.hover()  # shapes; colours follow
    page.wait_for_function(
        "document.querySelector('#draw-wall').innerText.includes('of all cells')"
    )


def test_a_wrong_setting_is_said_and_the_prompt_stays(page):
    open_tab(page)
    page.locator("#draw-seed input").fill("")
    draw(page, "the sea")
    problem = page.wait_for_selector("#draw-answer .problem")
    assert "seed" in problem.inner_text()
    assert page.locator("#draw-prompt textarea").input_value() == "the sea"


def test_a_phone_needs_no_sideways_scrolling(browser, app):
    context = browser.new_context(locale="ko", viewport={"width": 390, "height": 844})
    phone = context.new_page()
    phone.goto(app)
    phone.get_by_role("tab", name="그리기").click()
    draw(phone, "바다에 노란 해 아래 커다란 빨간 배가 있다")
    phone.wait_for_selector("#draw-tokens .cell.shown")
    assert phone.evaluate("document.documentElement.scrollWidth") <= 390
    context.close()
