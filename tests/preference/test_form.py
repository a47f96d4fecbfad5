"""The form in a browser without a network: filled by keyboard, kept over a reload, saved for `answers.read`."""

import json

import pytest

from ceae_core.preference import answers, folder, form


def test_the_content_cannot_leave_its_script(awkward):
    page = form.page(awkward)
    content = page.split('<script type="application/json" id="content">')[1].split("</script>")[0]
    read = json.loads(content)
    assert [tuple(item["texts"]) for item in read["items"]] == [item.texts for item in awkward.items]
    assert page.count("</script>") == form.files("ceae_core.preference").joinpath(form.TEMPLATE).read_text(
        encoding="utf-8").count("</script>")
    assert not any(f"{what}=\"http" in page or f"{what}='http" in page for what in ("src", "href"))


@pytest.fixture
def opened(browser, tmp_path):
    """opened(sheet, theme) -> a tab on the form of the sheet; its trouble must be none at the end."""
    contexts, trouble = [], []

    def make(sheet, theme="light", width=900):
        if not (tmp_path / folder.KEY).exists():
            folder.write(sheet, tmp_path)
        contexts.append(browser.new_context(color_scheme=theme, offline=True, accept_downloads=True,
                                            viewport={"width": width, "height": 800}))
        tab = contexts[-1].new_page()
        tab.on("console", lambda message: trouble.append(message.text)
               if message.type in ("error", "warning") else None)
        tab.on("pageerror", lambda error: trouble.append(str(error)))
        tab.on("request", lambda request: trouble.append(request.url)
               if not request.url.startswith(("file:", "blob:")) else None)
        tab.goto((tmp_path / folder.FORM).as_uri())
        return tab
    yield make
    for context in contexts:
        context.close()
    assert trouble == []


def saved(tab, path, press=True):
    with tab.expect_download() as download:
        tab.keyboard.press("s") if press else tab.get_by_role("button", name="Save answers.csv").click()
    assert download.value.suggested_filename == "answers.csv"
    download.value.save_as(path)
    return path


def question(tab):
    return tab.locator("legend").inner_text()


def test_filled_by_keyboard_kept_over_a_reload_and_read_back(opened, sheet, tmp_path):
    tab = opened(sheet)
    tab.get_by_label("Your name or a code").focus()
    tab.keyboard.type("ada s 1")
    tab.keyboard.press("Tab")
    for item in sheet.items[:5]:
        assert question(tab) == f"Item {item.number} of 12"
        tab.keyboard.press(str(item.position(1) + 1))
        tab.keyboard.press("Enter")
    tab.reload()
    assert question(tab) == "Item 6 of 12" and "5 of 12 answered" in tab.inner_text("main")
    tab.keyboard.press("Backspace")
    assert question(tab) == "Item 5 of 12"
    assert tab.locator("input[name=choice]:checked").get_attribute("value") == str(sheet.items[4].position(1) + 1)
    part = saved(tab, tmp_path / "part.csv")
    assert "7 of 12 items are still open" in tab.inner_text("#status")
    found = answers.read([part], sheet, partial=True)
    assert found.raters == ("ada s 1",) and found.counts().tolist() == [0, 5, 0]

    tab.keyboard.press("Enter")
    for item in sheet.items[5:]:
        tab.keyboard.press(str(item.position(1) + 1))
        tab.keyboard.press("Enter")
    assert "All items are answered" in tab.inner_text("#status")
    assert (answers.read([saved(tab, tmp_path / "whole.csv")], sheet).choices == 1).all()


def test_filled_by_mouse_and_arrow_keys(opened, sheet, tmp_path):
    tab = opened(sheet)
    for item in sheet.items:
        tab.get_by_text(item.texts[item.position(2)], exact=True).click()
        tab.get_by_role("button", name="Finish" if item.number == 12 else "Next", exact=True).click()
    path = saved(tab, tmp_path / "ben.csv", press=False)
    assert (answers.read([path], sheet).choices == 2).all() and answers.read([path], sheet).raters == ("ben",)
    for _ in range(11):
        tab.get_by_role("button", name="Previous").click()
    tab.keyboard.press("1")
    tab.keyboard.press("ArrowDown")
    assert tab.locator("input[name=choice]:checked").get_attribute("value") == "2"
    again = answers.read([saved(tab, tmp_path / "again.csv")], sheet)
    assert again.positions[0, 0] == 1


