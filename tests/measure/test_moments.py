"""Moments of codes by sentence and by unit, against definitions and laws with known moments."""

import numpy as np
import pytest
import torch
from torch.nn import functional as F

from ceae_core.measure.moments import Moments, on_the_sphere


def test_moments_by_hand() -> None:
    found = Moments.of([[3.0, 4.0], [-3.0, 4.0], [3.0, -4.0], [-3.0, 4.0]])
    assert (found.norm_mean, found.norm_sd, found.norm_least, found.norm_most) == (5.0, 0.0, 5.0, 5.0)
    assert found.means == [0.0, 2.0] and found.variances == [9.0, 12.0]
    assert found.kurtoses == pytest.approx([1.0, (3 * 2.0 ** 4 + 6.0 ** 4) / 4 / 12 ** 2])
    assert found.along_ones == pytest.approx(((49 + 1 + 1 + 1) / 2 / 4) ** 0.5)
    covariance = np.array([[9.0, -6.0], [-6.0, 12.0]])
    assert found.spectrum == pytest.approx(sorted(np.linalg.eigvalsh(covariance), reverse=True))
    assert found.correlation == pytest.approx(6 / 108 ** 0.5)


def test_the_mean_squared_norm_is_shared_by_the_mean_code_and_what_is_around_it() -> None:
    z = np.random.default_rng(0).standard_normal((50, 6)) + np.arange(6)
    found = Moments.of(z)
    assert found.in_the_mean + found.around_it == pytest.approx((z ** 2).sum(1).mean())
    assert found.in_the_mean == pytest.approx((z.mean(0) ** 2).sum())
    assert sum(found.spectrum) == pytest.approx(found.around_it)


def test_draws_from_the_prior_have_its_moments() -> None:
    """20,000 draws of 16 units: chi-squared norms, kurtosis 3; tolerances of four standard errors."""
    found = Moments.of(np.random.default_rng(1).standard_normal((20_000, 16)))
    assert found.norm_mean == pytest.approx(3.938, abs=0.02) and found.norm_sd == pytest.approx(0.70, abs=0.02)
    assert found.along_ones == pytest.approx(1.0, abs=0.02) and found.empty() == 0
    assert np.mean(found.kurtoses) == pytest.approx(3.0, abs=0.05) and found.correlation < 0.02


def test_the_sphere_is_where_layer_norm_puts_codes() -> None:
    z = np.random.default_rng(2).standard_normal((40, 9)) * 3 + 1
    wanted = F.layer_norm(torch.tensor(z), (9,), eps=0.0).numpy()
    np.testing.assert_allclose(on_the_sphere(z), wanted, atol=1e-12)


def test_the_uniform_law_on_that_sphere() -> None:
    """Norm sqrt(Z), nothing along (1, …, 1), variance 1, kurtosis 3 n / (n + 2) with n = Z - 1 dimensions."""
    found = Moments.of(on_the_sphere(np.random.default_rng(3).standard_normal((40_000, 8))))
    assert (found.norm_least, found.norm_most) == pytest.approx((8 ** 0.5, 8 ** 0.5))
    assert found.along_ones < 1e-12 and found.empty() == 1
    assert found.variances == pytest.approx([1.0] * 8, abs=0.03)
    assert np.mean(found.kurtoses) == pytest.approx(3 * 7 / 9, abs=0.02)
    assert found.correlation == pytest.approx(1 / 7, abs=0.02)              # they sum to zero


def test_a_unit_that_never_varies() -> None:
    z = np.random.default_rng(4).standard_normal((30, 3))
    z[:, 1] = 2.0
    found = Moments.of(z)
    assert np.isnan(found.kurtoses[1]) and found.variances[1] == 0.0 and found.empty() == 1
    assert found.correlation == pytest.approx(abs(np.corrcoef(z[:, 0], z[:, 2])[0, 1]))
