"""Runs whose samples are judged: two trained for a moment, and a store for all of a session."""

import pytest

from ceae_core.execute import obtain
from ceae_core.runs import Run, Store
from ceae_core.spec import resolve

SHORT = {"epochs": 1, "iw_samples": 2, "iw_sentences": 2, "precision": "fp32"}


@pytest.fixture(scope="session")
def store(tmp_path_factory: pytest.TempPathFactory) -> Store:
    return Store(tmp_path_factory.mktemp("judged"))


@pytest.fixture(scope="session")
def run(store: Store) -> Run:
    """A VAE on the oracle corpus at scale smoke."""
    return obtain(resolve("vae", scale="smoke", set=SHORT), store, device="cpu")


@pytest.fixture(scope="session")
def own_text_run(store: Store, reviews) -> Run:
    """A language model of own text."""
    return obtain(resolve("lstm-lm", str(reviews), "smoke", set=SHORT), store, device="cpu")


@pytest.fixture(scope="session")
def diverged(store: Store) -> Run:
    """A training that ran away."""
    run = obtain(resolve("vae", scale="smoke", set=SHORT | {"lr": 1e30, "optimiser": "sgd", "clip": 1e30}), store,
                 device="cpu")
    assert run.status == "diverged"
    return run
