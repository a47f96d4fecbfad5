"""All measures together on trained models of every family, and their independence of how the work is cut."""

import math
from collections.abc import Callable
from functools import cache, partial
from typing import Any

import numpy as np
import pytest
import torch

from ceae_core.corpora import oracle
from ceae_core.corpora.batching import Encoded
from ceae_core.measure import DEFINITIONS, likelihood, measure
from ceae_core.measure.likelihood import perplexity, rec_and_kl
from ceae_core.training import Training
from ceae_core.zoo import FAMILIES

CPU = torch.device("cpu")
LANGUAGE_MODELS = [name for name, row in FAMILIES.items() if row.posterior is None]
IMPLICIT = [name for name, row in FAMILIES.items() if row.critics]
CLOSED_FORM = [name for name, row in FAMILIES.items() if row.posterior and row.is_bounded]
DETERMINISTIC = [name for name in FAMILIES if name not in {*LANGUAGE_MODELS, *IMPLICIT, *CLOSED_FORM}]
KINDS = ("vae", "sa-vae", "bn-vae", "delta-vae", "vmf-vae")         # the posteriors with a closed form
TEST, SAMPLES, SENTENCES = 200, 10, 40                              # of scale smoke

ANALYTIC = {"kl_nats", "nelbo_nats_per_sentence", "ppl_word", "mi_minibatch_nats", "mi_dataset_nats"}
EXACT = {"kl_exact_nats", "mi_exact_nats", "nelbo_exact_nats_per_sentence", "ppl_exact_word"}
BY_CRITICS = {"kl_dual_nats", "kl_dv_nats", "kl_aggregate_dual_nats", "mi_dual_nats", "dual_negative_share",
              "nelbo_dual_nats_per_sentence", "ppl_dual_word"}


@pytest.fixture(scope="module")
def trained(smoke) -> Callable[..., Training]:
    """trained(family, **changes): that family after its training at smoke, each trained once."""
    @cache
    def run(family: str, **changes: Any) -> Training:
        training = smoke(family, **changes)
        training.run(lambda now: None)
        training.finish()
        return training
    return run


@pytest.fixture(scope="module")
def data(oracle_corpus) -> Callable[[Training], Encoded]:
    """data(training): the test split in the vocabulary of that training."""
    return lambda training: Encoded(oracle_corpus.splits["test"].sentences, training.vocabulary)


@pytest.fixture(scope="module")
def measured(trained, data) -> Callable[..., dict[str, Any]]:
    """measured(family, **changes): all measures of it."""
    @cache
    def run(family: str, **changes: Any) -> dict[str, Any]:
        training = trained(family, **changes)
        return measure(training.model, data(training), training.valid_set, CPU, seed=1, iw_samples=SAMPLES,
                       iw_sentences=SENTENCES)
    return run


@pytest.fixture(scope="module")
def truth(oracle_corpus) -> np.ndarray:
    """The true -log p(x) of the test sentences, nats."""
    return np.array([-oracle.default().log_prob(s) for s in oracle_corpus.splits["test"].sentences])


def test_perplexity_counts_the_end_symbol_and_not_the_start():
    """Two words and three: 3 + 4 predicted tokens."""
    lengths = np.array([4, 5])
    assert perplexity(torch.tensor([6.0, 8.0]), lengths) == pytest.approx(math.exp(14 / 7))
    assert perplexity(torch.tensor([3, 4]) * math.log(50), lengths) == pytest.approx(50)


@pytest.mark.parametrize("family", ["lstm-lm", "ae", "vae", "bn-vae", "ceae", "vmf-vae"])
def test_the_evaluation_does_not_depend_on_how_it_is_cut(family, trained, data, monkeypatch):
    training = trained(family)
    model, test = training.model.train(), data(training)
    rec, kl = rec_and_kl(model, test, CPU, 0)
    assert not model.training and rec.dtype == torch.float64 and len(rec) == len(test)
    assert (kl is None) == (family not in CLOSED_FORM)
    again, _ = rec_and_kl(model, test, CPU, 0)
    assert rec.equal(again)
    monkeypatch.setattr(likelihood, "batches_by_length", partial(likelihood.batches_by_length, size=7))
    cut, kl_cut = rec_and_kl(model, test, CPU, 0)
    if kl is None:
        torch.testing.assert_close(cut, rec, rtol=1e-5, atol=1e-4)
    else:
        torch.testing.assert_close(kl_cut, kl, rtol=1e-4, atol=1e-4)
        assert not rec_and_kl(model, test, CPU, 1)[0].equal(rec)


@pytest.mark.parametrize("family", KINDS)
def test_the_analytic_kl_is_its_monte_carlo_estimate(family, trained, data):
    """E_q log q(z|x) / p(z), with the densities that the posterior itself names."""
    training = trained(family)
    model, test, draws = training.model, data(training), 2000
    _, kl = rec_and_kl(model, test, CPU, 0)
    torch.manual_seed(0)
    with torch.no_grad():
        q, p = model.posterior.density(model.encode(test.batch(np.arange(20)))), model.posterior.prior()
        z = q.sample((draws,))
        ratio = q.log_prob(z) - p.log_prob(z)                                           # (draws, 20)
    error = ratio.std(0) / math.sqrt(draws)
    assert ((ratio.mean(0) - kl[:20]).abs() < 5 * error + 1e-4).all()


