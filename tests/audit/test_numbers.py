"""Findings about printed numbers: they hold, they say the numbers, and a misprint undoes them."""

import math

import pytest

from ceae_core.audit import numbers, price, spreads
from ceae_core.corpora import table as corpora
from ceae_core.report import published

FINDINGS = {finding.key: finding for finding in (*numbers.FINDINGS, *spreads.FINDINGS)}


@pytest.mark.parametrize("key", [key for key, finding in FINDINGS.items() if finding.check])
def test_every_finding_holds(key):
    found = FINDINGS[key].check()
    assert found.holds, found.shown


@pytest.mark.parametrize("key, row, dataset, metric, add", [
    ("clvm-ppl", "clvm:2:iVAE:", "Yahoo", "PPL", 0.5), ("clvm-ppl", "clvm:3:cVAE:contrast_on=h", "PTB", "PPL", 1),
    ("clvm-ppl", "clvm:1:VAE:", "PTB", "-ELBO", 0.1), ("clvm-ppl-vae", "clvm:1:VAE:", "PTB", "PPL", 1.0),
    ("ceae-shared-rec", "ceae:1:SA-VAE:", "Yelp", "Rec", 1), ("ceae-shared-rec", "clvm:2:LagVAE:", "Yahoo", "KL", 1),
    ("ceae-rate", "clvm:2:VAE:", "Yahoo", "-ELBO", 6),
    ("clvm-aggregate", "clvm:2:VAE:", "Yelp", "MI", 0.1), ("clvm-price", "clvm:2:iVAE_MI:", "Yelp", "-ELBO", 10),
    ("clvm-price", "clvm:1:CycVAE:", "PTB", "-ELBO", -9), ("clvm-arrow", "clvm:1:cVAE+:", "PTB", "KL", 9),
    ("ceae-ptb", "ceae:11:VAE:", "PTB", "Rec", 50), ("ceae-ptb", "clvm:4:VAE:", "PTB", "forward_PPL", -18_000)])
def test_a_misprint_shows(misprint, key, row, dataset, metric, add):
    misprint(row, dataset, metric, add)
    assert not FINDINGS[key].check().holds


@pytest.mark.parametrize("key, row, metric, column, add", [
    ("ceae-sd", "ceae:12:CEAE:", "L-F", "std", 0.9), ("ceae-sd", "ceae:12:BN-VAE:gamma=0.7", "Rec", "std", -0.5),
    ("ceae-sd-narrow", "ceae:12:delta-VAE:delta=0.1", "L-R", "std", 1.5),
    ("ceae-welch", "ceae:12:CEAE:", "GPT2-F", "std", 3), ("ceae-rival", "ceae:12:CEAE:", "L-R", "std", 3),
    ("both-marks", "ceae:1:CEAE:", "L-F", "value", 9)])
def test_a_misprint_in_deviations_shows(misprint, key, row, metric, column, add):
    misprint(row, "Yahoo", metric, add, column)
    assert not FINDINGS[key].check().holds


def test_the_star_is_about_yelp(misprint):
    misprint("ceae:13:CEAE:", "Yelp", "L-R", -1.5, "std")
    misprint("ceae:13:BN-VAE:gamma=0.7", "Yelp", "L-R", -1.5, "std")
    assert not FINDINGS["ceae-star"].check().holds          # 110.2 ± 0.1 against 109.2 ± 0.2 would be significant


def test_lengths_are_those_of_the_files():
    """82,430 predicted tokens over 3,761 test sentences of PTB; Yahoo's test file has 798,673 over 10,000."""
    assert 82_430 / 3_761 in numbers.common_length(numbers.spans("PTB"))
    assert (788_673 + 10_000) / 10_000 in numbers.common_length(numbers.spans("Yahoo"))
    assert corpora.entry("ptb").splits["test"].sentences == 3_761


def test_each_model_counts_once():
    assert [len(numbers.rows_with(dataset)) for dataset in ("PTB", "Yahoo", "Yelp")] == [13, 7, 7]
    assert len(price.prices()) == 27


def test_limits_of_mutual_information(misprint):
    above = numbers.above_limit("train")
    assert {row for row, _ in above} == {"clvm:1:iVAE_MI:", "clvm:1:cVAE_MI:", "clvm:3:cVAE_MI:contrast_on=h"}
    row = "clvm:1:cVAE_MI:"
    assert above[row, "PTB"] == pytest.approx(published.cell(row, "PTB", "MI").value - math.log(42_068))
    assert {dataset for _, dataset in numbers.above_limit("test")} == {"PTB", "Yahoo", "Yelp"}
    misprint(row, "PTB", "MI", -9)
    assert (row, "PTB") not in numbers.above_limit("test")


# reconstruction and its price ----------------------------------------------------------------------------------------

def test_a_collapsed_model_gains_nothing_and_an_honest_one_pays():
    assert price.gain(100.0, 0.0, 100.0) == 0
    assert price.gain(100.0, 7.5, 100.0) == 7.5             # Rec fell by what the code costs
    assert price.gain(90.0, 5.0, 100.0) - 5.0 == 10.0       # the bound improved by what is missing


def test_prices_by_hand():
    found = {(p.row, p.dataset): p for p in price.prices()}
    best = found["clvm:1:cVAE+_MI:", "PTB"]
    bound, kl, base = (published.cell(*cell).value for cell in (
        ("clvm:1:cVAE+_MI:", "PTB", "-ELBO"), ("clvm:1:cVAE+_MI:", "PTB", "KL"), ("clvm:1:VAE:", "PTB", "-ELBO")))
    assert (best.gain, best.missing) == (pytest.approx(base - bound + kl), pytest.approx(base - bound))
    assert best.is_implicit and not found["clvm:1:CycVAE:", "PTB"].is_implicit


def test_panels_show_every_row_once():
    panels = price.panels()
    points = sum(len(line.x) for panel in panels for line in panel.lines if line.label.startswith("KL"))
    assert [panel.title for panel in panels] == ["PTB", "Yahoo", "Yelp"] and points == 27
    assert panels[1].levels["CEAE, no KL"] == pytest.approx(price.own_gains("Yahoo")["ceae:1:CEAE:"])
    assert len(price.download().table.rows) == 27 + 2 * len(published.rows("ceae", 1))
    assert price.batch_norm_bound(0.7) == pytest.approx(32 * 0.49 / 2)


def test_the_table_marks_what_cannot_be():
    rows = numbers.table().rows
    assert len(rows) == 27
    assert [row["model"] for row in rows if row["tokens per sentence | implied"].strong] == ["VAE"]
    marked = [row for row in rows if row["nats | MI − log N"].strong]
    assert len(marked) == len(numbers.above_limit("test"))
    assert all(row["printed | MI"] > row["nats | log N"] for row in marked)
