"""The page's tables, curves and margins of few-label probes, from invented accuracies."""

import csv
from io import StringIO

import numpy as np
import pytest

from ceae_core import experiments
from ceae_core.experiments.probe import BASELINES, NAME, VERSION, Design
from ceae_core.report import figures, probe, published, recorded

CEAE, BN, AE = "ceae:3:CEAE:", "ceae:3:BN-VAE:gamma=0.6", "ceae:3:AE:"
COUNTS = (100, 10_000)


def content(name, values, **more):
    """A result with `values` (by count the accuracies over seeds)."""
    return {"id": name, "parameters": {"run_id": name}, "result": {
        "counts": [{"labels": n, "accuracy_percent": list(v)} for n, v in zip(COUNTS, values, strict=True)], **more}}


@pytest.fixture
def board(row_of):
    """board({row: values}, …) -> a board of one run of each row, or of several where `seeds` says so."""
    def make(found, where="recorded, oracle at quick", seeds=1, **more):
        runs, contents = [], {}
        for row, values in found.items():
            for seed in range(1, seeds + 1):
                run = row_of(row, seed=seed)
                runs.append(run)
                contents[run.id] = content(run.id, [np.add(each, 10 * (seed - 1)) for each in values])
        return probe.Board(where, runs, contents, **more)
    return make


AGAINST = content("against", [(70.0, 72.0), (90.0, 92.0)], majority_percent=60.4, best_percent=99.5)
UNTRAINED = content("start", [(51.0, 53.0), (55.0, 57.0)])


def test_printed_numbers_are_the_papers() -> None:
    cells = probe.printed()
    assert list(cells) == published.rows("ceae", 3)
    assert list(cells[AE]) == [100, 500, 1000, 2000, 10_000]
    assert cells[CEAE][10_000].value == published.cell(CEAE, "Yelp (short, sentiment)", "accuracy@10000labels").value


def test_table_3_beside_ours(board) -> None:
    made = probe.beside([board({CEAE: [(60.0, 62.0), (80.0, 84.0)]}, untrained=UNTRAINED, against=AGAINST)], "c", "n")
    rows = {row["codes of"].value if hasattr(row["codes of"], "value") else row["codes of"]: row for row in made.rows}
    assert list(rows)[:9] == [published.title(row) for row in published.rows("ceae", 3)]
    assert list(rows)[9:] == [probe.UNTRAINED, probe.WORDS, probe.FREQUENT, probe.BEST]
    ceae = rows["CEAE"]
    here = ceae["recorded, oracle at quick | 100"]
    assert here.value == 61.0 and here.text == "61.0 ± 1.4" and here.title.startswith("2 seeds, 60.0 to 62.0; ceae-")
    assert ceae["recorded, oracle at quick | 10,000"].text == "82.0 ± 2.8"
    starred = ceae["published | 100"]
    assert starred.text.endswith("*") and starred.strong and "Table 3" in starred.title
    assert rows["AE"]["recorded, oracle at quick | 100"].text == "not probed"
    assert rows[probe.UNTRAINED]["recorded, oracle at quick | 100"].value == 52.0
    assert rows[probe.WORDS]["recorded, oracle at quick | 10,000"].value == 91.0
    best = [rows[name]["recorded, oracle at quick | 100"].value for name in (probe.FREQUENT, probe.BEST)]
    assert best == [60.4, 99.5]
    assert rows[probe.WORDS]["published | 100"].value is None
    assert len({tuple(row) for row in made.rows}) == 1 and "<table" in made._repr_html_()


def test_without_a_grammar_nobody_knows_the_best(board) -> None:
    against = content("against", [(70.0,), (90.0,)], majority_percent=60.4, best_percent=None)
    names = [getattr(row["codes of"], "value", None) for row in probe.beside(
        [board({CEAE: [(60.0,), (80.0,)]}, against=against)], "c", "n").rows]
    assert probe.BEST not in names and probe.UNTRAINED not in names and probe.WORDS in names


def test_one_value_has_no_spread() -> None:
    assert probe.cell([61.25]).text == "61.2" and probe.cell([]).value is None
    assert probe.cell([61.0, 61.0, 61.0]).text == "61.0"


def test_curves(board) -> None:
    panels = probe.curves([board({CEAE: [(60.0, 62.0), (80.0, 84.0)]}, untrained=UNTRAINED, against=AGAINST)])
    assert [panel.title for panel in panels] == ["Published", "oracle"]
    assert [line.label for line in panels[1].lines] == ["CEAE", probe.UNTRAINED, probe.WORDS]
    line = panels[1].lines[0]
    assert (line.x, line.y) == ([100, 10_000], [61.0, 82.0]) and panels[1].levels == {probe.FREQUENT: 60.4}
    assert line.spread[1][0] - line.y[0] == pytest.approx(np.std([60, 62], ddof=1))
    assert panels[0].lines[8].style == line.style and len({each.style for each in panels[0].lines[:9]}) == 9
    assert [each.plain for each in panels[1].lines] == [False, True, True]
    assert [each.label for each in panels[0].lines[9:]] == [each.label for each in panels[1].lines[1:]]   # one legend
    assert figures.curves(panels)._repr_png_().startswith(b"\x89PNG")


