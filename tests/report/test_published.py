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


@pytest.mark.parametrize("table, rows", [(1, 10), (2, 7), (3, 4), (7, 2)])
def test_tables_of_the_second_paper_are_complete(table, rows):
    frame = published.load("clvm", table)
    assert len(frame) == rows * 5 * frame["dataset"].nunique() and frame["row"].nunique() == rows
    assert list(dict.fromkeys(frame["metric"])) == ["-ELBO", "PPL", "KL", "MI", "AU"]
    assert dict(zip(frame["metric"], frame["direction"], strict=True)) == {
        "-ELBO": "min", "PPL": "min", "KL": "max", "MI": "max", "AU": "max"}


def test_tables_that_repeat_a_model_repeat_its_numbers():
    """What Tables 3 and 7 call the default is the row of Table 1."""
    for one, other in (("clvm:1:cVAE:", "clvm:3:cVAE:contrast_on=z"),
                       ("clvm:1:cVAE_MI:", "clvm:3:cVAE_MI:contrast_on=z"),
                       ("clvm:1:cVAE+_MI:", "clvm:7:cVAE+_MI:augmentation=dropout")):
        for metric in ("-ELBO", "PPL", "KL", "MI", "AU"):
            assert published.cell(one, "PTB", metric).value == published.cell(other, "PTB", metric).value


def test_titles_are_readable():
    assert published.title("clvm:1:iVAE_MI:") == "iVAE_MI"
    assert published.title("ceae:1:FB:free_bits=4") == "FB (free bits 4)"


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
    assert len(published.tables()) == 7
    for paper, table in published.tables():
        assert len(published.load(paper, table)) > 0
