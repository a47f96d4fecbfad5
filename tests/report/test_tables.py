"""Tables: escaped, aligned, captioned, and downloadable without harm."""

from urllib.parse import unquote

from bs4 import BeautifulSoup

from ceae_core.report.tables import Cell, Download, Table


def page(table):
    return BeautifulSoup(table._repr_html_(), "html.parser")


def test_everything_is_escaped():
    row = {"<b>word": Cell("<unk>", title='"><i>'), "n": "<script>x</script>"}
    found = page(Table([row], "a <caption>", ["<note>"], name="<file>"))
    assert not found.find_all(["b", "i", "script", "unk", "note"])
    assert [td.text for td in found.find_all("td")] == ["<unk>", "<script>x</script>"]
    assert found.caption.text == "a <caption>" and found.th.text == "<b>word"
    assert found.a["download"] == "<file>.csv"


def test_missing_is_a_dash_and_numbers_are_formatted_and_aligned():
    rows = [{"name": "a", "x": 1.005, "n": 12345, "none": None}, {"name": "b", "x": -0.001, "n": None, "none": None}]
    found = page(Table(rows, "c", digits={"x": 1}))
    assert [td.text for td in found.find_all("td")] == ["a", "1.0", "12,345", "–", "b", "0.0", "–", "–"]
    assert [td.get("class") for td in found.find("tbody").tr.find_all("td")] == [None, ["number"], ["number"], None]
    assert page(Table([{"x": -1.25}], "c", places=2)).td.text == "−1.25"


def test_columns_are_grouped():
    head = page(Table([{"m": 1, "a | x": 1, "a | y": 2, "b | x": 3}], "c")).thead
    groups = head.find_all("th", scope="colgroup")
    assert [(th.text, th["colspan"]) for th in groups] == [("", "1"), ("a", "2"), ("b", "1")]
    assert [th.text for th in head.find_all("th", scope="col")] == ["m", "x", "y", "x"]


def test_the_download_is_the_csv_and_safe_in_a_spreadsheet():
    rows = [{"a | x": '=HYPERLINK("http://x")', "y": -1.5, "z": None}, {"a | x": "+1", "y": 2.0, "z": "ü, ö"}]
    table = Table(rows, "c", name="file")
    link = page(table).a
    assert link["download"] == "file.csv" and link["href"].startswith("data:text/csv;charset=utf-8,")
    text = unquote(link["href"].split(",", 1)[1])
    assert text.startswith("\ufeff") and text[1:] == table.csv()
    assert table.csv().splitlines() == ["a: x,y,z", "\"'=HYPERLINK(\"\"http://x\"\")\",-1.5,", "'+1,2.0,\"ü, ö\""]
    assert link["href"] == BeautifulSoup(Download(table)._repr_html_(), "html.parser").a["href"]


def test_an_empty_table_still_shows_its_caption():
    found = page(Table([], "nothing here"))
    assert found.caption.text == "nothing here" and found.td.text == "–"


def test_the_plain_text_has_all_cells():
    assert repr(Table([{"x": 1.5, "y": Cell(None, "diverged")}], "cap", ["note"])).splitlines() == [
        "cap", "x     y       ", "1.50  diverged", "note"]
