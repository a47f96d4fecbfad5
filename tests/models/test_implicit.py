"""Implicit posteriors: the linear head against the Gaussian that it is, the MLP by its draws."""

import math

import pytest
import torch
from scipy.stats import multivariate_normal

from ceae_core.errors import CeaeError
from ceae_core.models.implicit import MEAN_DRAWS, Implicit
from ceae_core.models.posteriors import Latent
from ceae_core.schedules import Clock

HIDDEN, LATENT, CLOCK = 6, 3, Clock(0, 10)


def posterior(head: str = "linear", noise: int = 0, bias: bool = True) -> Implicit:
    torch.manual_seed(1)
    return Implicit(HIDDEN, LATENT, bias, noise_head=head, noise_size=noise)


def sentences(rows: int = 4) -> torch.Tensor:
    return torch.randn(rows, HIDDEN, generator=torch.Generator().manual_seed(2))


def split(made: Implicit) -> tuple[torch.Tensor, torch.Tensor]:
    """A and B of z = A h + B xi + b, float64."""
    weight = made.head.weight.detach().double()
    return weight[:, :HIDDEN], weight[:, HIDDEN:]


@torch.no_grad()
@pytest.mark.parametrize("noise", [0, 5])
def test_draws_of_a_linear_head_have_the_moments_of_its_density(noise: int):
    """Means and covariances of n draws, within 5 standard errors."""
    made, h, n = posterior(noise=noise), sentences(1), 200_000
    assert made.noise == (noise or LATENT)
    q, z = made.density(made(h)), made.draw(h.expand(n, -1)).double()
    mean, covariance = q.mean[0], q.covariance_matrix[0]
    spread = covariance.diagonal()
    assert ((z.mean(0) - mean).abs() < 5 * (spread / n).sqrt()).all()
    error = ((spread.outer(spread) + covariance ** 2) / n).sqrt()           # of a sample covariance (Isserlis)
    assert ((z.T.cov() - covariance).abs() < 5 * error).all()
    a, b = split(made)
    torch.testing.assert_close(mean, a @ h[0].double() + made.head.bias.double(), rtol=1e-5, atol=1e-6)
    torch.testing.assert_close(covariance, b @ b.T)


@torch.no_grad()
def test_the_density_is_that_of_scipy():
    made, h = posterior(), sentences()
    latent = made(h)
    log_q = made.density(latent).log_prob(latent.z.double())
    _, b = split(made)
    for i, (mean, z) in enumerate(zip(latent.mu.double(), latent.z.double(), strict=True)):
        assert float(log_q[i]) == pytest.approx(multivariate_normal(mean, b @ b.T).logpdf(z), rel=1e-9)
    prior = made.prior()
    assert prior.log_prob(latent.z).tolist() == pytest.approx(
        multivariate_normal([0.0] * LATENT).logpdf(latent.z), rel=1e-5)


@torch.no_grad()
def test_the_factor_is_triangular_with_a_positive_diagonal_and_reproduces_the_covariance():
    for noise in (LATENT, 8):
        made = posterior(noise=noise)
        factor, (_, b) = made.factor(), split(made)
        torch.testing.assert_close(factor @ factor.T, b @ b.T)
        assert torch.equal(factor, factor.tril()) and (factor.diagonal() > 0).all() and factor.dtype == torch.float64


@torch.no_grad()
def test_the_factor_keeps_a_direction_that_hardly_has_noise():
    """B of singular values 1, 1 and 1e-7: its square 1e-14 would drown in B B^T, which is known to 1e-16."""
    made = posterior()
    left, _, right = torch.linalg.svd(split(made)[1])
    made.head = made.head.double()
    made.head.weight[:, HIDDEN:] = left @ torch.diag(torch.tensor([1.0, 1.0, 1e-7]).double()) @ right
    log_det = float(2 * made.factor().diagonal().log().sum())
    assert log_det == pytest.approx(2 * math.log(1e-7), rel=1e-8)


@torch.no_grad()
@pytest.mark.parametrize("head", ["linear", "mlp"])
def test_a_code_is_what_the_head_makes_of_sentence_and_noise(head: str):
    made, h = posterior(head), sentences()
    torch.manual_seed(5)
    latent = made(h, CLOCK)
    torch.manual_seed(5)
    xi = torch.randn(len(h), LATENT)
    for z, row, noise in zip(latent.z, h, xi, strict=True):
        torch.testing.assert_close(z, made.head(torch.cat([row, noise])))
    torch.testing.assert_close(latent.mu, made.head(torch.cat([h, torch.zeros_like(xi)], 1)))
    assert latent.logvar is None and latent.kl is None and latent.h is h


@torch.no_grad()
def test_the_mean_code_of_an_mlp_is_a_mean_of_draws_in_evaluation():
    made, h = posterior("mlp"), sentences(1)
    layers = [type(layer).__name__ for layer in made.head]
    assert layers == ["Linear", "LeakyReLU", "Linear"] and made.head[0].out_features == HIDDEN
    draws = made.draw(h.expand(100_000, -1))
    error = draws.std(0) / math.sqrt(MEAN_DRAWS)
    code = made(h).mu[0]
    assert ((code - draws.mean(0)).abs() < 5 * error).all()
    assert not torch.equal(made(h).mu, made(h).mu) and torch.equal(made(h, CLOCK).mu, made(h, CLOCK).mu)


def test_an_mlp_has_no_density():
    made = posterior("mlp")
    assert made.density(Latent(*(torch.zeros(2, 3),) * 3)) is None and not made.bounded
    with pytest.raises(CeaeError, match="noise_head=mlp.*no density"):
        made.factor()
    assert made.prior().sample((5,)).shape == (5, LATENT)


def test_wrong_heads_are_refused():
    with pytest.raises(CeaeError, match="noise_head.*'flow'.*linear or mlp"):
        posterior("flow")
    with pytest.raises(CeaeError, match="noise_size: 2.*at least 3"):
        posterior(noise=2)
    assert posterior("mlp", noise=2).noise == 2


def test_gradients_reach_every_weight_through_the_code():
    for head in ("linear", "mlp"):
        made = posterior(head)
        made(sentences(), CLOCK).z.square().sum().backward()
        assert all(float(p.grad.abs().sum()) > 0 for p in made.parameters())
