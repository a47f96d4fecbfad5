"""`ceae agreement` as users type it."""

import json
from pathlib import Path

import pytest

from ceae_core.cli import main
from ceae_core.experiments.agreement import Study
from ceae_core.runs import Store

SMALL = ["--set", "epochs=1", "--set", "iw_samples=2", "--set", "iw_sentences=2"]


@pytest.fixture(scope="module")
def trained(reviews: Path, tmp_path_factory: pytest.TempPathFactory) -> Path:
    """A store with two autoencoders of one name's beginning, a language model and a run that diverged."""
    store = tmp_path_factory.mktemp("trained")
    for family, *more in (["vae"], ["vae", "--seed", "2"], ["ivae"], ["lstm-lm"]):
        assert main(["train", family, "--corpus", str(reviews), "--scale", "smoke", "--runs", str(store), *SMALL,
                     *more]) == 0
    assert main(["train", "ae", "--corpus", str(reviews), "--scale", "smoke", "--runs", str(store), *SMALL,
                 "--set", "lr=1e30", "--set", "optimiser=sgd"]) == 1
    return store


@pytest.fixture
def ceae(capsys: pytest.CaptureFixture, trained: Path, tiny_bert: Path):
    """ceae(*arguments) -> (status, stdout, stderr) of `ceae agreement` with that store and a tiny encoder."""
    def run(*arguments: object) -> tuple[int, str, str]:
        capsys.readouterr()
        encoder = [] if "--encoder" in arguments else ["--encoder", tiny_bert]
        try:
            status = main(["agreement", *map(str, [*arguments, *encoder]), "--runs", str(trained), "--draws", "8"])
        except SystemExit as left:
            status = left.code
        return status, *capsys.readouterr()
    return run


def test_coefficients_as_json(ceae, trained, tiny_bert) -> None:
    status, out, _ = ceae("ivae", "--json")
    found = json.loads(out)
    run = Store(trained).find("ivae")
    study = Study(run.spec, encoder=str(tiny_bert), draws=8, store=Store(trained))
    assert status == 0 and found["run"] == run.id and found["corpus"] == "reviews"
    assert found["coefficients"] == study.of_run(run.spec)["result"]["coefficients"]
    assert list(found["coefficients"]) == ["pearson", "spearman", "kendall"]
    n = found["sentences"]
    assert n == len(study.chosen) > 3 and found["pairs"] == n * (n - 1) // 2
    assert found["encoder"] == {"name": "tiny-bert", "sha256": study.encoder.sha256, "layer": "last", "layers": 2,
                                "pooling": "mean", "similarity": "inner", "sentences_cut": 0}
    assert (found["similarity"], found["level"], found["resamples"], found["baselines"]) == ("inner", 0.9, 8, {})


def test_options_reach_the_measure(ceae) -> None:
    plain = json.loads(ceae("ivae", "--json")[1])
    for option, name, value in (("--layer", "layer", 1), ("--pooling", "pooling", "cls"),
                                ("--encoder-similarity", "similarity", "cosine")):
        found = json.loads(ceae("ivae", "--json", option, value)[1])
        assert found["encoder"][name] == value and found["coefficients"] != plain["coefficients"]
    found = json.loads(ceae("ivae", "--json", "--similarity", "cosine", "--sentences", 10, "--seed", 3)[1])
    assert (found["similarity"], found["sentences"], found["seed"]) == ("cosine", 10, 3)


def test_a_table_for_people_with_what_words_alone_agree(ceae) -> None:
    status, out, _ = ceae("ivae", "--baselines", "--pooling", "pooler")
    lines = out.splitlines()
    assert status == 0 and "inner similarity of codes" in lines[0]
    assert lines[1] == "encoder tiny-bert: last layer, pooler of 2 layers, inner similarity"
    assert lines[3].split() == ["similarity", "by", "Pearson", "Spearman", "Kendall"]
    assert [line.split("  ")[0] for line in lines[4:8]] == ["codes", "words that both have",
                                                           "the same, weighed by TF-IDF", "likeness in length"]
    assert all(line.count("[") == 3 for line in lines[4:8]) and "90% interval from 8 resamples" in lines[8]
    made = json.loads(ceae("ivae", "--baselines", "--pooling", "pooler", "--json")[1])
    assert f"{made['baselines']['length']['kendall']['value']:.3f}" in lines[7]


@pytest.mark.parametrize("arguments, said", [
    (["lstm-lm"], "a language model has no codes to compare"), (["ae"], "it diverged, there are no codes to compare"),
    (["vae"], "2 runs fit"), (["ivae", "--sentences", "5000"], "5000 were asked for; the test split of reviews has"),
    (["ivae", "--layer", "3"], "has no layer 3; choose 0 (word embeddings) to 2"),
    (["ivae", "--layer", "top"], "neither a layer number"), (["ivae", "--pooling", "max"], "choose mean, cls, pooler"),
    (["ivae", "--similarity", "dot"], "--similarity: unknown value 'dot'; choose inner or cosine"),
    (["ivae", "--encoder-similarity", "dot"], "--encoder-similarity: unknown value 'dot'")])
def test_what_cannot_be_is_one_line_and_status_2(ceae, arguments, said) -> None:
    status, out, err = ceae(*arguments)
    assert (status, out) == (2, "") and err.startswith("ceae: ") and err.count("\n") == 1 and said in err


def test_no_resamples_are_an_error(trained, capsys) -> None:
    assert main(["agreement", "ivae", "--runs", str(trained), "--draws", "0"]) == 2
    assert "--draws: must be at least 1, not 0" in capsys.readouterr().err


def test_an_encoder_that_is_not_there_says_how_to_get_it(ceae, monkeypatch) -> None:
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    status, _, err = ceae("ivae", "--encoder", "no-such/encoder")
    assert status == 2 and "there are no weights 'no-such/encoder' here" in err and "give a local folder" in err
