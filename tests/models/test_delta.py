"""The committed rate of delta-VAE: no weights, no input and no rounding bring a unit nearer to the prior."""

import math

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ceae_core.errors import CeaeError
from ceae_core.losses.divergences import gaussian_kl
from ceae_core.models.delta import LARGEST_DELTA, CommittedGaussian, committed_variances
from ceae_core.models.posteriors import Latent

LATENT = 4
deltas = st.floats(1e-4, LARGEST_DELTA)
raws = st.lists(st.floats(-2.0 ** 100, 2.0 ** 100, width=32) | st.floats(-20.0, 20.0, width=32), min_size=2 * LATENT,
                max_size=2 * LATENT)


def encoded(raw: list[float], delta: float) -> Latent:
    """What a posterior says when its head gives `raw`: first the four a of the means, then the four of the sigmas."""
    posterior = CommittedGaussian(2 * LATENT, LATENT, False, delta=delta)
    with torch.no_grad():
        posterior.head.weight.copy_(torch.eye(2 * LATENT))
        return posterior(torch.tensor([raw], dtype=torch.float32))


@given(deltas)
@settings(max_examples=100, deadline=None)
def test_the_roots_are_the_variances_that_are_delta_nats_away(delta: float):
    below, above = committed_variances(delta)
    assert 0 < below < 1 < above
    for v in (below, above):
        assert 0.5 * (v - 1.0 - math.log(v)) == pytest.approx(delta, rel=1e-9, abs=1e-12)


@pytest.mark.parametrize(("delta", "below", "above"), [(0.1, 0.4932, 1.7722), (0.15, 0.4111, 1.9862)])
def test_the_roots_of_the_published_rates(delta: float, below: float, above: float):
    assert committed_variances(delta) == pytest.approx((below, above), abs=5e-5)


@given(raws, deltas)
@settings(max_examples=300, deadline=None)
def test_every_unit_keeps_delta_nats(raw: list[float], delta: float):
    """As reported, and as computed from the mean and variance that the decoder and the measures get."""
    latent = encoded(raw, delta)
    assert latent.kl.dtype == torch.float32 and latent.kl.shape == (1, LATENT)
    for rate in (latent.kl, gaussian_kl(latent.mu, latent.logvar),
                 gaussian_kl(latent.mu.double(), latent.logvar.double())):
        assert (rate.double() >= delta).all()
    truth = gaussian_kl(latent.mu.double(), latent.logvar.double())
    torch.testing.assert_close(latent.kl.double(), truth, rtol=1e-6 + 1e-5 * delta, atol=1e-6)
    assert torch.isfinite(latent.z).all()


def test_extreme_inputs_at_the_default():
    """All signs and sizes of both numbers, where the sigmoid is 0, 1/2 and 1 and relu is off, on and enormous."""
    sizes = [-3e38, -1e30, -90.0, -17.0, -1e-30, 0.0, 1e-30, 1e-7, 17.0, 90.0, 1e30]
    for a in sizes:
        for b in sizes:
            latent = encoded([a] * LATENT + [b] * LATENT, 0.1)
            assert (latent.kl.double() >= 0.1).all() and torch.isfinite(latent.kl).all()
            assert (gaussian_kl(latent.mu, latent.logvar).double() >= 0.1).all()


def test_the_rate_is_delta_plus_half_of_what_is_asked_for():
    """KL_j = delta + relu(a) / 2, whatever sigma."""
    for b in (-5.0, 0.0, 5.0):
        kl = encoded([-2.0, 0.0, 1.0, 3.0] + [b] * LATENT, 0.1).kl
        torch.testing.assert_close(kl, torch.tensor([[0.1, 0.1, 0.6, 1.6]]), atol=2e-6, rtol=0)


def test_sigma_goes_from_one_root_to_the_other():
    below, above = committed_variances(0.1)
    variance = encoded([0.0] * LATENT + [-40.0, -1.0, 1.0, 40.0], 0.1).logvar.exp()[0]
    expected = [math.sqrt(below) + (math.sqrt(above) - math.sqrt(below)) * share
                for share in (0.0, 1 / (1 + math.e), 1 / (1 + 1 / math.e), 1.0)]
    torch.testing.assert_close(variance, torch.tensor(expected).square(), rtol=1e-5, atol=0)


@torch.no_grad()
def test_the_kl_is_its_monte_carlo_estimate():
    torch.manual_seed(0)
    posterior = CommittedGaussian(6, LATENT, True, delta=0.3)
    posterior.head.weight.mul_(5.0)
    latent = posterior(torch.randn(8, 6))
    q = posterior.density(latent)
    z = q.sample((40_000,))
    ratio = q.log_prob(z) - posterior.prior().log_prob(z)
    error = ratio.std(0) / math.sqrt(len(z))
    assert ((ratio.mean(0) - latent.kl.sum(-1)).abs() < 5 * error).all()


@torch.no_grad()
def test_draws_have_the_mean_and_variance_of_the_density():
    torch.manual_seed(1)
    posterior = CommittedGaussian(6, LATENT, True)
    latent = posterior(torch.randn(1, 6).expand(20_000, -1))
    standard = (latent.z - latent.mu) / (0.5 * latent.logvar).exp()
    assert float(standard.mean(0).abs().max()) < 5 / math.sqrt(20_000)
    assert float((standard.var(0) - 1).abs().max()) < 5 * math.sqrt(2 / 20_000)


def test_the_rate_pulls_at_the_mean_only_and_only_where_it_exceeds_delta():
    posterior = CommittedGaussian(2 * LATENT, LATENT, False)
    with torch.no_grad():
        posterior.head.weight.copy_(torch.eye(2 * LATENT))
    raw = torch.tensor([[-1.0, 0.5, 2.0, -3.0, -2.0, 0.0, 1.0, 9.0]], requires_grad=True)
    slope, = torch.autograd.grad(posterior(raw).kl.sum(), raw)
    assert slope.tolist() == [[0.0, 0.5, 0.5, 0.0] + [0.0] * LATENT]
    through_sigma, = torch.autograd.grad(posterior(raw).mu.sum(), raw)
    assert torch.isfinite(through_sigma).all() and (through_sigma[0, LATENT:LATENT + 3] != 0).all()


@pytest.mark.parametrize("delta", [0.0, -0.1, 51.0, math.nan])
def test_an_impossible_rate_is_refused(delta: float):
    with pytest.raises(CeaeError, match="^delta: "):
        CommittedGaussian(6, LATENT, True, delta=delta)


def test_a_training_with_enormous_steps_keeps_the_rate(smoke):
    training = smoke("delta-vae", lr=1.0)
    x = training.train_set.batch(training.batches[0])
    for _ in range(10):
        training._one_step()
        with torch.no_grad():
            assert (training.model.encode(x).kl.double() >= training.spec.options["delta"]).all()
