"""Mutual information and active units on codes for which they are known."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ceae_core.corpora.batching import plan
from ceae_core.measure.latent import (
    active_units,
    aggregate_log_density,
    codes,
    information,
    minibatch_information,
    mutual_information,
)
from ceae_core.models.sphere import VonMisesFisher


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def naive_log_density(z: list[float], mus: list[list[float]], logvars: list[list[float]]) -> float:
    """log of the mean of the N densities, by one log-sum-exp over plain numbers."""
    logs = [sum(-0.5 * ((a - m) ** 2 / math.exp(v) + v + math.log(2 * math.pi))
                for a, m, v in zip(z, mu, logvar, strict=True)) for mu, logvar in zip(mus, logvars, strict=True)]
    top = max(logs)
    return top + math.log(sum(math.exp(value - top) for value in logs) / len(logs))


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 5))
@settings(max_examples=30, deadline=None)
def test_the_aggregate_posterior_is_the_mean_of_the_posteriors(seed: int, n: int, latent: int):
    z, mu, logvar = normal(4, latent, seed=seed), 2 * normal(n, latent, seed=seed + 1), normal(n, latent, seed=seed + 2)
    expected = [naive_log_density(row, mu.tolist(), logvar.tolist()) for row in z.tolist()]
    assert aggregate_log_density(z, mu, logvar).tolist() == pytest.approx(expected, rel=1e-10)


@pytest.mark.parametrize(("mean", "logvar"), [(1e3, -8.0), (30.0, -15.0), (0.0, -20.0), (50.0, 12.0)])
def test_the_aggregate_density_of_extreme_codes(mean: float, logvar: float):
    """Far apart, very narrow or very wide posteriors: no overflow, and rounding stays below a thousandth of a nat."""
    mu, spread = mean * normal(9, 3), logvar + 0.1 * normal(9, 3, seed=1)
    z = mu + (0.5 * spread).exp() * normal(9, 3, seed=2)
    expected = [naive_log_density(row, mu.tolist(), spread.tolist()) for row in z.tolist()]
    assert aggregate_log_density(z, mu, spread).tolist() == pytest.approx(expected, abs=1e-3)


def test_slices_of_the_aggregate_change_nothing(monkeypatch):
    z, mu, logvar = normal(50, 3), normal(20, 3, seed=1), normal(20, 3, seed=2)
    whole = aggregate_log_density(z, mu, logvar)
    monkeypatch.setattr("ceae_core.measure.latent.ROWS_AT_ONCE", 7)
    torch.testing.assert_close(aggregate_log_density(z, mu, logvar), whole)


@given(st.integers(0, 10_000), st.floats(0.5, 200.0))
@settings(max_examples=20, deadline=None)
def test_information_of_any_density_is_that_of_loops(seed: int, kappa: float):
    """On a sphere, in two groups: the mean over all codes of log q(z_i|x_i) - log mean_j q(z_i|x_j)."""
    mu = torch.nn.functional.normalize(normal(9, 3, seed=seed), dim=-1)
    groups, drawn = [np.array([0, 4, 5, 8]), np.array([1, 2, 3, 6, 7])], []

    def density(rows: np.ndarray) -> VonMisesFisher:
        q = VonMisesFisher(mu[rows], kappa)
        sample = q.sample
        q.sample = lambda: drawn.append(sample()) or drawn[-1]
        return q

    found, total = information(density, groups, seed), 0.0
    for rows, z in zip(groups, drawn, strict=True):
        for i, place in zip(rows.tolist(), z.tolist(), strict=True):
            heights = {j: math.exp(kappa * (sum(a * b for a, b in zip(place, mu[j].tolist(), strict=True)) - 1.0))
                       for j in rows.tolist()}
            total += math.log(heights[i] / (sum(heights.values()) / len(heights)))
    assert found == pytest.approx(total / 9, rel=1e-6, abs=1e-8) and found <= math.log(5)


def test_slices_of_the_pairs_change_nothing(monkeypatch):
    mu = torch.nn.functional.normalize(normal(50, 3), dim=-1)
    whole = information(lambda rows: VonMisesFisher(mu[rows], 9.0), [np.arange(50)], 0)
    monkeypatch.setattr("ceae_core.measure.latent.PAIRED_AT_ONCE", 7)
    assert information(lambda rows: VonMisesFisher(mu[rows], 9.0), [np.arange(50)], 0) == pytest.approx(whole)


def error(n: int, latent: int) -> float:
    """Standard error of the estimate: its first term is analytic, so the noise of |eps|^2 / 2 stays."""
    return math.sqrt(latent / 2 / n)


def test_a_gaussian_channel_carries_its_capacity():
    """mu ~ N(0, v), noise s: I = 1/2 log(1 + v / s^2) for each unit, far below log N here."""
    n, v, s = 4000, (1.0, 0.5, 0.0), 1.2
    mu = normal(n, 3) * torch.tensor(v).sqrt()
    capacity = sum(0.5 * math.log1p(each / s ** 2) for each in v)
    estimate = mutual_information(mu, torch.full_like(mu, 2 * math.log(s)), 0)
    assert estimate == pytest.approx(capacity, abs=4 * error(n, 3) + 0.02)


def test_information_of_a_few_codes_is_that_of_their_mixture():
    """Five codes, each of 600 sentences: the exact I of the mixture of five, by many draws and the naive density."""
    mu, logvar = 2 * normal(5, 2), 0.5 * normal(5, 2, seed=1)
    rng, draws = np.random.default_rng(0), 1500
    terms = []
    for m, v in zip(mu.tolist(), logvar.tolist(), strict=True):
        for eps in rng.standard_normal((draws, 2)).tolist():
            z = [a + math.exp(b / 2) * e for a, b, e in zip(m, v, eps, strict=True)]
            own = sum(-0.5 * (e * e + b + math.log(2 * math.pi)) for e, b in zip(eps, v, strict=True))
            terms.append(own - naive_log_density(z, mu.tolist(), logvar.tolist()))
    exact, spread = float(np.mean(terms)), float(np.std(terms)) / math.sqrt(len(terms))
    assert 0.3 < exact < math.log(5) and spread < 0.02
    estimate = mutual_information(mu.repeat(600, 1), logvar.repeat(600, 1), 0)
    assert estimate == pytest.approx(exact, abs=4 * (spread + error(3000, 2)))


@pytest.mark.parametrize("n", [10, 1000])
def test_separated_codes_carry_log_n_and_no_more(n: int):
    mu = 100.0 * torch.arange(n, dtype=torch.float64).unsqueeze(1)
    assert mutual_information(mu, torch.zeros_like(mu), 0) == pytest.approx(math.log(n), abs=4 * error(n, 1))


@pytest.mark.parametrize("seed", range(3))
def test_a_collapsed_posterior_carries_nothing(seed: int):
    """q(z|x) = p(z) for all x; the minibatch estimate averages as much noise as the whole set does."""
    n, latent = 3200, 32
    mu = torch.zeros(n, latent, dtype=torch.float64)
    assert abs(mutual_information(mu, mu, seed)) < 4 * error(n, latent)
    assert abs(minibatch_information(mu, mu, np.full(n, 9), seed)) < 4 * error(n, latent)


def test_information_inside_minibatches_stops_at_log_32():
    n = 640
    mu, lengths = 100.0 * torch.arange(n, dtype=torch.float64).unsqueeze(1), np.full(n, 7)
    estimate = minibatch_information(mu, torch.zeros_like(mu), lengths, 0)
    assert estimate == pytest.approx(math.log(32), abs=4 * error(n, 1))
    assert mutual_information(mu, torch.zeros_like(mu), 0) > 6


def test_minibatches_hold_one_length_and_weigh_by_their_size():
    """Lengths 5 and 6, codes that tell only the two apart: nothing is left inside a minibatch."""
    lengths = np.array([5] * 100 + [6] * 20)
    mu = torch.from_numpy((lengths == 5) * 50.0).unsqueeze(1)
    assert abs(minibatch_information(mu, torch.zeros_like(mu), lengths, 0)) < 4 * error(120, 1)
    assert mutual_information(mu, torch.zeros_like(mu), 0) > 0.3
    mu = 100.0 * torch.arange(120, dtype=torch.float64).unsqueeze(1)
    sizes = [len(rows) for rows in plan(lengths, 32, "same_length", 0, 0)]
    assert sorted(sizes) == [4, 20, 32, 32, 32]
    expected = sum(size * math.log(size) for size in sizes) / 120
    assert minibatch_information(mu, torch.zeros_like(mu), lengths, 0) == pytest.approx(expected, abs=4 * error(120, 1))


def test_units_are_active_from_a_variance_of_a_hundredth():
    spread = torch.tensor([0.0, 0.0099, 0.0101, 4.0], dtype=torch.float64).sqrt()
    signs = torch.tensor([1.0, -1.0], dtype=torch.float64).repeat(5000).unsqueeze(1)
    mu = 7.0 + signs * spread                                   # n - 1 in the divisor: variance * 10000 / 9999
    assert active_units(mu) == 2
    assert active_units(torch.tensor([[0.0], [0.1414]])) == 0 and active_units(torch.tensor([[0.0], [0.1415]])) == 1


@pytest.mark.parametrize("family", ["vae", "ae"])
def test_codes_are_those_of_each_sentence_in_order(smoke, family: str):
    training = smoke(family)
    data = training.valid_set.take(np.arange(20))
    training.model.train()
    mu, logvar = codes(training.model, data, training.device)
    assert mu.dtype == torch.float64 and (logvar is None) == (family == "ae") and not training.model.training
    for i in range(len(data)):
        latent: SimpleNamespace = training.model.encode(data.batch(np.array([i])))
        torch.testing.assert_close(mu[i].float(), latent.mu[0], rtol=1e-5, atol=1e-6)
        if logvar is not None:
            torch.testing.assert_close(logvar[i].float(), latent.logvar[0], rtol=1e-5, atol=1e-6)
