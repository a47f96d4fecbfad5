"""Verdicts on interpolated sentences: from rates over recorded lines, not from examples."""

import pytest

from ceae_core.report import reproduction
from ceae_core.report.lines import ALIKE, MIXED, Lines
from ceae_core.report.reproduction import outcome
from ceae_core.report.reproduction.outcome import Records

FIRST, SECOND = (next(item for item in reproduction.ITEMS if (item.paper, item.label) == (paper, "Table 6"))
                 for paper in ("ceae", "clvm"))


def lines(family="ceae", count=40, corpus="oracle", name=None, *, mixed=0.5, alike=0.9, code=None, still=0):
    """Lines of three points whose texts have one score; `still` of the two steps change nothing."""
    def content(kind, score):
        text = [score] * 3
        steps = [0] * still + [1] * (2 - still)
        return {"kind": kind, "scores": {"text": text, "code": [code] * 3 if code is not None else text},
                "course": {"steps": steps, "from_start": [0, 1, 2], "from_end": [2, 1, 0], "distinct": 3 - still,
                           "source_errors": 0, "source_words": 4}}
    every = [content(MIXED, mixed) for _ in range(count)]
    every += [content(kind, side) for kind, side in zip(ALIKE, (1 - alike, alike), strict=True) for _ in range(count)]
    return Lines(name or family, family, corpus, {"id": f"interpolation-{family}", "result": {
        "weights": [0.0, 0.5, 1.0], "lines": every, "prior_norm": 1.0, "critic": {"name": "oracle", "settings": {}}}})


def judged(item, *found):
    return reproduction.report(Records(lines=found), [item]).rows[0]


def test_nothing_recorded_is_not_run_yet():
    for item in (FIRST, SECOND):
        assert judged(item).verdict == outcome.NOT_YET and item.chapter == "interpolation"


@pytest.mark.parametrize("found, holds", [
    ({}, [True, True, True]), ({"mixed": 0.9}, [False, True, True]), ({"alike": 0.1}, [True, False, True]),
    ({"mixed": 0.6, "code": 0.1}, [True, True, False])])
def test_the_three_checks_of_the_first_paper(found, holds):
    row = judged(FIRST, lines(**found))
    assert [check.holds for check in row.outcome.checks] == holds
    assert row.verdict == (outcome.REPRODUCED if all(holds) else outcome.PARTLY)
    assert row.ids == ["interpolation-ceae"] and row.run == "1 experiment"


def test_a_rate_near_one_half_decides_nothing():
    half = lines(count=6)
    for line in half.lines[:3]:
        line.content["scores"]["text"] = [0.9] * 3
    assert judged(FIRST, half).outcome.checks[0].holds is None


def test_a_rate_must_hold_on_every_corpus():
    found = judged(FIRST, lines(name="here"), lines(name="there", mixed=0.9)).outcome
    assert found.checks[0].holds is False and "here: yes (1.00" in found.checks[0].shown
    assert "there: no" in found.checks[0].shown and "there: neutral 0.00" in found.ours


def test_other_families_and_lines_without_labels_do_not_count():
    unlabelled = lines()
    unlabelled.lines = [line for line in unlabelled.lines if line.kind != MIXED]
    assert judged(FIRST, lines("ae"), unlabelled).verdict == outcome.NOT_YET


@pytest.mark.parametrize("still, verdict", [(0, outcome.REPRODUCED), (1, outcome.UNDECIDED), (2, outcome.NOT)])
def test_lines_of_the_second_paper_move(still, verdict):
    row = judged(SECOND, lines("cvae-mi", corpus="ptb", still=still), lines("ceae", corpus="ptb", still=2))
    assert row.verdict == verdict and row.ids == ["interpolation-cvae-mi"]
    assert f"cvae-mi: {3 - still}.0 different of 3; ceae: 1.0 different of 3" in row.outcome.ours
    assert judged(SECOND, lines("ceae", corpus="ptb")).verdict == outcome.NOT_YET
