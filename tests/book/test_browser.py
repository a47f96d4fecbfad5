"""The rendered pages in a browser without a network: both themes, formulas, widgets, no errors."""

import os
import re
import shutil

import pytest

CHROMIUM = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
ICON_FONT = re.compile(r"\.woff2")       # not loaded from a disk; the icons are drawn by a script instead
OTHER_THEME = {"light": "dark", "dark": "light"}

pytestmark = pytest.mark.skipif(CHROMIUM is None, reason="no chromium on this machine")


@pytest.fixture(scope="module")
def browser():
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=CHROMIUM, args=["--no-sandbox"])
        yield browser
        browser.close()


@pytest.fixture(params=["light", "dark"])
def tab(request, browser, page):
    """A tab on the page; `tab.trouble` collects errors and requests that leave the machine."""
    if not (page.parent / "_static" / "mathjax").is_dir():
        pytest.skip("the book was built without local assets (no npm)")
    context = browser.new_context(color_scheme=request.param, offline=True, viewport={"width": 1300, "height": 900})
    tab = context.new_page()
    tab.trouble, tab.theme = [], request.param

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


def test_theme_button_and_narrow_screen(tab, page):
    tab.locator("button.theme-switch-button").first.click()
    for _ in range(2):      # the button goes round light, dark and automatic
        if tab.evaluate("document.documentElement.dataset.theme") == OTHER_THEME[tab.theme]:
            break
        tab.locator("button.theme-switch-button").first.click()
    assert (background(tab) > 128) == (tab.theme == "dark")
    tab.set_viewport_size({"width": 400, "height": 800})
    assert tab.evaluate("document.documentElement.scrollWidth <= window.innerWidth + 1")
    assert tab.trouble == []
