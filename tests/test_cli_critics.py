"""`ceae critic` and `ceae perplexity`: the documented lines, their JSON, and one clear line for each mistake."""

from pathlib import Path

import pytest

from ceae_core.cli import main
from ceae_core.corpora import oracle
from ceae_core.critics import KINDS
from ceae_core.critics.ngram import NgramCritic
from ceae_core.manifest import DIVERGED

SMALL = ["--set", "batch_size=64", "--set", "precision=fp32", "--set", "iw_samples=2", "--set", "iw_sentences=4",
         "--device", "cpu"]


@pytest.fixture(autouse=True)
def offline(monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")


@pytest.fixture(scope="module")
def store(tmp_path_factory, reviews) -> Path:
    """A VAE of the oracle corpus and a language model of own text."""
    folder = tmp_path_factory.mktemp("runs")
    for family, corpus in (("vae", "oracle"), ("lstm-lm", str(reviews))):
        assert main(["train", family, "--corpus", corpus, "--scale", "smoke", "--runs", str(folder), *SMALL]) == 0
    return folder


@pytest.fixture(scope="module")
def texts(tmp_path_factory) -> tuple[Path, Path]:
    folder, grammar = tmp_path_factory.mktemp("texts"), oracle.default()
    for name, n, seed in (("train", 300, 7), ("test", 100, 9)):
        (folder / name).write_text("".join(" ".join(s) + "\n" for s in grammar.sample(n, seed).sentences))
    return folder / "train", folder / "test"


def test_critic_ngram_prints_its_numbers(ceae, texts):
    train, test = texts
    said = ceae("critic", "ngram", "--train", train, "--test", test, "--order", 5, "--json")
    expected = NgramCritic.fit([tuple(line.split()) for line in train.read_text().splitlines()]).score(
        [tuple(line.split()) for line in test.read_text().splitlines()])
    assert said.status == 0 and said.err == ""
    assert said.json["ppl"] == pytest.approx(expected.perplexity(), rel=1e-6)
    assert said.json["ppl_excluding_oov"] == pytest.approx(expected.perplexity_excluding_oov(), rel=1e-6)
    assert (said.json["oov"], said.json["tokens"]) == (expected.oov.sum(), expected.positions.sum())
    assert said.json["settings"]["order"] == 5
    lower = ceae("critic", "ngram", "--train", train, "--test", test, "--order", 2, "--no-end", "--json").json
    assert lower["tokens"] == said.json["tokens"] - 100 and lower["settings"]["order"] == 2
    assert f"{said.json['ppl']:.3f}" in ceae("critic", "ngram", "--train", train, "--test", test).out


def test_critic_oracle_says_the_truth(ceae, texts):
    found = ceae("critic", "oracle", "--test", texts[1], "--json").json
    assert found["grammatical"] == 1 and 4 < found["ppl_grammatical"] < 7 and 0 < found["template_mass"] < 1


def test_critic_lstm_trains_and_scores(ceae, texts, tmp_path):
    train, test = texts
    found = ceae("critic", "lstm", "--train", train, "--test", test, "--scale", "smoke", "--device", "cpu", "--runs",
                 tmp_path, "--json")
    assert found.status == 0 and 1 < found.json["ppl"] < 1000 and found.json["settings"]["hidden"] == 32


@pytest.mark.parametrize("critic", ["ngram", "oracle"])
def test_perplexity_of_a_run_reports_everything_together(ceae, store, critic):
    said = ceae("perplexity", "vae-oracle", "--critic", critic, "--samples", 60, "--decode", "greedy", "--seed", 2,
                "--runs", store, "--device", "cpu", "--json")
    found = said.json
    assert said.status == 0 and found["run"].startswith("vae-oracle-smoke") and found["critic"] == critic
    assert found["protocol"]["decode"] == "greedy" and found["protocol"]["scale"] == "smoke"
    assert found["forward"]["ppl"] > 1 and found["forward"]["sentences"] == 60
    assert ("ppl" in found["reverse"]) == (critic == "ngram") and ("template_mass" in found["reverse"]) != (
        critic == "ngram")
    assert found["diversity"]["sentences"] == 60 and found["diversity"]["self_bleu"] > 0
    other = ceae("perplexity", "vae-oracle", "--critic", critic, "--samples", 60, "--temperature", 0.5, "--forward", 10,
                 "--runs", store, "--device", "cpu", "--json").json
    assert other["forward"]["sentences"] == 10 and other["protocol"]["temperature"] == 0.5
    assert other["protocol"]["decode"] == "multinomial"


def test_perplexity_by_a_papers_protocol(ceae, store):
    found = ceae("perplexity", "vae-oracle", "--paper", "clvm", "--samples", 60, "--runs", store, "--device", "cpu",
                 "--json").json
    assert found["protocol"]["word_lines"] and found["protocol"]["split"] == "train" and found["critic"] == "ngram"
    assert not found["forward"]["settings"]["count_end"]
    lines = ceae("perplexity", "vae-oracle", "--samples", 60, "--runs", store, "--device", "cpu").out
    assert all(word in lines for word in ("forward", "reverse", "diversity", "self_bleu", "distinct_sentences"))
    assert "lengths " not in lines


def test_a_critic_that_is_not_here_is_not_run_and_not_replaced(ceae, store, tmp_path):
    said = ceae("perplexity", "vae-oracle", "--critic", "gpt2", "--model", tmp_path / "none", "--samples", 20, "--runs",
                store, "--device", "cpu", "--json")
    assert said.status == 1 and "ppl" not in said.json["forward"] and "weights" in said.json["forward"]["not_run"]
    assert said.json["diversity"]["sentences"] == 20 and said.err.startswith("ceae: not run: critic gpt2")


def test_mistakes_are_one_line_with_the_remedy(ceae, store, texts, tmp_path):
    train, test = texts
    empty, binary = tmp_path / "empty", tmp_path / "binary"
    empty.write_text("")
    binary.write_bytes(b"ab\0c\n")
    for arguments, words in [
            (("critic", "ngram", "--train", train, "--test", tmp_path / "none"), "no such file"),
            (("critic", "ngram", "--train", empty, "--test", test), "no sentence"),
            (("critic", "ngram", "--train", train, "--test", binary), "NUL byte"),
            (("critic", "ngram", "--train", train, "--test", tmp_path), "cannot be read"),
            (("critic", "ngram", "--test", test), "name a text with --train"),
            (("critic", "oracle", "--train", train, "--test", test), "leave out --train"),
            (("critic", "ngram", "--train", train, "--test", test, "--order", 0), "order"),
            (("critic", "gpt2", "--test", test, "--model", tmp_path / "none"), "weights"),
            (("critic", "bert", "--test", test), "invalid choice"),
            (("perplexity", "lstm-lm", "--critic", "oracle", "--runs", store), "only the oracle corpus"),
            (("perplexity", "vae-oracle", "--samples", 0, "--runs", store), "at least 1"),
            (("perplexity", "vae-oracle", "--temperature", 0, "--samples", 9, "--runs", store), "temperature"),
            (("perplexity", "nothing", "--runs", store), "there is none")]:
        said = ceae(*arguments)
        assert said.status == 2 and said.out == "" and words in said.err, arguments
        assert said.err.count("\n") == 1 and said.err.startswith("ceae: ")


def test_a_run_that_diverged_has_no_samples(ceae, store):
    main(["train", "vae", "--corpus", "oracle", "--scale", "smoke", "--runs", str(store), *SMALL, "--set", "lr=1e30",
          "--set", "optimiser=sgd", "--set", "clip=1e30"])
    runs = ceae("runs", "list", "--runs", store, "--json").json["runs"]
    diverged = next(row["run"] for row in runs if row["status"] == DIVERGED)
    said = ceae("perplexity", diverged, "--runs", store)
    assert said.status == 2 and "it diverged, there is no model" in said.err


def test_the_command_line_offers_the_kinds_there_are():
    from ceae_core.cli import critics
    assert set(critics.KINDS) == set(KINDS)
