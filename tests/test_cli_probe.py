"""`ceae probe` as users type it."""

import json
import os
import subprocess
import sys
from pathlib import Path
from statistics import mean, stdev

import pytest

from ceae_core.cli import main

REPOSITORY = Path(__file__).resolve().parents[1]
SMALL = ["--scale", "smoke", "--set", "epochs=1", "--set", "iw_samples=2", "--set", "iw_sentences=2"]


@pytest.fixture(scope="module")
def trained(reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with an autoencoder of the oracle corpus, one of own text without labels, and a language model."""
    store = tmp_path_factory.mktemp("trained")
    for arguments in (["ae"], ["vae", "--corpus", str(reviews)], ["lstm-lm"]):
        assert main(["train", *arguments, *SMALL, "--runs", str(store)]) == 0
    assert main(["train", "ceae", *SMALL, "--set", "lr=1e30", "--set", "optimiser=sgd", "--runs", str(store)]) == 1
    return store


def test_as_the_documentation_writes_it(trained) -> None:
    """`ceae probe RUN --labels 100,500,1000 --seeds 10 --json` in a process of its own."""
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "CEAE_RUNS": str(trained), "OMP_NUM_THREADS": "1"}
    command = ["probe", "ae", "--labels", "100,500,1000", "--seeds", "10", "--json"]
    done = subprocess.run([sys.executable, "-m", "ceae_core", *command], env=environment, capture_output=True,
                          text=True, timeout=300)
    found = json.loads(done.stdout)
    assert done.returncode == 0 and found["run"].startswith("ae-oracle-smoke") and found["label"] == "sentiment"
    assert [each["labels"] for each in found["counts"]] == [100, 500, 1000]
    for each in found["counts"]:
        values = each["accuracy_percent"]
        assert each["n"] == len(values) == len(each["valid_loss_nats"]) == 10
        assert each["accuracy_percent_mean"] == pytest.approx(mean(values))
        assert each["accuracy_percent_sd"] == pytest.approx(stdev(values))
        assert all(0 <= value <= 100 for value in values)


def test_for_people_with_baselines(ceae, trained) -> None:
    said = ceae("probe", "ae", "--labels", "50", "--seeds", 2, "--runs", trained, "--head", "linear", "--baselines")
    assert said.status == 0 and "sentiment (neg, pos) of oracle: linear head" in said.out
    assert "logistic regression on words" in said.out and "knows the grammar" in said.out
    assert "the labelled sentences and the start of the classifier" in said.out


def test_choices_change_what_is_asked(ceae, trained) -> None:
    common = ("probe", "ae", "--labels", "40", "--seeds", 1, "--runs", trained, "--json")
    plain = ceae(*common).json
    assert plain["counts"][0]["accuracy_percent_sd"] is None
    for option, key, value in ((("--untrained",), "untrained", True), (("--standardise",), "standardised", True),
                               (("--balanced",), "balanced", True), (("--draw", "first"), "draw", "first"),
                               (("--label", "style"), "label", "style")):
        found = ceae(*common, *option).json
        assert found[key] == value and found["experiment"] != plain["experiment"]
    assert "start of the classifier alone" in ceae(*common, "--draw", "first").json["what_a_seed_changes"]


def test_without_counts_as_many_as_there_are(ceae, trained) -> None:
    found = ceae("probe", "ae", "--seeds", 1, "--runs", trained, "--head", "linear", "--json").json
    assert [each["labels"] for each in found["counts"]] == [100, 500, 1000]


@pytest.mark.parametrize("arguments, said", [
    (["ae", "--labels", "1201"], "1,201 labelled sentences are asked for, there are 1,200"),
    (["ae", "--labels", "0"], "at least 1"), (["ae", "--labels", "ten"], "whole numbers with commas"),
    (["ae", "--labels", "10,10"], "twice"), (["ae", "--labels", "10", "--seeds", "0"], "at least one"),
    (["ae", "--labels", "10", "--label", "mood"], "no 'mood'"),
    (["ae", "--labels", "10", "--labelled", "nowhere"], "neither a known name"),
    (["vae", "--labels", "10"], "has no labels"), (["lstm-lm", "--labels", "10"], "language model has no codes"),
    (["ceae", "--labels", "10"], "diverged"), (["nobody", "--labels", "10"], "nobody"),
    (["ae", "--labels", "10", "--head", "tree"], "--head"), (["ae", "--labels", "10", "--device", "abacus"], "abacus")])
def test_what_cannot_be_done_is_one_line(ceae, trained, arguments, said) -> None:
    found = ceae("probe", *arguments, "--runs", trained)
    assert found.status == 2 and found.out == "" and said in found.last and found.last.startswith("ceae: ")
    assert found.err.count("\n") == 1
