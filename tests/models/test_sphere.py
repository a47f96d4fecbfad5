"""Codes on the sphere against scipy, numerical integration and what any distribution on a sphere must satisfy."""

import math

import numpy as np
import pytest
import torch
from scipy import integrate, special, stats

from ceae_core.errors import CeaeError
from ceae_core.models import sphere
from ceae_core.models.sphere import (
    SphereUniform,
    Spherical,
    VonMisesFisher,
    log_bessel,
    log_normaliser,
    log_surface,
    mean_cosine,
    sphere_kl,
)

CASES = [(2, 0.5), (3, 4.0), (4, 13.0), (7, 2.0), (32, 13.0), (32, 400.0), (100, 1e-3)]
DRAWS = 40_000


def direction(latent: int, seed: int = 0) -> torch.Tensor:
    v = torch.randn(latent, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)
    return v / v.norm()


def angle_distribution(latent: int, kappa: float) -> tuple[np.ndarray, np.ndarray]:
    """Angles and their cumulative distribution by Simpson's rule."""
    grid = np.linspace(0.0, math.pi, 300_001)
    log_density = kappa * (np.cos(grid) - 1.0) + special.xlogy(latent - 2, np.sin(grid))
    cumulative = integrate.cumulative_simpson(np.exp(log_density - log_density.max()), x=grid, initial=0)
    return grid, cumulative / cumulative[-1]


def angle_integral(latent: int, kappa: float, function) -> float:
    """The integral of function(t) exp(kappa (cos t - 1)) sin(t)^(Z-2) over the angle t."""
    def at(t: float) -> float:
        return function(t) * math.exp(kappa * (math.cos(t) - 1.0)) * math.sin(t) ** (latent - 2)
    peak = 2.0 * math.sqrt((latent + 5.0) / (kappa + latent))
    return integrate.quad(at, 0.0, math.pi, points=[min(peak, 3.0)], epsabs=0, epsrel=1e-10, limit=500)[0]


# constants -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize("order", [0.0, 0.5, 1.0, 15.0, 16.0, 255.5])
@pytest.mark.parametrize("x", [1e-4, 0.3, 1.0, 13.0, 80.0, 700.0, 5e3])
def test_the_bessel_function_is_scipys(order: float, x: float):
    scaled = special.ive(order, x)
    if scaled > 1e-290:
        assert log_bessel(order, x) == pytest.approx(math.log(scaled) + x, rel=1e-12, abs=1e-10)
    else:       # there `ive` underflows
        series = order * math.log(x / 2) - math.lgamma(order + 1) + math.log(special.hyp0f1(order + 1, x * x / 4))
        assert log_bessel(order, x) == pytest.approx(series, rel=1e-12)


@pytest.mark.parametrize(("latent", "kappa"), CASES)
def test_the_kl_is_the_integral_over_the_angle(latent: int, kappa: float):
    """No Bessel function: both laws are the same at a given angle, so the divergence is that of the angles."""
    mass = angle_integral(latent, kappa, lambda t: 1.0)
    cosine = angle_integral(latent, kappa, math.cos) / mass
    flat = integrate.quad(lambda t: math.sin(t) ** (latent - 2), 0.0, math.pi, epsabs=0, epsrel=1e-12)[0]
    kl = kappa * (cosine - 1.0) - math.log(mass) + math.log(flat)
    assert sphere_kl(latent, kappa) == pytest.approx(kl, rel=1e-6, abs=1e-9)
    assert mean_cosine(latent, kappa) == pytest.approx(cosine, rel=1e-8)


def test_the_kl_of_the_published_setting():
    """The corrected value, not the 2.084 of the formula that xu2018spherical and bn-vae have."""
    assert sphere_kl(32, 13.0) == pytest.approx(2.173, abs=5e-4)


@pytest.mark.parametrize(("latent", "surface"), [(2, 2 * math.pi), (3, 4 * math.pi), (4, 2 * math.pi ** 2)])
def test_surfaces_of_known_spheres(latent: int, surface: float):
    assert math.exp(log_surface(latent)) == pytest.approx(surface)


def test_without_concentration_the_posterior_is_the_prior():
    assert sphere_kl(5, 1e-6) == pytest.approx(0.0, abs=1e-9)
    assert log_normaliser(5, 1e-6) == pytest.approx(-log_surface(5), abs=1e-9)


