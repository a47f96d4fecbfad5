"""A small book built by the literal command, from another folder, without the package installed on the path."""

import os
import shutil
import subprocess
import sys
from pathlib import Path

import nbformat
import pytest
from bs4 import BeautifulSoup

from ceae_core.book.layout import here

FIGURE = {"mystnb": {"figure": {"caption": "A *curve*, see {eq}`eq-one`.", "name": "fig-curve"},
                     "image": {"alt": "A curve that rises from one to two."}}}
PLOT = "import matplotlib.pyplot as plt\n_ = plt.plot([1, 2])"


@pytest.fixture
def complete(book, tmp_path, monkeypatch):
    """The small book with the configuration and the package of this one; npm does not answer."""
    (book.root / "ceae_core" / "__init__.py").unlink()
    (book.root / "ceae_core").rmdir()
    (book.root / "ceae_core").symlink_to(here().root / "ceae_core")
    shutil.copy(here().root / "_config.yml", book.root)
    shutil.copytree(here().sources / "_assets", book.sources / "_assets")
    (book.sources / "references.bib").write_text("")
    (book.sources / "_toc.yml").symlink_to("../_toc.yml")
    book.write("second", "# Start\n\n```{math}\n:label: eq-one\nx\n```\n\n{numref}`fig-curve`", book.note("second"))
    book.write("first", "# First\n\nOld prose.", book.note("first"), PLOT, "print(scale)",
               parameters='scale = "quick"\nseeds = [1]')
    notebook = nbformat.read(book.source("first"), as_version=4)
    notebook.cells[3].metadata.update(FIGURE)
    nbformat.write(notebook, book.source("first"))
    npm = tmp_path / "bin" / "npm"
    npm.parent.mkdir()
    npm.write_text("#!/bin/sh\nexit 1\n")
    npm.chmod(0o755)
    monkeypatch.setenv("PATH", f"{npm.parent}{os.pathsep}{os.environ['PATH']}")
    monkeypatch.delenv("PYTHONPATH", raising=False)
    return book


def build(book, **environment):
    jupyter_book = Path(sys.executable).parent / "jupyter-book"
    command = [str(jupyter_book), "build", "-W", "-n", "--keep-going", str(book.sources)]
    return subprocess.run(command, cwd="/", env={**os.environ, **environment}, capture_output=True, text=True)


def page(book, name):
    return BeautifulSoup((book.build / "html" / f"{name}.html").read_text(encoding="utf-8"), "html.parser")


def test_literal_build(complete):
    done = build(complete)
    assert done.returncode == 0, done.stdout + done.stderr
    assert complete.events() == ["second", "first"]
    assert "loaded from the network when a page is read: npm could not fetch" in done.stdout
    first = page(complete, "first")
    figure = first.select_one("figure#fig-curve")
    assert figure.img["alt"] == "A curve that rises from one to two."
    assert figure.select_one(".caption-number").text.strip() == "Figure 1"
    assert figure.select_one("figcaption em").text == "curve" and "(1)" in figure.figcaption.text
    assert "quick" in first.text and "thebe" not in str(first.select("script")).lower()
    assert not first.select('a[href*="mybinder"]')

    notebook = nbformat.read(complete.source("first"), as_version=4)
    notebook.cells[1].source = "# First\n\nNew prose."
    nbformat.write(notebook, complete.source("first"))
    done = build(complete, CEAE_BOOK_PARAMETERS="{}")
    assert done.returncode == 0 and complete.events() == ["second", "first"]
    assert "New prose." in page(complete, "first").text

    done = build(complete, CEAE_BOOK_PARAMETERS='{"scale": "smoke"}')
    assert done.returncode == 0 and complete.events() == ["second", "first"] * 2
    assert 'scale = "smoke"' in page(complete, "first").text


def test_failing_chapter_fails_the_build(complete):
    complete.write("first", "1 / 0")
    done = build(complete)
    assert done.returncode != 0
    assert "chapter first, cell 1 (`1 / 0`): ZeroDivisionError: division by zero" in done.stdout + done.stderr


def test_missing_copy_and_buttons(complete):
    path = complete.root / "_config.yml"
    text = path.read_text().replace('url: ""', 'url: "https://github.com/someone/book"')
    path.write_text(text.replace("    language: en\n", "    language: en\n    ceae_execute: false\n"))
    done = build(complete)
    assert done.returncode != 0 and "no up-to-date executed copy of first" in done.stderr
    assert complete.events() == []
    assert page(complete, "first").select('a[href*="mybinder.org/v2/gh/someone/book"]')
