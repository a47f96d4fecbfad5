"""Tables and figures on clusters, from invented trainings whose numbers are known."""

import math

import numpy as np
import pytest
import torch
from matplotlib.colors import to_hex

from ceae_core import experiments
from ceae_core.experiments import clusters
from ceae_core.experiments.clusters import reconstruction_loss
from ceae_core.report import clusters as report
from ceae_core.report import figures, panels


def content(model="ivae", categories=4, accuracy=((0.2, 0.3), (0.95, 0.5), (0.8, 0.91), (1.0, 0.92)), lr=2e-3,
            steps=(0, 10, 20, 30), **parameters):
    rows = [list(row) for row in accuracy]
    decoded = [[0.0] * len(row) if i == 0 else [0.99] * len(row) for i, row in enumerate(rows)]
    measures = {"accuracy": rows, "decoded": decoded, "intra": [[0.5] * len(row) for row in rows],
                "inter": [[0.5 * (i + 1)] * len(row) for i, row in enumerate(rows)],
                "second_moment": [[1.0] * len(row) for row in rows], "bce": [[3.0 - i] * len(row) for i, row in
                                                                             enumerate(rows)],
                "kl": [[0.1 * i] * len(row) for i, row in enumerate(rows)]}
    codes = {"0": np.zeros((categories, 2, 2)).tolist(), "30": np.arange(categories * 4.0).reshape(
        categories, 2, 2).tolist()}
    made = {"model": model, "categories": categories, "steps": steps[-1], "lr": lr, "seeds": [1, 2], **parameters}
    return {"id": experiments.identity(clusters.NAME, clusters.VERSION, made), "name": clusters.NAME,
            "version": clusters.VERSION, "parameters": made, "environment": {},
            "result": {"steps": list(steps), "measures": measures, "codes": codes}}


@pytest.fixture
def ivae() -> report.Trained:
    return report.Trained.of(content())


def test_steps_to_separate(ivae):
    assert ivae.first(0.9) == [10, 20] and ivae.first(0.99) == [30, None]
    assert ivae.lasting(0.9) == [30, 20] and ivae.lasting(0.2) == [0, 0] and ivae.lasting(0.99) == [30, None]
    overflowed = report.Trained.of(content(accuracy=((0.5,), (1.0,), (None,), (None,))))
    assert overflowed.first(0.9) == [10] and overflowed.lasting(0.9) == [None]


def test_values_at_a_step_and_their_ratio(ivae):
    assert ivae.at("accuracy", 12).tolist() == [0.95, 0.5] and ivae.at("accuracy", 30).tolist() == [1.0, 0.92]
    assert ivae.at("accuracy", 31) is None
    assert ivae.values("ratio")[:, 0].tolist() == [1.0, 2.0, 3.0, 4.0]
    ivae.measures["intra"][1] = 0.0
    assert np.isnan(ivae.values("ratio")[1]).all()


def test_steps_table(ivae):
    never = report.Trained.of(content("cvae", accuracy=((0.2, 0.3),) * 4, mask_same_class=True))
    first, second = report.steps_table([ivae, never], "caption", "name").rows
    assert [first[c].text for c in first if c.startswith("first step")] == [
        "15 (10–20; 2/2)", "30 (1/2)", "25 (20–30; 2/2)", "10 (2/2)"]
    assert first["run"].value == ivae.id and first["steps"] == 30
    assert second["model"] == "cVAE, masked" and second["first step with | accuracy ≥ 0.9"].text == "never (0/2)"
    assert second["first step with | accuracy ≥ 0.9"].value is None


def test_end_table(ivae):
    row, = report.end_table([ivae], "caption", "name").rows
    assert row["accuracy"].text == "0.96 (0.92–1.00)" and row["decoded"].text == "0.99"
    assert row["Rec (nats)"].value == 0.0 and row["inter / intra"].value == 4.0
    assert row["Rec + KL − log K"].value == pytest.approx(0.3 - math.log(4)) and row["Rec + KL − log K"].text == "−1.09"