# densities -------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("latent", "kappa"), [case for case in CASES if case[1] >= 0.5])
def test_the_density_is_scipys(latent: int, kappa: float):
    """scipy's density is with respect to the surface measure, too."""
    mu = direction(latent)
    z = SphereUniform(latent, mu).sample((20,)).double()
    expected = stats.vonmises_fisher(mu.numpy(), kappa).logpdf((z / z.norm(dim=1, keepdim=True)).numpy())
    found = VonMisesFisher(mu.unsqueeze(0), kappa).log_prob(z.unsqueeze(1)).squeeze(1)
    torch.testing.assert_close(found, torch.from_numpy(expected), rtol=1e-6, atol=1e-5)


@pytest.mark.parametrize(("latent", "kappa"), [(2, 3.0), (3, 1.0), (8, 2.0)])
def test_the_density_integrates_to_one_against_the_prior(latent: int, kappa: float):
    """E_p[q / p] = 1: what makes ratios of the two densities importance weights."""
    torch.manual_seed(0)
    mu = direction(latent)
    prior = SphereUniform(latent, mu)
    z = prior.sample((200_000,)).double()
    ratio = (VonMisesFisher(mu, kappa).log_prob(z) - prior.log_prob(z)).exp()
    assert float(ratio.mean()) == pytest.approx(1.0, abs=5 * float(ratio.std()) / math.sqrt(len(z)))


@pytest.mark.parametrize(("latent", "kappa"), CASES)
def test_the_kl_is_its_monte_carlo_estimate(latent: int, kappa: float):
    """Draws, density, prior and closed form agree."""
    torch.manual_seed(1)
    mu = direction(latent)
    q, prior = VonMisesFisher(mu, kappa), SphereUniform(latent, mu)
    ratio = q.log_prob(z := q.sample((DRAWS,))) - prior.log_prob(z)
    assert float(ratio.mean()) == pytest.approx(sphere_kl(latent, kappa),
                                                abs=5 * float(ratio.std()) / math.sqrt(DRAWS) + 1e-9)


# draws -----------------------------------------------------------------------------------------------------------

@pytest.mark.parametrize(("latent", "kappa"), [*CASES, (3, 2e4)])
def test_the_angle_of_a_draw_has_its_distribution(latent: int, kappa: float):
    """Kolmogorov-Smirnov against a cumulative distribution by Simpson's rule on a grid of its own."""
    torch.manual_seed(2)
    mu = direction(latent)
    z = VonMisesFisher(mu, kappa).sample((DRAWS,))
    assert z.dtype == torch.float64 and z.shape == (DRAWS, latent)
    torch.testing.assert_close(z.norm(dim=1), torch.ones(DRAWS, dtype=torch.float64))
    angle = 2.0 * torch.asin(((z - mu).norm(dim=1) / 2.0).clamp(max=1.0)).numpy()
    grid, cumulative = angle_distribution(latent, kappa)
    assert stats.kstest(angle, lambda t: np.interp(t, grid, cumulative)).pvalue > 1e-4


@pytest.mark.parametrize(("latent", "kappa"), [*CASES, (3, 2e4)])
def test_the_table_of_angles_is_as_exact_as_it_says(latent: int, kappa: float):
    angles, table = (column.numpy() for column in sphere._angles(latent, kappa, torch.device("cpu")))
    grid, cumulative = angle_distribution(latent, kappa)
    assert np.abs(np.interp(grid, angles, table) - cumulative).max() < 1e-9 * (latent + kappa)


@pytest.mark.parametrize("latent", [2, 3, 9])
def test_the_rest_of_a_draw_is_uniform_among_orthogonal_directions(latent: int):
    torch.manual_seed(3)
    mu = direction(latent)
    z = VonMisesFisher(mu, 5.0).sample((DRAWS,))
    rest = z - (z @ mu).unsqueeze(1) * mu
    rest = rest / rest.norm(dim=1, keepdim=True)
    expected = (torch.eye(latent, dtype=torch.float64) - torch.outer(mu, mu)) / (latent - 1)
    assert float(rest.mean(0).abs().max()) < 5 / math.sqrt(DRAWS)
    assert float((rest.T @ rest / DRAWS - expected).abs().max()) < 5 / math.sqrt(DRAWS)


def test_batches_of_draws_follow_their_own_means():
    torch.manual_seed(4)
    mu = torch.nn.functional.normalize(torch.randn(6, 5), dim=-1)
    z = VonMisesFisher(mu, 30.0).sample((3000,))
    assert z.shape == (3000, 6, 5) and z.dtype == torch.float32
    torch.testing.assert_close(z.mean(0), mean_cosine(5, 30.0) * mu, atol=0.03, rtol=0)


