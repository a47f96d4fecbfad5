"""The published numbers: complete, well-formed, and reachable by the keys of the zoo."""

import shutil

import pytest

from ceae_core import zoo
from ceae_core.errors import CeaeError
from ceae_core.report import published


def test_every_row_of_the_zoo_is_printed_in_a_paper():
    for name, family in zoo.FAMILIES.items():
        for key in family.rows:
            assert key in published.rows(*published.table_of(key)), f"{name}: {key}"


def test_no_two_families_claim_one_row():
    keys = [key for family in zoo.FAMILIES.values() for key in family.rows]
    assert len(keys) == len(set(keys))


def test_table_1_is_complete():
    frame = published.load("ceae", 1)
    assert len(frame) == 14 * 2 * 4 and frame["row"].nunique() == 14
    assert published.rows("ceae", 1)[0] == "ceae:1:LSTM-LM:" and published.rows("ceae", 1)[-1] == "ceae:1:CEAE:"


def test_a_cell():
    cell = published.cell("ceae:1:BN-VAE:gamma=0.7", "Yahoo", "Rec")
    assert (cell.value, cell.unit, cell.direction, cell.bold) == (318.6, "nats/sentence", "min", False)
    assert published.cell("ceae:1:CEAE:", "Yelp", "Rec").bold
    assert "Table 1" in cell.citation and "2023" in cell.citation


@pytest.mark.parametrize("row, dataset, metric, word", [
    ("ceae:1:CEAE", "Yahoo", "Rec", "of the form"), ("ceae:7:CEAE:", "Yahoo", "Rec", "no table"),
    ("ceae:1:Nobody:", "Yahoo", "Rec", "no row 'Nobody"), ("ceae:1:CEAE:", "PTB", "Rec", "no dataset 'PTB'"),
    ("ceae:1:CEAE:", "Yahoo", "BLEU", "no metric 'BLEU'")])
def test_a_wrong_key_names_its_wrong_part(row, dataset, metric, word):
    with pytest.raises(CeaeError, match=word.replace("'Nobody", "'ceae:1:Nobody")):
        published.cell(row, dataset, metric)


@pytest.mark.parametrize("change, word", [
    (lambda t: t.replace("316.7", "many"), "not numbers"),
    (lambda t: t.replace("nats/sentence,min", "x,sideways"), "direction"),
    (lambda t: t.replace("variant", "version", 1), "columns"), (lambda t: t + t.splitlines()[-1] + "\n", "twice"),
    (lambda t: t.replace(",,,,1,0,", ",,,,2,0,"), "bold")])
def test_a_damaged_file_is_refused(tmp_path, monkeypatch, change, word):
    name = "ceae_table01_lm_lstm.csv"
    shutil.copy(published.FOLDER / name, tmp_path)
    (tmp_path / name).write_text(change((tmp_path / name).read_text(encoding="utf-8")), encoding="utf-8")
    monkeypatch.setattr(published, "FOLDER", tmp_path)
    with pytest.raises(CeaeError, match=word):
        published.load.__wrapped__("ceae", 1)


def test_all_tables_load():
    assert len(published.tables()) == 5
    for paper, table in published.tables():
        assert len(published.load(paper, table)) > 0
