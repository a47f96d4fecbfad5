"""What a norm fixes, on trained codes; samples from the prior and from its projection on the sphere."""

import numpy as np
import pytest
import torch

from ceae_core import experiments, generate
from ceae_core.corpora import oracle
from ceae_core.corpora.batching import Encoded
from ceae_core.errors import CeaeError
from ceae_core.experiments import layer_norm
from ceae_core.measure import latent
from ceae_core.measure.moments import Moments
from ceae_core.runs import Store


@pytest.fixture(scope="module")
def runs(tiny_run):
    return {family: tiny_run(family) for family in ("ceae", "ceae-ln")}


def test_layer_norm_fixes_sentences_and_batch_norm_units(runs) -> None:
    found = {family: layer_norm.measure(run, run.spec.load_corpus(), samples=4, seed=1) for family, run in runs.items()}
    layer, batch = (Moments(**found[family]["codes"]) for family in ("ceae-ln", "ceae"))
    assert (layer.norm_least, layer.norm_most) == pytest.approx((2.0, 2.0), abs=1e-3)            # four units
    assert layer.along_ones < 1e-5 and layer.empty() == 1
    assert batch.norm_sd > 0.1 and batch.along_ones > 0.1 and batch.empty() == 0
    assert np.abs(batch.means).max() < np.abs(layer.means).max()


def test_everything_is_of_the_test_split_and_of_seeded_draws(runs) -> None:
    run = runs["ceae-ln"]
    corpus = run.spec.load_corpus()
    found = layer_norm.measure(run, corpus, samples=30, seed=1)
    z, _ = latent.codes(run.model(), Encoded(corpus.splits["test"].sentences, run.vocabulary()), torch.device("cpu"))
    assert found["codes"] == Moments.of(z.numpy()).plain()
    unit = z / z.norm(dim=1, keepdim=True)
    assert found["nearest"] == pytest.approx(float((unit @ unit.T - 9 * torch.eye(len(z))).max(1).values.mean()))
    assert found == layer_norm.measure(run, corpus, samples=30, seed=1)
    other = layer_norm.measure(run, corpus, samples=30, seed=2)
    assert other["codes"] == found["codes"] and other["scores"] != found["scores"]
    assert {score["sentences"] for score in found["scores"].values()} == {30}


def test_the_two_priors_share_their_draws(runs, monkeypatch) -> None:
    decoded = []
    monkeypatch.setattr(layer_norm.generate, "decode", lambda model, z, *_, **how: decoded.append((z, how)) or [("a",)])
    monkeypatch.setattr(oracle, "score", lambda sentences: oracle.Score(0.0, 1.0, 1, 1, 1))
    layer_norm.measure(runs["ceae"], runs["ceae"].spec.load_corpus(), samples=50, seed=1)
    (plain, how), (sphere, same) = decoded
    assert how == same == {"how": "multinomial"} and "multinomial" in generate.DECODERS
    assert plain.shape == sphere.shape == (50, 4)
    torch.testing.assert_close(sphere, torch.nn.functional.layer_norm(plain, (4,), eps=0.0))
    torch.testing.assert_close(sphere.norm(dim=1), torch.full((50,), 2.0))


def test_a_result_is_computed_once_and_recorded_ones_are_reused(runs, store, tmp_path, monkeypatch) -> None:
    spec = runs["ceae"].spec
    found = layer_norm.obtain(spec, store=store)
    assert found["parameters"] == {"run_id": spec.id, "samples": 200, "seed": 1}
    monkeypatch.setattr(layer_norm, "measure", lambda *_, **__: pytest.fail("computed again"))
    assert layer_norm.obtain(spec, store=store, retrain=True) == found
    experiments.record(found, tmp_path / "results")
    monkeypatch.setattr(layer_norm, "RESULTS", tmp_path / "results")
    assert layer_norm.obtain(spec, store=Store(tmp_path / "empty")) == found


def test_a_run_that_diverged_has_no_codes(store, wild_spec) -> None:
    with pytest.raises(CeaeError, match="it diverged, there are no codes to look at"):
        layer_norm.obtain(wild_spec, store=store, device="cpu")