@pytest.mark.parametrize("family", FAMILIES)
def test_no_bound_is_below_the_true_likelihood(family, measured, truth):
    """The oracle knows -log p(x) of the very sentences; no model of them can have less on average."""
    found = measured(family)
    error = truth.std() / math.sqrt(SENTENCES)
    assert np.isfinite(truth).all() and len(truth) == TEST
    assert found["iw_sentences"] == SENTENCES
    assert found["nll_iw_nats"] > truth[:SENTENCES].mean() - 3 * error
    for name in ("nelbo_nats_per_sentence", "nelbo_exact_nats_per_sentence"):
        assert found[name] is None or found[name] > truth.mean() - 3 * error
    assert found["ppl_iw_word"] > 1 and 0 < found["nll_iw_se"] < found["nll_iw_nats"]


@pytest.mark.parametrize("family", FAMILIES)
def test_the_record_of_a_model_has_every_measure(family, measured, truth):
    """And none in the column of another: analytic, exact and by critics are kept apart."""
    found = measured(family)
    assert set(DEFINITIONS) <= set(found)
    expected = EXACT | BY_CRITICS
    if family in IMPLICIT:
        expected = ANALYTIC
    elif family in DETERMINISTIC:
        expected = ANALYTIC | EXACT | BY_CRITICS
    elif family in LANGUAGE_MODELS:
        expected |= {"kl_nats", "mi_minibatch_nats", "mi_dataset_nats", "active_units", "iw_ess"}
    assert {name for name, value in found.items() if value is None} == expected
    tokens, rec = found["tokens_per_sentence"], found["rec_nats_per_sentence"]
    for kl, total, ppl in (("kl_nats", "nelbo_nats_per_sentence", "ppl_word"),
                           ("kl_dual_nats", "nelbo_dual_nats_per_sentence", "ppl_dual_word"),
                           ("kl_exact_nats", "nelbo_exact_nats_per_sentence", "ppl_exact_word")):
        if found[total] is not None:
            assert found[total] == pytest.approx(rec + (found[kl] or 0.0))
            assert found[ppl] == pytest.approx(math.exp(found[total] / tokens))
    if family not in LANGUAGE_MODELS:
        assert found["iw_samples"] == SAMPLES and 1 <= found["iw_ess"] <= SAMPLES and found["iw_proposal"]
        assert 0 <= found["active_units"] <= 4
    if family == "vae":     # collapsed after 76 steps: hardly a nat
        assert abs(found["mi_minibatch_nats"]) < 1 and abs(found["mi_dataset_nats"]) < 1
    if family in IMPLICIT:
        assert found["mi_dual_nats"] == pytest.approx(found["kl_dual_nats"] - found["kl_aggregate_dual_nats"])
        assert 0 <= found["mi_exact_nats"] <= math.log(TEST) + 1e-9


def test_a_language_models_bound_is_its_exact_likelihood(trained, data, measured):
    training, found = trained("lstm-lm"), measured("lstm-lm")
    test = data(training)
    assert found["iw_samples"] == 1 and "exact" in found["iw_proposal"]
    first, _ = rec_and_kl(training.model, test.take(np.arange(SENTENCES)), CPU, 0)
    assert found["nll_iw_nats"] == pytest.approx(float(first.mean()))
    assert found["nll_iw_se"] == pytest.approx(float(first.std()) / math.sqrt(SENTENCES))
    assert found["tokens_per_sentence"] == pytest.approx(float(np.mean(test.lengths - 1)))
    assert found["ppl_word"] == pytest.approx(math.exp(found["nelbo_nats_per_sentence"] / found["tokens_per_sentence"]))


def test_an_mlp_noise_head_has_no_exact_values_but_a_bound_and_repeats(trained, data, measured):
    found = measured("ivae", noise_head="mlp")
    assert all(found[name] is None for name in ANALYTIC | EXACT)
    assert all(found[name] is not None for name in BY_CRITICS) and math.isfinite(found["nll_iw_nats"])
    assert "own" not in found["iw_proposal"]
    training = trained("ivae", noise_head="mlp")
    torch.rand(3)                                                   # what else was drawn does not matter
    again = measure(training.model, data(training), training.valid_set, CPU, seed=1, iw_samples=SAMPLES,
                    iw_sentences=SENTENCES)
    assert again == found


def test_the_models_measures_leave_the_model_as_it_was(trained, data):
    training = trained("ceae")
    before = {name: value.clone() for name, value in training.model.state_dict().items()}
    wanted = [p.requires_grad for p in training.model.parameters()]
    refined = measure(training.model, data(training), training.valid_set, CPU, seed=1, iw_samples=4, iw_sentences=20,
                      iw_refine=3)
    assert all(value.equal(before[name]) for name, value in training.model.state_dict().items())
    assert [p.requires_grad for p in training.model.parameters()] == wanted and math.isfinite(refined["nll_iw_nats"])
