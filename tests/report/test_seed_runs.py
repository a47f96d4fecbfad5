"""Our own runs over seeds: nothing is averaged silently, and the statistics are those of the numbers."""

import numpy as np
import pytest

from ceae_core.report import intervals, seed_runs
from ceae_core.report.intervals import Summary

REC, BOUND = seed_runs.REC, seed_runs.BOUND


@pytest.fixture
def several(result):
    """several(family, values, …): a run for each value of Rec, with seeds from 1."""
    def make(family, values, **more):
        return [result(family, seed, **{REC: float(value)}, **more) for seed, value in enumerate(values, 1)]
    return make


def test_only_rows_of_the_families_and_seeds_in_order(result):
    found = [result("ceae", 2), result("bn-vae", 9), result("vae", 1), result("ceae", 1),
             result("bn-vae", 1, options={"gamma": 0.6})]
    chosen = seed_runs.of_seeds(found, ["bn-vae", "ceae"], [1, 2])
    assert [(r.family, r.seed) for r in chosen] == [("ceae", 1), ("ceae", 2)]
    assert len(seed_runs.of_seeds(found, ["bn-vae", "ceae"])) == 3              # any seed; gamma 0.6 is another row


def test_diverged_and_missing_seeds_are_counted_and_named(several, result):
    group = [*several("vae", [10, 11]), result("vae", 3, status="diverged")]
    cell = seed_runs.count(group, [1, 2, 3, 4])
    assert cell.value == "2/4" and cell.strong
    assert cell.title == "seed 3: diverged, rec is not finite; seed 4: no run"
    whole = seed_runs.count(several("vae", [10, 11]), [1, 2])
    assert (whole.value, whole.title, whole.strong) == ("2/2", "", False)


def test_the_spread_is_that_of_complete_runs(several, result):
    values = [10.0, 10.4, 9.9, 10.3, 10.1]
    table = seed_runs.spread_table([*several("vae", values), result("vae", 6, status="diverged")], REC,
                                   range(1, 7), "n")
    row, = table.rows
    assert row["n/N"].value == "5/6" and row["mean"] == pytest.approx(np.mean(values))
    assert row["sd"] == pytest.approx(np.std(values, ddof=1))
    for kind, function in (("percentiles of runs", intervals.percentile_range), ("mean, t", intervals.t_interval)):
        assert row[f"90 % | {kind}"].value == pytest.approx(function(values).width)
        assert row[f"90 % | {kind}"].text == "{:.2f} to {:.2f}".format(*function(values))
    assert row["lowest to highest"].text == "9.90 to 10.40" and "error over sentences" not in row


def test_one_seed_has_no_spread(several):
    row, = seed_runs.spread_table(several("vae", [10]), REC, [1], "n").rows
    assert row["mean"] == 10 and row["sd"] is None and row["90 % | mean, t"] is None
    row, = seed_runs.spread_table(several("vae", [10], nll_iw_se=0.4), BOUND, [1, 2], "n").rows
    assert row["error over sentences"] == pytest.approx(0.4) and row["n/N"].value == "1/2"


def test_pairs_are_tested_by_welch_and_corrected_together(several):
    a, b, c = [10.0, 10.2, 9.8], [10.1, 10.5, 10.4], [12.0, 12.1, 12.5]
    rows = seed_runs.pairs_table([*several("vae", a), *several("bn-vae", b), *several("ceae", c)], [REC], "n").rows
    assert [(row["first"], row["second"]) for row in rows] == [
        ("vae", "bn-vae (0.7)"), ("vae", "ceae"), ("bn-vae (0.7)", "ceae")]
    tests = [intervals.welch(Summary.of(x), Summary.of(y)) for x, y in ((a, b), (a, c), (b, c))]
    assert [row["p | Welch"].value for row in rows] == pytest.approx([t.p for t in tests])
    assert [row["p | after Holm"].value for row in rows] == pytest.approx(intervals.holm([t.p for t in tests]))
    assert seed_runs.pairs_table(several("vae", [1]), [REC], "n").rows == []


def test_deviations_are_from_the_mean_of_the_family(several):
    found = seed_runs.deviations([*several("vae", [1, 3]), *several("ceae", [5])], [REC])["Rec (nats)"]
    assert found == {"vae": [-1.0, 1.0], "ceae": [0.0]}


def test_widths_are_of_the_first_seeds(several):
    values = [10.0, 10.4, 9.9, 10.3, 10.1]
    panel, = seed_runs.widths_panels([*several("vae", values), *several("ceae", [1, 2])], REC)
    lines = {line.label: line for line in panel.lines}
    assert panel.title == "vae" and list(lines["mean, t"].x) == [3, 4, 5]
    assert lines["mean, t"].y[1] == pytest.approx(intervals.t_interval(values[:4]).width)


def test_the_known_spreads(several):
    few, enough, more = [1.0, 9.0], [1.0, 1.1, 1.2, 1.3, 1.4], [5.0, 5.0, 5.0, 5.0, 6.0]
    found = [*several("ae", few), *several("vae", enough), *several("ceae", more)]
    assert seed_runs.sds(found, REC) == pytest.approx(
        {"vae": np.std(enough, ddof=1), "ceae": np.std(more, ddof=1)})
    bn = [*several("bn-vae", enough), *several("bn-vae", more, options={"gamma": 0.6})]
    assert seed_runs.sds(bn, REC) == pytest.approx({"bn-vae": np.std(more, ddof=1)})


def test_choosing_among_seeds_flatters():
    """All: no error.  The rest without the worst: −E(max)/(n − 1).  The better of one and the mean: −√(1 + 1/n)/√2π.
    The best: E(min)."""
    found = list(seed_runs.selection(10).values())
    largest = 1.5388                                        # E of the largest of ten standard normals
    known = [0.0, -largest / 9, -np.sqrt(1.1 / (2 * np.pi)), -largest]
    assert found == pytest.approx(known, abs=0.01)
    assert [row["error of the reported number (sd)"] for row in seed_runs.selection_table(10).rows] == found


def test_a_diverged_run_can_be_recorded_and_an_unfinished_one_not(tmp_path):
    from types import SimpleNamespace

    from ceae_core.errors import CeaeError
    from ceae_core.report import recorded, results
    from ceae_core.spec import resolve
    spec = resolve("vae", "oracle", "smoke", 3)
    record = {"status": "diverged", "reason": "rec is not finite", "metrics": {}, "train_seconds": 1.0,
              "environment": {"device": "a machine"}}
    run = SimpleNamespace(id=spec.id, spec=spec, status="diverged", record=record, history=[], samples={})
    recorded.record(run, tmp_path)
    content, = recorded.load("oracle", "smoke", tmp_path)
    again = results.Result._made(content["id"], content["spec"], content, content["history"])
    assert (again.status, again.reason, again.seed) == ("diverged", "rec is not finite", 3)
    assert seed_runs.count([again], [3]).value == "0/1"
    run.status = "training"
    with pytest.raises(CeaeError, match="not finished|only finished"):
        recorded.record(run, tmp_path)
