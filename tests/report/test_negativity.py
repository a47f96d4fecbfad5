"""Figures and tables on the dual estimate: every number is the one it claims to be, explosions stay visible."""

import math
from dataclasses import replace

import pytest

from ceae_core.experiments.dual_estimator import circle_optimum, draws_needed
from ceae_core.report import dual, figures, negativity
from ceae_core.report.truth import Floor


def epoch(number, kl_dual, kl_exact=None, mi_dual=1.0, mi_exact=None, share=0.0):
    return {"epoch": number, "valid_rec_nats_per_sentence": 20.0 - number, "valid_kl_dual_nats": kl_dual,
            "valid_kl_dv_nats": kl_dual + 1, "valid_kl_exact_nats": kl_exact, "valid_mi_dual_nats": mi_dual,
            "valid_mi_exact_nats": mi_exact, "valid_dual_negative_share": share}


@pytest.fixture
def runs(result):
    ivae = replace(result("ivae"), history=[epoch(1, -0.5, 60.0, -0.2, 6.0, 1.0), epoch(2, 4.0, 40.0, 2.0, 6.5, 0.1)])
    again = replace(result("ivae", seed=2), history=[epoch(1, 2.0, 50.0), epoch(2, 3.0, 30.0)])
    mlp = replace(result("ivae", options={"noise_head": "mlp"}), history=[epoch(1, 3.0)])
    plus = replace(result("cvae+-mi"), history=[epoch(1, 5.0, 100.0), epoch(2, 7.0, 150.0)])
    return [ivae, again, mlp, plus]


def test_panels_show_estimate_and_truth_of_every_seed(runs):
    ivae, mlp, plus = negativity.over_epochs(runs, "kl")
    assert (ivae.title, plus.title) == ("ivae", "cvae+-mi") and "mlp" in mlp.title
    assert [(line.label, line.x, line.y) for line in ivae.lines] == [
        ("by the critics", [1, 2], [-0.5, 4.0]), ("by the critics", [1, 2], [2.0, 3.0]),
        ("exact", [1, 2], [60.0, 40.0]), ("exact", [1, 2], [50.0, 30.0])]
    assert [line.label for line in mlp.lines] == ["by the critics"]         # an MLP head has no exact value
    assert ivae.logarithmic is False and ivae.y == "KL (nats)"
    mi = negativity.over_epochs(runs, "mi")[0]
    assert mi.lines[0].y == [-0.2, 2.0] and mi.levels["log 1,000"] == pytest.approx(math.log(1000))
    picture = figures.curves(negativity.over_epochs(runs, "kl"), columns=3, same_y=True)
    first, *others = picture.figure.axes
    assert first.get_ylabel() == "KL (nats)" and all(ax.get_ylim() == first.get_ylim() for ax in others)
    legend, = picture.figure.legends
    assert [text.get_text() for text in legend.get_texts()] == ["by the critics", "exact"]


def test_figure_3_as_the_paper_prints_it(runs):
    kl, mi = negativity.as_printed([*runs[:2], runs[3]])
    assert [(line.label, line.style) for line in kl.lines] == [("ivae", 0), ("ivae", 0), ("cvae+-mi", 1)]
    assert kl.lines[0].y == [-0.5, 4.0] and mi.lines[0].y == [-0.2, 2.0] and kl.logarithmic is False
    exact = negativity.exact_panel(runs).lines
    assert [(line.label, line.y) for line in exact] == [("ivae", [60.0, 40.0]), ("ivae", [50.0, 30.0]),
                                                        ("cvae+-mi", [100.0, 150.0])]


def test_an_explosion_is_drawn_clipped_and_downloaded_in_full(runs):
    exploded = [replace(runs[0], history=[epoch(1, -1e30, 60.0), epoch(2, 3.0, 50.0)]), *runs[3:]]
    panels = negativity.over_epochs(exploded, "kl")
    assert {panel.logarithmic for panel in panels} == {"symmetric"}
    assert panels[0].lines[0].y == [dual.LEAST, 3.0]
    axes = figures.curves(panels).figure.axes
    assert all(ax.get_yscale() == "symlog" for ax in axes)
    rows = negativity.download(exploded, "epochs").table.rows
    assert rows[0]["kl_dual (nats)"] == -1e30 and rows[0]["run"] == exploded[0].id and len(rows) == 4
    shown = negativity.summary(exploded, "c", "n").rows[0]["KL by the critic | lowest epoch"]
    assert shown.text == "−10^30" and shown.value == -1e30


def test_summary_counts_what_was_negative(runs):
    first, _, mlp, plus = negativity.summary(runs, "c", "n").rows
    assert first["KL by the critic | last"].value == 4.0 and first["KL by the critic | lowest epoch"].value == -0.5
    assert first["KL by the critic | negative groups, at most (%)"] == 100.0
    assert first["KL, exact | last"] == 40.0 and first["KL, exact | estimate (%)"] == pytest.approx(10.0)
    assert first["MI | by the critics"].value == 2.0 and first["MI | exact"] == 6.5 and first["Rec"] == 18.0
    assert mlp["KL, exact | last"] is None and mlp["KL, exact | estimate (%)"] is None
    assert plus["KL, exact | estimate (%)"] == pytest.approx(100 * 7 / 150)
    assert negativity.summary([], "c", "n").rows == []


