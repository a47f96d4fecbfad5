"""Shared by the tests of experiments: a store for each module, and runs that are there in a second."""

from collections.abc import Callable
from typing import Any

import pytest

from ceae_core.execute import obtain
from ceae_core.runs import Run, Store
from ceae_core.spec import RunSpec, resolve


@pytest.fixture(scope="module")
def store(tmp_path_factory) -> Store:
    return Store(tmp_path_factory.mktemp("runs"))


@pytest.fixture(scope="session")
def tiny_spec() -> Callable[..., RunSpec]:
    """tiny_spec(family, **changes): one epoch at the smallest scale, hardly measured."""
    def resolved(family: str, **changes: Any) -> RunSpec:
        return resolve(family, scale="smoke", set={"epochs": 1, "iw_samples": 2, "iw_sentences": 2, **changes})
    return resolved


@pytest.fixture(scope="session")
def wild_spec(tiny_spec) -> RunSpec:
    """Such a run that diverges."""
    return tiny_spec("ae", lr=1e30, optimiser="sgd")


@pytest.fixture(scope="module")
def tiny_run(tiny_spec, store) -> Callable[[str], Run]:
    """tiny_run(family): such a run, trained once for a module."""
    return lambda family: obtain(tiny_spec(family), store)