def test_an_open_item_is_asked_for(opened, sheet):
    tab = opened(sheet)
    tab.keyboard.press("Enter")
    assert question(tab) == "Item 1 of 12" and "Choose a sentence first" in tab.inner_text("#status")
    tab.get_by_role("button", name="Next without an answer").click()
    for _ in range(11):
        tab.keyboard.press("1")
        tab.keyboard.press("Enter")
    assert question(tab) == "Item 1 of 12" and "still open" in tab.inner_text("#status")


def test_awkward_texts_are_shown_as_they_are_and_come_back(opened, awkward, tmp_path):
    tab = opened(awkward)
    tab.get_by_label("Your name or a code").fill("=HYPERLINK(1)")
    for item in awkward.items:
        shown = [label.locator("span").nth(1).evaluate("span => span.textContent") for label in
                 tab.locator("label.candidate").all()]
        assert shown == [text or "(an empty sentence)" for text in item.texts]
        tab.locator("h1").click()
        tab.keyboard.press(str(item.position(0) + 1))
        tab.keyboard.press("Enter")
    path = saved(tab, tmp_path / "answers.csv")
    found = answers.read([path], awkward)
    assert (found.choices == 0).all() and found.raters == ("=HYPERLINK(1)",)
    assert ",\"=" not in path.read_text(encoding="utf-8")


CONTRASTS = """
    () => {
      const light = colour => colour.match(/[0-9.]+/g).slice(0, 3)
        .map(v => v / 255).map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
        .reduce((sum, v, k) => sum + v * [0.2126, 0.7152, 0.0722][k], 0);
      const ground = element => {
        const colour = getComputedStyle(element).backgroundColor;
        return colour.endsWith(", 0)") && element.parentElement ? ground(element.parentElement) : colour;
      };
      return [...document.querySelectorAll("h1, p, label, legend, span, button, input[type=text], kbd")]
        .filter(e => e.offsetParent && !e.disabled)
        .map(e => { const [a, b] = [light(getComputedStyle(e).color), light(ground(e))].sort((x, y) => y - x);
                    return [e.tagName + "#" + e.id, (a + 0.05) / (b + 0.05)]; });
    }"""


@pytest.mark.parametrize("theme", ["light", "dark"])
def test_readable_in_both_themes_labelled_and_narrow(opened, sheet, theme):
    tab = opened(sheet, theme, width=380)
    tab.keyboard.press("2")
    ratios = dict(map(tuple, tab.evaluate(CONTRASTS)))
    assert len(ratios) > 8 and all(ratio >= 4.5 for ratio in ratios.values()), ratios
    dark = tab.evaluate("getComputedStyle(document.body).backgroundColor") == "rgb(22, 24, 27)"
    assert dark == (theme == "dark")
    names = tab.evaluate("[...document.querySelectorAll('input, progress')].map(e => e.labels.length)")
    assert names and all(names)
    assert tab.locator("fieldset legend").count() == 1 and tab.evaluate("document.documentElement.lang") == "en"
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth")
    ring = tab.evaluate("getComputedStyle(document.querySelector('.candidate:focus-within')).outlineStyle")
    assert ring == "solid"


def test_without_storage_the_form_says_so_and_works(browser, sheet, tmp_path):
    folder.write(sheet, tmp_path)
    context = browser.new_context(offline=True, accept_downloads=True)
    context.add_init_script("Object.defineProperty(window, 'localStorage', { get() { throw new Error('no'); } })")
    tab = context.new_page()
    tab.goto((tmp_path / folder.FORM).as_uri())
    assert "does not keep answers" in tab.inner_text("#status")
    tab.keyboard.press("1")
    assert answers.read([saved(tab, tmp_path / "a.csv")], sheet, partial=True).position_counts().tolist() == [1, 0, 0]
    context.close()