def test_a_run_that_diverged_at_once_is_still_a_row(result):
    row, = negativity.summary([result("ivae", status="diverged")], "c", "n").rows
    assert row["epochs"] == 0 and row["KL by the critic | last"].value is None


def test_the_papers_statements_are_counted_over_all_epochs_of_a_family(runs):
    rows = negativity.statements({"this build": runs, "recorded": []}).rows
    said = [row["this build"] for row in rows]
    assert said[0] == "1 of 5 epochs, lowest −0.5" and said[1] == "1 of 5 epochs, lowest −0.2"
    assert said[2] == "no run" and said[3] == "0 of 2 epochs, lowest 5.0"
    assert said[4] == "estimate 5.0 → 7.0, exact 100.0 → 150.0"
    assert {row["recorded"] for row in rows} == {"no run"}


def test_watched_sentences_follow_the_scale(result):
    counts = [negativity.watched(result("ivae", size=size)) for size in ("smoke", "quick", "laptop")]
    assert counts == [200, 1000, 1000]


def test_the_price_table_knows_the_least_that_a_code_carries(result):
    ivae = result("ivae")
    row, = negativity.price([ivae], {ivae.id: 3.5}, Floor(13.0, 12.0, 11.0), "c", "n").rows
    assert (row["KL by | its critic"].value, row["KL by | critics refitted"].value) == (1.0, 3.5)
    assert row["KL by | floor − Rec, at least"] == 3.0 and row["the first of them | floor"] == 12.0
    assert row["the first of them | IW bound"] == 11.0 and row["all sentences | floor"] == 13.0
    assert row["all sentences | −ELBO, its critic"].value == 10.5
    assert row["all sentences | −ELBO, closed form"] == 15.0
    loose = result("ivae", kl_exact_nats=None, rec_nats_per_sentence=14.0)
    mlp, lost = negativity.price([loose, result("ivae", seed=2, status="diverged")], {}, Floor(13.0, 12.0, 11.0), "c",
                                 "n").rows
    assert lost["Rec"] is None and lost["KL by | floor − Rec, at least"] is None
    assert mlp["KL by | closed form"] is None and mlp["KL by | floor − Rec, at least"] == 0.0
    assert negativity.price([ivae], {}, None, "c", "n").rows[0]["all sentences | floor"] is None


def track(kl=8.0, latent=32, loss="fenchel", rate=1e-4, dual_nats=(0.0, 1.0, -3.0, 2.0, 4.0)):
    steps = len(dual_nats)
    curve = {"update": [10 * i for i in range(steps)], "dual_nats": list(dual_nats), "dv_nats": [5.0] * steps,
             "f_q_nats": [1.0] * steps, "mean_exp": [1.0] * steps, "negative_share": [0.0] * steps,
             "batch_max_exp": [0.0, 1e9, 3.0, 3.0, 3.0][:steps]}
    parameters = {"kl": kl, "latent": latent, "loss": loss, "critic_lr": rate, "seed": 1, "critic_hidden": 8,
                  "held_out": 64}
    return {"id": f"x-{kl}-{latent}", "parameters": parameters, "result": {"curve": curve, "ended": None}}


def test_tracks_have_a_panel_per_kl_and_a_curve_per_variant():
    low, high = dual.tracks([track(20.0, rate=1e-5), track(8.0), track(20.0)])
    assert (low.levels, high.levels) == ({"true KL": 8.0}, {"true KL": 20.0})
    assert [line.label for line in high.lines] == ["rate 1e-05", "rate 0.0001"]
    assert low.lines[0].x == [0, 10, 20, 30, 40] and low.lines[0].y == [0.0, 1.0, -3.0, 2.0, 4.0]
    both = dual.tracks([track(latent=2, loss="circle"), track(latent=8)])[0].lines
    assert [line.label for line in both] == ["2 dimensions, circle loss", "8 dimensions, dual loss"]
    assert dual.tracks([track(dual_nats=(0.0, -1e9))])[0].lines[0].y == [0.0, dual.LEAST]


def test_tracks_table_looks_at_the_second_half():
    row, = dual.tracks_table([track()], "c", "n").rows
    assert row["dual estimate, second half | median"].value == 2.0
    assert row["dual estimate, second half | highest"].value == 4.0
    assert row["dual estimate, second half | lowest"].value == -3.0
    assert row["looks below 0 (share)"] == 0.25 and row["updates"] == 40
    assert row["largest e^f in a batch"].text == "10^9"


def test_anatomy_shows_four_sides_of_one_critic():
    panels = dual.anatomy(track())
    assert [len(panel.lines) for panel in panels] == [2, 1, 2, 1] and panels[2].logarithmic is True
    assert panels[2].lines[1].y[0] == 1e9 and panels[2].lines[1].x[0] == 10 and panels[0].levels == {"true KL": 8.0}


