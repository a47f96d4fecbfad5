"""Published | recorded | this build: nothing invented, missing runs named, every number in its column."""

import pytest

from ceae_core.errors import CeaeError
from ceae_core.report import beside, published
from ceae_core.report.results import zoo_row
from ceae_core.report.tables import BLANK

REC = "rec_nats_per_sentence"


@pytest.fixture
def all_rows(row_of):
    return lambda paper, table, **more: [row_of(key, **more) for key in published.rows(paper, table) if zoo_row(key)]


def test_a_table_shows_what_is_recorded_and_what_is_not(result, all_rows):
    recorded = [result("vae", corpus="ptb", size="laptop", rec_nats_per_sentence=100.25)]
    table = beside.with_paper("ceae", 1, [("Yahoo", "Rec"), ("Yelp", "Rec")], recorded, all_rows("ceae", 1), [REC],
                              "c", "n")
    rows = {row["model"]: row for row in table.rows}
    assert len(rows) == 14
    column, own = "recorded, ptb at laptop | Rec (nats)", "this build, oracle at quick | Rec (nats)"
    assert rows["VAE"][column].value == 100.25 and rows["VAE"][own].value == 10.0
    assert rows["CEAE"]["recorded, ptb at laptop | run"].text == "not recorded"
    assert rows["CEAE"][column].value is None and rows["CEAE"][column].text == BLANK
    printed = rows["CEAE"]["published | Yahoo Rec (nats)"]
    assert printed.strong and printed.value == 316.7


def test_one_dataset_stands_in_the_head_of_its_group(all_rows):
    row, *_ = beside.with_paper("clvm", 1, [("PTB", "-ELBO"), ("PTB", "PPL")], [], all_rows("clvm", 1), [REC],
                                "c", "n").rows
    assert list(row)[:3] == ["model", "published, PTB | −ELBO (nats)", "published, PTB | PPL"]
    assert row["published, PTB | PPL"].text == "108.26"


def test_a_row_that_the_zoo_lacks_says_so(all_rows, monkeypatch):
    monkeypatch.setattr(beside, "zoo_row", lambda key: None if "CEAE:" in key else zoo_row(key))
    built = [r for r in all_rows("ceae", 1) if r.family != "ceae"]
    row = beside.with_paper("ceae", 1, [("Yahoo", "Rec")], [], built, [REC], "c", "n").rows[-1]
    assert row["this build, oracle at quick | run"].text == "not in the zoo"


def test_a_row_without_a_run_is_refused(all_rows):
    with pytest.raises(CeaeError, match="ceae:1:CEAE:.*no run"):
        beside.with_paper("ceae", 1, [("Yahoo", "Rec")], [], [r for r in all_rows("ceae", 1) if r.family != "ceae"],
                          ["kl_nats"], "c", "n")


def test_of_recorded_runs_the_largest_scale_counts(row_of, all_rows):
    recorded = [row_of("clvm:1:iVAE:", corpus="ptb", size=size, nll_iw_nats=value)
                for size, value in (("laptop", 120.0), ("paper", 110.0))]
    table = beside.with_paper("clvm", 1, [("PTB", "PPL")], recorded, all_rows("clvm", 1), ["nll_iw_nats"], "c", "n")
    shown = {row["model"]: row["recorded, ptb at paper | IW bound (nats)"] for row in table.rows}
    assert shown["iVAE"].value == 110.0 and "-paper-" in shown["iVAE"].title and shown["cVAE"].value is None


def test_a_source_without_any_run_of_the_table_has_one_column(result, all_rows):
    other = [result("ae", corpus="ptb", size="laptop")]
    table = beside.with_paper("clvm", 1, [("PTB", "PPL")], other, all_rows("clvm", 1), [REC], "c", "n")
    assert [column for column in table.columns if column.startswith("recorded")] == ["recorded | run"]
    assert {row["recorded | run"].text for row in table.rows} == {"not recorded"}


def test_texts_about_rows_stand_with_the_published_numbers(all_rows):
    table = beside.with_paper("clvm", 1, [("PTB", "PPL")], [], all_rows("clvm", 1), [REC], "c", "n",
                              about={"KL from": {"clvm:1:iVAE:": "critics"}})
    rows = {row["model"]: row["published, PTB | KL from"] for row in table.rows}
    assert rows["iVAE"] == "critics" and rows["VAE"] is None


def test_estimates_by_critics_never_stand_in_a_column_of_exact_values(row_of, all_rows):
    table = beside.with_paper("clvm", 1, [("PTB", "KL")], [], all_rows("clvm", 1), ["kl_dual_nats", "kl_exact_nats"],
                              "c", "n")
    source = "this build, oracle at quick"
    rows = {row["model"]: [row[f"{source} | KL, {kind} (nats)"].value for kind in ("dual", "exact")]
            for row in table.rows}
    assert rows["VAE"] == [None, 2.0] and rows["cVAE+_MI"] == [1.0, 5.0]


def test_two_runs_of_one_seed_are_refused(result, all_rows):
    twice = [result("vae", corpus="ptb", size="laptop")] * 2
    with pytest.raises(CeaeError, match="two runs with one seed"):
        beside.with_paper("ceae", 1, [("Yahoo", "Rec")], twice, all_rows("ceae", 1), [REC], "c", "n")
