"""KL and free bits against their definitions, computed one number at a time."""

import math
from contextlib import nullcontext

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ceae_core.errors import CeaeError
from ceae_core.losses.divergences import free_bits, gaussian_kl, kl, kl_threshold
from ceae_core.models.posteriors import Latent
from ceae_core.schedules import Clock
from ceae_core.steps import Context

numbers = st.floats(-6.0, 6.0)


def seen(mu: torch.Tensor, logvar: torch.Tensor) -> Latent:
    return Latent(mu, mu, mu, logvar, gaussian_kl(mu, logvar))


def context(mu: torch.Tensor, logvar: torch.Tensor) -> Context:
    return Context(None, None, seen(mu, logvar), Clock(0, 1), nullcontext)


def draw(seed: int, rows: int = 7, units: int = 5) -> tuple[torch.Tensor, torch.Tensor]:
    generator = torch.Generator().manual_seed(seed)
    mu, logvar = torch.randn(2, rows, units, generator=generator, dtype=torch.float64)
    return mu.requires_grad_(), logvar.requires_grad_()


def naive_kl(mu: float, logvar: float) -> float:
    return (mu * mu + math.exp(logvar) - logvar - 1.0) / 2.0


@given(numbers, numbers)
def test_gaussian_kl_is_its_formula(mu: float, logvar: float):
    value = gaussian_kl(torch.tensor(mu, dtype=torch.float64), torch.tensor(logvar, dtype=torch.float64))
    assert float(value) == pytest.approx(naive_kl(mu, logvar), rel=1e-12, abs=1e-12)


@pytest.mark.parametrize(("mu", "logvar"), [(0.0, 0.0), (1.3, 0.0), (-0.4, -2.0), (2.0, 1.5)])
def test_gaussian_kl_is_the_integral_of_q_log_q_over_p(mu: float, logvar: float):
    sd = math.exp(logvar / 2)
    x = np.linspace(mu - 12 * sd, mu + 12 * sd, 20_001)
    log_q = -0.5 * ((x - mu) / sd) ** 2 - math.log(sd) - 0.5 * math.log(2 * math.pi)
    log_p = -0.5 * x ** 2 - 0.5 * math.log(2 * math.pi)
    integral = float((np.exp(log_q) * (log_q - log_p)).sum() * (x[1] - x[0]))
    assert float(gaussian_kl(torch.tensor(mu), torch.tensor(logvar))) == pytest.approx(integral, abs=1e-6)


def test_gaussian_kl_keeps_its_digits_near_the_prior():
    """(e^v - v - 1) / 2 is v^2 / 4 for small v; taking exp first would lose it to rounding in float32."""
    v = 1e-3
    assert float(gaussian_kl(torch.zeros(()), torch.tensor(v))) == pytest.approx(v * v / 4, rel=2e-3)


def test_kl_of_a_sentence_is_the_sum_over_units():
    mu, logvar = draw(0)
    rows = zip(mu.tolist(), logvar.tolist(), strict=True)
    naive = [sum(naive_kl(m, v) for m, v in zip(*row, strict=True)) for row in rows]
    assert kl(context(mu, logvar)).tolist() == pytest.approx(naive, rel=1e-12)


def test_kl_of_two_views_is_their_mean_where_both_count():
    at, other = context(*draw(0)), seen(*draw(1))
    first, second = kl(at), kl(Context(None, None, other, Clock(0, 1), nullcontext))
    at.second = other
    assert torch.equal(kl(at), first)
    at.both = True
    torch.testing.assert_close(kl(at), (first + second) / 2)


@pytest.mark.parametrize("target", [0.0, 3.0, 1e9])
@pytest.mark.parametrize("unit", ["dim", "total"])
def test_free_bits_value_and_gradient_are_those_of_the_maximum(unit: str, target: float):
    mu, logvar = draw(1)
    values = free_bits(context(mu, logvar), target=target, unit=unit)
    values.sum().backward()
    rows, units = mu.shape
    counted = 0
    for i in range(rows):
        m, v = mu[i].tolist(), logvar[i].tolist()
        per_unit = [naive_kl(m[j], v[j]) for j in range(units)]
        if unit == "dim":
            above = [value > target / units for value in per_unit]
            expected = sum(max(value, target / units) for value in per_unit)
        else:
            above = [sum(per_unit) > target] * units
            expected = max(sum(per_unit), target)
        assert float(values[i].detach()) == pytest.approx(expected, rel=1e-12)
        for j in range(units):
            slope_mu, slope_logvar = (m[j], (math.exp(v[j]) - 1) / 2) if above[j] else (0, 0)
            assert float(mu.grad[i, j]) == pytest.approx(slope_mu, rel=1e-12, abs=1e-15)
            assert float(logvar.grad[i, j]) == pytest.approx(slope_logvar, rel=1e-12, abs=1e-15)
        counted += sum(above)
    assert {0.0: counted == rows * units, 3.0: 0 < counted < rows * units, 1e9: counted == 0}[target]


@pytest.mark.parametrize("threshold", [0.0, 0.05, 1.0])
def test_a_threshold_is_free_bits_of_so_many_nats_in_every_unit(threshold: float):
    mu, logvar = draw(2)
    expected = [sum(max(threshold, naive_kl(m, v)) for m, v in zip(row_mu, row_logvar, strict=True))
                for row_mu, row_logvar in zip(mu.tolist(), logvar.tolist(), strict=True)]
    found = kl_threshold(context(mu, logvar), dim_target=threshold)
    assert found.tolist() == pytest.approx(expected, rel=1e-12)


@given(st.integers(0, 10_000), st.floats(0.0, 20.0))
@settings(max_examples=40, deadline=None)
def test_free_bits_per_unit_are_at_least_free_bits_in_total(seed: int, target: float):
    """sum_j max(KL_j, target/Z) >= max(sum_j KL_j, target), and neither is below the KL or the target."""
    at = context(*draw(seed))
    per_unit, total = free_bits(at, target=target, unit="dim"), free_bits(at, target=target, unit="total")
    assert (per_unit >= total - 1e-9).all()
    assert (total >= kl(at) - 1e-9).all() and (total >= target).all()


def test_an_unknown_unit_is_refused():
    with pytest.raises(CeaeError, match="unit.*'word'.*dim or total"):
        free_bits(context(*draw(2)), unit="word")
