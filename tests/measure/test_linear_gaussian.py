"""Likelihood bounds on a model whose likelihood is known (see conftest)."""

import math
from types import SimpleNamespace
from typing import Any

import numpy as np
import pytest
import torch
from torch.distributions import Independent, Normal

from ceae_core.measure import bound as bounds
from ceae_core.measure.bound import bound, effective_samples, encode, log_weights
from ceae_core.measure.likelihood import rec_and_kl
from ceae_core.measure.proposals import Frame, Linear, Own, Prior, Proposal
from ceae_core.measure.refine import Refined

CPU = torch.device("cpu")
DOUBLE, LATENT = torch.float64, 2
PLAIN = Frame.of(Independent(Normal(torch.zeros(LATENT), torch.ones(LATENT)), 1))


def weights(model: Any, case: SimpleNamespace, proposal: Proposal, samples: int, seed: int = 0,
            ) -> torch.Tensor:
    return log_weights(model, encode(model, case.data, CPU, seed), proposal, samples, seed)


def exact(model: Any, shift: float = 0.0) -> Linear:
    """The true posterior of a model whose mu is its mean plus `shift`, as a Gaussian around mu."""
    return Linear("linear", PLAIN, torch.eye(LATENT, dtype=DOUBLE), torch.full((LATENT,), -shift, dtype=DOUBLE),
                  torch.linalg.cholesky(model.covariance))


PROPOSALS: dict[str, Proposal] = {
    "own": Own(), "prior": Prior(),
    "isotropic": Linear.isotropic(PLAIN, 0.7, 0.8),
    "affine": Linear("affine", PLAIN, torch.tensor([0.9, 0.6], dtype=DOUBLE).diag(),
                     torch.tensor([0.1, -0.1], dtype=DOUBLE), torch.tensor([0.5, 0.9], dtype=DOUBLE).diag()),
    "linear": Linear("linear", PLAIN, torch.tensor([[0.8, 0.1], [-0.2, 0.9]], dtype=DOUBLE),
                     torch.zeros(2, dtype=DOUBLE), torch.tensor([[0.6, 0.0], [-0.3, 0.8]], dtype=DOUBLE)),
    "refined": Refined(Linear.isotropic(PLAIN, 0.7, 0.8), 3),
}


@pytest.mark.parametrize("samples", [1, 7, 300])
def test_the_true_posterior_gives_the_likelihood_with_any_number_of_samples(straight, slanted, samples: int):
    """Every weight is then p(x): no variance, whatever the draws; also with dependent units and a shifted mu."""
    own = bound(weights(straight.model(), straight, Own(), samples))
    torch.testing.assert_close(own, straight.truth, atol=1e-9, rtol=0)
    model = slanted.model(shift=0.3)
    found = weights(model, slanted, exact(model, 0.3), samples)
    torch.testing.assert_close(bound(found), slanted.truth, atol=1e-9, rtol=0)
    torch.testing.assert_close(effective_samples(found), torch.full_like(slanted.truth, samples))


def test_rec_plus_kl_exceeds_the_likelihood_by_the_divergence_from_the_true_posterior(straight):
    """E_q[Rec] + KL(q || prior) = -log p(y) + KL(q || true posterior)."""
    for stretch, shift in ((1.0, 0.0), (1.6, 0.3)):
        model, draws = straight.model(stretch=stretch, shift=shift), 400
        totals = torch.stack([sum(rec_and_kl(model, straight.data, CPU, seed)) for seed in range(draws)]).mean(1)
        gap = LATENT * (stretch ** 2 - 1 - math.log(stretch ** 2)) / 2
        gap += float(shift ** 2 * (1 / model.covariance.diagonal()).sum() / 2)
        error = float(totals.std()) / math.sqrt(draws)
        assert float(totals.mean() - straight.truth.mean()) == pytest.approx(gap, abs=4 * error)


@pytest.mark.parametrize("name", PROPOSALS)
def test_every_proposal_gives_a_bound_that_tightens_to_the_likelihood(straight, name: str):
    """In expectation never below -log p, smaller with more samples, equal in the limit (burda2016importance)."""
    model, gaps = straight.model(stretch=1.3, shift=0.2), []
    for samples, repeats in ((1, 60), (8, 30), (64, 12), (2000, 1)):
        gap = torch.stack([bound(weights(model, straight, PROPOSALS[name], samples, seed)) - straight.truth
                           for seed in range(repeats)])
        error = float(gap.std()) / math.sqrt(gap.numel())
        assert float(gap.mean()) > -4 * error
        gaps.append(float(gap.mean()))
    assert gaps[0] > 1.5 * gaps[1] > 2 * gaps[2] > gaps[3]
    assert gaps[0] > 0.1 and abs(gaps[3]) < 0.02


@pytest.mark.parametrize("name", PROPOSALS)
def test_one_sample_of_any_proposal_has_the_likelihood_as_mean_weight(straight, name: str):
    """E[w] = p(y): the identity behind the bound, sentence by sentence."""
    model = straight.model(stretch=1.3, shift=0.2)
    ratio = (weights(model, straight, PROPOSALS[name], 20_000) + straight.truth).exp()          # (S, N), mean 1
    error = ratio.std(0) / math.sqrt(len(ratio))
    assert ((ratio.mean(0) - 1).abs() < 5 * error).all() and float((ratio.mean() - 1).abs()) < 0.05


