"""Shared by all tests: one thread, and real trainings at the smallest scale."""

import json
import shutil
import signal
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any, NamedTuple

import pytest
import torch

from ceae_core.cli import main
from ceae_core.corpora import Corpus, oracle
from ceae_core.spec import resolve
from ceae_core.training import Training


@pytest.fixture(scope="session", autouse=True)
def heeds_interrupts() -> None:
    """Ctrl-C reaches the tests and their child processes also where the tests were started in the background."""
    signal.signal(signal.SIGINT, signal.default_int_handler)


@pytest.fixture(scope="session", autouse=True)
def one_thread() -> None:
    """Sums depend on the number of threads, and small tensors are slower with two."""
    torch.set_num_threads(1)


@pytest.fixture(scope="session")
def oracle_corpus() -> Corpus:
    """The oracle corpus at scale `smoke`: 1200 training, 200 validation, 200 test sentences."""
    return resolve("lstm-lm", "oracle", "smoke").load_corpus()


@pytest.fixture(scope="session")
def smoke(oracle_corpus: Corpus) -> Callable[..., Training]:
    """smoke(family, seed=1, **changes): a training on the oracle corpus at its start, in fp32 on the CPU."""
    def started(family: str, seed: int = 1, **changes: Any) -> Training:
        spec = resolve(family, "oracle", "smoke", seed, set={"precision": "fp32", **changes})
        return Training(spec, oracle_corpus, oracle_corpus.vocabulary(spec.settings.vocabulary), torch.device("cpu"))
    return started


@pytest.fixture(scope="session")
def reviews(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A text file of 240 sentences: own text on which a training takes a fraction of a second."""
    path = tmp_path_factory.mktemp("text") / "reviews.txt"
    path.write_text("".join(" ".join(s) + "\n" for s in oracle.default().sample(240, 5).sentences))
    return path


class Said(NamedTuple):
    """What a command left behind."""

    status: int
    out: str
    err: str

    @property
    def json(self) -> dict:
        return json.loads(self.out)

    @property
    def last(self) -> str:
        return self.err.strip().splitlines()[-1]


@pytest.fixture
def ceae(capsys: pytest.CaptureFixture, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Callable[..., Said]:
    """ceae(*arguments): the command in a working directory of its own; no mistake of a user gives a traceback."""
    monkeypatch.chdir(tmp_path)
    monkeypatch.delenv("CEAE_RUNS", raising=False)

    def run(*arguments: object) -> Said:
        capsys.readouterr()
        try:
            status = main([str(a) for a in arguments])
        except SystemExit as left:
            status = left.code
        said = Said(status, *capsys.readouterr())
        assert "Traceback" not in said.err
        return said
    return run


@pytest.fixture(scope="module")
def browser() -> Iterator[Any]:
    """Chromium; tests that ask for it are skipped where it or its driver is not installed."""
    found = next(filter(None, map(shutil.which, ("chromium", "chromium-browser", "google-chrome", "chrome"))), None)
    if found is None:
        pytest.skip("no chromium on this machine")
    api = pytest.importorskip("playwright.sync_api", reason="playwright is not installed")
    with api.sync_playwright() as playwright:
        browser = playwright.chromium.launch(executable_path=found, args=["--no-sandbox"])
        yield browser
        browser.close()