def perfect(kl):
    found = {"draws": [10, 1000], "repeats": [2000, 20], "dual_mean": [kl, kl], "dual_least": [-1e8, kl - 2],
             "dual_low": [kl - 3, kl - 1], "dual_median": [kl + 1, kl + 0.5], "dual_high": [kl + 2, kl + 1],
             "dv_median": [kl + 9, kl + 2], "mean_exp_median": [1e-9, 0.5], "negative_share": [0.04, 0.0]}
    return {"id": "p", "parameters": {"kl": kl, "total": 20_000}, "result": found}


def test_the_perfect_critics_panels_and_table():
    excess, negative, other = dual.perfect_panels([perfect(8.0), perfect(2.0)])
    assert [line.label for line in excess.lines] == ["KL 2", "KL 8"] and excess.lines[0].y == [1.0, 0.5]
    assert (negative.lines[0].x, negative.lines[0].y) == ([10], [4.0])          # 20 repetitions are no share
    assert other.lines[1].y == [17.0, 10.0] and negative.logarithmic == "x"
    table = dual.perfect_table([perfect(8.0), perfect(2.0)], 10, "c", "n")
    low, high = table.rows
    assert low["true KL (nats)"].value == 2.0 and low["dual | lowest of all"].text == "−10^8"
    assert high["draws for an error of 1 nat"].value == draws_needed(8.0)
    assert high["draws for an error of 1 nat"].text == "8.9 · 10^6" and "2,000 repetitions" in table.notes[0]
    assert figures.curves([excess, negative]).figure.axes[0].get_xscale() == "log"


def test_adding_a_constant_raises_the_reading_and_lowers_the_expectation():
    content = perfect(20.0)
    panel = dual.shift_panel(content, 10)
    read, expected = panel.lines
    assert read.y[0] == pytest.approx(21.0) and read.y[8] == pytest.approx(23.0, abs=1e-6)      # c = 2, e^f not seen
    assert expected.y[0] == 20.0 == max(expected.y) and expected.y[4] == pytest.approx(22 - math.e)
    assert min(expected.y) > 0 and len(expected.x) == len(expected.y) < len(read.x)


def test_circle_table():
    rows = dual.circle_table((1.0, 40.0)).rows
    assert rows[1]["circle loss at its minimum"] == circle_optimum(40.0).loss < rows[0]["circle loss at its minimum"]
    assert rows[1]["dual reading of that critic (nats)"] == pytest.approx(21.35, abs=0.01)
    assert rows[0]["E_p e^f"].value == pytest.approx(math.exp(rows[0]["log k (nats)"]))


def refitted(exact=50.0):
    def at(value):
        return {"dual_nats": value, "dv_nats": value + 1}
    made = [{"label": "new", "best_update": 100, "best": at(10.0), "last": at(-1e9), "ended": None},
            {"label": "mad", "best_update": 0, "best": at(0.0), "last": None, "ended": 1500}]
    plans = [{"label": "new", "critic_lr": 1e-3, "prior_draws": 16}, {"label": "mad"}]
    return {"parameters": {"run_id": "r", "attempts": plans},
            "result": {"exact_nats": exact, "perfect": at(51.0) if exact else None, "trained": at(5.0),
                       "attempts": made}}


def test_numbers_of_any_size():
    shown = [dual.nats(value) for value in (None, -3.25, 1234.5, -1234.5, 99_999.0, 2e5, -3e77)]
    assert [cell.text for cell in shown] == ["", "", "1,234", "−1,234", "99,999", "10^5", "−10^77"]
    assert shown[-1].value == -3e77


def test_refit_table():
    own, new, mad, best, truth = dual.refit_table(refitted(), "c", "n").rows
    assert own["at its best | dual (nats)"].value == 5.0 and own["at its best | of the exact KL (%)"] == 10.0
    assert new["at its best | of the exact KL (%)"] == 20.0 and new["draws per code"] == 16 and new["updates"] == 100
    assert new["after the last update | dual (nats)"].text == "−10^9" and new["rate"].text == "0.001"
    assert mad["after the last update | dual (nats)"].text == "no number after 1,500" and mad["rate"].text == "1e-05"
    assert best["at its best | of the exact KL (%)"] == pytest.approx(102.0)
    assert truth["at its best | dual (nats)"].value == 50.0
    assert len({tuple(row) for row in (own, new, mad, best, truth)}) == 1       # all rows have the same columns
    known, mlp = dual.refit_summary([refitted(), refitted(None)], "c", "n").rows
    assert known["highest of the attempts (nats)"].value == 10.0 and known["by"] == "new"
    assert known["highest / exact (%)"] == 20.0 and known["log q/p on the same draws (nats)"] == 51.0
    assert known["lowest after all updates (nats)"].value == -1e9 and mlp["exact (nats)"] is None
    unknown = dual.refit_table(refitted(None), "c", "n").rows
    assert len(unknown) == 3 and unknown[1]["at its best | of the exact KL (%)"] is None
