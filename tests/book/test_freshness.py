import nbformat
import pytest

from ceae_core.book import freshness


def mark(book, chapter="first", parameters=None, record=None):
    return freshness.fingerprint(book, chapter, parameters or {}, freshness.inputs_digest(book), record or {})


def edit(book, name, change):
    notebook = nbformat.read(book.source(name), as_version=4)
    change(notebook)
    nbformat.write(notebook, book.source(name))


def test_prose_and_captions_do_not_matter_but_code_does(book):
    before = mark(book)
    edit(book, "first", lambda n: n.cells[1].update(source="# Another title"))
    edit(book, "first", lambda n: n.cells[2].metadata.update(mystnb={"image": {"alt": "a curve"}}))
    assert mark(book) == before
    edit(book, "first", lambda n: n.cells[-1].update(source="print(scale)"))
    assert mark(book) != before


@pytest.mark.parametrize("path", ["ceae_core/__init__.py", "ceae_core/tables/new.csv", "results/ptb/x.json",
                                  "requirements.txt"])
def test_shared_inputs_matter_by_content_not_by_time(book, path):
    before = mark(book)
    file = book.root / path
    file.parent.mkdir(parents=True, exist_ok=True)
    file.write_text("changed")
    after = mark(book)
    assert after != before
    file.write_text("changed")
    assert mark(book) == after


def test_caches_and_parameters(book):
    before = mark(book)
    (book.root / "ceae_core" / "__pycache__").mkdir()
    (book.root / "ceae_core" / "__pycache__" / "x.pyc").write_bytes(b"1")
    assert mark(book) == before
    assert mark(book, parameters={"scale": "smoke"}) != before


def test_only_a_chapter_that_reads_the_record_depends_on_it(book):
    book.write("second", "pass", metadata={"ceae": {"reads": "record"}})
    record = {"chapters": {"first": {"seconds": 3}, "second": {"seconds": 1}}}
    same_for_itself = {"chapters": {"first": {"seconds": 3}, "second": {"seconds": 9}}}
    assert mark(book, "first") == mark(book, "first", record=record)
    assert mark(book, "second") != mark(book, "second", record=record)
    assert mark(book, "second", record=same_for_itself) == mark(book, "second", record=record)


@pytest.mark.parametrize("content", [b"", b"{", b"\xff\xfe", b'{"cells": []}', b"[]"])
def test_an_unreadable_copy_has_no_mark(tmp_path, content):
    (tmp_path / "copy.ipynb").write_bytes(content)
    assert freshness.mark_of(tmp_path / "copy.ipynb") is None
    assert freshness.mark_of(tmp_path / "absent.ipynb") is None


def test_page_has_prose_of_the_source_and_outputs_of_the_copy():
    v4 = nbformat.v4
    source = v4.new_notebook(cells=[v4.new_markdown_cell("new prose"), v4.new_code_cell("a = 1"),
                                    v4.new_code_cell("a", metadata={"tags": ["hide-input"]})])
    injected = v4.new_code_cell("a = 2", metadata={"tags": ["injected-parameters"], "papermill": {"x": 1}})
    shown = v4.new_code_cell("a", execution_count=3, outputs=[v4.new_output("stream", text="2")])
    executed = v4.new_notebook(cells=[v4.new_markdown_cell("old prose"), v4.new_code_cell("a = 1"), injected, shown],
                               metadata={"papermill": {"input_path": "/home/me"}, "widgets": {"w": 1}})
    page = freshness.merged(source, executed)
    assert [cell.source for cell in page.cells] == ["new prose", "a = 1", "a = 2", "a"]
    assert page.cells[-1].outputs[0].text == "2" and page.cells[-1].metadata.tags == ["hide-input"]
    assert "papermill" not in nbformat.writes(page) and page.metadata.widgets == {"w": 1}
    executed.cells[-1].source = "b"
    with pytest.raises(ValueError, match="other code"):
        freshness.merged(source, executed)
