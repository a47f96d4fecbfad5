"""Critics refitted to the codes of a finished run: the run stays as it is, the truth is the truth."""

import hashlib

import pytest
import torch

from ceae_core.corpora.batching import Encoded
from ceae_core.errors import CeaeError
from ceae_core.execute import obtain
from ceae_core.experiments import refit
from ceae_core.measure.implicit import encode_all, shared_gaussian_kl
from ceae_core.runs import Store
from ceae_core.spec import resolve

QUICKLY = {"critic_hidden": 8, "critic_lr": 1e-2, "updates": 20, "every": 10}
ATTEMPTS = [{"label": "new", **QUICKLY}, {"label": "its own", "start": "run", **QUICKLY, "critic_lr": 1e-4},
            {"label": "mean code", "given": "mu", "prior_draws": 3, **QUICKLY}, {"label": "again", **QUICKLY},
            {"label": "wild", "start": "run", **QUICKLY, "critic_lr": 1.0}]


@pytest.fixture(scope="module")
def runs(store):
    """A linear noise head, an MLP, a family without critics."""
    short = {"epochs": 1, "iw_samples": 2, "iw_sentences": 2}
    changes = (("ivae-mi", {}), ("ivae", {"noise_head": "mlp"}), ("vae", {}))
    specs = [resolve(name, scale="smoke", set=short | more) for name, more in changes]
    return [obtain(spec, store) for spec in specs]


@pytest.fixture(scope="module")
def content(runs, store):
    return refit.obtain(runs[0], store=store, attempts=ATTEMPTS, draws=3)


def files(run):
    return {path.name: hashlib.sha256(path.read_bytes()).hexdigest() for path in sorted(run.folder.iterdir())}


def test_the_truth_is_that_of_the_test_sentences(runs, content):
    model, run = runs[0].model(), runs[0]
    test = Encoded(run.spec.load_corpus().splits["test"].sentences, run.vocabulary())
    codes = encode_all(model, test, torch.device("cpu"))
    exact = float(shared_gaussian_kl(codes.mu.double(), model.posterior.factor()).mean())
    found = content["result"]
    assert found["exact_nats"] == pytest.approx(exact)
    # 600 draws of log q/p have the KL as their mean; their standard deviation is about sqrt(latent)
    assert found["perfect"]["f_q_nats"] == pytest.approx(exact, abs=0.5)
    best = found["perfect"]
    assert best["dual_nats"] == pytest.approx(best["f_q_nats"] - best["mean_exp"] + 1, abs=1e-3)


def test_every_attempt_is_read_at_its_best_look(runs, content):
    made = content["result"]["attempts"]
    assert [attempt["label"] for attempt in made] == ["new", "its own", "mean code", "again", "wild"]
    for attempt in made:
        curve = attempt["curve"]
        assert curve["update"] == [0, 10, 20] and attempt["ended"] is None
        assert attempt["best_update"] == curve["update"][curve["dual_nats"].index(max(curve["dual_nats"]))]
        if attempt["best_update"] == 20:
            assert attempt["best"] == attempt["last"]
    trained = content["result"]["trained"]
    valid = refit.Frozen(runs[0].model(), refit._encode(runs[0], runs[0].model(), None), 3, 1)
    own = valid.readings("valid", runs[0].model().critics)["dual_nats"]
    assert made[1]["curve"]["dual_nats"][0] == pytest.approx(own, rel=1e-4)         # validation codes choose
    assert made[4]["best_update"] == 0                  # nothing better than the run's own critic was found
    assert made[4]["best"] == trained != made[4]["last"]
    assert made[3]["curve"] != made[0]["curve"]         # the same recipe, other draws
    assert abs(made[1]["last"]["dual_nats"] - trained["dual_nats"]) < 0.5       # it began there, with a small rate
    assert made[0]["last"] != made[0]["curve"]["dual_nats"][0]


def test_refitting_leaves_the_run_untouched(runs, store, monkeypatch):
    before, weights = files(runs[0]), runs[0].model().state_dict()
    model = runs[0].model()
    monkeypatch.setattr(type(runs[0]), "model", lambda self, device="cpu": model)
    refit.obtain(runs[0], store=store, attempts=ATTEMPTS, draws=2)
    assert files(runs[0]) == before
    assert all(torch.equal(value, weights[name]) for name, value in model.state_dict().items())
    assert all(p.grad is None for p in model.parameters())


