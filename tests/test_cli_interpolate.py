"""`ceae interpolate` as users type it."""

import json
import os
import subprocess
import sys
from pathlib import Path

import pytest

from ceae_core.cli import main
from ceae_core.measure import interpolation
from ceae_core.runs import Store

REPOSITORY = Path(__file__).resolve().parents[1]
SMALL = ["--set", "epochs=1", "--set", "iw_samples=2", "--set", "iw_sentences=2"]
FIRST, SECOND = "the tacos were great .", "we hate the zebra !"


@pytest.fixture(scope="module")
def trained(reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with an autoencoder, an implicit model, a language model and a run that diverged."""
    store = tmp_path_factory.mktemp("trained")
    for family, *more in (["vae"], ["ivae"], ["lstm-lm"]):
        assert main(["train", family, "--corpus", str(reviews), "--scale", "smoke", "--runs", str(store), *SMALL,
                     *more]) == 0
    diverging = ["train", "ae", "--corpus", str(reviews), "--scale", "smoke", "--runs", str(store), *SMALL,
                 "--set", "lr=1e30", "--set", "optimiser=sgd"]
    assert main(diverging) == 1
    return store


@pytest.fixture
def ceae(capsys: pytest.CaptureFixture, trained: Path):
    """ceae(*arguments) -> (status, stdout, stderr) of `ceae interpolate` with that store."""
    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        try:
            status = main(["interpolate", *map(str, arguments), "--runs", str(trained)])
        except SystemExit as left:
            status = left.code
        return status, *capsys.readouterr()
    return run


@pytest.mark.parametrize("family", ["vae", "ivae"])
def test_every_point_from_the_second_to_the_first(ceae, trained, family) -> None:
    status, out, err = ceae(family, FIRST, SECOND, "--steps", 5, "--json", "--device", "cpu")
    found = json.loads(out)
    assert (status, err) == (0, "")
    assert found["run"].startswith(f"{family}-") and found["lambda"] == "weight of the first sentence"
    assert (found["first"], found["second"], found["unknown_words"]) == (FIRST, SECOND, ["zebra"])
    assert [point["lambda"] for point in found["points"]] == [0.0, 0.25, 0.5, 0.75, 1.0]
    run = Store(trained).find(family)
    line, _ = interpolation.between(run.model(), run.vocabulary(), FIRST, SECOND, interpolation.grid(5))
    assert [point["sentence"] for point in found["points"]] == [" ".join(sentence) for sentence in line.sentences]
    assert [point["norm"] for point in found["points"]] == pytest.approx(line.norms.tolist())
    assert json.loads(ceae(family, FIRST, SECOND, "--steps", 5, "--json")[1]) == found


def test_eleven_lines_for_people(ceae) -> None:
    status, out, _ = ceae("vae", FIRST, SECOND)
    head, unknown, columns, *points = out.splitlines()
    assert status == 0 and "λ is the weight of the first sentence" in head
    assert unknown == "read as <unk>: zebra" and columns.split()[:2] == ["λ", "sentence"]
    assert [point.split()[0] for point in points] == ["0", *(f"0.{k}" for k in range(1, 10)), "1"]
    assert "read as" not in ceae("vae", FIRST, FIRST)[1]


@pytest.mark.parametrize("arguments, said", [
    (["lstm", FIRST, SECOND], "a language model has no codes to mix"),
    (["ae", FIRST, SECOND], "it diverged, there is no model"),
    (["vae", "", SECOND], "sentence '': it is empty"),
    (["vae", FIRST, "   "], "it is empty"),
    (["vae", FIRST, "a </s> b"], "</s> is a symbol of the model"),
    (["vae", FIRST, SECOND, "--steps", 1], "at least 2"),
    (["vae", FIRST, SECOND, "--max-length", 0], "--max-length must be at least 1"),
    (["nothing", FIRST, SECOND], "there is none in"),
    (["vae", FIRST, SECOND, "--device", "abacus"], "abacus"),
    (["vae", FIRST], "SECOND"), (["vae", FIRST, SECOND, "--steps", "many"], "--steps")])
def test_what_cannot_be_done_is_one_line(ceae, arguments, said) -> None:
    status, out, err = ceae(*arguments)
    assert status == 2 and out == "" and said in err and err.startswith("ceae: ") and err.count("\n") == 1


def test_in_a_process_of_its_own(trained) -> None:
    environment = os.environ | {"PYTHONPATH": str(REPOSITORY), "CEAE_RUNS": str(trained), "OMP_NUM_THREADS": "1"}
    done = subprocess.run([sys.executable, "-m", "ceae_core", "interpolate", "vae", FIRST, SECOND, "--steps", "11",
                           "--json"], env=environment, capture_output=True, text=True, timeout=120)
    assert done.returncode == 0 and done.stderr == "" and len(json.loads(done.stdout)["points"]) == 11
