"""What is computed from the printed shares follows them, and is computed as it says."""

import math
import shutil

import pytest
from scipy import stats

from ceae_core.audit import maths_shares as maths
from ceae_core.preference import power
from ceae_core.report import published, shares


@pytest.fixture
def tampered(monkeypatch, tmp_path):
    """tampered(file, before, after): the published tables with one cell changed."""
    def change(name, before, after):
        shutil.copytree(shares.published.FOLDER, tmp_path / "published")
        path = next((tmp_path / "published").glob(f"{name}*.csv"))
        text = path.read_text()
        assert text.count(before) == 1
        path.write_text(text.replace(before, after))
        monkeypatch.setattr(published, "FOLDER", tmp_path / "published")
        published.load.cache_clear()
    yield change
    published.load.cache_clear()


def row_of(table, **cells):
    return next(row for row in table.rows if all(getattr(row[k], "value", row[k]) == v for k, v in cells.items()))


def test_every_printed_row_is_there():
    rows = list(shares.printed())
    assert len(rows) == 8 and {row.table for row in rows} == {4, 5, 7, 8}
    assert all(sum(row.shares) == pytest.approx(100, abs=0.11) for row in rows)


def test_p_values_by_their_formulas():
    p, q, n = 0.462, 0.362, 200
    z = (p - q) / math.sqrt((p + q - (p - q) ** 2) / n)
    assert shares.gap_p(46.2, 36.2, n) == pytest.approx(2 * stats.norm.sf(z)) == shares.gap_p(36.2, 46.2, n)
    assert shares.chance_p((46.2, 36.2, 17.6), 1000) == pytest.approx(stats.chisquare([462, 362, 176]).pvalue)


def test_the_largest_icc_is_where_the_lead_ceases_to_be_significant():
    for row in shares.printed():
        icc = shares.largest_icc(row.shares, 200, 5)
        z = maths.share_z(*row.shares[:2], 1000 / power.correlated(5, icc))
        assert z == pytest.approx(stats.norm.isf(0.025)) if icc < 1 else z > stats.norm.isf(0.025)
    assert shares.largest_icc((34.0, 33.0, 33.0), 200, 5) is None
    assert shares.largest_icc((90.0, 5.0, 5.0), 200, 5) == 1.0


def test_the_table_of_printed_shares():
    table = shares.published_table()
    weak = row_of(table, **{"chosen by": "people", "models, corpus": "Yahoo, LSTM"})
    assert weak["n = 200 | p, lead"].strong and not weak["n = 1000 | p, lead"].strong
    assert weak["n = 1000 | counts that fit"].text == "462/362/176" and weak["n = 200 | counts that fit"].text == "none"
    assert 0.5 < weak["n = 1000 | largest ICC"] < 0.6
    assert [row["n = 200 | p, lead"].strong for row in table.rows] == [True, False, False, True] + [False] * 4


def test_the_table_follows_the_print(tampered):
    tampered("ceae_table04", "BN-VAE,,choice_share_human,36.2", "BN-VAE,,choice_share_human,26.2")
    weak = row_of(shares.published_table(), **{"chosen by": "people", "models, corpus": "Yahoo, LSTM"})
    assert not weak["n = 200 | p, lead"].strong and weak["n = 1000 | counts that fit"].text == "none"


def test_differences_are_counted_with_and_without_correction():
    table = shares.differences_table()
    people = row_of(table, **{"chosen by": "people", "independent answers": 200})
    p = [shares.gap_p(row.shares[a], row.shares[b], 200) for row in shares.printed() if row.judge == "people"
         for a, b in shares.PAIRS]
    assert people["differences"] == len(p) == 12 and people["p < 0.05"] == sum(v < 0.05 for v in p)
    kept = 0
    for k, value in enumerate(sorted(p)):                                   # Holm: stop at the first that fails
        if value * (len(p) - k) >= 0.05:
            break
        kept += 1
    assert people["with Holm"].value == kept < people["p < 0.05"]
    assert people["CEAE before BN-VAE, with Holm"] == "2 of 4"
    assert "Yahoo, LSTM: CEAE and BN-VAE" in people["with Holm"].title


def test_power_panels():
    curves, items = shares.power_panels()
    for line, gap in zip(curves.lines, shares.GAPS, strict=True):
        assert list(line.y) == sorted(line.y)
        n = power.answers_needed(shares.MIDDLE + gap / 2, shares.MIDDLE - gap / 2)
        below, above = ([y for x, y in zip(line.x, line.y, strict=True) if (x < n) == side] for side in (True, False))
        assert max(below) < 0.8 <= min(above)
    for line in items.lines:
        assert line.y[-1] == pytest.approx(5 * line.y[0])
