"""Likelihood bounds on a model whose likelihood is known: z ~ N(0, I), y = W z + s noise.

A "sentence" is one word, and the word stands for an observation y.  With orthogonal columns in W the true posterior is
a diagonal Gaussian, so the best member of every proposal family is known too.
"""

import math
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn

from ceae_core.corpora.batching import Encoded
from ceae_core.corpora.vocabulary import build
from ceae_core.losses.divergences import gaussian_kl
from ceae_core.measure import likelihood
from ceae_core.measure.likelihood import Proposal, choose_proposal, importance_weighted, rec_and_kl
from ceae_core.models.posteriors import Latent

CPU = torch.device("cpu")
SENTENCES, LATENT, OBSERVED, NOISE = 40, 2, 4, 0.7
W = torch.linalg.qr(torch.randn(OBSERVED, LATENT, generator=torch.Generator().manual_seed(1), dtype=torch.float64))[0]
W = W * torch.tensor([1.5, 0.6])
PRECISION = 1.0 + (W ** 2).sum(0) / NOISE ** 2          # of the true posterior, unit by unit


class LinearGaussian(nn.Module):
    """Has what the measures use of a TextAutoencoder.  `stretch` and `shift` move q away from the true posterior."""

    def __init__(self, table: torch.Tensor, stretch: float = 1.0, shift: float = 0.0, density: bool = True) -> None:
        super().__init__()
        self.posterior, self.table = nn.Identity(), table
        self.stretch, self.shift, self.density = stretch, shift, density

    def observed(self, x: torch.Tensor) -> torch.Tensor:
        return self.table[x[:, 1] - 4]

    def encode(self, x: torch.Tensor) -> Latent:
        y = self.observed(x)
        mu = y @ W / NOISE ** 2 / PRECISION + self.shift
        if not self.density:
            return Latent(y, mu, mu)
        logvar = (self.stretch ** 2 / PRECISION).log().expand_as(mu)
        return Latent(y, mu, mu + (0.5 * logvar).exp() * torch.randn_like(mu), logvar, gaussian_kl(mu, logvar))

    def nll(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        residual = (self.observed(x) - z @ W.T) / NOISE
        return 0.5 * (residual ** 2).sum(1) + OBSERVED * (math.log(NOISE) + 0.5 * math.log(2 * math.pi))


@pytest.fixture(scope="module")
def case() -> SimpleNamespace:
    """Sentences, their observations drawn from the model, and the exact -log p(y), by multivariate normal density."""
    generator = torch.Generator().manual_seed(0)
    z = torch.randn(SENTENCES, LATENT, generator=generator, dtype=torch.float64)
    noise = torch.randn(SENTENCES, OBSERVED, generator=generator, dtype=torch.float64)
    table = z @ W.T + NOISE * noise
    sentences = [(f"w{i}",) for i in range(SENTENCES)]
    mean, identity = torch.zeros(OBSERVED, dtype=torch.float64), torch.eye(OBSERVED, dtype=torch.float64)
    density = torch.distributions.MultivariateNormal(mean, W @ W.T + NOISE ** 2 * identity)
    return SimpleNamespace(data=Encoded(sentences, build(sentences, "bn")), table=table, truth=-density.log_prob(table))


OWN = Proposal("own")


@pytest.mark.parametrize("samples", [1, 7, 300])
def test_the_true_posterior_gives_the_likelihood_with_any_number_of_samples(case, samples: int):
    bound = importance_weighted(LinearGaussian(case.table), case.data, CPU, samples, 0, OWN)
    torch.testing.assert_close(bound, case.truth, atol=1e-9, rtol=0)


def test_rec_plus_kl_exceeds_the_likelihood_by_the_divergence_from_the_true_posterior(case):
    """E_q[Rec] + KL(q || prior) = -log p(y) + KL(q || true posterior)."""
    for stretch, shift in ((1.0, 0.0), (1.6, 0.3)):
        model, draws = LinearGaussian(case.table, stretch, shift), 400
        totals = torch.stack([sum(rec_and_kl(model, case.data, CPU, seed)) for seed in range(draws)]).mean(1)
        gap = LATENT * (stretch ** 2 - 1 - math.log(stretch ** 2)) / 2 + float(shift ** 2 * PRECISION.sum() / 2)
        error = float(totals.std()) / math.sqrt(draws)
        assert float(totals.mean() - case.truth.mean()) == pytest.approx(gap, abs=4 * error)


PROPOSALS = [OWN, Proposal("isotropic", 1.0, 0.5), Proposal("isotropic", 0.7, 1.0)]


@pytest.mark.parametrize("proposal", PROPOSALS, ids=Proposal.describe)
def test_every_proposal_gives_a_bound_that_tightens_to_the_likelihood(case, proposal: Proposal):
    """In expectation never below -log p, smaller with more samples, equal in the limit (burda2016importance)."""
    model, gaps = LinearGaussian(case.table, stretch=1.3, shift=0.2), []
    for samples, repeats in ((1, 60), (8, 30), (64, 12), (2000, 1)):
        bounds = torch.stack([importance_weighted(model, case.data, CPU, samples, seed, proposal)
                              for seed in range(repeats)])
        gap = bounds - case.truth
        error = float(gap.std()) / math.sqrt(gap.numel())
        assert float(gap.mean()) > -4 * error
        gaps.append(float(gap.mean()))
    assert gaps[0] > 1.5 * gaps[1] > 2 * gaps[2] > gaps[3]
    assert gaps[0] > 0.1 and abs(gaps[3]) < 0.01


def test_sentences_are_weighed_one_by_one(case, monkeypatch):
    """Neither the number decoded together nor the order of the sentences enters: no sentence borrows a sample."""
    model, few = LinearGaussian(case.table), case.data.take(np.arange(9)[::-1].copy())
    for at_once in (1, 5, 4096):
        monkeypatch.setattr(likelihood, "SENTENCES_AT_ONCE", at_once)
        bound = importance_weighted(model, few, CPU, 30, 0, OWN)
        torch.testing.assert_close(bound, case.truth[:9].flip(0), atol=1e-9, rtol=0)


def test_the_bound_repeats_with_its_seed(case):
    model = LinearGaussian(case.table, stretch=1.3)
    one, again, other = (importance_weighted(model, case.data, CPU, 5, seed, OWN) for seed in (1, 1, 2))
    assert one.equal(again) and not one.equal(other)


def test_the_chosen_proposal_is_the_tightest_of_the_grid(case):
    """A code without density gets the isotropic Gaussian nearest to the true posterior; scale 1 is right here."""
    model = LinearGaussian(case.table, density=False)
    chosen = choose_proposal(model, case.data, CPU, 0)
    assert chosen.kind == "isotropic" and chosen.scale >= 0.85
    assert 0.9 * float(PRECISION.max()) ** -0.5 <= chosen.width <= 1.0
    bound = importance_weighted(model, case.data, CPU, 20, 5, chosen).mean()
    for poor in (Proposal("isotropic", 0.3, 0.2), Proposal("isotropic", 1.0, 0.1)):
        assert float(importance_weighted(model, case.data, CPU, 20, 5, poor).mean()) > float(bound)
    assert choose_proposal(LinearGaussian(case.table), case.data, CPU, 0) == OWN


def test_progress_counts_every_sentence(case):
    counted: list[int] = []
    importance_weighted(LinearGaussian(case.table), case.data, CPU, 3, 0, OWN, counted.append)
    assert sum(counted) == SENTENCES
