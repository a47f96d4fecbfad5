"""The verdict on accuracy from few labels: leads of CEAE against margins, and their growth."""

import numpy as np
import pytest

from ceae_core.report import probe, published, reproduction
from ceae_core.report.reproduction import few_labels, outcome
from ceae_core.report.reproduction.outcome import Records

ITEM = next(item for item in reproduction.ITEMS if (item.paper, item.label) == ("ceae", "Table 3"))
CEAE, BN = "ceae:3:CEAE:", "ceae:3:BN-VAE:gamma=0.6"
COUNTS = (100, 500, 1000, 2000, 10_000)


@pytest.fixture
def board(row_of):
    """board(leads, encoders=1, wobble) -> CEAE before BN-VAE by leads (one for each count), before others by more."""
    def make(leads, encoders=1, wobble=0.0, place="oracle at quick"):
        runs, found = [], {}
        for row in published.rows("ceae", 3):
            behind = {CEAE: [0] * 5, BN: list(leads)}.get(row, [20 + lead for lead in leads])
            for seed in range(1, encoders + 1):
                run = row_of(row, seed=seed)
                runs.append(run)
                found[run.id] = {"id": f"probe-{run.id}", "result": {"counts": [
                    {"labels": n, "accuracy_percent": list(80 - b + np.array([0.0, 1.0, 2.0]) + wobble * (seed - 2))}
                    for n, b in zip(COUNTS, behind, strict=True)]}}
        return probe.Board(f"recorded, {place}", runs, found)
    return make


def judged(*boards):
    return reproduction.report(Records(probes=boards), [ITEM]).rows[0]


def test_nothing_recorded_is_not_run_yet() -> None:
    row = judged()
    assert row.verdict == outcome.NOT_YET and ITEM.chapter == "representations" and row.outcome.ours == ""
    assert all(check.holds is None for check in row.outcome.checks) and "0.0, 0.3, 0.4" in row.outcome.theirs


def test_a_lead_that_grows_is_reproduced(board) -> None:
    row = judged(board([0.5, 1, 2, 3, 4]))
    assert [check.holds for check in row.outcome.checks] == [True] * 6 and row.verdict == outcome.REPRODUCED
    assert row.outcome.ours == "oracle at quick: +0.5, +1.0, +2.0, +3.0, +4.0 points"
    assert "against BN-VAE (gamma 0.6)" in row.outcome.checks[1].shown
    assert len(row.outcome.runs) == 9 and len(row.outcome.experiments) == 9


@pytest.mark.parametrize("leads, holds", [
    ([-1, 1, 1, 1, 1], [False, True, True, True, True, True]),          # behind with few labels, but growing
    ([3, -1, 2, 2, 1], [True, False, True, True, True, False]),
    ([1, 1, 1, 1, 1], [True, True, True, True, True, None])])
def test_each_count_is_a_check(board, leads, holds) -> None:
    assert [check.holds for check in judged(board(leads)).outcome.checks] == holds


def test_encoders_set_the_margin(board) -> None:
    """Three encoders with sd 1: a difference of two means of three is known to 1.96 * sqrt(2 / 3) points; elsewhere,
    with one encoder each, to 1.96 * sqrt(2)."""
    found = judged(board([0, 1, 2, 3, 1.8], 3, 1.0), board([2, 2, 3, 3, 3], place="elsewhere")).outcome
    first = found.checks[1]
    assert first.holds is None and "margin 1.6" in first.shown and "elsewhere: open (+2.0" in first.shown
    assert "margin 2.8" in first.shown and found.checks[2].holds is True
    assert found.checks[5].holds is None                    # 1.8 more, of two leads known to 1.6 each


def test_a_place_has_its_own_spread_over_encoders(board) -> None:
    wide, narrow = board([2] * 5, 3, 4.0), board([2] * 5, 3, 0.5, place="elsewhere")
    shown = judged(wide, narrow).outcome.checks[1].shown
    assert "oracle at quick: open" in shown and "margin 6.4" in shown and "elsewhere: yes" in shown


def test_with_100_labels_nobody_has_to_be_behind(board) -> None:
    first = judged(board([-0.5, 1, 1, 1, 1], 3, 1.0)).outcome.checks[0]
    assert first.says == "no row is before CEAE with 100 labels" and first.holds is None


def test_leads_as_a_table(board) -> None:
    made = few_labels.leads(Records(probes=[board([-0.4, 1, 2, 3, 4], place="shen-yelp at quick")]), "caption", "leads")
    assert [row["labels"] for row in made.rows] == list(COUNTS)
    first, second = made.rows[:2]
    lead = first["shen-yelp at quick | lead (points)"]
    assert lead.text == "−0.4" and "−0.4 against BN-VAE" in lead.title and first["shen-yelp at quick | margin"] == 0.0
    printed = probe.printed()
    best = max(cells[500].value for row, cells in printed.items() if row != CEAE)
    assert second["published | lead (points)"].value == pytest.approx(printed[CEAE][500].value - best)
    assert first["published | lead (points)"].text == "0.0*"
    assert few_labels.leads(Records(probes=[probe.Board("recorded, x")]), "c", "n").rows[0]["x | margin"] is None


def test_a_place_without_ceae_says_nothing(row_of) -> None:
    run = row_of(BN)
    alone = probe.Board("recorded, x", [run], {run.id: {"id": "p", "result": {"counts": [
        {"labels": n, "accuracy_percent": [50.0]} for n in COUNTS]}}})
    found = judged(alone).outcome
    assert found.ours == "" and all(check.holds is None and check.shown == "" for check in found.checks)