def test_every_number_can_be_downloaded(board) -> None:
    made = probe.data([board({CEAE: [(60.0, 62.0), (80.0, 84.0)]}, untrained=UNTRAINED, against=AGAINST)], "probes")
    rows = list(csv.DictReader(StringIO(made.table.csv())))
    assert len(rows) == 12 and {row["codes of"] for row in rows} == {"ceae", probe.UNTRAINED, probe.WORDS}
    assert [(row["labels"], row["seed"], float(row["accuracy (%)"])) for row in rows[:4]] == [
        ("100", "1", 60.0), ("100", "2", 62.0), ("10000", "1", 80.0), ("10000", "2", 84.0)]


def test_a_gap_is_paired_over_seeds(board) -> None:
    """Seeds go up and down together: the difference is known better than either number."""
    found = board({CEAE: [(60.0, 70.0, 80.0), (90.0,)], AE: [(59.0, 68.8, 79.2), (91.0,)]})
    gap = probe.gap(found, CEAE, AE, 100, 2.0, None)
    assert gap.difference == pytest.approx(1.0)
    assert gap.margin == pytest.approx(2 * np.std([1.0, 1.2, 0.8], ddof=1) / 3 ** 0.5) and gap.holds is True
    assert probe.gap(found, AE, CEAE, 100, 2.0, None).holds is False
    wide = probe.gap(found, CEAE, AE, 100, 2.0, 3.0)
    assert wide.margin == pytest.approx(2 * (0.04 / 3 + 2 * 9.0) ** 0.5) and wide.holds is None
    assert probe.gap(found, CEAE, BN, 100, 2.0, None) is None


def test_a_gap_is_between_means_of_encoders(board) -> None:
    """Three encoders a side, 60, 70, 80 and 50, 60, 70: a difference of ten, with the error of means of three."""
    found = board({CEAE: [(60.0, 60.0), (80.0,)], AE: [(50.0, 50.0), (80.0,)]}, seeds=3)
    gap = probe.gap(found, CEAE, AE, 100, 2.0, 6.0)
    assert gap.difference == pytest.approx(10.0) and gap.margin == pytest.approx(2 * (2 * 36 / 3) ** 0.5)


def test_spread_over_encoders(board) -> None:
    found = board({CEAE: [(60.0, 62.0), (80.0, 80.0)]}, seeds=3)                # means 61, 71, 81
    assert probe.encoder_sd([found], 100) == pytest.approx(10.0)
    assert probe.encoder_sd([found], 100, fewest=4) is None and probe.encoder_sd([], 100) is None
    row = probe.spread_over_encoders([found], "encoders").rows[0]
    assert (row["encoders"], row["place"]) == (3, "oracle at quick")
    assert row["over encoders | 100"] == row["over encoders | 10,000"] == pytest.approx(10.0)
    assert row["over seeds of one encoder | 100"] == pytest.approx(2 ** 0.5)
    assert row["over seeds of one encoder | 10,000"] == 0.0
    assert probe.spread_over_encoders([board({CEAE: [(60.0,), (80.0,)]})], "encoders") is None


def test_the_table_shows_the_first_encoder(board) -> None:
    made = probe.beside([board({CEAE: [(60.0,), (80.0,)]}, seeds=2)], "c", "n")
    assert made.rows[-1]["recorded, oracle at quick | 100"].value == 60.0


def test_what_is_recorded_by_place_and_design(row_of, tmp_path, monkeypatch) -> None:
    runs = {"oracle": [row_of(CEAE), row_of(AE)], "shen": [row_of(CEAE, corpus="shen")]}
    monkeypatch.setattr(probe, "corpora", lambda: list(runs))
    monkeypatch.setattr(probe, "load_recorded", lambda corpus: runs[corpus])
    design = Design()

    def kept(run_id, labelled, **changes):
        parameters = {"run_id": run_id, "untrained": False, "labelled": labelled, "labelled_sha256": "0",
                      **design.choosing(), "standardised": False, **vars(design.protocol)} | changes
        return {"id": f"{run_id}{changes}", "name": NAME, "parameters": parameters, "version": VERSION,
                "result": {"counts": []}}
    every = {NAME: [kept(runs["oracle"][0].id, "oracle"), kept(runs["oracle"][1].id, "oracle", untrained=True),
                    kept(runs["oracle"][1].id, "oracle", standardised=True), kept(runs["shen"][0].id, "short"),
                    kept("nobody", "oracle"), kept(runs["oracle"][1].id, "oracle", head="linear")],
             BASELINES: [{"id": "b", "parameters": {"labelled": "short", **design.choosing()}, "result": {}},
                         {"id": "c", "parameters": {"labelled": "oracle", **design.choosing(), "seeds": 3},
                          "result": {}}]}
    monkeypatch.setattr(experiments, "recorded", lambda name: every[name])
    boards = {board.where: board for board in probe.recorded()}
    assert list(boards) == ["recorded, oracle at quick", "recorded, shen at quick"]
    oracle, shen = boards.values()
    assert list(oracle.found) == [runs["oracle"][0].id] and oracle.untrained["parameters"]["untrained"]
    assert oracle.against is None and shen.against["id"] == "b" and shen.untrained is None
    other, = probe.recorded(Design(standardised=True))
    assert list(other.found) == [runs["oracle"][1].id]


def test_recorded_probes_belong_to_recorded_runs() -> None:
    """What is recorded with the project: every probe has its run, and all values asked for."""
    known = {content["id"] for corpus in recorded.corpora() for content in recorded.load(corpus)}
    for each in experiments.recorded(NAME):
        assert each["parameters"]["run_id"] in known
        assert [c["labels"] for c in each["result"]["counts"]] == each["parameters"]["counts"]
        assert all(len(c["accuracy_percent"]) == each["parameters"]["seeds"] for c in each["result"]["counts"])
