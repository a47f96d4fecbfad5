"""The limit of the denominator: quadrature, Monte Carlo, finite differences and brute-force search."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from ceae_core.audit import maths_population as population
from ceae_core.errors import CeaeError
from ceae_core.experiments.contrast_entropy import denominator


def laws():
    return {"two": population.two_point(), "three": population.three_point(1.3), "uniform": population.uniform(),
            "gaussian": population.gaussian(), "humps": population.two_humped(0.6)}


@pytest.mark.parametrize("name", laws())
def test_every_law_is_one_of_mean_0_and_variance_1(name):
    law = laws()[name]
    assert [float(law.weights @ law.points ** k) for k in (0, 1, 2)] == pytest.approx([1, 0, 1], abs=1e-12)
    assert (law.weights > 0).all()


def test_closed_forms_of_the_denominator():
    for tau in (0.7, 1.0, 3.0):
        binary = population.population_denominator(population.two_point(), tau)
        assert binary == pytest.approx(math.log(math.cosh(1 / tau)))
        assert population.population_denominator(population.gaussian(), tau) == pytest.approx(0.5 / tau ** 2)
    value, _ = integrate.quad(lambda x: math.log(math.sinh(math.sqrt(3) * x) / (math.sqrt(3) * x)) / math.sqrt(3), 0,
                              math.sqrt(3))
    assert population.population_denominator(population.uniform(), 1.0) == pytest.approx(value)


def test_the_humps_are_a_mixture_of_gaussians():
    law = population.two_humped(0.6)
    fourth = sum(0.5 * stats.norm(m, 0.8).moment(4) for m in (-0.6, 0.6))
    assert float(law.weights @ law.points ** 4) == pytest.approx(fourth)


def test_two_points_beat_the_gaussian_at_every_temperature():
    """log cosh u < u^2 / 2 for u > 0."""
    for tau in np.geomspace(0.05, 50, 30):
        assert population.population_denominator(population.two_point(), tau) < 0.5 / tau ** 2


def test_the_limit_of_correlated_gaussians_by_monte_carlo():
    covariance = np.array([[1.0, 0.6], [0.6, 1.0]])
    generator = torch.Generator().manual_seed(0)
    draws = torch.randn(4000, 2, generator=generator, dtype=torch.float64)
    codes = draws @ torch.from_numpy(np.linalg.cholesky(covariance)).T
    found = float(denominator(codes, 2.0).mean())
    assert population.gaussian_denominator(covariance, 2.0) == pytest.approx(found, rel=0.04)
    assert population.gaussian_denominator(covariance, 2.0) == pytest.approx((2 + 2 * 0.36) / 8)


def test_independent_coordinates_add_up():
    """The denominator of many draws of a binary code in three dimensions is three times that of one coordinate."""
    codes = torch.randn(4000, 3, generator=torch.Generator().manual_seed(0), dtype=torch.float64).sign()
    found = float(denominator(codes, 1.5).mean())
    assert found == pytest.approx(3 * population.population_denominator(population.two_point(), 1.5), rel=0.03)


def test_the_first_variation_is_the_derivative_along_a_mixture():
    law, other, step, tau = population.uniform(12), population.three_point(1.4), 1e-6, 0.8

    def mixed(share):
        return population.Law(np.concatenate([law.points, other.points]),
                              np.concatenate([(1 - share) * law.weights, share * other.weights]))
    after, before = (population.population_denominator(mixed(share), tau) for share in (step, 0))
    slope = (after - before) / step
    expected = (other.weights @ population.first_variation(law, tau, other.points)
                - law.weights @ population.first_variation(law, tau, law.points))
    assert slope == pytest.approx(expected, abs=1e-5)


@pytest.mark.parametrize("tau", [0.5, 1.0, 2.0])
def test_the_best_three_points_are_stationary_among_all_laws_and_two_points_are_not(tau):
    grid, best = np.linspace(-4, 4, 4001), population.best_three_point(tau)
    assert best.points[2] == pytest.approx(1.21, abs=0.02) and best.weights[1] == pytest.approx(1 / 3, abs=0.04)
    assert abs(population.stationarity_gap(best, tau, grid)) < 1e-6
    assert population.stationarity_gap(population.two_point(), tau, grid) > 1e-3
    reaches = np.linspace(1.01, 3, 400)
    values = [population.population_denominator(population.three_point(a), tau) for a in reaches]
    assert population.population_denominator(best, tau) <= min(values)


def test_search_on_a_grid_ends_at_few_points():
    grid = np.linspace(-3, 3, 31)
    found = population.least_on_grid(1.0, grid)
    assert [float(found.weights @ grid ** k) for k in (0, 1, 2)] == pytest.approx([1, 0, 1], abs=1e-6)
    assert grid[found.weights > 1e-3] == pytest.approx([-1.2, 0, 1.2])
    best = population.population_denominator(population.best_three_point(1.0), 1.0)
    assert best <= population.population_denominator(found, 1.0) < best + 1e-3
    elsewhere = population.least_on_grid(1.0, grid, np.ones(31))
    assert population.population_denominator(elsewhere, 1.0) > best - 1e-9


def test_a_reach_of_one_or_less_is_refused():
    with pytest.raises(CeaeError, match="reach: must be above 1"):
        population.three_point(1.0)


@pytest.mark.parametrize("tau", [0.1, 1.0, 5.0])
def test_the_kernels_bias_by_integration(tau):
    smoothed = stats.norm(scale=math.sqrt(1 + tau))
    cross, _ = integrate.quad(lambda x: -stats.norm.pdf(x) * smoothed.logpdf(x), -12, 12)
    assert population.kernel_bias(tau) == pytest.approx(cross - float(stats.norm.entropy()))
