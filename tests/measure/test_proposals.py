"""Proposals: their densities against those of torch, their names, and who draws what."""

import numpy as np
import pytest
import torch
from torch.distributions import Categorical, Independent, MixtureSameFamily, MultivariateNormal, Normal

from ceae_core.measure.proposals import Frame, Gaussians, Known, Linear, Own, Prior, inside, times

LATENT = 2
PLAIN = Frame.of(Independent(Normal(torch.zeros(LATENT), torch.ones(LATENT)), 1))


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def test_the_density_of_gaussians_is_that_of_the_multivariate_normal():
    mean, width = normal(5, 3), normal(5, 3, seed=1).exp()
    factor = torch.tril(normal(3, 3, seed=2))
    factor.diagonal().abs_()
    source = Gaussians(mean, width, factor)
    noise = normal(7, 5, 3, seed=3)
    expected = MultivariateNormal(mean, scale_tril=factor @ torch.diag_embed(width))
    torch.testing.assert_close(source.log_density(noise), expected.log_prob(source.place(noise)))


def test_each_sentence_may_have_a_factor_of_its_own():
    mean, width, noise = normal(4, 3), normal(4, 3, seed=1).exp(), normal(6, 4, 3, seed=2)
    factors = torch.tril(normal(4, 3, 3, seed=3))
    factors.diagonal(dim1=1, dim2=2).abs_()
    source = Gaussians(mean, width, factors)
    expected = MultivariateNormal(mean, scale_tril=factors @ torch.diag_embed(width))
    torch.testing.assert_close(source.log_density(noise), expected.log_prob(source.place(noise)))
    for i in range(4):
        torch.testing.assert_close(times(factors, noise)[5, i], factors[i] @ noise[5, i])
        torch.testing.assert_close(times(factors[0], noise)[5, i], factors[0] @ noise[5, i])


def test_the_frame_of_a_mixture_is_that_of_the_likeliest_part():
    """Which depends on weights, places and shapes: (5, 5) is nearer to the first part, but likelier of the second."""
    means = torch.tensor([[4.0, 4.0], [-4.0, -4.0]], dtype=torch.float64)
    factors = torch.tensor([[[0.1, 0.0], [0.0, 0.1]], [[6.0, 0.0], [1.0, 5.0]]], dtype=torch.float64)
    prior = MixtureSameFamily(Categorical(torch.tensor([0.25, 0.75], dtype=torch.float64)),
                              MultivariateNormal(means, scale_tril=factors))
    frame = Frame.of(prior)
    mean, factor = frame.at(torch.tensor([[4.0, 4.1], [5.0, 5.0], [-4.0, -5.0]]))
    assert mean.equal(means[[0, 1, 1]]) and factor.equal(factors[[0, 1, 1]]) and not frame.is_plain
    z = normal(7, 3, 2)
    u = inside(z, mean, factor)
    for i in range(3):
        torch.testing.assert_close(mean[i] + u[2, i] @ factor[i].T, z[2, i])
    tie = torch.tensor([[0.0, 0.0]])
    same = torch.eye(2, dtype=torch.float64).repeat(2, 1, 1)
    for weights, part in (((0.4, 0.6), 1), ((0.6, 0.4), 0)):
        prior = MixtureSameFamily(Categorical(torch.tensor(weights)), MultivariateNormal(means, scale_tril=same))
        assert Frame.of(prior).at(tie)[0].equal(means[[part]])


def test_gaussians_have_the_mean_and_covariance_they_say():
    mean, width = torch.tensor([[1.0, -2.0]], dtype=torch.float64), torch.tensor([[0.5, 2.0]], dtype=torch.float64)
    factor = torch.tensor([[1.0, 0.0], [0.6, 0.8]], dtype=torch.float64)
    torch.manual_seed(0)
    z, log_q = Gaussians(mean, width, factor).draw(200_000)
    assert z.shape == (200_000, 1, 2) and log_q.shape == (200_000, 1)
    half = factor @ width[0].diag()
    torch.testing.assert_close(z[:, 0].mean(0), mean[0], atol=0.02, rtol=0)
    torch.testing.assert_close(torch.cov(z[:, 0].T), half @ half.T, atol=0.03, rtol=0)
    torch.testing.assert_close(log_q, MultivariateNormal(mean, scale_tril=half).log_prob(z))


