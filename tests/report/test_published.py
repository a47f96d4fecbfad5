"""The published numbers: complete, well-formed, unchanged, and reachable by the keys of the zoo."""

import hashlib
import shutil
from pathlib import Path

import pytest

from ceae_core import zoo
from ceae_core.errors import CeaeError
from ceae_core.report import checks, published, table1


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
    ("ceae:1:CEAE", "Yahoo", "Rec", "of the form"), ("ceae:6:CEAE:", "Yahoo", "Rec", "no table"),
    ("ceae:12:CEAE:", "Yahoo", "Rec", "only an interval"),
    ("ceae:1:Nobody:", "Yahoo", "Rec", "no row 'Nobody"), ("ceae:1:CEAE:", "PTB", "Rec", "no dataset 'PTB'"),
    ("ceae:1:CEAE:", "Yahoo", "BLEU", "no metric 'BLEU'")])
def test_a_wrong_key_names_its_wrong_part(row, dataset, metric, word):
    with pytest.raises(CeaeError, match=word.replace("'Nobody", "'ceae:1:Nobody")):
        published.cell(row, dataset, metric)


@pytest.mark.parametrize("change, word", [
    (lambda t: t.replace("316.7", "many"), "not numbers"),
    (lambda t: t.replace("nats/sentence,min", "x,sideways"), "direction"),
    (lambda t: t.replace("variant", "version", 1), "columns"), (lambda t: t + t.splitlines()[-1] + "\n", "twice"),
    (lambda t: t.replace(",,,,1,0,", ",,,,2,0,"), "bold"), (lambda t: t.replace("ceae,1,", "ceae,2,", 1), "table"),
    (lambda t: t.replace("316.7,", ","), "neither")])
def test_a_damaged_file_is_refused(tmp_path, monkeypatch, change, word):
    name = "ceae_table01_lm_lstm.csv"
    shutil.copy(published.FOLDER / name, tmp_path)
    (tmp_path / name).write_text(change((tmp_path / name).read_text(encoding="utf-8")), encoding="utf-8")
    monkeypatch.setattr(published, "FOLDER", tmp_path)
    with pytest.raises(CeaeError, match=word):
        published.load.__wrapped__("ceae", 1)


def test_all_tables_load():
    """Table 6 of both papers consists of sentences, Table 5 of the second of pictures."""
    assert [table for paper, table in published.tables() if paper == "ceae"] == ["A.5", *range(1, 6), *range(7, 14)]
    assert [table for paper, table in published.tables() if paper == "clvm"] == [1, 2, 3, 4, 7]
    for paper, table in published.tables():
        frame = published.load(paper, table)
        assert len(frame) > 0 and set(frame["unit"]) <= {
            "nats/sentence", "perplexity", "percent", "units", "correlation"}


def test_files_are_those_that_were_checked_against_the_papers():
    """`sha256sum *.csv`, made after a second reading (test_published_papers); a changed digit shows here."""
    listed = dict(reversed(line.split()) for line in (
        Path(__file__).parent / "published.sha256").read_text(encoding="utf-8").splitlines())
    found = {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in published.FOLDER.glob("*.csv")}
    assert found == listed


# what printed numbers must satisfy among themselves ------------------------------------------------------------------

def test_perplexity_follows_from_the_bound_on_every_row():
    """PPL = exp(-ELBO / n): one n serves all rows of a corpus up to rounding, but for one row by a unit of -ELBO."""
    misfits = []
    for dataset in ("PTB", "Yahoo", "Yelp"):
        spans = {row: checks.implied_tokens(*(published.cell(row, dataset, m).value for m in ("-ELBO", "PPL")))
                 for table in (1, 2, 3, 7) for row in published.rows("clvm", table)
                 if dataset in set(published.load("clvm", table)["dataset"])}
        low = sorted(span.low for span in spans.values())[-2]
        misfits += [row for row, span in spans.items() if span.high < low or span.low > span.high]
    assert misfits == ["clvm:1:VAE:"]


def test_rec_of_shared_rows_is_bound_minus_kl():
    for ours, theirs in table1.SHARED:
        for dataset in ("Yahoo", "Yelp"):
            bound, kl = (published.cell(theirs, dataset, metric).value for metric in ("-ELBO", "KL"))
            assert published.cell(ours, dataset, "Rec").value == pytest.approx(bound - kl, abs=1e-9)


@pytest.mark.parametrize("table", [4, 5, 7, 8])
def test_shares_sum_to_a_hundred(table):
    frame = published.load("ceae", table)
    assert (frame.groupby("dataset")["value"].sum().round(6) == 100).all()


def test_intervals_contain_the_means():
    """The means of Tables 12 and 13 are in Table 1."""
    for table in (12, 13):
        for record in published.load("ceae", table).itertuples():
            mean = published.cell(record.row.replace(f":{table}:", ":1:"), record.dataset, record.metric).value
            assert record.ci_low < mean < record.ci_high


def test_mutual_information_is_at_most_the_divergence():
    for table in (1, 2, 3, 7):
        frame = published.load("clvm", table).pivot(index=["row", "dataset"], columns="metric", values="value")
        assert (frame["MI"] <= frame["KL"]).all() and (frame["AU"] <= 32).all()


# sentences and numbers of the running text ---------------------------------------------------------------------------

def test_sentences():
    frame = published.sentences("ceae")
    assert len(frame) == 12 and frame["score"].between(0, 1).all()
    assert (frame.groupby("pair")["weight_on_first_source"].apply(list).map(len) == 4).all()
    assert published.sentences("clvm")["lambda"].round(6).tolist() == [i / 10 for i in range(11)]


def test_numbers_of_the_text():
    found = published.setting("ceae", "CEAE", "entropy_weight_lambda0")
    assert (found.value, found.section) == (0.006, "A.4")
    assert published.setting("clvm", "Yahoo", "average_length").unit == "words"
    assert len(published.settings("ceae")) == 39 and len(published.settings("clvm")) == 33
    with pytest.raises(CeaeError, match="states no CEAE, colour; there are critic, gpt2_parameters"):
        published.setting("ceae", "CEAE", "colour")
    with pytest.raises(CeaeError, match="no intext claimed differences of 'ceae'"):
        published.differences("ceae")


def test_a_spread():
    found = published.spread("ceae:12:CEAE:", "Yahoo", "L-F")
    assert (found.std, found.low, found.high, found.bold, found.starred) == (0.3, 118.5, 122.3, True, False)
    assert published.spread("ceae:13:delta-VAE:delta=0.1", "Yelp", "L-R").std is None
    with pytest.raises(CeaeError, match="no interval is printed"):
        published.spread("ceae:1:CEAE:", "Yelp", "L-R")


@pytest.mark.parametrize("change, word", [
    (lambda t: t.replace("0.22", "low"), "not all of row"), (lambda t: t.replace("score", "mark", 1), "columns"),
    (lambda t: t + t.splitlines()[-1] + "\n", "two rows share pair and row")])
def test_a_damaged_table_of_sentences_is_refused(tmp_path, monkeypatch, change, word):
    name = "ceae_table06_interpolation.csv"
    (tmp_path / name).write_text(change((published.FOLDER / name).read_text(encoding="utf-8")), encoding="utf-8")
    monkeypatch.setattr(published, "FOLDER", tmp_path)
    with pytest.raises(CeaeError, match=word):
        published._text.__wrapped__("ceae", "table06_interpolation")
