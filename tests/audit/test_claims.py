"""Findings about claims: they hold, and a table that says otherwise undoes them."""

import pytest

from ceae_core.audit import claims, claims_clvm
from ceae_core.audit import maths_shares as shares
from ceae_core.report import published

FINDINGS = {finding.key: finding for finding in (*claims.FINDINGS, *claims_clvm.FINDINGS)}
KENDALL = "kendall_corr_with_bert_inner_products"


@pytest.mark.parametrize("key", [key for key, finding in FINDINGS.items() if finding.check])
def test_every_finding_holds(key):
    found = FINDINGS[key].check()
    assert found.holds, found.shown


@pytest.mark.parametrize("key, row, dataset, metric, add", [
    ("ceae-labels", "ceae:3:CEAE:", "Yelp (short, sentiment)", "accuracy@10000labels", 1),
    ("ceae-human", "ceae:4:CEAE:", "Yahoo", "choice_share_human", 20),
    ("ceae-human", "ceae:5:CEAE:", "Yelp", "choice_share_human", -9),
    ("ceae-gpt4", "ceae:7:CEAE:", "Yahoo", "choice_share_gpt4", -20),
    ("ceae-critics", "ceae:1:CEAE:", "Yahoo", "GPT2-F", 200),
    ("ceae-lambda", "ceae:A.5:OPTIMUS:lambda=1", "Yelp", "Rec", 9),
    ("ceae-lambda", "ceae:A.5:OPTIMUS:lambda=0.5", "Yahoo", "L-F", -9),
    ("ceae-baseline", "ceae:2:BN-VAE:gamma=0.7, OPTIMUS", "Yahoo", "Rec", -9),
    ("ceae-bert", "ceae:9:CEAE:", "Yahoo", KENDALL, -0.2), ("ceae-bert", "ceae:10:CEAE:", "Yelp", KENDALL, 0.1),
    ("clvm-points", "clvm:1:cVAE:", "PTB", "PPL", 1), ("clvm-differences", "clvm:1:cVAE:", "PTB", "MI", 0.01),
    ("clvm-simplest", "clvm:1:cVAE:", "PTB", "KL", 9), ("clvm-third", "clvm:1:cVAE+_MI:", "PTB", "KL", 9),
    ("clvm-large", "clvm:2:iVAE_MI:", "Yelp", "PPL", 0.01), ("clvm-comparable", "clvm:2:cVAE+_MI:", "Yelp", "KL", 9),
    ("clvm-generation", "clvm:4:iVAE:", "PTB", "reverse_PPL", -999),
    ("clvm-h-or-z", "clvm:3:cVAE:contrast_on=z", "PTB", "-ELBO", 1),
    ("clvm-swap", "clvm:7:cVAE+_MI:augmentation=swap", "PTB", "KL", 1)])
def test_a_misprint_shows(misprint, key, row, dataset, metric, add):
    misprint(row, dataset, metric, add)
    assert not FINDINGS[key].check().holds


def test_cells_in_which_bn_vae_is_ahead(misprint):
    found, count = claims.lost()
    assert count == 28 and {(row.split(":")[1], dataset, metric) for row, _, dataset, metric in found} == {
        ("1", "Yelp", "L-R"), ("2", "Yelp", "GPT2-F"), ("2", "Yelp", "L-F")}
    misprint("ceae:11:CEAE:", "PTB", "Rec", 5)
    assert len(claims.lost()[0]) == 4


def test_competitors_are_those_of_the_block():
    assert len(claims.column("ceae:2:CEAE:", "Yelp", "L-F")) == 6
    assert list(claims.column("ceae:2:CEAE:OPTIMUS", "Yelp", "L-F")) == [
        "ceae:2:OPTIMUS:", "ceae:2:BN-VAE:gamma=0.7, OPTIMUS", "ceae:2:CEAE:OPTIMUS"]


def test_claimed_differences_are_found_with_both_models():
    rows = claims_clvm.claimed("4.2", "PTB")
    assert [metric for metric, _, _ in rows] == ["-ELBO", "PPL", "KL", "MI"]
    assert len(claims_clvm.claimed("4.2", "Yahoo")) == len(claims_clvm.claimed("4.2", "Yelp")) == 2
    claimed = len(published.differences("clvm"))
    assert claimed == 1 + sum(len(claims_clvm.claimed("4.2", d)) for d in ("PTB", "Yahoo", "Yelp"))


def test_places_count_from_the_best():
    assert claims_clvm.place("clvm:1:cVAE+_MI:", "PTB", "PPL") == 1
    assert claims_clvm.place("clvm:1:cVAE_MI:", "PTB", "KL") == 1
    assert claims_clvm.place("clvm:1:VAE:", "PTB", "KL") == 10
    assert claims_clvm.change("clvm:1:cVAE:", "clvm:1:cVAE:", "PTB", "KL") == 0


def test_share_table_and_panel():
    rows = claims.share_table().rows
    assert len(rows) == 8
    for row in rows:
        n = row["answers | smallest that fit"]
        found = [row[f"share (%) | {model}"] for model in ("CEAE", "BN-VAE", "VAE")]
        assert shares.fits(found, n) and not any(shares.fits(found, m) for m in range(1, n))
        assert row["z | n = 1000"] == pytest.approx(row["z | n = 200"] * 5 ** 0.5)
    panel = claims.share_panel()
    assert [len(line.x) for line in panel.lines] == [12] * 4
    assert panel.lines[0].y[6] == pytest.approx(rows[0]["z | n = 200"])


def test_a_score_outside_its_ends_is_named():
    assert "0.15 in the negative-negative pair (ends 0.17 and 0.22)" in claims.check_interpolation().shown


def test_correlation_table():
    rows = claims.correlation_table().rows
    assert len(rows) == 6 and rows[0]["model and corpus"] == "CEAE, Yahoo"
    for row in rows:
        assert row["normal ranks | Spearman for that Kendall"] > row["printed | Kendall"]
        assert row["normal ranks | Kendall for that Spearman"] < row["printed | Spearman"]
