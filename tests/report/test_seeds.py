"""Tables 12 and 13 of the first paper: which printed spreads are possible, and which bold cells pass a test."""

import shutil

import numpy as np
import pytest
from scipy import stats

from ceae_core.report import intervals, published, seeds


def find(entries, **wanted):
    found, = (e for e in entries if all(getattr(e, name) == value for name, value in wanted.items()))
    return found


def test_every_cell_has_its_mean_from_table_1():
    found = seeds.entries()
    assert len(found) == len(published.load("ceae", 12)) + len(published.load("ceae", 13))
    for entry in found:
        assert entry.spread.low < entry.mean < entry.spread.high                # otherwise the two are of other runs
    assert seeds.runs() == published.setting("ceae", "all", "runs_averaged").value


def test_one_sd_is_impossible_and_which():
    wrong = [e for e in seeds.entries() if e.is_possible is False]
    assert [(e.model, e.dataset, e.metric) for e in wrong] == [("CEAE", "Yahoo", "L-F")]
    entry, = wrong
    limit = np.sqrt(2 * (seeds.runs() - 1))
    assert (entry.width - 0.1) / (entry.spread.std + 0.05) > limit              # even with all that rounding allows
    assert entry.ratio.low == pytest.approx((entry.width - 0.1) / (entry.spread.std + 0.05))
    assert entry.implied_sd == pytest.approx(entry.width / intervals.range_widths(seeds.runs()).mean())


def test_the_widths_are_no_intervals_of_the_mean():
    known = intervals.widths(seeds.runs())
    ratios = [e.ratio for e in seeds.entries() if e.ratio]
    assert all(ratio.low > known["mean, t"] for ratio in ratios)
    rows = seeds.widths_table().rows
    verdicts = [row["possible"].value for row in rows]
    assert verdicts.count("no") == 1 and verdicts.count(None) == 1 and "odd" in verdicts and "yes" in verdicts
    yelp = next(row for row in rows if (row["corpus"], row["model"], row["metric"]) == ("Yelp", "CEAE", "Rec"))
    assert yelp["possible"].value == "odd" and yelp["width / sd"] == pytest.approx(2.6 / 1.2)


def test_the_panel_shows_the_printed_numbers():
    lines = {line.label: line for line in seeds.widths_panel().lines}
    entry = find(seeds.entries(), model="CEAE", dataset="Yahoo", metric="L-F")
    assert (entry.spread.std, entry.width) in list(zip(lines["CEAE"].x, lines["CEAE"].y, strict=True))
    slope = lines["largest possible"].y[-1] / lines["largest possible"].x[-1]
    assert slope == pytest.approx(intervals.largest_range(seeds.runs()))


def test_tests_are_those_of_the_printed_numbers():
    found = seeds.comparisons()
    one = next(c for c in found if c.best.dataset == "Yahoo" and c.best.metric == "Rec"
               and c.other.row == seeds.RIVAL)
    a, b, n = one.best, one.other, seeds.runs()
    statistic = (a.mean - b.mean) / np.sqrt((a.spread.std ** 2 + b.spread.std ** 2) / n)
    assert one.test.statistic == pytest.approx(statistic) and one.holds
    assert one.test.p == pytest.approx(stats.ttest_ind_from_stats(
        a.mean, a.spread.std, n, b.mean, b.spread.std, n, equal_var=False).pvalue)
    made = [c for c in found if c.test]
    assert all(c.adjusted >= c.test.p for c in made) and max(c.adjusted for c in made) == max(c.test.p for c in made)


def test_all_bold_cells_of_ceae_pass_and_that_of_bn_vae_does_not():
    by_model = {}
    for c in seeds.comparisons():
        by_model.setdefault(c.best.row, []).append(c.holds)
    assert by_model[seeds.OURS] == [True] * 14
    assert sorted(by_model[seeds.RIVAL], key=str) == [False, None]              # one sd is not printed
    assert {row[f"p < {seeds.alpha():g}"].value if hasattr(row[f"p < {seeds.alpha():g}"], "value")
            else row[f"p < {seeds.alpha():g}"] for row in seeds.welch_table().rows} == {"yes", "no", None}


def test_an_impossible_sd_does_not_enter_the_power():
    row, = (r for r in seeds.seeds_table().rows if (r["corpus"], r["metric"]) == ("Yahoo", "L-F"))
    entry = find(seeds.entries(), model="CEAE", dataset="Yahoo", metric="L-F")
    assert row["sd | CEAE"].value == pytest.approx(entry.implied_sd) and row["sd | CEAE"].title
    assert row["seeds for | 100 %"].value == intervals.seeds_needed(
        row["CEAE − BN-VAE"], (entry.implied_sd, row["sd | BN-VAE"]), seeds.alpha())


def test_power_curves_rise_with_seeds_and_fall_with_the_effect():
    for panel in seeds.power_panels(counts=(3, 10, 30)):
        values = np.array([line.y for line in panel.lines])
        assert (np.diff(values, axis=1) >= -1e-9).all() and (np.diff(values, axis=0) <= 1e-9).all()
        assert panel.levels == {"": 0.9}


def test_coverage_panels_hold_what_was_simulated():
    panels = seeds.coverage_panels(counts=(3, 10))
    assert [line.y[1] for line in panels[0].lines] == [intervals.coverage(10, m)["mean"] for m in intervals.METHODS]


@pytest.mark.parametrize("p, text", [(0.192, "0.192"), (0.001, "0.001"), (4e-7, "4e−7"), (2.4e-12, "2e−12")])
def test_p_values_are_short(p, text):
    assert seeds.p_cell(p).text == text and seeds.p_cell(p).value == p


@pytest.mark.parametrize("rec", ["318.5", "330.7"])
def test_a_changed_number_changes_the_verdict(rec, tmp_path, monkeypatch):
    """With CEAE no better than BN-VAE in print, or worse by far, the bold cell no longer passes."""
    shutil.copytree(published.FOLDER, tmp_path / "published")
    path = tmp_path / "published" / "ceae_table01_lm_lstm.csv"
    path.write_text(path.read_text(encoding="utf-8").replace(",Rec,316.7,", f",Rec,{rec},"), encoding="utf-8")
    monkeypatch.setattr(published, "FOLDER", tmp_path / "published")
    published.load.cache_clear()
    try:
        failed = [c for c in seeds.comparisons() if c.holds is False]
        assert ("Yahoo", "Rec", seeds.RIVAL) in [(c.best.dataset, c.best.metric, c.other.row) for c in failed]
    finally:
        published.load.cache_clear()
