"""All measures together on trained models, and their independence of how the work is cut."""

import math
from collections.abc import Callable
from functools import cache, partial

import numpy as np
import pytest
import torch

from ceae_core.corpora import oracle
from ceae_core.corpora.batching import Encoded
from ceae_core.measure import DEFINITIONS, likelihood, measure
from ceae_core.measure.likelihood import choose_proposal, importance_weighted, perplexity, rec_and_kl
from ceae_core.training import Training

CPU = torch.device("cpu")
FAMILIES = ("lstm-lm", "ae", "vae", "bn-vae", "ceae")
GAUSSIAN = ("vae", "bn-vae")


@pytest.fixture(scope="module")
def trained(smoke) -> Callable[[str], Training]:
    """trained(family): that family after its training at smoke, each trained once."""
    @cache
    def run(family: str) -> Training:
        training = smoke(family)
        training.run(lambda now: None)
        return training
    return run


@pytest.fixture(scope="module")
def data(oracle_corpus) -> Encoded:
    """The test split."""
    return Encoded(oracle_corpus.splits["test"].sentences, oracle_corpus.vocabulary())


def test_perplexity_counts_the_end_symbol_and_not_the_start():
    """Two words and three: 3 + 4 predicted tokens."""
    lengths = np.array([4, 5])
    assert perplexity(torch.tensor([6.0, 8.0]), lengths) == pytest.approx(math.exp(14 / 7))
    assert perplexity(torch.tensor([3, 4]) * math.log(50), lengths) == pytest.approx(50)


@pytest.mark.parametrize("family", FAMILIES)
def test_the_evaluation_does_not_depend_on_how_it_is_cut(family, trained, data, monkeypatch):
    model = trained(family).model.train()
    rec, kl = rec_and_kl(model, data, CPU, 0)
    assert not model.training and rec.dtype == torch.float64 and len(rec) == len(data)
    assert (kl is None) == (family not in GAUSSIAN)
    again, _ = rec_and_kl(model, data, CPU, 0)
    assert rec.equal(again)
    monkeypatch.setattr(likelihood, "batches_by_length", partial(likelihood.batches_by_length, size=7))
    cut, kl_cut = rec_and_kl(model, data, CPU, 0)
    if kl is None:
        torch.testing.assert_close(cut, rec, rtol=1e-5, atol=1e-4)
    else:
        torch.testing.assert_close(kl_cut, kl, rtol=1e-4, atol=1e-4)
        assert not rec_and_kl(model, data, CPU, 1)[0].equal(rec)


@pytest.mark.parametrize("family", GAUSSIAN)
def test_the_analytic_kl_is_its_monte_carlo_estimate(family, trained, data):
    model = trained(family).model
    _, kl = rec_and_kl(model, data, CPU, 0)
    x, draws = data.batch(np.arange(20)), 2000
    torch.manual_seed(0)
    ratios = []
    with torch.no_grad():
        latent = model.encode(x)
        for _ in range(draws):
            z = latent.mu + (0.5 * latent.logvar).exp() * torch.randn_like(latent.mu)
            ratios.append(latent.log_q(z) + 0.5 * (z ** 2 + math.log(2 * math.pi)).sum(-1))
    estimate = torch.stack(ratios)                                                      # (draws, 20)
    error = estimate.std(0) / math.sqrt(draws)
    assert ((estimate.mean(0) - kl[:20]).abs() < 5 * error + 1e-4).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_no_bound_is_below_the_true_likelihood(family, trained, data, oracle_corpus):
    """The oracle knows -log p(x); a model's cannot be smaller on average, and a valid bound on it even less so."""
    training, few = trained(family), data.take(np.arange(40))
    truth = torch.tensor([-oracle.default().log_prob(s) for s in oracle_corpus.splits["test"].sentences[:40]])
    proposal = choose_proposal(training.model, training.valid_set, CPU, 0, samples=5)
    gap = importance_weighted(training.model, few, CPU, 20, 0, proposal) - truth
    assert torch.isfinite(truth).all()
    assert float(gap.mean()) > -3 * float(gap.std()) / math.sqrt(len(gap))


@pytest.mark.parametrize("family", FAMILIES)
def test_the_record_of_a_model_has_every_measure(family, trained, data):
    training = trained(family)
    result = measure(training.model, data, training.valid_set, CPU, seed=1, iw_samples=5, iw_sentences=30)
    assert set(DEFINITIONS) <= set(result)
    absent = {"lstm-lm": {"kl_nats", "mi_minibatch_nats", "mi_dataset_nats", "active_units"}}
    no_density = {"kl_nats", "nelbo_nats_per_sentence", "ppl_word", "mi_minibatch_nats", "mi_dataset_nats"}
    expected = absent.get(family, no_density if family in ("ae", "ceae") else set())
    assert {name for name, value in result.items() if value is None} == expected
    tokens = float(np.mean(data.lengths - 1))
    assert result["tokens_per_sentence"] == pytest.approx(tokens)
    if result["ppl_word"]:
        assert result["ppl_word"] == pytest.approx(math.exp(result["nelbo_nats_per_sentence"] / tokens))
        parts = result["rec_nats_per_sentence"] + (result["kl_nats"] or 0.0)
        assert result["nelbo_nats_per_sentence"] == pytest.approx(parts)
    if family == "lstm-lm":
        assert result["iw_samples"] == 1 and "exact" in result["iw_proposal"]
        first, _ = rec_and_kl(training.model, data.take(np.arange(30)), CPU, 0)
        assert result["nll_iw_nats"] == pytest.approx(float(first.mean()))
        assert result["nll_iw_se"] == pytest.approx(float(first.std()) / math.sqrt(30))
    else:
        assert result["iw_samples"] == 5
        assert (result["iw_proposal"] == "own posterior") == (family in GAUSSIAN)
    if family == "vae":     # collapsed after 76 steps: hardly a nat
        assert abs(result["mi_minibatch_nats"]) < 1 and abs(result["mi_dataset_nats"]) < 1
