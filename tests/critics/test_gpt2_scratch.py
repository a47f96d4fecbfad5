"""The small critic of GPT-2's architecture against transformers' own language model, one word at a time."""

from dataclasses import replace

import numpy as np
import pytest
import torch

from ceae_core.corpora import oracle
from ceae_core.corpora.vocabulary import build
from ceae_core.critics import gpt2_scratch, neural
from ceae_core.critics.gpt2_scratch import Course, LanguageModel, Settings, settings_at, train
from ceae_core.critics.neural import NetworkCritic
from ceae_core.critics.text import Classes
from ceae_core.errors import CeaeError, NotRun
from ceae_core.runs import Store

SMALL = Settings(layers=2, heads=2, hidden=8, positions=12, batch_size=8, epochs=3, lr=1e-2, dropout=0.1,
                 precision="fp32")
WORDS = ("a", "b", "c", "d")
TEXT = [("a", "b", "a"), (), ("d", "new", "c", "c", "a"), ("b",), ("a",) * 11]


@pytest.fixture(scope="module")
def sentences():
    draw = np.random.default_rng(3)
    return [tuple(draw.choice(WORDS, size=draw.integers(0, 8))) for _ in range(60)]


@pytest.fixture(scope="module")
def vocabulary():
    return build([WORDS], "bn")


@pytest.fixture(scope="module")
def small(sentences, vocabulary, tmp_path_factory) -> NetworkCritic:
    return train(sentences, vocabulary, SMALL, store=Store(tmp_path_factory.mktemp("small")), device="cpu")


@pytest.fixture(scope="module")
def critic(oracle_corpus, tmp_path_factory) -> NetworkCritic:
    splits = oracle_corpus.splits
    return train(splits["train"].sentences, oracle_corpus.vocabulary(), settings_at("smoke"), device="cpu",
                 valid=splits["valid"].sentences[:50], store=Store(tmp_path_factory.mktemp("oracle")))


@torch.no_grad()
def test_a_sentence_is_scored_word_by_word_as_by_transformers(small):
    from transformers import GPT2LMHeadModel
    network, classes = small.trained.network, small.trained.classes
    reference = GPT2LMHeadModel(network.body.config).eval()
    reference.transformer.load_state_dict(network.body.state_dict())    # its output layer is tied to the embeddings
    expected = []
    for sentence in TEXT:
        ids = [classes.end, *(classes.index.get(word, classes.unk) for word in sentence), classes.end]
        expected.append(0.0)
        for i in range(1, len(ids)):
            logits = reference(torch.tensor([ids[:i]])).logits[0, -1].double()
            expected[-1] -= float(logits.log_softmax(-1)[ids[i]])
    scores = small.score(TEXT)
    assert scores.nats == pytest.approx(expected, rel=1e-5)
    assert scores.positions.tolist() == [4, 1, 6, 2, 12] and scores.oov.tolist() == [0, 0, 1, 0, 0]


def test_what_else_is_scored_does_not_matter(critic, oracle_corpus, monkeypatch):
    sentences = oracle_corpus.splits["test"].sentences
    whole = critic.score(sentences).nats
    monkeypatch.setattr(neural, "TOKENS_AT_ONCE", 40)
    assert critic.score(sentences[::-1]).nats[::-1] == pytest.approx(whole, rel=1e-4)


def test_the_rate_rises_and_falls_as_half_a_cosine():
    settings = Settings(lr=2.0, warmup=0.1)
    rates = [settings.rate(progress) for progress in (0.0, 0.05, 0.1, 0.325, 0.55, 0.775, 1.0)]
    assert rates == pytest.approx([0.0, 1.0, 2.0, 1 + 0.5 ** 0.5, 1.0, 1 - 0.5 ** 0.5, 0.0])
    assert Settings(warmup=0.0).rate(0.0) == Settings().lr


def test_a_training_walks_once_along_the_rates_and_sees_every_sentence(sentences, vocabulary, monkeypatch):
    classes = Classes(vocabulary, sentences)
    text = classes.encode(sentences)
    network = LanguageModel(classes.size, SMALL)
    course, rates, seen = Course(network, text, SMALL, 1), [], []
    original = network.nats
    monkeypatch.setattr(network, "nats", lambda x, y, real: seen.append(int(real.sum())) or original(x, y, real))
    course.optimiser.register_step_pre_hook(lambda optimiser, *_: rates.append(optimiser.param_groups[1]["lr"]))
    for number in range(3):
        course.epoch(number, lambda: None)
    steps = course.steps_per_epoch * 3
    assert rates == pytest.approx([SMALL.rate((step + 0.5) / steps) for step in range(steps)])
    assert steps == 24 and sum(seen) == 3 * len(text.ids)


