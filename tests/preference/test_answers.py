"""Answers: what raters send back, and every way in which it can be wrong."""

import numpy as np
import pytest

from ceae_core.errors import CeaeError
from ceae_core.preference import answers, folder
from ceae_core.preference.sheet import Sheet


@pytest.fixture
def fill(sheet, tmp_path):
    """fill(name, choose=…, rater=…, sheet=…) -> an answers file; `choose(item)` is a position from 0 or None."""
    def make(name="answers.csv", choose=lambda item: item.position(0), rater="", of=sheet):
        path = tmp_path / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_bytes(folder.to_csv(of, {item.number: choose(item) for item in of.items}, rater).encode())
        return path
    return make


def replaced(path, before, after, count=1):
    text = path.read_bytes().decode()
    assert before in text
    path.write_bytes(text.replace(before, after, count).encode())
    return path


def test_positions_become_models(sheet, fill):
    for model in range(3):
        found = answers.read([fill(choose=lambda item, m=model: item.position(m))], sheet)
        assert found.raters == ("answers",) and (found.choices == model).all()
        assert found.counts().tolist() == [12 * (m == model) for m in range(3)]
        assert found.position_counts().tolist() == [4, 4, 4]
    first = answers.read([fill(choose=lambda item: 0)], sheet)
    assert first.position_counts().tolist() == [12, 0, 0] and first.counts().tolist() == [4, 4, 4]


def test_awkward_texts_come_back(awkward, fill):
    assert (answers.read([fill(of=awkward)], awkward).choices == 0).all()


def test_several_raters_by_file_by_column_and_by_half(sheet, fill):
    one, two = fill("ada.csv"), fill("ben.csv", choose=lambda item: item.position(1))
    found = answers.read([one, two], sheet)
    assert found.raters == ("ada", "ben") and (found.choices == [[0] * 12, [1] * 12]).all()
    both = fill("both.csv", rater="ada")
    both.write_bytes(both.read_bytes() + fill("more.csv", rater="=ben").read_bytes().split(b"\r\n", 1)[1])
    assert answers.read([both], sheet).raters == ("ada", "=ben")
    named = answers.read([fill("a/answers.csv"), fill("b/answers.csv")], sheet)
    assert len(set(named.raters)) == 2 and all(name.endswith("answers.csv") for name in named.raters)
    halves = [fill("first.csv", lambda item: 0 if item.number <= 6 else None, "ada"),
              fill("second.csv", lambda item: 1 if item.number > 6 else None, "ada")]
    for path, keep in zip(halves, (range(1, 7), range(7, 13)), strict=True):
        lines = path.read_bytes().decode().split("\r\n")
        path.write_bytes("\r\n".join([lines[0], *(lines[n] for n in keep), ""]).encode())
    assert answers.read(halves, sheet).positions.tolist() == [[0] * 6 + [1] * 6]


def test_a_file_without_the_column_rater_or_in_another_order(sheet, fill):
    path = fill()
    rows = [line.split(",") for line in path.read_bytes().decode().removeprefix("\ufeff").split("\r\n")[:-1]]
    path.write_text("".join(";".join(reversed(row[:2] + row[3:])) + "\n" for row in rows), encoding="utf-8")
    assert (answers.read([path], sheet).choices == 0).all()


def test_missing_items(sheet, fill):
    path = fill(choose=lambda item: None if item.number in (2, 5) else 0)
    with pytest.raises(CeaeError, match=r"answers.csv: answers has no answer to 2 of 12 items \(2, 5\)"):
        answers.read([path], sheet)
    found = answers.read([path], sheet, partial=True)
    assert (found.positions == answers.NONE).sum() == 2 and found.counts().sum() == 10
    assert (found.choices[found.positions == answers.NONE] == answers.NONE).all()
    lines = path.read_bytes().decode().split("\r\n")
    path.write_bytes("\r\n".join(lines[:4] + lines[-1:]).encode())
    with pytest.raises(CeaeError, match=r"10 of 12 items \(2, 4, 5, 6, 7, …\)"):
        answers.read([path], sheet)
    with pytest.raises(CeaeError, match="no answer at all"):
        answers.read([fill(choose=lambda item: None)], sheet, partial=True)


