"""The fitted prior against closed forms, against scikit-learn, and against the ways in which a fit can break."""

import math

import numpy as np
import pytest
import torch
from sklearn.mixture import GaussianMixture
from torch.distributions import MultivariateNormal

from ceae_core.models import density
from ceae_core.models.density import FittedPrior, fit_mixture

LATENT = 3
TRUE_WEIGHTS = torch.tensor([0.5, 0.3, 0.2], dtype=torch.float64)
TRUE_MEANS = torch.tensor([[0.0, 0.0, 0.0], [8.0, 0.0, -4.0], [-6.0, 7.0, 1.0]], dtype=torch.float64)
TRUE_FACTORS = torch.tensor([[[1.0, 0, 0], [0.5, 1.0, 0], [0, 0, 2.0]], [[0.5, 0, 0], [0, 0.5, 0], [0.2, 0.1, 0.3]],
                             [[2.0, 0, 0], [-1.0, 0.7, 0], [0, 0.4, 1.0]]], dtype=torch.float64)


def clusters(n: int, seed: int = 0) -> torch.Tensor:
    """Codes (n, 3) from three Gaussians."""
    generator = torch.Generator().manual_seed(seed)
    which = torch.multinomial(TRUE_WEIGHTS, n, replacement=True, generator=generator)
    noise = torch.randn(n, LATENT, 1, generator=generator, dtype=torch.float64)
    return TRUE_MEANS[which] + (TRUE_FACTORS[which] @ noise).squeeze(-1)


def log_likelihood(codes: torch.Tensor, fitted: tuple[torch.Tensor, ...]) -> float:
    """Mean log density of codes under a mixture, by torch's own normal density."""
    log_weights, means, factors = fitted
    each = MultivariateNormal(means, scale_tril=factors).log_prob(codes.unsqueeze(1))
    return float((log_weights + each).logsumexp(1).mean())


def test_one_component_is_the_gaussian_of_maximum_likelihood():
    codes = clusters(500)
    log_weights, means, factors = fit_mixture(codes, 1)
    assert log_weights.tolist() == [0.0]
    torch.testing.assert_close(means[0], codes.mean(0))
    torch.testing.assert_close(factors[0] @ factors[0].T, torch.cov(codes.T, correction=0), rtol=1e-5, atol=1e-4)


@pytest.mark.parametrize("seed", range(3))
def test_separate_clusters_are_found(seed: int):
    torch.manual_seed(seed)
    log_weights, means, factors = fit_mixture(clusters(20_000), 3)
    order = [int(i) for i in torch.cdist(TRUE_MEANS, means).argmin(1)]
    assert sorted(order) == [0, 1, 2]
    torch.testing.assert_close(log_weights[order].exp(), TRUE_WEIGHTS, atol=0.02, rtol=0)
    torch.testing.assert_close(means[order], TRUE_MEANS, atol=0.15, rtol=0)
    torch.testing.assert_close((factors @ factors.mT)[order], TRUE_FACTORS @ TRUE_FACTORS.mT, atol=0.25, rtol=0)


@pytest.mark.parametrize("components", [1, 3, 6])
def test_the_fit_is_as_good_as_scikit_learns(components: int):
    """On text both have many local optima; on these codes one fit must not be worse than the best of its ten."""
    codes, fresh = clusters(4000), clusters(4000, seed=1)
    theirs = GaussianMixture(components, n_init=10, random_state=0).fit(codes.numpy())
    torch.manual_seed(0)
    fitted = fit_mixture(codes, components)
    assert log_likelihood(codes, fitted) == pytest.approx(theirs.score(codes.numpy()), abs=0.02)
    assert log_likelihood(fresh, fitted) == pytest.approx(theirs.score(fresh.numpy()), abs=0.02)


def test_every_round_raises_the_likelihood(monkeypatch):
    """The property of expectation maximisation: no round may lose, so none may be computed wrongly."""
    codes = torch.tanh(clusters(800)) + 0.05 * clusters(800, seed=3)
    monkeypatch.setattr(density, "TOLERANCE", -math.inf)
    found = []
    for rounds in (0, 1, 2, 3, 5, 8, 13, 40):
        monkeypatch.setattr(density, "ITERATIONS", rounds)
        torch.manual_seed(5)
        found.append(log_likelihood(codes, fit_mixture(codes, 4)))
    assert all(later > earlier - 1e-6 for earlier, later in zip(found, found[1:], strict=False))
    assert found[1] > found[0] + 0.01 and found[-1] > found[1] + 0.1


