"""The bound on models that are the truth: the decoder is the grammar itself, so nothing but the bound's own slack is
between the bound and the true -log p(x).

The code's first unit says the sentiment, by the quantile of its probability; the decoder is the grammar given that
sentiment, and in 5 % of its cases the grammar as it is.  Whatever the encoder does, p(x) is that of the grammar.
"""

import math
from statistics import NormalDist
from types import SimpleNamespace

import numpy as np
import pytest
import torch
from torch import nn
from torch.distributions import Independent, Normal

from ceae_core.corpora import oracle
from ceae_core.corpora.batching import Encoded
from ceae_core.corpora.vocabulary import build
from ceae_core.measure import measure
from ceae_core.measure.bound import bound, encode, log_weights
from ceae_core.measure.fitting import choose
from ceae_core.models.posteriors import Latent, standard_normal

CPU = torch.device("cpu")
SLIP, JUDGED, HELD_OUT = 0.05, 60, 120


class Truth(nn.Module):
    """Has what the measures use of a TextAutoencoder.  A clear sentiment has the code (1, 0) or (-1, 0)."""

    def __init__(self, sentences: list[tuple[str, ...]], density: bool) -> None:
        super().__init__()
        grammar = oracle.default()
        prior = np.array([p for p, _ in grammar.rules[-1]])
        positive = grammar.labels["sentiment"] == "pos"
        joint = np.stack([grammar.joint(s) for s in sentences])                                     # (N, labels)
        self.total = torch.from_numpy(joint.sum(1))
        self.given = torch.from_numpy(np.stack([joint[:, ~positive].sum(1) / prior[~positive].sum(),
                                                joint[:, positive].sum(1) / prior[positive].sum()], 1))
        self.edge = NormalDist().inv_cdf(float(prior[~positive].sum()))
        self.data = Encoded(sentences, build(sentences, "bn"))
        self.place = {tuple(self.data.batch(np.array([i]))[0].tolist()): i for i in range(len(sentences))}
        self.has_density, self.critics = density, None
        self.posterior = SimpleNamespace(density=self.density, prior=lambda: standard_normal(torch.zeros(1), 2),
                                         bounded=density)

    def rows(self, x: torch.Tensor) -> torch.Tensor:
        real = [tuple(token for token in row if token) for row in x.tolist()]
        return torch.tensor([self.place[row] for row in real])

    def encode(self, x: torch.Tensor) -> Latent:
        rows = self.rows(x)
        share = 0.5 * self.given[rows, 1] / self.total[rows]
        mu = torch.stack([2 * share - 1, torch.zeros_like(share)], 1).float()
        if not self.has_density:
            return Latent(mu, mu, mu)
        logvar = torch.full_like(mu, math.log(0.5))
        kl = 0.5 * (mu.square() + logvar.exp() - logvar - 1)
        return Latent(mu, mu, mu + (0.5 * logvar).exp() * torch.randn_like(mu), logvar, kl)

    def density(self, latent: Latent) -> Independent | None:
        return Independent(Normal(latent.mu, (0.5 * latent.logvar).exp()), 1) if self.has_density else None

    def nll(self, x: torch.Tensor, z: torch.Tensor) -> torch.Tensor:
        rows = self.rows(x)
        told = self.given[rows, (z[:, 0] > self.edge).long()]
        return -torch.log((1 - SLIP) * told + SLIP * self.total[rows]).float()


@pytest.fixture(scope="module")
def sentences() -> list[tuple[str, ...]]:
    drawn = dict.fromkeys(oracle.default().sample(400, 11).sentences)               # each once: it names its row
    return list(drawn)[:JUDGED + HELD_OUT]


@pytest.fixture(scope="module", params=[True, False], ids=["Gaussian posterior", "deterministic code"])
def case(request, sentences) -> SimpleNamespace:
    model = Truth(sentences, request.param)
    test = model.data.take(np.arange(JUDGED))
    held_out = model.data.take(np.arange(JUDGED, JUDGED + HELD_OUT))
    truth = torch.tensor([-oracle.default().log_prob(s) for s in sentences[:JUDGED]], dtype=torch.float64)
    return SimpleNamespace(model=model, test=test, held_out=held_out, truth=truth,
                           choice=choose(model, held_out, CPU, 0))


def test_the_model_is_the_grammar(case):
    """Half of the codes of the prior say each sentiment, and p(x) averaged over them is the grammar's."""
    z = torch.randn(40_000, 2, generator=torch.Generator().manual_seed(0))
    for i in range(3):
        x = case.test.batch(np.array([i]))
        mean = (-case.model.nll(x.expand(len(z), -1), z).double()).exp().mean()
        assert float(-mean.log()) == pytest.approx(float(case.truth[i]), abs=0.02)


def test_the_truth_has_the_entropy_of_the_grammar(case):
    error = float(case.truth.std()) / math.sqrt(len(case.truth))
    assert float(case.truth.mean()) == pytest.approx(oracle.ENTROPY[0], abs=4 * error)


def test_no_proposal_gets_below_the_truth_and_all_come_near_it(case):
    coded = encode(case.model, case.test, CPU, 0)
    first = "own" if case.model.has_density else "isotropic"
    assert set(case.choice.candidates) == {first, "prior", "affine", "linear"}
    for name, proposal in case.choice.candidates.items():
        gaps = []
        for samples in (2, 20, 200):
            gap = torch.stack([bound(log_weights(case.model, coded, proposal, samples, seed)) - case.truth
                               for seed in range(200 // samples)])
            error = float(gap.std()) / math.sqrt(gap.numel())
            assert float(gap.mean()) > -4 * error - 1e-4, name
            gaps.append(float(gap.mean()))
        assert gaps[0] > gaps[1] > gaps[2] - 1e-3 and gaps[0] > 0.02 and gaps[2] < 0.05, name


def test_the_reported_bound_is_the_truth_and_not_below(case):
    found = measure(case.model, case.test, case.held_out, CPU, seed=1, iw_samples=100, iw_sentences=JUDGED)
    assert found["nll_iw_nats"] == pytest.approx(float(case.truth.mean()), abs=0.05)
    assert found["nll_iw_nats"] > float(case.truth.mean()) - 0.03       # its noise: it is below only by chance
    assert found["nll_iw_se"] == pytest.approx(float(case.truth.std()) / math.sqrt(JUDGED), rel=0.05)
    assert 20 < found["iw_ess"] <= 100 and found["iw_samples"] == 100 and found["iw_sentences"] == JUDGED
    if case.model.has_density:
        assert found["nelbo_nats_per_sentence"] > found["nll_iw_nats"]
