"""Claims and distances of the second paper's Table 1: each by its own measure, nothing concluded from missing runs."""

import pytest

from ceae_core.report import ptb, published
from ceae_core.report.truth import Floor

NELBO, DUAL, EXACT = "nelbo_nats_per_sentence", "nelbo_dual_nats_per_sentence", "nelbo_exact_nats_per_sentence"


@pytest.fixture
def rows(row_of):
    """rows(metrics by model): invented results of the ten rows of Table 1."""
    def make(given=None, **more):
        given = given or {}
        return [row_of(key, **more, **given.get(key.removeprefix("clvm:1:"), {})) for key in published.rows("clvm", 1)]
    return make


def printed(metric):
    return {row.removeprefix("clvm:1:"): published.cell(row, "PTB", metric).value for row in published.rows("clvm", 1)}


def test_each_row_has_the_paper_s_kind_of_kl():
    kinds = ptb.kinds()
    assert list(kinds) == published.rows("clvm", 1)
    assert [key.split(":")[2] for key, kind in kinds.items() if kind == "closed form"] == [
        "VAE", "betaVAE", "SaVAE", "CycVAE"]


def test_claims_name_models_of_the_table_and_hold_as_printed():
    models = set(printed("PPL"))
    assert {*ptb.GAUSSIAN, *ptb.IMPLICIT} == models
    for claim in ptb.CLAIMS:
        assert {name for pair in claim.pairs for name in pair} <= models
        assert ptb.verdict(claim, printed(claim.metric)).value == "yes"


def test_a_verdict_follows_the_numbers():
    lower = ptb.Claim("a below b", "PPL", [("iVAE:", "VAE:"), ("cVAE:", "VAE:")])
    higher = ptb.Claim("a above b", "MI", [("iVAE:", "VAE:")])
    assert ptb.verdict(lower, {"iVAE:": 1.0, "cVAE:": 2.0, "VAE:": 3.0}).value == "yes"
    cell = ptb.verdict(lower, {"iVAE:": 1.0, "cVAE:": 4.0, "VAE:": 3.0})
    assert (cell.value, cell.text, cell.title) == ("no", "no: 1 of 2 pairs", "cVAE 4.00, VAE 3.00")
    assert ptb.verdict(higher, {"iVAE:": 2.0, "VAE:": 1.0}).value == "yes"
    assert ptb.verdict(higher, {"iVAE:": 1.0, "VAE:": 2.0}).value == "no"
    assert ptb.verdict(higher, {"iVAE:": 1.0}).value is None


def test_a_verdict_makes_nothing_of_a_tie():
    claim = ptb.Claim("a above b", "MI", [("iVAE:", "VAE:"), ("cVAE:", "VAE:")])
    tied = ptb.verdict(claim, {"iVAE:": 7.6, "cVAE:": 7.605, "VAE:": 7.603})
    assert (tied.value, tied.text) == ("equal", "equal: 2 of 2 pairs") and "iVAE 7.60" in tied.title
    half = ptb.verdict(claim, {"iVAE:": 7.6, "cVAE:": 8.0, "VAE:": 7.603})
    assert (half.value, half.text) == ("yes", "equal: 1 of 2 pairs")
    assert ptb.verdict(claim, {"iVAE:": 7.0, "cVAE:": 7.6, "VAE:": 7.6}).text == "no: 1 of 2 pairs"


def test_numbers_are_the_paper_s_or_the_valid_ones(rows):
    results = rows({"VAE:": {NELBO: 20.0}, "iVAE:": {DUAL: 7.0, EXACT: 30.0, "nll_iw_nats": 25.0}})
    assert ptb.values(results, "PPL", ptb.PAPERS)["VAE:"] == 20.0
    assert ptb.values(results, "PPL", ptb.PAPERS)["iVAE:"] == 7.0
    assert ptb.values(results, "PPL", ptb.VALID)["iVAE:"] == 25.0
    assert [ptb.values(results, "KL", by)["iVAE:"] for by in (ptb.PAPERS, ptb.VALID)] == [1.0, 5.0]
    assert [ptb.values(results, "MI", by)["VAE:"] for by in (ptb.PAPERS, ptb.VALID)] == [1.0, 1.5]


def test_claims_turn_with_the_measure(rows):
    """Critics that see little of the KL make implicit models look better than a bound does."""
    dark = {name: {DUAL: 9.0 - i, "nll_iw_nats": 30.0 + i, "kl_dual_nats": 1.0 + i, "mi_dual_nats": 1.0 + i}
            for i, name in enumerate(("iVAE:", "iVAE_MI:", "cVAE:", "cVAE_MI:", "cVAE+:", "cVAE+_MI:"))}
    first, *_ = table = ptb.claims([], rows(dark)).rows
    assert first["published"].value == "yes" and first["recorded | as the paper measures"].value is None
    assert first["this build | as the paper measures"].value == "yes"
    assert first["this build | by valid measures"].text == "no: 24 of 24 pairs"
    assert {row["this build | as the paper measures"].value for row in table} == {"yes"}


def test_a_lost_run_leaves_its_claims_open(rows):
    results = [r for r in rows() if r.family != "cvae"]
    verdicts = [row["this build | as the paper measures"].value for row in ptb.claims([], results).rows]
    assert verdicts[0] is None and verdicts[2] is None


def test_distances_are_taken_from_the_truth_of_the_same_sentences(rows):
    results = rows({"iVAE:": {DUAL: 7.0, EXACT: 30.0, "nll_iw_nats": 25.0}})
    found = ptb.distances(results, Floor(10.0, 11.0, 12.0))
    assert found["−ELBO, dual"]["iVAE"] == [-3.0] and found["−ELBO, exact"]["iVAE"] == [20.0]
    assert found["IW bound"]["iVAE"] == [14.0] and found["−ELBO, dual"]["VAE"] == []
    assert ptb.distances(results, None)["IW bound"]["iVAE"] == [25.0]
    table = ptb.axis_table(results, Floor(10.0, 11.0, 12.0))
    shown = {row["model"]: row for row in table.rows}
    assert list(shown) == [published.title(row) for row in published.rows("clvm", 1)]
    assert shown["iVAE"]["−ELBO, exact (nats above the truth)"] == 20.0
    assert shown["VAE"]["−ELBO, dual (nats above the truth)"] is None


@pytest.mark.parametrize(("floor", "scale"), [(Floor(10.0, 11.0, 12.0), "symlog"), (None, "linear")])
def test_the_axis_is_compressed_where_the_truth_is_known(rows, floor, scale):
    figure = ptb.axis(rows(), floor).figure
    assert [ax.get_xscale() for ax in figure.axes] == [scale]
    assert [text.get_text() for text in figure.axes[0].get_yticklabels()][0] == "VAE"