def test_an_overflow_is_said():
    lost = report.Trained.of(content(accuracy=((0.5, 0.5), (1.0, 1.0), (None, 0.5), (None, None))))
    row, = report.end_table([lost], "c", "n").rows
    assert row["accuracy"].text == "overflow"
    line = report.panels([lost], ["accuracy"])[0].lines[0]
    assert line.x.tolist() == [0, 10, 20] and line.y.tolist() == [0.5, 1.0, 0.5]    # the last step has no number at all


def test_a_panel_of_the_kl_cuts_off_deep_readings():
    made = content()
    made["result"]["measures"]["kl"][1] = [-30.0, 0.0]
    axes = figures.curves(report.panels([report.Trained.of(made)], ["kl", "bce"])).figure.axes
    assert axes[0].get_ylim()[0] == report.DIP and axes[1].get_ylim()[0] > -0.5


def test_panels_show_the_median_and_the_range(ivae):
    other = report.Trained.of(content("cvae+", 8, accuracy=((0.1, 0.1, 0.4),) * 4, seeds=[1, 2, 3]))
    masked = report.Trained.of(content("cvae+", 8, mask_same_class=True))
    first, second = report.panels([ivae, other, masked], ["accuracy"])
    assert (first.title, second.title) == ("K = 4", "K = 8") and not first.levels
    assert first.lines[0].y.tolist() == pytest.approx([0.25, 0.725, 0.855, 0.96])
    low, high = second.lines[0].spread
    assert (second.lines[0].y[0], low[0], high[0]) == (0.1, 0.1, 0.4)
    assert len({line.style for line in second.lines}) == 2
    assert [line.label for line in second.lines] == ["cVAE+, sign as printed", "cVAE+, sign as printed, masked"]
    both, rec = report.panels([ivae], ["sum", "bce"])
    assert both.levels == {"log K": pytest.approx(math.log(4))} and both.lines[0].y.tolist() == pytest.approx(
        [3.0, 2.1, 1.2, 0.3])
    guess = reconstruction_loss(torch.full((1, 4), math.log(1 / 3)), torch.tensor([2]))     # four probabilities of 1/4
    assert rec.y == "Rec (nats)" and rec.levels["no information"] == pytest.approx(guess.item())


def test_the_download_of_a_figure_holds_its_bands(ivae):
    rows = panels.data(report.panels([ivae], ["accuracy"]), "name").table.rows
    assert rows[1] == {"panel": "K = 4", "curve": "iVAE", "step": 10.0, "nearest-centroid accuracy": 0.725,
                       "lowest": 0.5, "highest": 0.95}


def test_a_band_is_drawn_around_its_curve(ivae):
    axes, = figures.curves(report.panels([ivae], ["accuracy"])).figure.axes
    band, = axes.collections
    corners = band.get_paths()[0].vertices
    assert corners[:, 1].min() == 0.2 and corners[:, 1].max() == 1.0


def test_claims_stand_beside_the_accuracy_at_their_step():
    long = report.Trained.of(content("cvae+", lr=1e-5, steps=(0, 3500, 4000, 5000)))
    short = report.Trained.of(content("cvae+", lr=1e-2, steps=(0, 4, 5, 80)))      # 3.5 of these are 3,500 of 1e-5
    baseline = report.Trained.of(content("ivae", lr=1e-5, steps=(0, 5000, 6000, 80_000)))
    masked = report.Trained.of(content("cvae", lr=1e-5, steps=(0, 3500, 4000, 5000), mask_same_class=True))
    alone = report.Trained.of(content("cvae+", lr=1e-5, steps=(0, 3500, 4000, 80_000), seeds=[1],
                                      accuracy=((0.1,),) * 4))
    rows = {(row["K"], row["step"], row["model"]): row for row in report.claims_table(
        [alone, long, baseline, masked], [short]).rows}
    assert len(rows) == sum(len(claim.models) for claim in report.CLAIMS)
    ours = rows[4, 3500, "cVAE+, sign as printed"]
    assert ours["recorded | accuracy"].value == pytest.approx(0.725)
    assert ours["this build | accuracy"].value == pytest.approx(0.725)              # at step 4, the nearest to 3.5
    assert ours["recorded | decoded"].value == pytest.approx(0.99)
    assert rows[4, 5000, "iVAE"]["recorded | accuracy"].value == pytest.approx(0.725)
    assert rows[4, 80_000, "iVAE"]["recorded | accuracy"].value == pytest.approx(0.96)
    assert rows[4, 80_000, "iVAE"]["this build | accuracy"].text == report.NOT_RECORDED
    assert rows[4, 3500, "cVAE"]["recorded | accuracy"].text == report.NOT_RECORDED      # only its masked variant is
    assert "–" in ours["recorded | accuracy"].text                      # of the training with more seeds
    assert rows[8, 80_000, "cVAE+, sign as printed"]["recorded | accuracy"].text == report.NOT_RECORDED


