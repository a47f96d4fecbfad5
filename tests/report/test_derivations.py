"""The figures and tables of the derivations show what their functions compute, and links lead to findings."""

import json
import math
import re
from itertools import pairwise

import numpy as np
import pytest
import torch
from scipy import stats

from ceae_core.audit import FINDINGS, maths_channel, maths_population
from ceae_core.book.layout import here
from ceae_core.errors import CeaeError
from ceae_core.execute import ensure
from ceae_core.experiments import contrast_entropy
from ceae_core.experiments.dual_estimator import circle_optimum
from ceae_core.report import derivations, figures
from ceae_core.report.audit import anchor
from ceae_core.runs import Store
from ceae_core.spec import resolve


def chapter() -> list[dict]:
    return json.loads(here().source("derivations").read_text(encoding="utf-8"))["cells"]


def test_every_section_that_findings_name_is_in_the_book_and_points_back():
    text = "\n".join("".join(cell["source"]) for cell in chapter())
    labels = re.findall(r"(?m)^\((sec-[a-z-]+)\)=$", text)
    pointers = re.findall(r'pointer\("([a-z-]+)"\)', text)
    named = {finding.see for finding in FINDINGS if finding.kind == "equation" and finding.see}
    assert named <= set(labels) and sorted(pointers) == sorted(named)
    place = {label: text.index(f"({label})=") for label in labels}
    for label, after in pairwise(sorted(labels, key=place.get)):
        if label in named:
            assert place[label] < text.index(f'pointer("{label}")') < place[after]


def test_a_pointer_links_the_findings_of_its_section():
    shown = derivations.pointer("sec-sphere")
    assert [finding.key for finding in shown.findings] == ["ceae-f-sphere"]
    assert f"{{ref}}`ceae-f-sphere <{anchor(shown.findings[0])}>`" in shown._repr_markdown_()
    assert repr(shown) == "In the audit: ceae-f-sphere"
    with pytest.raises(CeaeError, match="section: no finding is argued under 'sec-nowhere'"):
        derivations.pointer("sec-nowhere")


def test_the_table_of_objectives_adds_up():
    exact, blurred = derivations.aggregate_table().rows
    for row in (exact, blurred):
        assert row["ELBO"] == pytest.approx(row["reconstruction"] - row["KL | mean"])
        assert row["with the KL of all codes"] - row["ELBO"] == pytest.approx(row["I(x; z)"])
        assert row["ELBO"] <= row["E ln p(x)"] + 1e-12
    assert exact["with the KL of all codes"] > exact["E ln p(x)"]


def test_the_channel_as_drawn():
    left, right = derivations.shortfall_panels()
    short, capacity = left.lines
    at = len(short.x) // 2
    assert short.y[at] == maths_channel.two_point_shortfall(short.x[at])
    assert capacity.y[at] == pytest.approx(0.5 * math.log(1 + short.x[at] ** -2))
    for line in right.lines:
        step = line.x[1] - line.x[0]
        assert np.sum(line.y) * step == pytest.approx(1, abs=1e-3)
        assert np.sum(line.y * np.square(line.x)) * step == pytest.approx(1, abs=1e-3)
    assert len(figures.curves([left, right]).figure.axes) == 2


def test_capacity_by_epoch_and_the_rule():
    demand = maths_channel.Demand("mine", 100, 2000.0, "counted")
    panel = derivations.capacity_panel(demand, 5.0, (64, 8), 4)
    assert panel.levels == {"ln M, mine": math.log(100)}
    for line, units in zip(panel.lines, (64, 8), strict=True):
        c0 = demand.noise(units, 5.0)
        assert line.y[0] == pytest.approx(math.log(10_000))
        assert line.y[2] == pytest.approx(units / 2 * math.log(1 + 9 / c0 ** 2))
    row, = derivations.capacity_table([demand], 5.0, (64, 8)).rows
    assert (row["nats | ln S"], row["nats | ln 5S"]) == (pytest.approx(math.log(2000)), pytest.approx(math.log(10_000)))
    assert row["c₀ | P = 8"] == demand.noise(8, 5.0) < row["c₀ without the factor 5 | P = 8"]


def test_the_loss_on_gaussian_codes():
    small, large = derivations.scale_table((2, 64), 32).rows
    names = ("loss, τ = 1 | without the positive", "loss, τ = 1 | with it")
    assert small[names[0]] < small[names[1]] and large[names[0]] < 0 < small[names[0]] and large[names[1]] >= 0
    assert large["effective negatives at τ = | 1"] < 3 < large["effective negatives at τ = | 10 P"] <= 31


def test_bias_by_dimension(monkeypatch):
    monkeypatch.setattr(derivations, "DIMENSIONS", (2, 64))
    few, more = derivations.neighbour_panel("smoke").lines
    assert few.label == "32 draws" and more.y[1] == derivations.contrast.neighbour_bias(64, 64)
    assert few.y[1] > more.y[1] > 0.1