def test_a_fit_stops_when_a_round_gains_little(monkeypatch):
    codes, rounds = clusters(2000), []
    original = density._log_densities
    monkeypatch.setattr(density, "_log_densities", lambda *given: rounds.append(1) or original(*given))
    torch.manual_seed(0)
    fit_mixture(codes, 3)
    assert 2 <= len(rounds) < density.ITERATIONS


def test_a_fit_repeats_with_its_seed():
    codes = clusters(500)
    def fitted(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return fit_mixture(codes, 6)[1]
    assert fitted(1).equal(fitted(1)) and not fitted(1).equal(fitted(2))


@pytest.mark.parametrize("codes", [
    clusters(4), clusters(1).repeat(50, 1), torch.zeros(20, LATENT, dtype=torch.float64),
    torch.cat([clusters(300)[:, :2], torch.ones(300, 1, dtype=torch.float64)], 1),
    clusters(2).repeat(40, 1), 1e-8 * clusters(200), 1e8 * clusters(200)],
    ids=["few", "one", "zero", "flat", "two", "tiny", "huge"])
def test_codes_that_fill_no_space_still_give_a_density(codes: torch.Tensor):
    """Fewer codes than components, equal codes, a unit that never changes."""
    torch.manual_seed(0)
    log_weights, means, factors = fit_mixture(codes, 10)
    assert torch.isfinite(means).all() and torch.isfinite(factors).all()
    assert (factors.diagonal(dim1=1, dim2=2) > 0).all()
    assert float(log_weights.exp().sum()) == pytest.approx(1.0)
    assert math.isfinite(log_likelihood(codes, (log_weights, means, factors)))


# the posterior that holds it -------------------------------------------------------------------------------------

def test_before_the_fit_the_prior_is_standard():
    z = clusters(50).float()
    prior = FittedPrior(5, LATENT, True).prior()
    expected = -0.5 * (z ** 2 + math.log(2 * math.pi)).sum(1)
    torch.testing.assert_close(prior.log_prob(z), expected)


@pytest.mark.parametrize("components", [1, 3])
def test_the_prior_is_the_fit_and_is_saved_with_the_weights(components: int):
    codes = clusters(4000)
    posterior = FittedPrior(5, LATENT, True, components=components)
    torch.manual_seed(2)
    posterior.fit(codes.float())
    torch.manual_seed(2)
    expected = fit_mixture(codes.float().double(), components)
    other = FittedPrior(5, LATENT, True, components=components)
    other.load_state_dict(posterior.state_dict())
    z, prior = clusters(200, seed=4), other.prior()
    assert float(prior.log_prob(z.float()).mean()) == pytest.approx(log_likelihood(z, expected), abs=1e-3)
    drawn = prior.sample((40_000,))
    torch.testing.assert_close(drawn.mean(0).double(), codes.mean(0), atol=0.15, rtol=0)
    torch.testing.assert_close(torch.cov(drawn.T).double(), torch.cov(codes.T), atol=0.8, rtol=0.05)


def test_codes_are_the_linear_head_without_noise():
    posterior, h = FittedPrior(5, LATENT, True), torch.randn(7, 5)
    latent = posterior(h)
    torch.testing.assert_close(latent.mu, h @ posterior.head.weight.T + posterior.head.bias)
    assert latent.z is latent.mu and latent.kl is None and posterior.density(latent) is None


def test_the_prior_is_no_weight_that_training_moves():
    posterior = FittedPrior(5, LATENT, False)
    assert [name for name, _ in posterior.named_parameters()] == ["head.weight"]
    assert {"log_weights", "means", "factors"} <= posterior.state_dict().keys()


def test_far_apart_starts_prefer_distance():
    """Three far groups of very different size: all are among three starts nearly always, by chance hardly ever."""
    torch.manual_seed(0)
    centres = torch.tensor([[0.0, 0.0], [100.0, 0.0], [50.0, 90.0]], dtype=torch.float64)
    codes = centres.repeat_interleave(torch.tensor([980, 10, 10]), 0) + 0.01 * torch.randn(1000, 2).double()
    found = [{int(i) for i in torch.cdist(density._far_apart(codes, 3), centres).argmin(1)} for _ in range(50)]
    assert np.mean([len(groups) == 3 for groups in found]) > 0.9