def test_scatter_rows_and_their_download(ivae):
    rows = report.scatter_rows([ivae], [0, 15, 30])
    assert list(rows["iVAE"]) == ["step 0", "step 15", "step 30"] and rows["iVAE"]["step 15"] is None
    assert rows["iVAE"]["step 30"].shape == (4, 2, 2)
    table = report.scatter_data([ivae], "codes").table
    assert len(table.rows) == 8
    assert table.rows[3] == {"model": "iVAE", "K": 4, "category": 1, "draw": 1, "step 0, unit 1": 0.0,
                             "step 0, unit 2": 0.0, "step 30, unit 1": 6.0, "step 30, unit 2": 7.0}


def test_sixteen_categories_look_different():
    points = np.random.default_rng(0).normal(size=(16, 5, 2))
    picture = figures.scatter_grid({"cVAE": {"0": points, "5": None}})
    first, second = picture.figure.axes
    looks = {(line.get_marker(), to_hex(line.get_color()), str(line.get_markerfacecolor())) for line in first.lines}
    assert len(looks) == 16
    assert [text.get_text() for text in second.texts] == ["not\nrecorded"] and not second.lines
    assert picture._repr_png_()[:4] == b"\x89PNG"


def test_a_scatter_panel_says_its_scale():
    tiny, wide = np.full((2, 3, 2), 0.02), 9.0 * np.eye(2).reshape(2, 1, 2)
    first, second = figures.scatter_grid({"m": {"0": tiny, "1": wide}}).figure.axes
    assert [ax.get_xlim()[1] for ax in (first, second)] == pytest.approx([0.023, 10.35], rel=0.01)
    assert [ax.texts[0].get_text() for ax in (first, second)] == ["±0.023", "±10"]
    circle, = first.patches
    assert circle.radius == pytest.approx(math.sqrt(2 * math.log(20)))              # 95 % of a normal in two dimensions


def test_recorded_trainings_come_in_order(tmp_path, monkeypatch):
    made = [content("ivae", 8), content("cvae", 4), content("vae", 4), content("vae", 4, steps=(0, 1, 2, 90))]
    old = content("vae", 4)
    old |= {"version": clusters.VERSION - 1, "id": experiments.identity(clusters.NAME, clusters.VERSION - 1,
                                                                        old["parameters"])}
    for one in (*made, old):
        experiments.record(one, tmp_path)
    monkeypatch.setattr(experiments, "recorded", lambda name, results=tmp_path, real=experiments.recorded: real(
        name, results))
    found = report.recorded()
    assert [(t.categories, t.model, t.steps[-1]) for t in found] == [(4, "vae", 90), (4, "vae", 30), (4, "cvae", 30),
                                                                    (8, "ivae", 30)]


def test_real_trainings_at_the_smallest_scale(tmp_path, monkeypatch):
    monkeypatch.setenv("CEAE_RUNS", str(tmp_path))
    found = report.trained("smoke", [1, 2], ["vae", "cvae+"], [3, 4])
    assert [(t.categories, t.model) for t in found] == [(3, "vae"), (3, "cvae+"), (4, "vae"), (4, "cvae+")]
    assert set(found[0].codes) == set(clusters.SCALES["smoke"]["snapshots"])
    again, = report.trained("smoke", [1, 2], ["vae"], [3])
    assert again.id == found[0].id and report.trained("smoke", [1], ["vae"], [3])[0].id != again.id
    masked, = report.trained("smoke", [1], ["cvae"], [3], mask_same_class=True)
    assert masked.title == "cVAE, masked"
    for item in found:
        assert np.isfinite(item.values("ratio")).all() and item.values("accuracy").shape == (len(item.steps), 2)
