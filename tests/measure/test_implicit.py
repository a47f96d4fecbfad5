"""Estimates by critics and exact values of implicit posteriors, on a linear head whose Gaussian is known."""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn
from torch.distributions import MultivariateNormal, kl_divergence

from ceae_core.corpora.batching import Encoded
from ceae_core.corpora.vocabulary import build
from ceae_core.measure import implicit
from ceae_core.measure.implicit import Codes, critic_values, divergences, encode_all, negative_share, shared_gaussian_kl
from ceae_core.measure.latent import mixture_information
from ceae_core.models.implicit import Implicit
from ceae_core.models.posteriors import Latent

CPU = torch.device("cpu")
HIDDEN = 3


def normal(*shape: int, seed: int = 0) -> torch.Tensor:
    return torch.randn(*shape, generator=torch.Generator().manual_seed(seed), dtype=torch.float64)


def triangular(latent: int, seed: int = 0) -> torch.Tensor:
    """A lower triangular matrix with a positive diagonal."""
    factor = torch.tril(normal(latent, latent, seed=seed))
    factor.diagonal().abs_().add_(0.1)
    return factor


class Toy(nn.Module):
    """Sentence i is the word i with the sentence vector `table[i]`; the posterior is an `Implicit`."""

    def __init__(self, sentences: int, latent: int, head: str = "linear", spread: float = 0.4) -> None:
        super().__init__()
        self.table = normal(sentences, HIDDEN).float()
        torch.manual_seed(3)
        self.posterior = Implicit(HIDDEN, latent, True, noise_head=head)
        with torch.no_grad():
            for parameter in self.posterior.parameters():
                parameter.copy_(spread * torch.randn_like(parameter))
            if head == "linear":
                self.posterior.head.weight[:, HIDDEN:] += 0.7 * torch.eye(latent)
        self.requires_grad_(False)
        self.critics = SimpleNamespace(f=lambda z, h: (z * h[:, :1]).sum(-1), g=lambda z: z.square().sum(-1) / 8)

    def encode(self, x: torch.Tensor) -> Latent:
        return self.posterior(self.table[x[:, 1] - 4])

    @property
    def codes(self) -> Codes:
        return Codes(self.table, self.posterior(self.table).mu)

    def density(self, h: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        """log q(z|h) of pairs: h (B, H), z (B, Z) -> (B,)."""
        return self.posterior.density(self.posterior(h)).log_prob(z.double())

    def densities(self, z: torch.Tensor) -> torch.Tensor:
        """log q(z_i|h_j) of z (B, Z) under all N sentences: (B, N)."""
        return self.posterior.density(self.posterior(self.table)).log_prob(z.double().unsqueeze(1))


def sentences(count: int) -> Encoded:
    words = [(f"w{i}",) * (1 + i % 3) for i in range(count)]
    return Encoded(words, build(words, "bn"))


# exact values -------------------------------------------------------------------------------------------------------

@given(st.integers(0, 10_000), st.integers(1, 6))
@settings(max_examples=25, deadline=None)
def test_the_exact_kl_is_that_of_torch(seed: int, latent: int):
    mu, factor = 2 * normal(4, latent, seed=seed), triangular(latent, seed + 1)
    q = MultivariateNormal(mu, scale_tril=factor)
    p = MultivariateNormal(torch.zeros(latent, dtype=torch.float64), torch.eye(latent, dtype=torch.float64))
    torch.testing.assert_close(shared_gaussian_kl(mu, factor), kl_divergence(q, p))


def test_the_exact_kl_is_its_monte_carlo_estimate():
    mu, factor = normal(3, 4), triangular(4, 1)
    q = MultivariateNormal(mu, scale_tril=factor)
    torch.manual_seed(0)
    z = q.sample((50_000,))
    ratio = q.log_prob(z) + 0.5 * (z.square() + math.log(2 * math.pi)).sum(-1)
    error = ratio.std(0) / math.sqrt(len(ratio))
    assert ((ratio.mean(0) - shared_gaussian_kl(mu, factor)).abs() < 5 * error).all()


def test_each_thin_direction_costs_its_logarithm():
    """A standard deviation of a thousandth: -log 1e-3 - 1/2 nats more than one of 1."""
    thin = torch.tensor([1e-3, 1.0], dtype=torch.float64).diag()
    kl = shared_gaussian_kl(torch.zeros(1, 2, dtype=torch.float64), thin)
    assert float(kl) == pytest.approx(math.log(1e3) - 0.5, abs=1e-5)


def naive_information(z: torch.Tensor, mu: torch.Tensor, logvar: torch.Tensor) -> float:
    """mean_i [log q_i(z_i) - log mean_j q_j(z_i)], by loops over plain numbers."""
    def log_density(z: list[float], m: list[float], v: list[float]) -> float:
        return sum(-0.5 * ((a - b) ** 2 / math.exp(c) + c + math.log(2 * math.pi))
                   for a, b, c in zip(z, m, v, strict=True))
    rows, terms = list(zip(mu.tolist(), logvar.tolist(), strict=True)), []
    for i, place in enumerate(z.tolist()):
        logs = [log_density(place, m, v) for m, v in rows]
        top = max(logs)
        terms.append(logs[i] - top - math.log(sum(math.exp(value - top) for value in logs) / len(logs)))
    return sum(terms) / len(terms)


@given(st.integers(0, 10_000), st.integers(1, 12), st.integers(1, 4), st.floats(0.0, 30.0))
@settings(max_examples=25, deadline=None)
def test_the_mixture_information_is_that_of_loops_and_at_most_log_n(seed: int, n: int, latent: int, spread: float):
    mu, logvar = spread * normal(n, latent, seed=seed), normal(n, latent, seed=seed + 1)
    drawn = []
    with pytest.MonkeyPatch.context() as patch:
        from ceae_core.measure import latent as module
        real = module._draw
        patch.setattr(module, "_draw", lambda *arguments: drawn.append(real(*arguments)) or drawn[0])
        found = mixture_information(mu, logvar, seed)
    assert found == pytest.approx(naive_information(drawn[0], mu, logvar), rel=1e-7, abs=1e-7)
    assert found <= math.log(n) + 1e-9


def test_codes_that_lie_apart_carry_exactly_log_n():
    mu = 1e2 * torch.arange(20, dtype=torch.float64).unsqueeze(1)
    assert mixture_information(mu, torch.full_like(mu, -6.0), 0) == pytest.approx(math.log(20), abs=1e-6)


def test_the_exact_information_does_not_depend_on_the_scale_of_the_code():
    """Whitening keeps I(x; z): it is the one of the original densities, taken by a naive mixture over many draws."""
    model, data = Toy(30, 2), sentences(30)
    found = divergences(model, data, CPU, 0)
    torch.manual_seed(1)
    each = torch.stack([model.densities(model.posterior.draw(model.table)) for _ in range(500)])     # (draws, i, j)
    terms = (each.diagonal(dim1=1, dim2=2) - each.logsumexp(2) + math.log(30)).mean(1)
    one_draw = float(terms.std())
    assert found["mi_exact_nats"] == pytest.approx(float(terms.mean()), abs=4 * one_draw)
    assert 0.2 < found["mi_exact_nats"] <= math.log(30)
    with torch.no_grad():
        for parameter in model.posterior.parameters():
            parameter.mul_(50.0)
    scaled = divergences(model, data, CPU, 0)
    assert scaled["mi_exact_nats"] == pytest.approx(found["mi_exact_nats"], abs=1e-4)
    assert scaled["kl_exact_nats"] > found["kl_exact_nats"] + 10


# estimates by critics -----------------------------------------------------------------------------------------------

def test_divergences_are_those_of_the_critics_values():
    """Naive recomputation from the values at the draws, one number at a time."""
    model, data = Toy(70, 2), sentences(70)
    found = divergences(model, data, CPU, 5)
    v = {name: value.tolist() for name, value in critic_values(model, encode_all(model, data, CPU), 5).items()}
    assert all(len(values) == 70 * implicit.DRAWS for values in v.values())

    def mean(values: list[float]) -> float:
        return sum(values) / len(values)

    kl = mean(v["f_q"]) - mean([math.exp(f) for f in v["f_p"]]) + 1
    aggregate = mean(v["g_q"]) - mean([math.exp(g) for g in v["g_p"]]) + 1
    assert found["kl_dual_nats"] == pytest.approx(kl, abs=1e-9)
    assert found["kl_aggregate_dual_nats"] == pytest.approx(aggregate, abs=1e-9)
    assert found["mi_dual_nats"] == pytest.approx(kl - aggregate, abs=1e-9)
    tighter = mean(v["f_q"]) - math.log(mean([math.exp(f) for f in v["f_p"]]))
    assert found["kl_dv_nats"] == pytest.approx(tighter, abs=1e-5)
    groups = [slice(start, start + 32) for start in range(0, len(v["f_q"]), 32)]
    negative = [mean(v["f_q"][g]) - mean([math.exp(f) for f in v["f_p"][g]]) + 1 < 0 for g in groups]
    assert found["dual_negative_share"] == pytest.approx(mean(negative)) and 0 < mean(negative) < 1


def test_critics_see_codes_of_their_sentence_and_draws_of_the_prior():
    """f at (z, h) with z from q(.|h) has the mean over q of z . h_1; at the prior the mean is 0."""
    model = Toy(50, 2)
    codes = model.codes
    v = critic_values(model, codes, 0, draws=400)
    expected = (codes.mu * codes.h[:, :1]).sum(-1).mean()
    assert float(v["f_q"].mean()) == pytest.approx(float(expected), abs=0.05)
    assert abs(float(v["f_p"].mean())) < 0.05 and float(v["g_p"].mean()) == pytest.approx(2 / 8, abs=0.01)
    assert v["f_q"].dtype == torch.float64


def test_the_best_critic_reads_the_true_divergence():
    """f = log q(z|h) / p(z) and g = log q(z) / p(z) attain the maximum: KL, KL of the aggregate, and I(x; z)."""
    model, data = Toy(40, 2, spread=0.25), sentences(40)

    def log_prior(z: torch.Tensor) -> torch.Tensor:
        return -0.5 * (z.double().square() + math.log(2 * math.pi)).sum(-1)

    def aggregate(z: torch.Tensor) -> torch.Tensor:
        return model.densities(z).logsumexp(1) - math.log(40)

    model.critics = SimpleNamespace(f=lambda z, h: model.density(h, z) - log_prior(z),
                                    g=lambda z: aggregate(z) - log_prior(z))
    found = [divergences(model, data, CPU, seed) for seed in range(40)]
    for estimate in ("kl_dual_nats", "kl_dv_nats"):
        values = torch.tensor([each[estimate] for each in found])
        error = float(values.std()) / math.sqrt(len(values))
        assert float(values.mean()) == pytest.approx(found[0]["kl_exact_nats"], abs=4 * error + 0.01) and error < 0.02
    information = torch.tensor([[each["mi_dual_nats"], each["mi_exact_nats"]] for each in found])
    error = float((information[:, 0] - information[:, 1]).std()) / math.sqrt(len(found))
    assert float(information[:, 0].mean()) == pytest.approx(float(information[:, 1].mean()), abs=4 * error)


def test_a_worse_critic_reads_less_on_average():
    model, data = Toy(40, 2, spread=0.25), sentences(40)
    best = SimpleNamespace(f=lambda z, h: model.density(h, z) + 0.5 * (z.double().square()
                                                                        + math.log(2 * math.pi)).sum(-1))
    for spoiled in (lambda f: 0.5 * f, lambda f: f + 0.3, lambda f: f - 0.3):
        model.critics = SimpleNamespace(f=lambda z, h, s=spoiled: s(best.f(z, h)), g=lambda z: z[:, 0] * 0)
        found = [divergences(model, data, CPU, seed) for seed in range(10)]
        assert np.mean([each["kl_dual_nats"] for each in found]) < found[0]["kl_exact_nats"] - 0.02


@pytest.mark.parametrize("value", [1e4, 1e30])
def test_a_critic_that_explodes_stays_a_number(value: float):
    model, data = Toy(600, 2), sentences(600)
    model.critics = SimpleNamespace(f=lambda z, h: torch.full((len(z),), value), g=lambda z: z[:, 0] * 0 + value)
    found = divergences(model, data, CPU, 0)
    assert all(math.isfinite(each) for each in found.values()) and found["kl_dual_nats"] < -1e200
    many = torch.full((40_000,), implicit.LARGEST, dtype=torch.float64)
    assert math.isfinite(float(many.exp().sum()))


def test_the_share_of_negative_groups():
    f_q = torch.tensor([1.0, 1.0, -3.0, -3.0, -0.5])
    assert negative_share(f_q, torch.zeros(5), group=2) == pytest.approx(2 / 3)


def test_an_mlp_head_has_no_exact_values_and_repeats():
    model, data = Toy(50, 2, "mlp"), sentences(50)
    first, again = (divergences(model, data, CPU, 1) for _ in range(2))
    assert first == again and first["kl_exact_nats"] is None and first["mi_exact_nats"] is None
    assert first["kl_dual_nats"] != divergences(model, data, CPU, 2)["kl_dual_nats"]


def test_sentence_vectors_come_back_in_order():
    model, data = Toy(300, 2), sentences(300)
    codes = encode_all(model, data, CPU)
    torch.testing.assert_close(codes.h, model.table)
    torch.testing.assert_close(codes.mu, model.codes.mu)
