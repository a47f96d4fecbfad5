"""The three files: harmless in a spreadsheet, reversible, never written over, damage found."""

import csv
import io
import json
import os

import pytest

from ceae_core.errors import CeaeError
from ceae_core.preference import cells, csvfile, folder
from ceae_core.preference.sheet import Sheet


def test_cells_are_harmless_and_reversible(awkward_texts):
    for text in awkward_texts:
        cell = cells.safe(text)
        assert cells.plain(cell) == text
        assert not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n", "＝", "＋", "－", "＠"))
        if not text.startswith(cells.STARTS):
            assert cell == text


def test_the_fingerprint_sees_every_change_but_line_ends():
    assert cells.fingerprint(["a", "b"]) != cells.fingerprint(["b", "a"]) != cells.fingerprint(["ab"])
    assert cells.fingerprint(["a b"]) != cells.fingerprint(["a  b"]) != cells.fingerprint(["a b "])
    assert cells.fingerprint(["a\r\nb\rc"]) == cells.fingerprint(["a\nb\nc"])


def test_written_and_read_back(awkward, tmp_path):
    assert folder.write(awkward, tmp_path / "deep" / "sheet") == ["sheet.csv", "form.html", "key.json"]
    assert folder.load(tmp_path / "deep" / "sheet") == awkward
    text = (tmp_path / "deep" / "sheet" / "sheet.csv").read_text(encoding="utf-8")
    assert text.startswith("\ufeffsheet,item,rater,choice,candidate 1,candidate 2")
    for row in csv.reader(io.StringIO(text[1:], newline="")):
        assert all(not cell.startswith(("=", "+", "-", "@", "\t", "\r", "\n")) for cell in row)


def test_only_the_key_names_the_models(tmp_path):
    texts = {name: [f"text {i} of one" if name == "Xylophon" else f"text {i} of two" for i in range(6)]
             for name in ("Xylophon", "Zeppelin")}
    made = Sheet.of(texts, 6, 1, runs={"Xylophon": "run-4711", "Zeppelin": "run-4712"})
    folder.write(made, tmp_path)
    for name in (folder.SHEET, folder.FORM):
        content = (tmp_path / name).read_text(encoding="utf-8")
        assert not any(word in content for word in ("Xylophon", "Zeppelin", "run-471"))
    key = json.loads((tmp_path / folder.KEY).read_text(encoding="utf-8"))
    assert [m["name"] for m in key["models"]] == ["Xylophon", "Zeppelin"] and key["seed"] == 1
    assert key["items"][0]["order"] in ([0, 1], [1, 0]) and key["sheet"] == made.id


def test_the_same_sheet_again_changes_nothing_and_restores_what_is_missing(sheet, tmp_path):
    folder.write(sheet, tmp_path)
    filled = folder.to_csv(sheet, {1: 2}, "me")
    (tmp_path / folder.SHEET).write_bytes(filled.encode())
    (tmp_path / folder.FORM).unlink()
    assert folder.write(sheet, tmp_path) == [folder.FORM]
    assert (tmp_path / folder.SHEET).read_bytes() == filled.encode() and folder.load(tmp_path) == sheet
    (tmp_path / folder.SHEET).unlink()
    assert folder.write(sheet, tmp_path) == [folder.SHEET] and folder.load(tmp_path) == sheet


def test_another_sheet_or_strange_files_are_not_written_over(sheet, awkward, tmp_path):
    folder.write(sheet, tmp_path / "a")
    before = {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()}
    with pytest.raises(CeaeError, match=f"another sheet \\({sheet.id}, not {awkward.id}\\)"):
        folder.write(awkward, tmp_path / "a")
    assert {path.name: path.read_bytes() for path in (tmp_path / "a").iterdir()} == before
    (tmp_path / "b").mkdir()
    (tmp_path / "b" / "sheet.csv").write_text("mine")
    with pytest.raises(CeaeError, match="sheet.csv: is there without key.json"):
        folder.write(sheet, tmp_path / "b")
    assert [path.name for path in (tmp_path / "b").iterdir()] == ["sheet.csv"]


def test_a_kill_before_the_key_leaves_no_sheet(sheet, tmp_path, monkeypatch):
    """The key is last: without it the folder says that there is no sheet, instead of a sheet that cannot be scored."""
    original = folder.write_atomic

    def killed(path, content):
        if path.name == folder.KEY:
            raise KeyboardInterrupt
        original(path, content)
    monkeypatch.setattr(folder, "write_atomic", killed)
    with pytest.raises(KeyboardInterrupt):
        folder.write(sheet, tmp_path)
    with pytest.raises(CeaeError, match="there is no sheet here"):
        folder.load(tmp_path)


