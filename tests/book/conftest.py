"""Throw-away books (a table of contents and notebooks of a few cells), and the pages of the real one."""

import os
import sys
from pathlib import Path

import nbformat
import pytest

from ceae_core.book.layout import Book, here

REPOSITORY = Path(__file__).resolve().parents[2]
RUNNER = ("import sys; from pathlib import Path; from ceae_core.book import chapters, layout; "
          "chapters.here = lambda: layout.Book(Path(sys.argv[1])); sys.exit(chapters.main(sys.argv[2:]))")


class SmallBook(Book):
    """A book that tests write to; `events()` are the lines that its chapters wrote to `events.txt`."""

    def write(self, name: str, *cells: str, parameters: str | None = None, metadata: dict | None = None) -> None:
        """A notebook; a cell that starts with `#` and a blank is Markdown, `parameters` is the tagged cell."""
        kernel = {"name": "python3", "display_name": "Python 3", "language": "python"}
        notebook = nbformat.v4.new_notebook(metadata={"kernelspec": kernel, **(metadata or {})})
        if parameters is not None:
            notebook.cells.append(nbformat.v4.new_code_cell(parameters, metadata={"tags": ["parameters"]}))
        notebook.cells += [nbformat.v4.new_markdown_cell(text) if text.startswith("# ") else
                           nbformat.v4.new_code_cell(text) for text in cells]
        nbformat.write(notebook, self.source(name))

    def contents(self, *names: str) -> None:
        entries = "".join(f"  - file: {name}\n" for name in names[1:])
        (self.root / "_toc.yml").write_text(f"format: jb-book\nroot: {names[0]}\n" +
                                            (f"chapters:\n{entries}" if entries else ""))

    def events(self) -> list[str]:
        path = self.root / "events.txt"
        return path.read_text().split() if path.exists() else []

    def command(self, *arguments: str) -> list[str]:
        """The command line of the runner, for this book."""
        return [sys.executable, "-c", RUNNER, str(self.root), *arguments]

    @staticmethod
    def note(word: str) -> str:
        """Code that appends `word` to the events (kernels start in `book/`)."""
        return f"with open('../events.txt', 'a') as file:\n    file.write('{word}\\n')"

    @staticmethod
    def environment(**more: str) -> dict[str, str]:
        return {**os.environ, "PYTHONPATH": str(REPOSITORY), **more}


@pytest.fixture
def book(tmp_path: Path) -> SmallBook:
    """Two chapters, `second` before `first`, and a package with one constant."""
    book = SmallBook(tmp_path)
    book.sources.mkdir()
    (tmp_path / "ceae_core").mkdir()
    (tmp_path / "ceae_core" / "__init__.py").write_text("VALUE = 1\n")
    book.write("second", "# Second", book.note("second"), "import ceae_core\nceae_core.VALUE")
    book.write("first", "# First", book.note("first"), "print(scale, seeds)", parameters='scale = "quick"\nseeds = [1]')
    book.contents("second", "first")
    return book


def html_folder() -> Path:
    """Where the rendered pages are: `_build/html`, or the folder that CEAE_HTML names."""
    named = os.environ.get("CEAE_HTML")
    return Path(named).resolve() if named else here().build / "html"


def pytest_generate_tests(metafunc):
    """`page` runs over the rendered pages.

    When CEAE_HTML is set, a chapter without a page is a failure; otherwise the tests are skipped without a built book.
    """
    if "page" in metafunc.fixturenames:
        named, folder = os.environ.get("CEAE_HTML"), html_folder()
        pages = [folder / f"{name}.html" for name in here().chapters()]
        pages = [path for path in pages if named or path.is_file()]
        skip = pytest.mark.skip(reason="the book is not built (make book)")
        metafunc.parametrize("page", pages or [pytest.param(folder / "intro.html", marks=skip)], ids=lambda p: p.stem)


@pytest.fixture(scope="session", name="html_folder")
def folder_of_pages() -> Path:
    return html_folder()