def test_a_linear_proposal_stands_around_the_image_of_mu(straight):
    x = straight.data.batch(np.arange(4))
    model = straight.model()
    latent = model.encode(x)
    matrix, shift = normal(LATENT, LATENT, seed=5), normal(LATENT, seed=6)
    factor = torch.tensor([[0.5, 0.0], [0.2, 0.7]], dtype=torch.float64)
    source = Linear("linear", PLAIN, matrix, shift, factor).at(model, x, latent)
    for row, mu in zip(source.mean, latent.mu, strict=True):
        torch.testing.assert_close(row, matrix @ mu + shift)
    assert (source.width == 1).all() and source.factor.equal(factor)


def test_a_linear_proposal_in_a_frame_is_meant_there(straight):
    x = straight.data.batch(np.arange(4))
    model = straight.model()
    latent = model.encode(x)
    mean, deviation = torch.tensor([1.0, -2.0], dtype=torch.float64), torch.tensor([2.0, 0.1], dtype=torch.float64)
    frame = Frame.of(Independent(Normal(mean, deviation), 1))
    matrix, shift, factor = normal(2, 2, seed=5), normal(2, seed=6), torch.tril(normal(2, 2, seed=7).abs())
    source = Linear("linear", frame, matrix, shift, factor).at(model, x, latent)
    u = (latent.mu - mean) / deviation
    torch.testing.assert_close(source.mean, mean + deviation * (u @ matrix.T + shift))
    torch.testing.assert_close(source.factor, deviation.diag() @ factor)
    assert not frame.is_plain and PLAIN.is_plain


def test_own_posterior_and_prior_draw_one_code_per_sentence_and_sample(straight):
    x = straight.data.batch(np.arange(4))
    model = straight.model()
    latent = model.encode(x)
    for proposal, density in ((Own(), model.density(latent)), (Prior(), model.prior())):
        source = proposal.at(model, x, latent)
        z, log_q = source.draw(6)
        assert isinstance(source, Known) and z.shape == (6, 4, LATENT) and len(z.unique()) == z.numel()
        torch.testing.assert_close(log_q, density.log_prob(z))


def test_proposals_are_named_with_their_numbers():
    two = torch.tensor([0.5, 0.25], dtype=torch.float64)
    affine = Linear("affine", PLAIN, two.diag(), torch.tensor([-0.1, 0.3], dtype=torch.float64), two.diag())
    linear = Linear("linear", PLAIN, torch.eye(2, dtype=torch.float64), torch.zeros(2, dtype=torch.float64),
                    torch.tensor([[0.5, 0.0], [0.6, 0.8]], dtype=torch.float64))
    assert [p.describe() for p in (Own(), Prior(), Linear.isotropic(PLAIN, 0.7, 0.8), affine, linear)] == [
        "own posterior", "prior", "N(0.7 mu, 0.8^2 I)",
        "N(a mu + c, diag s^2), a 0.25 to 0.50, c -0.10 to 0.30, s 0.25 to 0.50",
        "N(A mu + c, C), diag A 1.00 to 1.00, c 0.00 to 0.00, sd 0.50 to 1.00"]


@pytest.mark.parametrize("scale", [0.3, 1.0])
def test_the_isotropic_proposal_is_round(scale: float):
    proposal = Linear.isotropic(Frame.of(Independent(Normal(torch.zeros(3), torch.ones(3)), 1)), scale, 0.5)
    assert proposal.matrix.equal(scale * torch.eye(3, dtype=torch.float64)) and not proposal.shift.any()
    assert proposal.factor.equal(0.5 * torch.eye(3, dtype=torch.float64))
