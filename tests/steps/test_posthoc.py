"""The prior of an RAE: fitted once to the best model's codes, kept with it, used wherever a prior is used."""

from dataclasses import replace
from pathlib import Path

import pytest
import torch

from ceae_core import generate, zoo
from ceae_core.execute import obtain, remeasure
from ceae_core.measure.implicit import encode_all
from ceae_core.runs import Run, Store
from ceae_core.seeding import seeded
from ceae_core.spec import resolve
from ceae_core.training import Training

CPU = torch.device("cpu")
FEW = {"batch_size": 16, "iw_samples": 2, "iw_sentences": 4, "precision": "fp32"}


@pytest.fixture(scope="module")
def run(reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Run:
    spec = resolve("rae", str(reviews), "smoke", set=FEW)
    return obtain(spec, Store(tmp_path_factory.mktemp("runs")), device="cpu")


def codes(run: Run) -> torch.Tensor:
    corpus = run.spec.load_corpus()
    training = Training(run.spec, corpus, run.vocabulary(), CPU)
    return encode_all(run.model(), training.train_set, CPU).mu


def test_the_saved_prior_is_the_fit_to_the_saved_models_codes(run: Run):
    model, known = run.model(), codes(run)
    saved = {name: value.clone() for name, value in model.posterior.state_dict().items()}
    assert not torch.equal(saved["means"], torch.zeros_like(saved["means"]))
    with seeded(run.spec.seed, "fit prior"):
        model.posterior.fit(known)
    again = model.posterior.state_dict()
    assert all(torch.equal(again[name], value) for name, value in saved.items())


def test_the_prior_has_the_codes_where_the_standard_normal_has_not(run: Run):
    """Mean log density of the codes of training sentences."""
    z, prior = codes(run), run.model().posterior.prior()
    standard = torch.distributions.Independent(torch.distributions.Normal(torch.zeros(4), torch.ones(4)), 1)
    assert float(prior.log_prob(z).mean()) > float(standard.log_prob(z).mean()) + 1.0


def test_samples_come_from_the_fitted_prior(run: Run, monkeypatch: pytest.MonkeyPatch):
    seen: list[torch.Tensor] = []
    monkeypatch.setattr(generate, "decode", lambda net, z, *given, **named: seen.append(z))
    generate.sample(run.model(), run.vocabulary(), 3000)
    z, known = seen[0], codes(run)
    spread = known.std(0)
    assert ((z.mean(0) - known.mean(0)).abs() < 0.25 * spread).all()
    torch.testing.assert_close(z.std(0), spread, rtol=0.2, atol=0)


def test_measuring_again_gives_the_same(run: Run):
    assert remeasure(run, device="cpu") == run.metrics


def test_without_its_norms_it_is_the_autoencoder_to_the_last_bit(smoke):
    """Encoder, head and decoder; the prior is fitted afterwards and changes none of them."""
    rae, plain = smoke("rae", epochs=1, code_norm=0.0, decoder_norm=0.0), smoke("ae", epochs=1)
    for training in (rae, plain):
        training.run(lambda now: None)
        training.finish()
    theirs = plain.model.state_dict()
    mine = {name: value for name, value in rae.model.state_dict().items() if name in theirs}
    assert mine.keys() == theirs.keys() and all(torch.equal(value, theirs[name]) for name, value in mine.items())


def test_what_follows_the_training_is_done_to_the_best_model(smoke, monkeypatch: pytest.MonkeyPatch):
    """With its options; and the result is what is kept."""
    seen = {}

    def after(training: Training, *, spread: float = 2.0) -> None:
        seen["loaded"] = all(torch.equal(v, training.best[k]) for k, v in training.model.state_dict().items())
        training.model.decoder.output.weight.data.fill_(spread)

    monkeypatch.setitem(zoo.FAMILIES, "after", replace(zoo.FAMILIES["ae"], after=after))
    assert zoo.family("after").defaults()["spread"] == 2.0
    training = smoke("after", spread=3.0)
    training._one_step()
    before = {name: value.clone() for name, value in training.best.items()}
    training.finish()
    assert seen["loaded"] and float(training.best["decoder.output.weight"].min()) == 3.0
    assert torch.equal(training.best["decoder.embedding.weight"], before["decoder.embedding.weight"])