def test_entropy_and_denominator_as_drawn(tmp_path):
    found = contrast_entropy.follow_all("smoke", ("sphere", "scale"), Store(tmp_path))
    drawn = derivations.entropy_panels(found, ("1", "P"))
    assert [panel.title for panel in drawn] == ["P = 8, τ = 1", "P = 8, τ = P"]
    assert [line.label for line in drawn[0].lines] == ["sphere", "scale"]
    expected = contrast_entropy.visibility(found[2], "1")
    assert list(drawn[0].lines[0].y) == pytest.approx(list(expected)) and drawn[0].lines[0].y[0] == 0.0
    row = derivations.entropy_table(found).rows[2]
    nats = found[2]["result"]["entropy"]
    assert (row["codes"], row["P"]) == ("sphere", 8)
    assert row["entropy lost (nats) | last"] == nats[0] - nats[-1] > row["entropy lost (nats) | middle"] > 0
    assert row["rank correlation at τ = | P"] == contrast_entropy.rank_correlation(found[2], "P")
    assert row["last member (sd of a batch) at τ = | 1"] == pytest.approx(expected[-1])


def test_the_optimum_as_drawn(monkeypatch):
    monkeypatch.setattr(derivations, "GRID", np.linspace(-2, 2, 21))
    monkeypatch.setattr(derivations, "SEARCHED", (1.0,))
    laws, excess = derivations.optimum_panels()
    found, normal = laws.lines
    assert found.y[-1] == pytest.approx(1) and laws.steps and sum(np.diff(found.y) > 1e-3) == 3
    assert normal.y[150] == pytest.approx(0.5)
    assert min(excess.lines[0].y) > -1e-6


def test_the_certificate_touches_zero_at_the_points_only():
    best = maths_population.best_three_point(0.8)
    assert derivations.certificate(best, 0.8, best.points) == pytest.approx([0, 0, 0], abs=1e-12)
    between = np.array([-2.5, -0.6, 0.6, 2.5])
    assert (derivations.certificate(best, 0.8, between) > 1e-4).all()
    assert (derivations.certificate(maths_population.three_point(1.6), 0.8, np.linspace(-2, 2, 201)) < -1e-4).any()


def test_the_table_of_laws():
    rows = derivations.laws_table((1.0,)).rows
    column = "nats per dimension at τ = | 1"
    assert rows[0][column] == pytest.approx(0.5) and rows[3][column] == pytest.approx(math.log(math.cosh(1)))
    assert rows[-1][column].value == min(row[column].value if row is rows[-1] else row[column] for row in rows)
    assert "±1.21" in rows[-1][column].text


def test_codes_are_standardised_and_their_shape_is_measured(tmp_path):
    runs = ensure([resolve("ceae", scale="smoke", set={"epochs": 1, "iw_samples": 2})], Store(tmp_path))
    codes = derivations.standardised_codes({"mine": runs[0]})["mine"]
    assert codes.shape == (200, 4)
    torch.testing.assert_close(codes.square().mean(0), torch.ones(4, dtype=torch.float64))


def test_shapes_of_known_codes():
    generator = torch.Generator().manual_seed(0)
    normal = torch.randn(4000, 2, generator=generator, dtype=torch.float64)
    even = (torch.rand(4000, 2, generator=generator, dtype=torch.float64) - 0.5) * math.sqrt(12)
    tied = torch.stack([normal[:, 0], 0.8 * normal[:, 0] + 0.6 * normal[:, 1]], 1)
    codes = {name: (x - x.mean(0)) / x.std(0, correction=0)
             for name, x in {"normal": normal, "even": even, "tied": tied}.items()}
    rows = {row["code"]: row for row in derivations.shape_table(codes).rows}
    gap = float(stats.norm.entropy() - stats.uniform(scale=math.sqrt(12)).entropy())
    assert rows["even"]["lacking (nats per unit) | shape, mean"] == pytest.approx(gap, abs=0.05)
    assert rows["normal"]["lacking (nats per unit) | shape, mean"] == pytest.approx(0, abs=0.05)
    assert rows["even"]["excess kurtosis | mean"] == pytest.approx(-1.2, abs=0.1)
    assert rows["tied"]["lacking (nats per unit) | correlation"] == pytest.approx(-0.25 * math.log(1 - 0.64), abs=0.03)
    assert rows["tied"]["largest eigenvalue"] == pytest.approx(1.8, abs=0.03)
    panel = derivations.shape_panel(codes)
    assert [line.label for line in panel.lines] == ["normal", "even", "tied", "N(0, 1)"]
    assert sum(panel.lines[1].y) * derivations.BIN == pytest.approx(1) and max(panel.lines[1].x) < 4
    assert panel.lines[1].y[-1] == 0.0


def test_duals_as_drawn():
    value, reading = derivations.dual_panels((0.0, 1.0, 8.0))
    assert value.lines[0].y == [circle_optimum(kl).loss for kl in (0.0, 1.0, 8.0)]
    truth, printed, critic, circle = reading.lines
    assert list(truth.y) == [0.0, 1.0, 8.0] and printed.y == [-1.0, 0.0, 7.0] and circle.y == value.lines[0].y
    assert critic.y == [circle_optimum(kl).dual for kl in (0.0, 1.0, 8.0)] and critic.y[2] < 8.0
