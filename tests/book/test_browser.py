"""The rendered pages in a browser without a network: both themes, formulas, widgets, no errors."""

import os
import re
from contextlib import contextmanager

import pytest

ICON_FONT = re.compile(r"\.woff2")       # not loaded from a disk; the icons are drawn by a script instead
OTHER_THEME = {"light": "dark", "dark": "light"}


@contextmanager
def opened(browser, page, theme):
    """A tab on the page; `tab.trouble` collects errors and requests that leave the machine."""
    if not (page.parent / "_static" / "mathjax").is_dir():
        pytest.skip("the book was built without local assets (no npm)")
    context = browser.new_context(color_scheme=theme, offline=True, viewport={"width": 1300, "height": 900})
    tab = context.new_page()
    tab.trouble, tab.theme = [], theme

    def note(text):
        if not ICON_FONT.search(text):
            tab.trouble.append(text)

    tab.on("console", lambda message: note(f"{message.text} {message.location}") if message.type == "error" else None)
    tab.on("pageerror", lambda error: note(str(error)))
    tab.on("requestfailed", lambda request: note(f"failed: {request.url}"))
    tab.on("request", lambda request: note(f"network: {request.url}") if request.url.startswith("http") else None)
    tab.goto(page.as_uri())
    tab.evaluate("async () => { await window.MathJax?.startup?.promise; await document.fonts.ready; }")
    yield tab
    context.close()


@pytest.fixture(params=["light", "dark"])
def tab(request, browser, page):
    with opened(browser, page, request.param) as tab:
        yield tab


@pytest.fixture(params=["light", "dark"])
def lines(request, browser, html_folder):
    """A tab on the chapter with the slider, once that is there."""
    page = html_folder / "interpolation.html"
    if not page.is_file():
        pytest.skip("the chapter on interpolation is not built (make book)")
    with opened(browser, page, request.param) as tab:
        tab.locator(".ceae-lines [role=slider]").wait_for()
        yield tab


def background(tab):
    """Perceived lightness of the page's ground, from 0 (black) to 255 (white)."""
    red, green, blue = tab.evaluate(
        "getComputedStyle(document.body).backgroundColor.match(/[0-9.]+/g).slice(0, 3).map(Number)")
    return 0.2 * red + 0.7 * green + 0.1 * blue


def test_page_in_both_themes(tab, page):
    folder = os.environ.get("CEAE_SCREENSHOTS")
    if folder:
        tab.screenshot(path=f"{folder}/{page.stem}-{tab.theme}.png", full_page=True)
    assert tab.evaluate("document.documentElement.dataset.theme") == tab.theme
    assert (background(tab) > 128) == (tab.theme == "light")
    assert tab.locator("article h1").first.is_visible()

    formulas = tab.locator("article span.math, article div.math").count()
    assert formulas == 0 or tab.locator("article mjx-container").count() >= formulas
    assert tab.locator("mjx-merror").count() == 0
    broken = "Array.from(document.querySelectorAll('article img')).filter(i => i.complete && !i.naturalWidth).length"
    assert tab.evaluate(broken) == 0
    views = tab.locator('article script[type="application/vnd.jupyter.widget-view+json"]').count()
    assert views == 0 or tab.locator("article .jupyter-widgets").count() >= views
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1")
    assert tab.trouble == []


def test_theme_button_and_narrow_screens(tab, page):
    tab.locator("button.theme-switch-button").first.click()
    for _ in range(2):      # the button goes round light, dark and automatic
        if tab.evaluate("document.documentElement.dataset.theme") == OTHER_THEME[tab.theme]:
            break
        tab.locator("button.theme-switch-button").first.click()
    assert (background(tab) > 128) == (tab.theme == "dark")
    for width in (1100, 400):       # without the right column, and as on a phone
        tab.set_viewport_size({"width": width, "height": 800})
        tab.wait_for_function("document.documentElement.scrollWidth <= window.innerWidth + 1", timeout=5000)
    assert tab.trouble == []


# the slider through interpolated sentences ---------------------------------------------------------------------------

SELECTORS = ".ceae-lines select"
CONTRAST = 4.5                          # of text and ground, asked for by WCAG 2.1 (1.4.3, level AA)
RATIO = """node => {
  const channels = colour => colour.match(/[0-9.]+/g).map(Number);
  const light = colour => channels(colour).slice(0, 3).map(v => v / 255)
    .map(v => v <= 0.03928 ? v / 12.92 : ((v + 0.055) / 1.055) ** 2.4)
    .reduce((sum, v, i) => sum + v * [0.2126, 0.7152, 0.0722][i], 0);
  let ground = node;
  while (ground.parentElement && (channels(getComputedStyle(ground).backgroundColor)[3] ?? 1) === 0)
    ground = ground.parentElement;
  const [a, b] = [getComputedStyle(node).color, getComputedStyle(ground).backgroundColor].map(light);
  return (Math.max(a, b) + 0.05) / (Math.min(a, b) + 0.05);
}"""


