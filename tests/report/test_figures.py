"""Figures: every kind draws, on opaque white, with labelled axes and distinguishable curves."""

from io import BytesIO

import numpy as np
import pytest
from matplotlib.image import imread

from ceae_core import schedules, zoo
from ceae_core.report import data, figures, panels, truth
from ceae_core.report.figures import Line, Panel

DRAWN = {
    "curves": lambda: figures.curves([
        Panel("a", "epoch", "nats", [Line("x", [1, 2], [3, 4]), Line("y", [1, 2], [4, 3], 1)], {"truth": 3.5}),
        Panel("b", "step", "m", [Line("x", [1], [1])], logarithmic=True)]),
    "bars": lambda: figures.bars({"KL (nats)": {"vae": [0.1, 0.2], "ae": None, "fb": []},
                                  "AU": {"vae": [0], "ae": [4], "fb": [1]}}),
    "one axis": lambda: figures.one_axis({"Rec": {"vae": [1.0, 2.0]}, "IW": {"vae": [3.0], "ae": []}}, "nats", "truth"),
    "lengths": lambda: figures.length_histogram([4, 5, 5, 9], [0, 0, 0, 0, .5, .5]),
    "scatter": lambda: figures.scatter({"a": np.eye(2), "b": -np.eye(2)}, np.array(["pos", "neg"]), "direction"),
    "scatter without groups": lambda: figures.scatter({"a": np.eye(2)}, None, "direction"),
}


@pytest.mark.parametrize("kind", DRAWN)
def test_a_figure_is_an_opaque_picture_on_white(kind):
    picture = DRAWN[kind]()
    image = imread(BytesIO(picture._repr_png_()))
    assert image.shape[1] > 400 and image.shape[0] > 150
    corners = image[[0, 0, -1, -1], [0, -1, 0, -1]]
    assert np.all(corners == 1)                                         # white and, where there is alpha, opaque
    assert image[..., :3].std() > 0.01
    for ax in picture.figure.axes:
        assert ax.get_xlabel()


def test_drawing_leaves_the_style_of_others_alone():
    import matplotlib
    before = dict(matplotlib.rcParams)
    DRAWN["curves"]()._repr_png_()
    assert dict(matplotlib.rcParams) == before


def test_every_family_looks_different():
    looks = {(figures.PALETTE[s % len(figures.PALETTE)], figures.DASHES[s % len(figures.DASHES)],
              figures.MARKERS[s % len(figures.MARKERS)]) for s in map(figures.family_style, zoo.FAMILIES)}
    assert len(looks) == len(zoo.FAMILIES)
    assert figures.family_style("bn-vae (0.6)") == figures.family_style("bn-vae")


def test_a_shared_legend_stands_below():
    shared = figures.curves([Panel("a", "t", "m", [Line("x", [1], [1]), Line("y", [1], [2], 1)]),
                             Panel("b", "t", "m", [Line("x", [1], [1])])])
    assert len(shared.figure.legends) == 1 and not any(ax.get_legend() for ax in shared.figure.axes)


def test_a_schedule_panel_follows_its_function():
    panel = panels.schedule("c", "noise", {"c": lambda clock: schedules.decaying_noise(clock, c0=1.0, t_max=2)}, 4, 10)
    assert panel.lines[0].x[-1] == 3.9
    assert [panel.lines[0].y[i] for i in (0, 9, 10, 19, 20)] == [1.0, 1.0, 0.5, 0.5, 0.0]


def test_learning_panels_leave_out_what_a_family_lacks(result):
    from dataclasses import replace
    history = [{"epoch": 1, "valid_rec_nats_per_sentence": 9.0, "valid_kl_nats": 2.0}]
    without = [{"epoch": 1, "valid_rec_nats_per_sentence": 8.0, "valid_kl_nats": None}]
    rec, bound = panels.learning([replace(result("vae"), history=history), replace(result("ae"), history=without),
                                  replace(result("lstm-lm"), history=without)], 7.0)
    assert [(line.label, line.y) for line in rec.lines] == [("vae", [9.0]), ("ae", [8.0]), ("lstm-lm", [8.0])]
    assert [(line.label, line.y) for line in bound.lines] == [("vae", [11.0]), ("lstm-lm", [8.0])]
    rows = panels.data([rec, bound], "name").table.rows
    assert len(rows) == 5 and rows[0] == {"panel": "Rec", "curve": "vae", "epoch": 1.0, "nats per sentence": 9.0}


def test_distance_to_the_truth(result, spec_like):
    from ceae_core.corpora import oracle
    sentences = oracle.default().sample(30, 5).sentences
    where = truth.floor(spec_like("oracle", {"test": sentences, "valid": sentences[:3]}, 10))
    exact = [-oracle.default().log_prob(s) for s in sentences]
    assert where.test == pytest.approx(np.mean(exact))
    assert where.first == pytest.approx(np.mean(exact[:10])) and where.valid == pytest.approx(np.mean(exact[:3]))
    assert truth.floor(spec_like("ptb", {}, 1)) is None
    runs = [result("vae", seed=1), result("vae", seed=2, status="diverged"), result("ae", nelbo_nats_per_sentence=None)]
    assert truth.excess(runs, where, "nll_iw_nats")["vae"] == [pytest.approx(11.0 - where.first)]
    assert truth.excess(runs, where, "nelbo_nats_per_sentence")["ae"] == []
    assert truth.excess_table(runs, None).rows[0]["IW bound (nats)"] == 11.0


def test_batching_table_counts_padding():
    from ceae_core.corpora.corpus import Corpus, Split
    train = Split([("a",)] * 4 + [("a", "b", "c")] * 4, {})
    shares = data.lengths_data(Corpus("t", {"train": train}), [0, 1, 0, 0, 0]).table.rows
    assert [r["training split (share)"] for r in shares] == [0, .5, 0, .5, 0] and shares[1]["exact (share)"] == 1
    rows = {r["mode"]: r for r in data.batching_table(Corpus("t", {"train": train}), 4).rows}
    assert rows["same_length"]["padding (% of symbols)"] == 0 and rows["same_length"]["batches"] == 2
    assert rows["same_length"]["mean length per batch, sd (symbols)"] == 1.0
    assert rows["random"]["padding (% of symbols)"] > 0