def test_the_order_is_drawn_from_seed_and_epoch(sentences, vocabulary, monkeypatch):
    classes = Classes(vocabulary, sentences)
    text, network, seen = classes.encode(sentences), LanguageModel(classes.size, SMALL), []
    original, orders = network.nats, []
    monkeypatch.setattr(network, "nats", lambda x, y, real: seen.append(y[real].tolist()) or original(x, y, real))
    for seed, number in ((1, 0), (1, 0), (1, 1), (2, 0)):
        Course(network, text, SMALL, seed).epoch(number, lambda: None)
        orders.append(list(seen))
        seen.clear()
    assert orders[0] == orders[1] and orders[0] != orders[2] and orders[0] != orders[3] != orders[2]


def test_an_epoch_reports_the_perplexity_of_all_positions_alike(sentences, vocabulary):
    still = replace(SMALL, lr=1e-12, dropout=0.0)
    classes = Classes(vocabulary, sentences)
    text = classes.encode(sentences)
    network = LanguageModel(classes.size, still)
    row = Course(network, text, still, 1).epoch(0, lambda: None)
    expected = text.scores(neural.sentence_nats(network.eval(), text)).perplexity()
    assert row["train_perplexity"] == pytest.approx(expected, rel=1e-5)


def test_only_matrices_decay(sentences, vocabulary):
    classes = Classes(vocabulary, sentences)
    network = LanguageModel(classes.size, SMALL)
    decaying, others = Course(network, classes.encode(sentences), SMALL, 1).optimiser.param_groups
    assert decaying["weight_decay"] == 0.01 and others["weight_decay"] == 0.0
    assert {weight.dim() for weight in decaying["params"]} == {2} and {w.dim() for w in others["params"]} == {1}
    assert len(decaying["params"]) + len(others["params"]) == len(list(network.parameters()))


def test_the_seed_decides_all_and_a_killed_training_goes_on_to_the_same_weights(sentences, vocabulary, small, tmp_path,
                                                                                monkeypatch):
    original = Course.epoch

    def dying(self, number, tick):
        if number == 2:
            raise KeyboardInterrupt
        return original(self, number, tick)

    def again(seed=1):
        return train(sentences, vocabulary, SMALL, seed, store=Store(tmp_path), device="cpu")
    with monkeypatch.context() as patch, pytest.raises(KeyboardInterrupt):
        patch.setattr(Course, "epoch", dying)
        patch.setattr(neural, "CHECKPOINT_SECONDS", -1.0)
        again()
    resumed, kept = again(), small.trained.network.state_dict()
    assert all(torch.equal(value, kept[name]) for name, value in resumed.trained.network.state_dict().items())
    assert resumed.history == small.history
    assert not torch.equal(again(seed=2).trained.network.body.wte.weight, kept["body.wte.weight"])


def test_it_lies_between_the_truth_and_a_beginner_on_the_oracle_corpus(critic, oracle_corpus):
    test = oracle_corpus.splits["test"].sentences
    scores = critic.score(test)
    gap = scores.nats - np.array([-oracle.default().log_prob(s) for s in test])
    assert gap.mean() > 3 * gap.std() / len(gap) ** 0.5                 # a divergence is not negative
    assert scores.perplexity() < 60                                     # unigrams: about 110, the truth: 5.6
    assert critic.history[-1]["valid_perplexity"] < 0.7 * critic.history[0]["valid_perplexity"]


def test_it_has_a_name_of_its_own(critic):
    assert critic.name == gpt2_scratch.NAME != "gpt2"
    assert {"layers": 1, "hidden": 32, "sentences": 1200, "end": "predicted and counted"}.items() <= (
        critic.settings.items())


def test_a_sentence_beyond_its_positions_is_an_error(small, sentences, vocabulary, tmp_path):
    with pytest.raises(CeaeError, match="a sentence of 12 words is longer than its positions, 12"):
        small.score([("a",) * 12])
    with pytest.raises(CeaeError, match="a sentence of 20 words"):
        train([*sentences, ("a",) * 20], vocabulary, SMALL, store=Store(tmp_path), device="cpu")


def test_settings_out_of_range_are_named():
    with pytest.raises(CeaeError, match="hidden must be a multiple of heads, 3, not 8"):
        Settings(hidden=8, heads=3)
    for name in ("layers", "positions", "epochs", "lr", "batch_size", "clip"):
        with pytest.raises(CeaeError, match=f"{name} must be positive"):
            Settings(**{name: 0})
    with pytest.raises(CeaeError, match="scale: unknown value 'tiny'"):
        settings_at("tiny")
    assert settings_at("paper") == Settings()


def test_without_transformers_it_is_not_run(sentences, vocabulary, tmp_path, monkeypatch):
    import sys

    monkeypatch.setitem(sys.modules, "transformers", None)
    with pytest.raises(NotRun, match="needs the package transformers"):
        train(sentences, vocabulary, SMALL, store=Store(tmp_path), device="cpu")