def edited(path, *changes):
    text = path.read_text(encoding="utf-8")
    for before, after in changes:
        assert before in text
        text = text.replace(before, after)
    path.write_text(text, encoding="utf-8")


def test_an_edited_sheet_is_found(sheet, tmp_path):
    folder.write(sheet, tmp_path)
    edited(tmp_path / folder.SHEET, (sheet.items[4].texts[1], "something else"))
    with pytest.raises(CeaeError, match="sheet.csv: item 5 was edited"):
        folder.load(tmp_path)
    edited(tmp_path / folder.SHEET, (f"{sheet.id},5,", f"{sheet.id},99,"))
    with pytest.raises(CeaeError, match="sheet.csv: item 5 is missing"):
        folder.load(tmp_path)


@pytest.mark.parametrize("change, said", [
    (lambda key: key["items"][0]["order"].reverse(), "does not fit the id"),
    (lambda key: key["models"][0].update(name="other"), "does not fit the id"),
    (lambda key: key.update(seed=4), "does not fit the id"),
    (lambda key: key["items"][0].update(order=[0, 0, 1]), "no permutation"),
    (lambda key: key.pop("models"), "not the key of a sheet"),
    (lambda key: key.update(format=99), "format 99, this version reads 1"),
    (lambda key: key.update(items=[]), "not the key of a sheet")])
def test_a_changed_key_is_found(sheet, tmp_path, change, said):
    folder.write(sheet, tmp_path)
    key = json.loads((tmp_path / folder.KEY).read_text(encoding="utf-8"))
    change(key)
    (tmp_path / folder.KEY).write_text(json.dumps(key), encoding="utf-8")
    with pytest.raises(CeaeError, match=said):
        folder.load(tmp_path)


@pytest.mark.parametrize("content", [b"", b"{", b"[]", b"\xff\xfe", b"null"])
def test_a_key_that_is_none(sheet, tmp_path, content):
    folder.write(sheet, tmp_path)
    (tmp_path / folder.KEY).write_bytes(content)
    with pytest.raises(CeaeError, match="key.json: not the key of a sheet"):
        folder.load(tmp_path)
    with pytest.raises(CeaeError, match="key.json: not the key of a sheet"):
        folder.write(sheet, tmp_path)


@pytest.mark.skipif(os.geteuid() == 0, reason="root may write everywhere")
def test_a_folder_that_cannot_be_written_to(sheet, tmp_path):
    (tmp_path / "locked").mkdir(mode=0o500)
    with pytest.raises(CeaeError, match="cannot be"):
        folder.write(sheet, tmp_path / "locked" / "sheet")


# CSV files -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("delimiter", [",", ";", "\t"])
@pytest.mark.parametrize("mark", ["", "\ufeff"])
@pytest.mark.parametrize("end", ["\n", "\r\n"])
def test_csv_as_spreadsheets_write_it(tmp_path, delimiter, mark, end):
    lines = [["a", " b c "], ["1", 'x "y", z'], ["", ""], ["2", "two\nlines"]]
    path = tmp_path / "t.csv"
    with path.open("w", encoding="utf-8", newline="") as file:
        file.write(mark)
        csv.writer(file, delimiter=delimiter, lineterminator=end).writerows(lines)
    header, rows = csvfile.read(path)
    assert header == ["a", "b c"]
    assert [row for _, row in rows] == [{"a": "1", "b c": 'x "y", z'}, {"a": "2", "b c": "two\nlines"}]
    assert [line for line, _ in rows] == [2, 5]


@pytest.mark.parametrize("content, said", [
    (b"", "is empty"), (b"\n\n", "is empty"), ("a,é".encode("latin-1"), "is not UTF-8 \\(byte 3\\)"),
    (b"a,b\n1\n", "line 2: has 1 cells, the header 2"), (b"a,a\n1,2\n", "two columns have the same name"),
    (b'a,b\n1,"x', "line 2: is not CSV"), ("a,b\n".encode("utf-16"), "is not UTF-8")])
def test_what_is_no_csv(tmp_path, content, said):
    (tmp_path / "t.csv").write_bytes(content)
    with pytest.raises(CeaeError, match=f"t.csv.*{said}"):
        csvfile.read(tmp_path / "t.csv")


def test_a_csv_that_is_not_there(tmp_path):
    with pytest.raises(CeaeError, match="none.csv: cannot be read"):
        csvfile.read(tmp_path / "none.csv")
    with pytest.raises(CeaeError, match="cannot be read"):
        csvfile.read(tmp_path)