def test_it_is_repeatable_and_computed_once(runs, store, content, monkeypatch, tmp_path):
    again = refit.obtain(runs[0], store=Store(tmp_path), attempts=ATTEMPTS, draws=3)
    assert again["result"] == content["result"] and again["id"] == content["id"]
    alone = refit.obtain(runs[0], store=Store(tmp_path), attempts=ATTEMPTS[2:], draws=3)
    assert alone["result"]["attempts"] == content["result"]["attempts"][2:]     # attempts do not disturb each other
    other = refit.obtain(runs[0], store=Store(tmp_path), attempts=ATTEMPTS, draws=3, seed=2)
    assert other["result"]["attempts"] != content["result"]["attempts"]
    monkeypatch.setattr(refit, "refit", None)
    assert refit.obtain(runs[0], store=store, attempts=ATTEMPTS, draws=3) == content


def test_an_mlp_has_no_truth_but_can_be_refitted(runs, store):
    found = refit.obtain(runs[1], store=store, **refit.usual("smoke"))
    assert found["parameters"]["run_id"] == runs[1].id
    assert found["result"]["exact_nats"] is None and found["result"]["perfect"] is None
    assert found["result"]["attempts"][0]["best"]["dual_nats"] > -1


def test_codes_are_drawn_from_the_posterior(runs):
    """Pairs belong together: z given a sentence has that sentence's mean and the shared covariance."""
    model = runs[0].model()
    splits, vocabulary = runs[0].spec.load_corpus().splits, runs[0].vocabulary()
    codes = {name: encode_all(model, Encoded(splits[name].sentences[:40], vocabulary), torch.device("cpu"))
             for name in ("train", "valid", "test")}
    frozen = refit.Frozen(model, codes, 200, 1)
    mu, z = frozen.held_out("valid", "mu")
    white = torch.linalg.solve_triangular(model.posterior.factor(), (z - mu).double().T, upper=False)   # (Z, N)
    torch.testing.assert_close(torch.cov(white), torch.eye(len(white), dtype=torch.float64), rtol=0, atol=0.06)
    assert float(white.mean(1).abs().max()) < 0.06
    torch.testing.assert_close(frozen.held_out("valid", "h")[0], codes["valid"].h.repeat(200, 1))
    h, z = frozen.batch(8000, "h")
    rows = {tuple(row) for row in codes["train"].h.tolist()}
    assert {tuple(row) for row in h.tolist()} == rows                           # train sentences, all of them
    mu = model.posterior.head(torch.cat([h, torch.zeros(len(h), model.posterior.noise)], -1))
    white = torch.linalg.solve_triangular(model.posterior.factor(), (z - mu).double().T, upper=False)
    torch.testing.assert_close(torch.cov(white), torch.eye(len(white), dtype=torch.float64), rtol=0, atol=0.06)


def test_a_family_without_critics(runs, store):
    with pytest.raises(CeaeError, match="no critics"):
        refit.obtain(runs[2], store=store)


@pytest.mark.parametrize(("attempt", "message"), [
    ({"label": "a", "start": "yesterday"}, "start"), ({"label": "a", "given": "x"}, "given"),
    ({"label": "a", "given": "mu", "start": "run"}, "given"), ({"label": "a", "depth": 3}, "depth"),
    ({"label": "a", "loss": "hinge"}, "loss")])
def test_bad_attempts_are_named(runs, store, attempt, message):
    with pytest.raises(CeaeError, match=f"^{message}: "):
        refit.obtain(runs[0], store=store, attempts=[attempt])


@pytest.mark.parametrize("scale", ["smoke", "quick", "laptop", "paper"])
def test_the_usual_attempts_are_valid_and_differ(scale):
    usual = refit.usual(scale)
    plans = [refit.Attempt.of(**attempt) for attempt in usual["attempts"]]
    assert len({plan.label for plan in plans}) == len(plans) == len({plan for plan in plans})
