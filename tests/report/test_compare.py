"""Comparison tables: nothing averaged silently, nothing invented, missing runs named."""

import pytest

from ceae_core.errors import CeaeError
from ceae_core.report import compare, published, table1
from ceae_core.report.results import zoo_row


@pytest.fixture
def all_rows(row_of):
    """all_rows(metrics…): invented results of every row of the first paper's Table 1 that the zoo has."""
    return lambda **metrics: [row_of(key, **metrics) for key in published.rows("ceae", 1) if zoo_row(key)]


def test_seeds_are_averaged_with_their_number(result):
    cell = compare.summary([result(seed=1, kl_nats=1.0), result(seed=2, kl_nats=3.0)], "kl_nats")
    assert (cell.value, cell.text) == (2.0, "2.00 ± 1.41 (2/2)")
    assert compare.summary([result(kl_nats=1.0)], "kl_nats").value == 1.0
    assert compare.summary([result(seed=s) for s in (1, 2)], "active_units").text == "4 (2/2)"


def test_a_diverged_run_is_shown_as_such(result):
    lost = result(seed=2, status="diverged")
    cell = compare.summary([result(seed=1, kl_nats=1.0), lost], "kl_nats")
    assert (cell.text, cell.value) == ("1.00 (1/2)", 1.0) and "not finite" in cell.title
    assert compare.summary([lost], "kl_nats").text == "diverged"


def test_a_quantity_that_does_not_exist_is_none_and_a_missing_one_an_error(result):
    assert compare.summary([result("ae", kl_nats=None)], "kl_nats").value is None
    run = result()
    del run.metrics["kl_nats"]
    with pytest.raises(CeaeError, match="has no measure kl_nats"):
        compare.summary([run], "kl_nats")


def test_two_runs_of_one_seed_are_not_averaged(result):
    with pytest.raises(CeaeError, match="two runs with one seed"):
        compare.by_name([result(), result()])


def test_rank_agreement():
    tau, flipped, pairs = table1.rank_agreement({"a": 1, "b": 2, "c": 3, "x": 0}, {"a": 1, "b": 3, "c": 2})
    assert (round(tau, 6), flipped, pairs) == (round(1 / 3, 6), [("b", "c")], 3)
    with pytest.raises(CeaeError, match="only 2 rows"):
        table1.rank_agreement({"a": 1, "b": 2}, {"a": 1, "b": 2})


def test_published_rec_is_bound_minus_kl():
    rows = table1.rec_provenance().rows
    assert len(rows) == 8 and all(abs(row["CEAE, Table 1 | minus that (nats)"]) < 0.05 for row in rows)


def test_claims_follow_the_numbers(result, all_rows):
    better = {"rec_nats_per_sentence": 5.0, "nll_iw_nats": 13.0}
    worse = {"rec_nats_per_sentence": 8.0, "nll_iw_nats": 19.0}

    def verdicts(ceae):
        rest = [r for r in all_rows() if r.family not in ("ceae", "vae")]
        rows = table1.claims([*rest, result("vae", rec_nats_per_sentence=20.0), result("ceae", **ceae)],
                             [result("ae", **worse)]).rows
        return [row["here"] for row in rows]
    assert verdicts(better) == ["yes", "no", "yes", "yes", "yes", "no"]
    assert verdicts({"rec_nats_per_sentence": 12.0, "nll_iw_nats": 20.0})[0] == "no"


def test_order_table_compares_with_both_corpora(all_rows):
    table = table1.order_table(all_rows())
    assert len(table.rows) == 7 and table.rows[0]["Kendall's tau"] == pytest.approx(0.78, abs=0.01)


def test_bar_columns(result):
    columns = compare.columns([result("vae", seed=1, kl_nats=1.0), result("vae", seed=2, kl_nats=2.0),
                               result("ae", kl_nats=None), result("fb", status="diverged")], ["kl_nats"])
    assert columns == {"KL (nats)": {"vae": [1.0, 2.0], "ae": None, "fb (4)": []}}