def test_duplicated_items(sheet, fill):
    path = fill()
    lines = path.read_bytes().decode().split("\r\n")
    path.write_bytes("\r\n".join([*lines[:-1], lines[3], ""]).encode())
    with pytest.raises(CeaeError, match=r"line 14: answers answers item 3 a second time \(first in .*, line 4\)"):
        answers.read([path], sheet)
    with pytest.raises(CeaeError, match="ada answers item 1 a second time"):
        answers.read([fill("a.csv", rater="ada"), fill("b.csv", rater="ada")], sheet)


def test_edited_rows(sheet, fill):
    text = sheet.items[6].texts[2]
    with pytest.raises(CeaeError, match="line 8: the candidates of item 7 are not those of the sheet"):
        answers.read([replaced(fill(), text, text + " !")], sheet)
    swapped = replaced(fill(), ",".join(sheet.items[0].texts[:2]), ",".join(sheet.items[0].texts[1::-1]))
    with pytest.raises(CeaeError, match="line 2: the candidates of item 1"):
        answers.read([swapped], sheet)


@pytest.mark.parametrize("cell", ["4", "0", "-1", "1.5", "x", "A", "1e400", "nan", "1 2"])
def test_unknown_choices(sheet, fill, cell):
    path = replaced(fill(choose=lambda item: 0), f"{sheet.id},1,,1,", f"{sheet.id},1,,{cell},")
    with pytest.raises(CeaeError, match=f"line 2: item 1 has the choice {cell!r}; choices are 1 to 3"):
        answers.read([path], sheet)


@pytest.mark.parametrize("cell", ["1.0", " 1 ", "1"])
def test_choices_as_spreadsheets_write_them(sheet, fill, cell):
    path = replaced(fill(choose=lambda item: 0), f"{sheet.id},1,,1,", f"{sheet.id},1,,{cell},")
    assert answers.read([path], sheet).positions[0, 0] == 0


def test_another_sheet(sheet, fill):
    other = Sheet.of({name: [f"{name} {i}" for i in range(12)] for name in "AB"}, 12, seed=1)
    with pytest.raises(CeaeError, match="lacks candidate 3"):
        answers.read([fill(of=other)], sheet)
    other = Sheet.of({name: [f"{name} {i} ." for i in range(12)] for name in "ABC"}, 12, seed=4)
    with pytest.raises(CeaeError, match=f"line 2: belongs to sheet {other.id}, not to {sheet.id}"):
        answers.read([fill(of=other)], sheet)


@pytest.mark.parametrize("before, after, said", [
    ("choice", "answer", "lacks choice and has the unknown 'answer'"), ("candidate 2", "b", "lacks candidate 2"),
    ("sheet,", "id,", "lacks sheet"), ("rater", "who", "has the unknown 'who'")])
def test_wrong_columns(sheet, fill, before, after, said):
    with pytest.raises(CeaeError, match=f"answers.csv: {said}"):
        answers.read([replaced(fill(), before, after)], sheet)


@pytest.mark.parametrize("number", ["13", "0", "x", "1.5", ""])
def test_unknown_items(sheet, fill, number):
    with pytest.raises(CeaeError, match=f"line 2: there is no item {number!r}; items are 1 to 12"):
        answers.read([replaced(fill(), f"{sheet.id},1,", f"{sheet.id},{number},")], sheet)


def test_not_utf8(sheet, fill):
    path = fill(rater="Zoë")
    path.write_bytes(path.read_bytes().decode("utf-8-sig").encode("latin-1"))
    with pytest.raises(CeaeError, match="answers.csv: is not UTF-8"):
        answers.read([path], sheet)


def test_written_answers_are_read_as_they_were(sheet, tmp_path):
    positions = np.arange(12) % 3
    positions[4] = answers.NONE
    given = answers.Answers(sheet, ("Model 4.1 (debiased)",), positions[None])
    path = answers.write(given, tmp_path)
    assert path.name == "answers-model-4.1-debiased.csv"
    found = answers.read([path], sheet, partial=True)
    assert found.raters == given.raters and (found.positions == given.positions).all()
