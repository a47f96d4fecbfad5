"""Codes of known entropy have that entropy, and the denominator is followed as it is said to be."""

import math

import numpy as np
import pytest
import torch
from scipy import stats

from ceae_core.errors import CeaeError
from ceae_core.experiments import contrast_entropy
from ceae_core.experiments.known_codes import FAMILIES, family, gaussian_entropy, kappa_of, sphere_codes
from ceae_core.losses.entropy import kozachenko_leonenko
from ceae_core.models.sphere import mean_cosine
from ceae_core.runs import Store
from ceae_core.seeding import seeded

SHORT = {"units": 4, "count": 16, "batches": 2, "seed": 1}


@pytest.mark.parametrize("kind", FAMILIES)
def test_members_go_from_the_most_to_the_least_random(kind):
    chosen = family(kind)
    for units in (2, 32):
        nats = [chosen.entropy(level, units) for level in chosen.levels]
        assert len(nats) == 9 and nats == sorted(nats, reverse=True) and nats[0] > nats[-1]


@pytest.mark.parametrize("kind", [kind for kind in FAMILIES if kind not in ("sphere", "scale")])
@pytest.mark.parametrize("place", [0, 4, 8])
def test_every_coordinate_has_mean_0_and_variance_1(kind, place):
    chosen = family(kind)
    with seeded(1, "moments"):
        codes = chosen.draw(chosen.levels[place], 40_000, 3)
    assert float(codes.mean(0).abs().max()) < 0.03
    assert float((codes.var(0) - 1).abs().max()) < (0.15 if kind == "heavy tails" else 0.05)


@pytest.mark.parametrize("kind", [kind for kind in FAMILIES if kind != "sphere"])
@pytest.mark.parametrize("place", [0, 3, 6])
def test_the_stated_entropy_is_that_of_the_draws(kind, place):
    """By nearest neighbours in two dimensions, where they are nearly unbiased."""
    chosen = family(kind)
    with seeded(1, "entropy", kind):
        codes = chosen.draw(chosen.levels[place], 3000, 2)
    values = kozachenko_leonenko(codes)
    error = 5 * float(values.std()) / math.sqrt(3000) + 0.02
    assert float(values.mean()) == pytest.approx(chosen.entropy(chosen.levels[place], 2), abs=error)


@pytest.mark.parametrize("level", [0.0, 0.3, 0.7])
def test_the_entropy_on_the_sphere_by_the_density_of_its_draws(level):
    """In three dimensions the density is kappa exp(kappa t) / (4 pi sinh kappa), on a sphere of radius sqrt 3."""
    with seeded(1, "sphere"):
        codes = family("sphere").draw(level, 20_000, 3)
    assert torch.allclose(codes.norm(dim=1), torch.full((20_000,), math.sqrt(3), dtype=torch.float64), atol=1e-4)
    if level == 0.0:
        expected = math.log(4 * math.pi * 3)
    else:
        kappa = kappa_of(3, level)
        assert 1 / math.tanh(kappa) - 1 / kappa == pytest.approx(level, abs=1e-6)
        log_p = math.log(kappa / (4 * math.pi * math.sinh(kappa) * 3)) + kappa * codes[:, 0] / math.sqrt(3)
        assert float(log_p.std()) / math.sqrt(20_000) < 0.02
        expected = -float(log_p.mean())
    assert family("sphere").entropy(level, 3) == pytest.approx(expected, abs=0.03)


def test_ar_and_equicorrelated_entropies_by_their_determinants():
    steps = np.arange(5)
    ar, even = 0.65 ** np.abs(steps[:, None] - steps), 0.3 + 0.7 * np.eye(5)
    for kind, level, covariance in (("AR(1)", 0.65, ar), ("equicorrelated", 0.3, even)):
        exact = float(stats.multivariate_normal(cov=covariance).entropy())
        assert family(kind).entropy(level, 5) == pytest.approx(exact)
        with seeded(1, kind):
            codes = family(kind).draw(level, 40_000, 5)
        np.testing.assert_allclose(torch.cov(codes.T).numpy(), covariance, atol=0.03)


def test_the_resultant_is_the_one_asked_for():
    for units, length in ((2, 0.2), (64, 0.5)):
        assert mean_cosine(units, kappa_of(units, length)) == pytest.approx(length)
        with seeded(1, "resultant"):
            assert float(sphere_codes(length, 20_000, units)[:, 0].mean()) == pytest.approx(length, abs=0.02)
    for wrong in (0.0, 1.0, 1.0 - 1e-12):
        with pytest.raises(CeaeError, match="resultant: "):
            kappa_of(4, wrong)


def test_an_unknown_kind_is_refused():
    with pytest.raises(CeaeError, match="kind: unknown kind of codes 'cauchy'; there are equicorrelated"):
        contrast_entropy.follow(kind="cauchy", **SHORT)


def test_following_by_hand():
    found = contrast_entropy.follow(kind="scale", **SHORT)
    assert found["level"][4] == 0.5 and found["entropy"][4] == pytest.approx(gaussian_entropy(4) + 4 * math.log(0.5))
    values = []
    for batch in range(2):
        with seeded(1, contrast_entropy.NAME, "scale", batch):
            codes = 0.5 * torch.randn(16, 4, dtype=torch.float64)
        products = (codes @ codes.T / 2.0).exp().fill_diagonal_(0.0)
        values.append(float((products.sum(1) / 15).log().mean()))
    assert found["√P"]["mean"][4] == pytest.approx(np.mean(values))
    assert found["√P"]["sd"][4] == pytest.approx(np.std(values, ddof=1))
    assert contrast_entropy.temperatures(16) == {"1": 1.0, "√P": 4.0, "P": 16.0, "10 P": 160.0}


def test_rank_correlation_and_visibility_by_hand():
    made = {"result": {"entropy": [3.0, 2.0, 1.0], "1": {"mean": [1.0, 4.0, 2.0], "sd": [3.0, 4.0, 0.0]}}}
    assert contrast_entropy.rank_correlation(made, "1") == pytest.approx(0.5)
    assert contrast_entropy.visibility(made, "1").tolist() == pytest.approx([0.0, 3.0 / 5.0, 1.0 / 3.0])


def test_small_experiments_are_stored_and_found_again(tmp_path):
    store = Store(tmp_path)
    first = contrast_entropy.follow_all("smoke", ("scale", "two humps"), store)
    assert [(c["parameters"]["kind"], c["parameters"]["units"]) for c in first] == [
        ("scale", 2), ("two humps", 2), ("scale", 8), ("two humps", 8)]
    assert contrast_entropy.follow_all("smoke", ("scale", "two humps"), store) == first
    assert contrast_entropy.rank_correlation(first[0], "1") < -0.9