@pytest.mark.parametrize(("latent", "kappa"), [(2, 13.0), (32, 13.0), (500, 1e-3), (3, 1e5)])
def test_every_number_of_the_generator_has_its_angle(latent: int, kappa: float, monkeypatch):
    """The larger the number, the larger the angle; also at 0 and below 1, where the density of the angle underflows."""
    mu, cosines = direction(latent), []
    for u in (0.0, 1e-300, 1e-9, 0.25, 0.5, 0.75, 1.0 - 2 ** -53):
        monkeypatch.setattr(torch, "rand", lambda *shape, u=u, **given: torch.full(shape[0], u, dtype=torch.float64))
        z = VonMisesFisher(mu, kappa).sample((2,))
        torch.testing.assert_close(z.norm(dim=1), torch.ones(2, dtype=torch.float64))
        cosines.append(float((z @ mu).mean()))
    assert all(later <= earlier + 1e-12 for earlier, later in zip(cosines, cosines[1:], strict=False))
    assert cosines[0] > mean_cosine(latent, kappa) > cosines[-1]


def test_the_gradient_of_a_mean_of_draws_is_that_of_the_mean():
    """d/dmu E<a, z> = A(kappa) a along the sphere: the cosine carries no gradient, the direction does."""
    torch.manual_seed(5)
    mu, a, latent, kappa = direction(4).requires_grad_(), direction(4, 1), 4, 3.0
    z = VonMisesFisher(mu, kappa).rsample((DRAWS,))
    slope, = torch.autograd.grad((z @ a).mean(), mu)
    along = slope - (slope @ mu.detach()) * mu.detach()
    expected = mean_cosine(latent, kappa) * (a - (a @ mu.detach()) * mu.detach())
    torch.testing.assert_close(along, expected, atol=5 / math.sqrt(DRAWS), rtol=0)


def test_the_prior_is_uniform():
    torch.manual_seed(6)
    prior = SphereUniform(6, torch.zeros(1))
    z = prior.sample((DRAWS,))
    torch.testing.assert_close(z.norm(dim=1), torch.ones(DRAWS))
    assert float(z.mean(0).abs().max()) < 5 / math.sqrt(6 * DRAWS)
    assert float((z.T @ z / DRAWS - torch.eye(6) / 6).abs().max()) < 5 / math.sqrt(6 * DRAWS)
    assert float(stats.kstest(z[:, 0].numpy(), lambda c: special.betainc(2.5, 2.5, (c + 1) / 2)).pvalue) > 1e-4
    assert prior.log_prob(z[:7].view(7, 1, 6)).shape == (7, 1)
    assert prior.support.check(z[:9]).all() and not prior.support.check(torch.stack([z[0] * 0, z[1] * 1.01])).any()


# the posterior ---------------------------------------------------------------------------------------------------

def test_a_posterior_is_its_parts():
    torch.manual_seed(7)
    posterior = Spherical(9, 5, True, kappa=20.0)
    h = torch.randn(30, 9)
    latent = posterior(h)
    raw = h @ posterior.head.weight.T + posterior.head.bias
    torch.testing.assert_close(latent.mu, raw / raw.norm(dim=1, keepdim=True))
    assert latent.logvar is None and latent.kl.shape == (30, 1) and not latent.kl.requires_grad
    torch.testing.assert_close(latent.kl, torch.full((30, 1), sphere_kl(5, 20.0)))
    q, prior = posterior.density(latent), posterior.prior()
    torch.testing.assert_close(q.log_prob(latent.mu).detach(), torch.full((30,), 20.0 + log_normaliser(5, 20.0)))
    torch.testing.assert_close(prior.log_prob(latent.z).detach(), torch.full((30,), -log_surface(5)))
    torch.testing.assert_close(latent.z.norm(dim=1), torch.ones(30))
    latent.z.sum().backward()
    assert float(posterior.head.weight.grad.abs().sum()) > 0


def test_draws_repeat_with_the_seed():
    mu = direction(8)
    def drawn(seed: int) -> torch.Tensor:
        torch.manual_seed(seed)
        return VonMisesFisher(mu, 13.0).sample((50,))
    assert drawn(1).equal(drawn(1)) and not drawn(1).equal(drawn(2))


@pytest.mark.parametrize(("latent", "kappa", "field"), [
    (1, 13.0, "latent"), (8, 0.0, "kappa"), (8, -1.0, "kappa"), (8, 1e9, "kappa"), (8, math.nan, "kappa")])
def test_impossible_spheres_are_refused(latent: int, kappa: float, field: str):
    with pytest.raises(CeaeError, match=f"^{field}: "):
        Spherical(6, latent, True, kappa=kappa)
