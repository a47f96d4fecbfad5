"""The rendered pages: figures with caption, number and alternative text, no trouble in outputs, links that lead on."""

import re
from functools import cache
from pathlib import Path
from urllib.parse import unquote, urldefrag

from bs4 import BeautifulSoup

from ceae_core.book.layout import here

ASSETS = {"script": "src", "link": "href", "img": "src", "iframe": "src", "source": "src", "video": "src"}


@cache
def parsed(page: Path) -> BeautifulSoup:
    return BeautifulSoup(page.read_text(encoding="utf-8"), "html.parser")


def content(page: Path):
    return parsed(page).select_one("article.bd-article")


def test_every_image_has_alternative_text(page):
    missing = [image["src"] for image in content(page).select("img") if not image.get("alt", "").strip()]
    assert not missing
    generic = [image["alt"] for image in content(page).select("img")
               if re.fullmatch(r"(\.\./)?_?images?/.*|.*\.(png|svg|jpe?g)", image["alt"].strip())]
    assert not generic


def test_every_figure_is_captioned_and_numbered(page):
    for image in content(page).select("img"):
        assert image.find_parent("figure"), f"{image['src']} stands outside of a figure"
    for figure in content(page).select("figure"):
        assert re.fullmatch(r"Figure [\d.]+", figure.select_one("figcaption .caption-number").text.strip())
        assert len(figure.select_one("figcaption .caption-text").text.split()) >= 3
        assert figure.get("id")


def test_figure_numbers_are_unique_in_the_book(page):
    numbers = [number.text for path in sorted(page.parent.glob("*.html"))
               for number in BeautifulSoup(path.read_text(encoding="utf-8"), "html.parser").select(
                   "article figure .caption-number")]
    assert len(set(numbers)) == len(numbers)


def test_outputs_hold_no_trouble(page):
    assert not content(page).select(".output.stderr, .output.traceback, .stderr, .traceback, .system-message")
    text = content(page).text
    for trouble in ("Traceback (most recent call last)", "Warning:", "papermill-error-cell", "FutureWarning"):
        assert trouble not in text


def test_no_path_of_this_machine(page):
    text = page.read_text(encoding="utf-8")
    for path in {str(here().root), str(Path.home())} - {"/"}:
        assert not re.search(re.escape(path) + r"(?![\w.-])", text)


def test_cross_references_and_citations_are_resolved(page):
    text = content(page).text
    for role in ("{numref}", "{eq}", "{cite", "{ref}", "{doc}", "```{"):
        assert role not in text
    assert not content(page).select(".problematic")


def test_local_links_lead_somewhere(page):
    for tag in parsed(page).find_all(True):
        for attribute in ("href", "src"):
            target = tag.get(attribute, "")
            if not target or re.match(r"[a-z]+:|//", target):
                continue
            path, fragment = urldefrag(target)
            file = (page.parent / unquote(path.split("?")[0])).resolve() if path else page
            assert file.exists(), f"<{tag.name} {attribute}={target}>"
            if fragment and file.suffix == ".html":
                ids = {node["id"] for node in parsed(file).find_all(id=True)}
                assert unquote(fragment) in ids, f"<{tag.name} {attribute}={target}>"


def test_nothing_is_loaded_from_the_network_when_the_assets_are_local(page):
    vendored = (page.parent / "_static" / "mathjax").is_dir()
    for name, attribute in ASSETS.items():
        for tag in parsed(page).find_all(name):
            address = tag.get(attribute, "")
            if name == "link" and "stylesheet" not in tag.get("rel", []):
                continue
            if re.match(r"(https?:)?//", address):
                assert not vendored and re.search(r"mathjax|html-manager|require", address), address


def test_every_equation_with_a_label_has_a_number(page):
    for equation in content(page).select("div.math[id]"):
        assert re.fullmatch(r"\([\d.]+\)", equation.select_one(".eqno").text.strip("\N{PILCROW SIGN}# \n"))
