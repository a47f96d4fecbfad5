import pytest

from ceae_core.book.layout import Book
from ceae_core.errors import CeaeError


def test_order_is_that_of_the_table_of_contents(book):
    (book.root / "_toc.yml").write_text(
        "format: jb-book\nroot: second\nparts:\n- caption: A\n  chapters:\n  - file: b\n    sections: [{file: c}]\n"
        "- caption: B\n  chapters: [{file: first}, {url: 'https://example.org'}]\n")
    for name in ("b", "c"):
        book.write(name, "pass")
    assert book.chapters() == ["second", "b", "c", "first"]


@pytest.mark.parametrize("text", ["root: [", "[]", "parts: []", ""])
def test_malformed_table_of_contents(book, text):
    (book.root / "_toc.yml").write_text(text)
    with pytest.raises(CeaeError, match="_toc.yml"):
        book.chapters()


def test_listed_but_missing_chapter(book):
    book.contents("second", "absent")
    with pytest.raises(CeaeError, match="`absent`"):
        book.chapters()


def test_each_set_of_parameters_has_its_folder(tmp_path):
    book = Book(tmp_path)
    sets = [{}, {"scale": "smoke"}, {"seeds": [1, 2]}, {"seed": 1}, {"corpus": "../../etc"}, {"corpus": "a/b"},
            {"corpus": "x" * 200}, {"scale": "smoke", "seed": 2}]
    folders = [book.executed(parameters) for parameters in sets]
    assert len(set(folders)) == len(sets)
    assert all(folder.resolve().parent == (tmp_path / "_build" / "executed").resolve() for folder in folders)
    assert folders[0].name == "default" and folders[1].name == "scale=smoke"
