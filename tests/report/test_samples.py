"""Marked words, sentences side by side."""

from ceae_core.report.samples import marked, side_by_side


def test_differing_words_are_marked_and_escaped():
    cell = marked("the <unk> was good !".split(), "the tacos was good .".split())
    assert cell.html == "the <mark>&lt;unk&gt;</mark> was good <mark>!</mark>"
    assert cell.value == "the <unk> was good !"


def test_a_missing_word_leaves_a_caret_with_its_text():
    html = marked(["a", "c"], ["a", "<b>", "c"]).html
    assert "‸" in html and 'title="left out: &lt;b&gt;"' in html and html.startswith("a ") and html.endswith(" c")


def test_equal_sentences_are_not_marked():
    assert "mark" not in marked(["a", "b"], ["a", "b"]).html


def test_side_by_side():
    table = side_by_side({"one": [["a"], ["b"]], "two": [["c", "d"], ["e"]]}, 2, "c", "n")
    assert table.rows == [{"": 1, "one": "a", "two": "c d"}, {"": 2, "one": "b", "two": "e"}]