def test_groups_of_samples_tighten_the_bound_without_exception(straight):
    """The means over nested groups: with the same draws no sentence's bound rises with S."""
    found = weights(straight.model(stretch=1.4, shift=0.4), straight, PROPOSALS["isotropic"], 120)
    steps = [bound(found, size) for size in (1, 2, 6, 24, 120)]
    for looser, tighter in zip(steps, steps[1:], strict=False):
        assert (tighter <= looser + 1e-12).all() and float((looser - tighter).mean()) > 0.005
    naive = -torch.log(found[:6].exp().mean(0)) - torch.log(found[6:12].exp().mean(0))
    torch.testing.assert_close(bound(found[:12], 6), naive / 2)
    torch.testing.assert_close(bound(found[:15], 6), naive / 2)             # what fills no group is left out
    torch.testing.assert_close(steps[-1], -torch.log(found.exp().mean(0)))


def test_the_effective_number_of_samples():
    shares = torch.tensor([[0.5, 1.0, 0.7], [0.5, 0.0, 0.2], [0.0, 0.0, 0.1]], dtype=DOUBLE)
    expected = [2.0, 1.0, 1 / (0.49 + 0.04 + 0.01)]
    assert effective_samples(shares.log() - 40.0).tolist() == pytest.approx(expected)


def test_sentences_are_weighed_one_by_one(straight, monkeypatch):
    """Neither the number decoded together nor the order of the sentences enters: no sentence borrows a sample."""
    model, few = straight.model(), straight.data.take(np.arange(9)[::-1].copy())
    for sentences, pairs in ((1, 1), (5, 7), (4096, 4096)):
        monkeypatch.setattr(bounds, "SENTENCES_AT_ONCE", sentences)
        monkeypatch.setitem(bounds.DECODED_AT_ONCE, "cpu", pairs)
        found = bound(log_weights(model, encode(model, few, CPU, 0), Own(), 30, 0))
        torch.testing.assert_close(found, straight.truth[:9].flip(0), atol=1e-9, rtol=0)


def test_how_many_are_decoded_together_changes_no_draw(straight, monkeypatch):
    model = straight.model(stretch=1.3)
    before = weights(model, straight, PROPOSALS["linear"], 30)
    monkeypatch.setitem(bounds.DECODED_AT_ONCE, "cpu", 40)
    torch.testing.assert_close(weights(model, straight, PROPOSALS["linear"], 30), before)


@pytest.mark.parametrize("name", PROPOSALS)
def test_the_bound_repeats_with_its_seed_and_purpose(straight, name: str):
    model = straight.model(stretch=1.3)
    coded = encode(model, straight.data, CPU, 0)
    one, again, other, purpose = (log_weights(model, coded, PROPOSALS[name], 5, seed, *words)
                                  for seed, words in ((1, ()), (1, ()), (2, ()), (1, ("judge",))))
    assert one.equal(again) and not one.equal(other) and not one.equal(purpose)


def test_progress_counts_every_sentence(straight):
    counted: list[int] = []
    model = straight.model()
    log_weights(model, encode(model, straight.data, CPU, 0), Own(), 3, 0, tick=counted.append)
    assert sum(counted) == len(straight.data)


def test_refinement_moves_each_sentence_towards_its_posterior_and_the_model_not_at_all(straight):
    model = straight.model()
    start = Linear.isotropic(PLAIN, 0.2, 0.3)
    x = straight.data.batch(np.arange(10))
    latent, truth = model.encode(x), model.truth(x)
    model.zero_grad()
    torch.manual_seed(0)
    with torch.no_grad():
        before, after = start.at(model, x, latent), Refined(start, 400).at(model, x, latent)
    assert model.weight.requires_grad and model.weight.grad is None
    assert not after.mean.requires_grad and not after.width.requires_grad
    assert float((after.mean - truth.mean).abs().max()) < 0.25 < float((before.mean - truth.mean).abs().max())
    widths = (after.width * after.factor.diagonal()) / model.covariance.diagonal().sqrt()
    assert ((widths - 1).abs() < 0.25).all()
    loose, tight = (float(bound(weights(model, straight, proposal, 10)).mean())
                    for proposal in (start, Refined(start, 50)))
    assert tight < loose - 0.1


def test_refinement_starts_from_the_means_and_deviations_of_any_density(straight):
    """No step at all: the own posterior is recovered, and of the prior all sentences get the same."""
    model = straight.model(stretch=1.3)
    x = straight.data.batch(np.arange(6))
    latent = model.encode(x)
    own, prior = (Refined(start, 0).at(model, x, latent) for start in (Own(), Prior()))
    torch.testing.assert_close(own.mean, latent.mu)
    torch.testing.assert_close(own.width, (0.5 * latent.logvar).exp())
    assert prior.mean.shape == (6, LATENT) and not prior.mean.any() and (prior.width == 1).all()
    assert own.factor.equal(torch.eye(LATENT, dtype=DOUBLE))
