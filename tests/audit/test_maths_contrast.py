"""Contrast on codes of known law, each quantity against a naive recomputation or a closed form."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, stats

from ceae_core.audit import maths_contrast as contrast
from ceae_core.experiments.contrast_entropy import denominator
from ceae_core.experiments.known_codes import sphere_codes, sphere_entropy
from ceae_core.seeding import seeded


def naive_products(codes):
    n = len(codes)
    return np.array([[float(codes[i] @ codes[j]) for j in range(n) if j != i] for i in range(n)])


def test_codes_depend_on_their_seed_alone():
    assert torch.equal(contrast.normal_codes(5, 3, 2), contrast.normal_codes(5, 3, 2))
    assert not torch.equal(contrast.normal_codes(5, 3, 2), contrast.normal_codes(5, 3, 3))


def test_products_denominator_and_loss_number_by_number():
    codes, tau = contrast.normal_codes(7, 3), 0.8
    products = naive_products(codes)
    np.testing.assert_allclose(contrast.inner_products(codes).numpy(), products)
    logs = np.log(np.exp(products / tau).mean(1))
    np.testing.assert_allclose(denominator(codes, tau).numpy(), logs)
    squares = (codes ** 2).sum(1).numpy() / tau
    assert contrast.loss_at_convergence(codes, tau) == pytest.approx((logs + math.log(6) - squares).mean())
    full = np.log(np.exp(products / tau).sum(1) + np.exp(squares)) - squares
    assert contrast.loss_at_convergence(codes, tau, include_positive=True) == pytest.approx(full.mean())


def test_effective_terms_count_equal_ones():
    flat = torch.eye(6, dtype=torch.float64)
    assert contrast.effective_terms(flat, 1.0) == pytest.approx(5)
    pairs = torch.eye(3, dtype=torch.float64).repeat(2, 1) * 50
    assert contrast.effective_terms(pairs, 1.0) == pytest.approx(1)
    assert contrast.effective_terms(pairs[:, :2].repeat(2, 1), 1.0) > 1


def test_batch_norm_fixes_mean_variance_and_the_sum_of_products():
    codes = contrast.batch_normed(contrast.normal_codes(9, 4).exp())
    torch.testing.assert_close(codes.mean(0), torch.zeros(4, dtype=torch.float64))
    torch.testing.assert_close(codes.var(0, correction=0), torch.ones(4, dtype=torch.float64))
    assert naive_products(codes).sum() == pytest.approx(-9 * 4)


def test_the_printed_logarithm_adds_what_it_says():
    codes = contrast.normal_codes(21, 3)
    distance = torch.cdist(codes, codes).fill_diagonal_(math.inf).min(1).values
    ball = math.log(4 * math.pi / 3)
    printed = float((3 * (math.log(20) + distance.log())).mean()) + ball + np.euler_gamma
    assert contrast.printed_neighbour_estimate(codes) == pytest.approx(printed, abs=1 / 30)   # digamma for ln N + gamma


def test_the_bias_of_the_neighbours_grows_with_the_dimension():
    few, more = (contrast.neighbour_bias(500, units) for units in (64, 256))
    assert abs(contrast.neighbour_bias(2000, 1)) < 0.03 < few < more


def test_nearest_cosines_by_hand():
    codes = torch.tensor([[2.0, 0.0], [1.0, 1.0], [0.0, -3.0]], dtype=torch.float64)
    assert contrast.nearest_cosines(codes).tolist() == pytest.approx([math.sqrt(0.5), math.sqrt(0.5), 0.0])


def test_the_kernel_estimate_in_two_dimensions_is_that_of_a_smoothed_circle():
    """On the circle the kernel of concentration 1 / tau smooths a von Mises law; its mean log is integrated."""
    tau, resultant = 0.2, 0.3
    kappa, grid = stats.vonmises(1 / tau), np.linspace(-math.pi, math.pi, 1001)
    from ceae_core.experiments.known_codes import kappa_of
    law = stats.vonmises(kappa_of(2, resultant))
    step = grid[1] - grid[0]
    smoothed = [np.sum(law.pdf(grid[:-1]) * kappa.pdf(angle - grid[:-1])) * step for angle in grid[:-1]]
    exact = -np.sum(law.pdf(grid[:-1]) * np.log(smoothed)) * step
    with seeded(1, "circle"):
        codes = sphere_codes(resultant, 3000, 2)
    assert contrast.kernel_entropy(codes, tau) == pytest.approx(exact, abs=0.02)
    assert exact == pytest.approx(sphere_entropy(resultant, 2), abs=0.1)


def test_the_gap_is_found_in_two_dimensions_and_not_in_many():
    assert contrast.gap_recovered(2, 0.1, 1000) == pytest.approx(1.0, abs=0.15)
    assert contrast.gap_recovered(256, 0.1, 500) < 0.2


def test_entropies_on_the_circle_by_integration():
    from ceae_core.experiments.known_codes import kappa_of
    law = stats.vonmises(kappa_of(2, 0.4))
    exact, _ = integrate.quad(lambda t: -law.pdf(t) * law.logpdf(t), -math.pi, math.pi)
    assert sphere_entropy(0.4, 2) == pytest.approx(exact)
    assert sphere_entropy(0.0, 2) == pytest.approx(math.log(2 * math.pi))