def decoded(tab):
    return tab.locator(".ceae-lines .ceae-lines-point strong").inner_text()


def table_of(tab):
    """(pair, λ, model) -> sentence, from the table beside the slider."""
    rows = tab.evaluate("""() => {
      const table = Array.from(document.querySelectorAll("table.ceae")).find(
        t => t.caption.textContent.includes("Every sentence that the slider shows"));
      return Array.from(table.rows).map(row => Array.from(row.cells).map(cell => cell.textContent));
    }""")
    head, *body = rows
    return {(row[0], row[2], model): text for row in body for model, text in zip(head[3:], row[3:], strict=True)}


def chosen(tab):
    """What the selectors say: pair, λ, model."""
    model, pair = (tab.locator(SELECTORS).nth(i).evaluate("e => e.selectedOptions[0].textContent") for i in (0, 1))
    return (pair.split(".")[0], tab.locator(".ceae-lines [role=slider]").get_attribute("aria-valuetext"),
            model.replace("\u00a0", " "))


def test_the_slider_by_keyboard(lines):
    """Every point shows the sentence that the table has for it."""
    table, handle = table_of(lines), lines.locator(".ceae-lines [role=slider]")
    handle.focus()
    lines.keyboard.press("Home")
    seen = []
    for step in range(11):
        assert chosen(lines)[1] == f"{step / 10:g}"
        assert decoded(lines) == table[chosen(lines)[0], f"{step / 10:.1f}", chosen(lines)[2]]
        seen.append(decoded(lines))
        lines.keyboard.press("ArrowRight")
    assert len(set(seen)) > 1
    lines.keyboard.press("ArrowLeft")
    assert chosen(lines)[1] == "0.9"
    assert lines.trouble == []


def test_the_slider_by_mouse(lines):
    """A click on the track, and a drag of the handle."""
    table, track = table_of(lines), lines.locator(".ceae-lines .noUi-target")
    track.scroll_into_view_if_needed()
    box = track.bounding_box()

    def place(share):
        return box["x"] + share * box["width"], box["y"] + box["height"] / 2

    seen = []
    for share in (0.02, 0.98):
        lines.mouse.click(*place(share))
        pair, weight, model = chosen(lines)
        assert weight == f"{round(share):g}" and decoded(lines) == table[pair, f"{round(share):.1f}", model]
        seen.append(decoded(lines))
        lines.locator(".ceae-lines .noUi-state-tap").wait_for(state="detached")     # while it glides it takes no click
    lines.mouse.move(*place(1.0))
    lines.mouse.down()
    lines.mouse.move(*place(0.3), steps=5)
    lines.mouse.up()
    assert chosen(lines)[1] == "0.3" and seen[0] != seen[1]
    assert lines.trouble == []


def test_every_pair_and_model_can_be_chosen(lines):
    table = table_of(lines)
    models, pairs = (lines.locator(SELECTORS).nth(i).evaluate("e => Array.from(e.options).map(o => o.value)")
                     for i in (0, 1))
    assert len(models) > 1 and {key[0] for key in table} == {str(n) for n in range(1, len(pairs) + 1)}
    sources = set()
    for model in models:
        for number, pair in enumerate(pairs, 1):
            lines.locator(SELECTORS).nth(0).select_option(model)
            lines.locator(SELECTORS).nth(1).select_option(pair)
            assert decoded(lines) == table[str(number), "0.5", model]
            sources.add(lines.locator(".ceae-lines q").first.inner_text())
    assert len(sources) == len(pairs)
    assert lines.trouble == []


def test_selectors_are_reached_by_tab_and_have_names(lines):
    lines.locator(SELECTORS).first.focus()
    for kind, name in (("combobox", "Model"), ("combobox", "Pair"), ("slider", "λ, the weight of the first sentence")):
        focused = lines.evaluate_handle("document.activeElement").as_element()
        assert lines.get_by_role(kind, name=name, exact=True).element_handle().evaluate(
            "(node, other) => node === other", focused), name
        lines.keyboard.press("Tab")
    assert lines.locator(".ceae-lines .ceae-lines-point[aria-live=polite]").count() == 1
    assert lines.trouble == []


def test_the_slider_is_readable(lines):
    """Contrast of every text and selector with its ground, in both themes."""
    texts = lines.locator(".ceae-lines :is(label, select, .widget-readout, p, strong, small, q)")
    ratios = {texts.nth(i).evaluate("e => e.tagName + ' ' + e.textContent.slice(0, 30)"): texts.nth(i).evaluate(RATIO)
              for i in range(texts.count()) if texts.nth(i).is_visible()}
    assert len(ratios) >= 8 and min(ratios.values()) >= CONTRAST, ratios
    track = lines.locator(".ceae-lines .noUi-handle")
    assert track.bounding_box()["width"] >= 12
    assert lines.trouble == []
