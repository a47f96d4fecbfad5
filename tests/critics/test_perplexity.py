"""Forward and reverse perplexity: what is trained on what, with which words, and what is said when it cannot be."""

import math
from dataclasses import replace

import pytest

from ceae_core import generate
from ceae_core.corpora import oracle
from ceae_core.corpora.corpus import Corpus, Split
from ceae_core.critics.ngram import NgramCritic
from ceae_core.critics.perplexity import PAPERS, Protocol, draw, known, measure, of_run, true_samples, words
from ceae_core.errors import CeaeError

SMALL = Protocol(forward=30, reverse=80, order=3)


@pytest.fixture(scope="module")
def samples():
    return oracle.default().sample(100, 21).sentences


def test_forward_and_reverse_by_hand(oracle_corpus, samples):
    found = measure(samples, oracle_corpus, SMALL)
    vocabulary, train = oracle_corpus.vocabulary(), oracle_corpus.splits["train"].sentences
    text, test = (known(sentences, vocabulary) for sentences in (samples, oracle_corpus.splits["test"].sentences))
    types = len(words(vocabulary))
    assert known(train, vocabulary) == train and text != samples                    # it has words that no model knows
    forward = NgramCritic.fit(train, order=3, types=types).score(text[:30])
    reverse = NgramCritic.fit(text[:80], order=3, types=types).score(test)
    for direction, expected in (("forward", forward), ("reverse", reverse)):
        assert found[direction]["ppl"] == pytest.approx(expected.perplexity())
        assert found[direction]["ppl_excluding_oov"] == pytest.approx(expected.perplexity_excluding_oov())
        assert found[direction]["oov"] == expected.oov.sum() and found[direction]["tokens"] == expected.positions.sum()
    assert found["diversity"]["sentences"] == 100 and found["seconds"].keys() == {"forward", "reverse"}
    assert found["reverse"]["settings"]["trained_on"] == 80 and found["reverse"]["settings"]["types"] == types


def test_few_words_in_the_samples_are_no_advantage(oracle_corpus, samples):
    """Without one vocabulary for both directions a critic of one repeated sentence would look good."""
    test = oracle_corpus.splits["test"].sentences
    collapsed = [samples[0]] * 80
    own = NgramCritic.fit(collapsed, order=3).score(test).perplexity()
    reverse = [measure(text, oracle_corpus, SMALL)["reverse"]["ppl"] for text in (collapsed, samples)]
    assert own < NgramCritic.fit(samples[:80], order=3).score(test).perplexity() * 1.5
    assert reverse[0] > 3 * reverse[1] and reverse[0] > 3 * own


def test_the_second_papers_protocol(oracle_corpus, samples):
    protocol = replace(PAPERS["clvm"], forward=30, reverse=80)
    assert (protocol.critic, protocol.order, protocol.decode) == ("ngram", 5, "greedy")
    found = measure(samples, oracle_corpus, protocol)
    vocabulary, every = oracle_corpus.vocabulary(), words(oracle_corpus.vocabulary())
    critic = NgramCritic.fit([*known(samples[:80], vocabulary), *((word,) for word in every)], order=5,
                             types=len(every), unknown="skip", count_end=False)
    expected = critic.score(oracle_corpus.splits["train"].sentences)
    assert found["reverse"]["ppl"] == pytest.approx(expected.perplexity()) and found["reverse"]["oov"] == 0
    assert found["forward"]["tokens"] == sum(map(len, samples[:30]))                # ends are not counted


def test_words_outside_the_vocabulary_are_unknown_to_every_critic():
    text = [("a", "b", "c"), ("a", "b"), ("a",)]
    corpus = Corpus("own", {name: Split(text, {}) for name in ("train", "valid", "test")}, vocabulary_words=2)
    assert known(text, corpus.vocabulary()) == [("a", "b", "<unk>"), ("a", "b"), ("a",)]
    assert words(corpus.vocabulary()) == ["a", "b"]
    found = measure([("a", "<unk>")] * 3, corpus, Protocol(order=2))
    assert found["forward"]["oov"] == 0                                 # c was <unk> for the critic, which it samples


def test_a_perfect_sampler_reaches_the_truth(oracle_corpus):
    """Under the grammar the forward perplexity of its own text is exp of its -log p per position."""
    protocol = Protocol(critic="oracle", forward=400, reverse=400)
    samples = true_samples(oracle_corpus, protocol)
    assert not set(samples) & set(oracle_corpus.splits["test"].sentences[:50]) and len(samples) == 400
    found = measure(samples, oracle_corpus, protocol)
    log_p = [oracle.default().log_prob(text) for text in samples]
    expected = math.exp(-sum(log_p) / sum(len(text) + 1 for text in samples))
    assert found["forward"]["ppl_grammatical"] == pytest.approx(expected)
    assert found["forward"]["ppl"] == pytest.approx(expected, rel=0.02) and found["forward"]["grammatical"] == 1
    assert 0 < found["reverse"]["template_mass"] < 1 and "ppl" not in found["reverse"]


def test_true_text_of_another_corpus_is_its_validation_split(own_text_run):
    corpus = own_text_run.spec.load_corpus()
    valid = corpus.splits["valid"].sentences
    assert true_samples(corpus, Protocol(forward=3, reverse=5)) == valid[:5]
    assert true_samples(corpus, Protocol()) == valid and len(valid) < 10_000


def test_samples_are_drawn_from_the_run_as_the_protocol_says(run):
    protocol = Protocol(decode="greedy", seed=4, forward=3, reverse=7, max_length=9)
    expected = generate.sample(run.model(), run.vocabulary(), 7, how="greedy", seed=4, max_length=9)
    assert draw(run, protocol, "cpu") == expected and max(map(len, expected)) <= 9
    found = of_run(run, replace(protocol, order=2), device="cpu")
    assert found["diversity"]["sentences"] == 7 and found["forward"]["sentences"] == 3


def test_what_cannot_be_had_says_so_and_takes_no_other_name(oracle_corpus, samples, tmp_path, monkeypatch):
    monkeypatch.setenv("HF_HUB_OFFLINE", "1")
    found = measure(samples, oracle_corpus, Protocol(critic="gpt2", model=str(tmp_path / "none"), forward=2, reverse=2))
    assert found["critic"] == "gpt2" and "weights" in found["forward"]["not_run"]
    assert found["reverse"] == {"not_run": "critic gpt2 comes as it is and is not trained on samples"}
    assert found["diversity"]["sentences"] == 100


def test_bad_requests_are_named(diverged, own_text_run, oracle_corpus):
    with pytest.raises(CeaeError, match="diverged, there is no model"):
        draw(diverged, Protocol())
    with pytest.raises(CeaeError, match="only the oracle corpus has a grammar"):
        of_run(own_text_run, Protocol(critic="oracle", forward=2, reverse=2), device="cpu")
    with pytest.raises(CeaeError, match="at least 1"):
        Protocol(forward=0)
    with pytest.raises(CeaeError, match="split: unknown value 'dev'"):
        Protocol(split="dev")
    with pytest.raises(CeaeError, match="unknown kind 'bert'"):
        Protocol(critic="bert")
    with pytest.raises(CeaeError, match="no sentence"):
        measure([], oracle_corpus, SMALL)
