"""Samples and what critics say of them: computed once, found again, recorded ones first."""

import pytest

from ceae_core.critics.perplexity import Protocol, of_run
from ceae_core.errors import CeaeError
from ceae_core.execute import obtain as obtain_run
from ceae_core.experiments import generated
from ceae_core.experiments.generated import Wanted
from ceae_core.spec import resolve

PROTOCOL = Protocol(forward=20, reverse=40, order=3)
SHORT = {"epochs": 1, "iw_samples": 2, "iw_sentences": 2, "precision": "fp32"}


@pytest.fixture(scope="module")
def run(store):
    return obtain_run(resolve("vae", scale="smoke", set=SHORT), store, device="cpu")


def numbers(found):
    return {name: found[name] for name in ("diversity", "forward", "reverse")}


def test_results_are_those_of_the_protocol_and_are_kept(run, store, monkeypatch):
    found = generated.obtain([Wanted(run.spec, PROTOCOL)], store=store, device="cpu")
    assert numbers(found[0]) == numbers(of_run(run, PROTOCOL, device="cpu"))
    monkeypatch.setattr(generated, "judge", None)
    monkeypatch.setattr(generated, "draw", None)
    assert generated.obtain([Wanted(run.spec, PROTOCOL)], store=store, device="cpu") == found


def test_critics_share_samples_and_true_text_has_its_own(run, store):
    wanted = [Wanted(run.spec, Protocol(critic=critic, forward=20, reverse=40), is_true)
              for critic in ("ngram", "oracle") for is_true in (False, True)]
    found = generated.obtain(wanted, store=store, device="cpu")
    assert found[0]["diversity"] == found[2]["diversity"] != found[1]["diversity"] == found[3]["diversity"]
    assert found[3]["forward"]["grammatical"] == 1 > found[2]["forward"]["grammatical"]
    assert len(list((store.root / "experiments").glob("samples-*.json"))) == 2


def test_a_critic_that_is_not_here_is_said_and_not_kept(run, store, monkeypatch, tmp_path):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    protocol = Protocol(critic="gpt2", model=str(tmp_path / "none"), forward=20, reverse=40)
    before = set((store.root / "experiments").iterdir()) if (store.root / "experiments").exists() else set()
    found = generated.obtain([Wanted(run.spec, protocol)], store=store, device="cpu")[0]
    assert "weights" in found["forward"]["not_run"] and found["diversity"]["sentences"] == 40
    assert not [path for path in set((store.root / "experiments").iterdir()) - before
                if path.name.startswith("perplexity")]


def test_a_run_that_diverged_is_refused(store):
    spec = resolve("vae", scale="smoke", set=SHORT | {"lr": 1e30, "optimiser": "sgd", "clip": 1e30})
    with pytest.raises(CeaeError, match="diverged"):
        generated.obtain([Wanted(spec, PROTOCOL)], store=store)
