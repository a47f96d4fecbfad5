"""The page on layer norm: names, what the norms fix, the least KL, from invented codes and a tiny run."""

import math
from dataclasses import replace

import numpy as np
import pytest
import torch

from ceae_core.execute import obtain
from ceae_core.measure.moments import Moments, on_the_sphere
from ceae_core.models.posteriors import Gaussian
from ceae_core.report import layer_norm, results
from ceae_core.report.layer_norm import Codes, fixed, floor, panels, priors, shape, sphere_kurtosis, training
from ceae_core.runs import Store
from ceae_core.spec import resolve

TINY = {"epochs": 1, "iw_samples": 2, "iw_sentences": 2}
SCORE = {"grammatical": 0.25, "ppl_word": 12.0, "distinct_sentences": 90, "distinct_words": 50, "sentences": 100}


@pytest.fixture(scope="module")
def store(tmp_path_factory):
    return Store(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="module")
def specs():
    return [resolve(family, scale="smoke", set={**TINY, **changes})
            for family, changes in (("ceae-ln", {}), ("bn-vae", {}), ("bn-vae", {"norm": "layer"}))]


@pytest.fixture(scope="module")
def made(specs, store):
    return [results.Result.of(obtain(spec, store)) for spec in specs]


@pytest.fixture
def invented():
    z = np.random.default_rng(0).standard_normal((300, 8))
    scores = {"as it is": SCORE, "on the sphere": SCORE | {"grammatical": 0.5}}
    return [Codes("ceae-ln", "layer", 8, Moments.of(on_the_sphere(z)), 0.8, scores, "a"),
            Codes("prior N(0, I)", "none", 8, Moments.of(z), 0.6, {}, "b")]


def test_names_say_the_norm_where_it_is_not_the_usual_one(made) -> None:
    assert [layer_norm.name(each) for each in made] == ["ceae-ln", "bn-vae (0.7)", "bn-vae with layer norm"]


def test_codes_of_runs_and_of_the_prior(specs, made, store) -> None:
    found = layer_norm.of(specs, made, store=store)
    assert [each.name for each in found] == ["ceae-ln", "bn-vae (0.7)", "bn-vae with layer norm", layer_norm.PRIOR]
    assert [each.norm for each in found] == ["layer", "batch", "layer", "none"]
    assert found[0].moments.norm_sd < 1e-3 < found[1].moments.norm_sd and not found[3].scores
    assert found[3].moments.norm_mean == pytest.approx(1.88, abs=0.1)           # chi with four degrees of freedom


def test_what_is_fixed_and_what_is_not(invented) -> None:
    layer, prior = fixed(invented, "caption", "name").rows
    assert layer["by sentence | norm"].text == "2.83 ± 0.00" and layer["by sentence | along (1, …, 1)"] < 1e-9
    assert layer["directions without variance"] == 1 and prior["directions without variance"] == 0
    assert layer["squared norm | in the mean code"] + layer["squared norm | around it"] == pytest.approx(8.0)
    low, high = min(invented[1].moments.variances), max(invented[1].moments.variances)
    assert prior["by unit | variance"].text == f"{low:.2f} to {high:.2f}"
    shaped = shape(invented, "caption", "name")
    assert shaped.rows[0]["largest cosine with another code, mean"] == 0.8
    assert f"{sphere_kurtosis(8):.2f}" in shaped.notes[0] and sphere_kurtosis(8) == pytest.approx(3 * 7 / 9)


def test_samples_by_prior_and_their_error(invented) -> None:
    table = priors(invented, "caption", "name")
    assert len(table.rows) == 1 and table.rows[0]["grammatical (share) | on the sphere"] == 0.5
    assert table.rows[0]["true forward perplexity | as it is"] == 12.0
    assert "100 sentences each" in table.notes[0] and "at most 0.050" in table.notes[0]
    assert not priors(invented[1:], "caption", "name").rows


def test_curves_are_in_order(invented) -> None:
    means, variances, spectrum = panels(invented)
    for panel in (means, variances):
        assert all((np.diff(line.y) >= 0).all() and len(line.y) == 8 for line in panel.lines)
    assert (np.diff(spectrum.lines[0].y) <= 0).all() and spectrum.lines[0].y[-1] == 1e-4 and spectrum.logarithmic
    assert len({line.style for line in means.lines}) == 2


def test_the_least_kl_of_a_normed_mean() -> None:
    """By minimising over the variance: sigma = 1; and no posterior with layer norm is below it."""
    assert (floor(32), floor(32, 0.7)) == (16.0, pytest.approx(16 * 0.49))
    posterior = Gaussian(5, 6, True, norm="layer")
    with torch.no_grad():
        kl = posterior(torch.randn(200, 5)).kl.sum(-1)
    assert float(kl.min()) >= floor(6) - 1e-3
    with torch.no_grad():
        posterior.head.weight[6:], posterior.head.bias[6:] = 0.0, 0.0           # variance 1
        assert float(posterior(torch.randn(200, 5)).kl.sum(-1).mean()) == pytest.approx(floor(6), abs=1e-2)


def test_training_has_the_least_kl_where_there_is_one(made) -> None:
    ceae, batch, layer = training([*made], "caption", "name").rows
    assert ceae["KL can be (nats)"] is None and ceae["norm"] == "layer norm"
    assert batch["KL can be (nats)"] == pytest.approx(4 / 2 * 0.49) and layer["KL can be (nats)"] == 2.0
    assert layer["KL (nats)"] >= 2.0 - 1e-3 and math.isfinite(layer["IW bound (nats)"])
    assert layer["run"].value == made[2].id
    assert layer_norm.name(replace(made[1], family="ae", options={})) == "ae"
