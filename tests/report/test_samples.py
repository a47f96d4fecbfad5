"""Marked words, word errors."""

import pytest

from ceae_core.report.samples import _edits, marked, side_by_side


def test_differing_words_are_marked_and_escaped():
    cell = marked("the <unk> was good !".split(), "the tacos was good .".split())
    assert cell.html == "the <mark>&lt;unk&gt;</mark> was good <mark>!</mark>"
    assert cell.value == "the <unk> was good !"


def test_a_missing_word_leaves_a_caret_with_its_text():
    html = marked(["a", "c"], ["a", "<b>", "c"]).html
    assert "‸" in html and 'title="left out: &lt;b&gt;"' in html and html.startswith("a ") and html.endswith(" c")


def test_equal_sentences_are_not_marked():
    assert "mark" not in marked(["a", "b"], ["a", "b"]).html


@pytest.mark.parametrize("made, original, edits", [
    ("", "a b", 2), ("a b", "", 2), ("a b c", "a c", 1), ("x b c", "a b c", 1), ("b a", "a b", 2)])
def test_edit_distance(made, original, edits):
    assert _edits(made.split(), original.split()) == edits


def test_side_by_side():
    table = side_by_side({"one": [["a"], ["b"]], "two": [["c", "d"], ["e"]]}, 2, "c", "n")
    assert table.rows == [{"": 1, "one": "a", "two": "c d"}, {"": 2, "one": "b", "two": "e"}]
