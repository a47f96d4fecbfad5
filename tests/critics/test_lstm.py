"""The LSTM critic against loops over single words, and against the truth of the oracle corpus."""

from collections import Counter
from dataclasses import replace

import numpy as np
import pytest
import torch

from ceae_core.corpora import oracle
from ceae_core.corpora.vocabulary import build
from ceae_core.critics import lstm, neural
from ceae_core.critics.lstm import Course, LanguageModel, LstmCritic, Settings, block_loss, settings_at, train
from ceae_core.critics.text import Classes
from ceae_core.errors import CeaeError
from ceae_core.runs import Store

SMALL = Settings(layers=2, hidden=6, init=0.4, batch_size=3, steps=4, epochs=2, constant_epochs=1, lr=0.5,
                 precision="fp32")
WORDS = ("a", "b", "c", "d")


@pytest.fixture(scope="module")
def sentences():
    draw = np.random.default_rng(3)
    return [tuple(draw.choice(WORDS, size=draw.integers(0, 6))) for _ in range(30)]


@pytest.fixture(scope="module")
def vocabulary():
    return build([WORDS], "bn")


@pytest.fixture(scope="module")
def small(sentences, vocabulary, tmp_path_factory) -> LstmCritic:
    return train(sentences, vocabulary, SMALL, store=Store(tmp_path_factory.mktemp("small")), device="cpu")


@pytest.fixture(scope="module")
def critic(oracle_corpus, tmp_path_factory) -> LstmCritic:
    splits = oracle_corpus.splits
    return train(splits["train"].sentences, oracle_corpus.vocabulary(), settings_at("smoke"), device="cpu",
                 valid=splits["valid"].sentences[:50], store=Store(tmp_path_factory.mktemp("oracle")))


def course(sentences, vocabulary, settings=SMALL, seed=0) -> Course:
    classes = Classes(vocabulary, sentences)
    torch.manual_seed(seed)
    return Course(LanguageModel(classes.size, settings), classes.encode(sentences), settings, seed)


# what it says of a text -------------------------------------------------------------------------------------------

class Naive:
    """The network, one word at a time, in NumPy: the equations of zaremba2014recurrent, sec. 3.1."""

    def __init__(self, network: LanguageModel) -> None:
        self.weights = {name: value.double().numpy() for name, value in network.state_dict().items()}
        self.layers = network.lstm.num_layers
        start = self.weights["start"][:, :, 0]                                          # (2, L, H)
        self.h, self.c = list(start[0]), list(start[1])

    def read(self, word: int) -> np.ndarray:
        """log p of what follows, (C,)."""
        def sigmoid(x):
            return 1 / (1 + np.exp(-x))
        w, x = self.weights, self.weights["embedding.weight"][word]
        for layer in range(self.layers):
            gates = (w[f"lstm.weight_ih_l{layer}"] @ x + w[f"lstm.bias_ih_l{layer}"]
                     + w[f"lstm.weight_hh_l{layer}"] @ self.h[layer] + w[f"lstm.bias_hh_l{layer}"])
            i, f, g, o = np.split(gates, 4)
            self.c[layer] = sigmoid(f) * self.c[layer] + sigmoid(i) * np.tanh(g)
            x = self.h[layer] = sigmoid(o) * np.tanh(self.c[layer])
        logits = w["output.weight"] @ x + w["output.bias"]
        return logits - np.log(np.exp(logits).sum())


def naive_nats(naive: Naive, classes: Classes, sentence) -> float:
    ids = [classes.index.get(word, classes.unk) for word in sentence]
    return -sum(naive.read(before)[after] for before, after in
                zip([classes.end, *ids], [*ids, classes.end], strict=True))


TEXT = [("a", "b", "a"), (), ("d", "new", "c", "c", "a"), ("b",), ("<unk>", "a")]


def test_a_sentence_is_scored_word_by_word_from_the_start(small):
    network, classes = small.trained.network, small.trained.classes
    scores = small.score(TEXT)
    assert scores.nats == pytest.approx([naive_nats(Naive(network), classes, s) for s in TEXT], rel=1e-5)
    assert scores.positions.tolist() == scores.words.tolist() == [4, 1, 6, 2, 3]
    assert scores.oov.tolist() == [0, 0, 1, 0, 1]
    assert (scores.oov_nats > 0).tolist() == [False, False, True, False, True]


def test_a_stream_carries_its_state_from_sentence_to_sentence(small, monkeypatch):
    monkeypatch.setattr(lstm, "STREAM_BLOCK", 4)                        # blocks end inside sentences and between them
    naive = Naive(small.trained.network)
    expected = [naive_nats(naive, small.trained.classes, s) for s in TEXT]
    assert small.score_stream(TEXT).nats == pytest.approx(expected, rel=1e-5)
    assert np.abs(small.score(TEXT).nats - expected).max() > 1e-3      # which makes a difference


def test_a_single_sentence_is_a_stream(small):
    for sentence in TEXT:
        assert small.score([sentence]).nats == pytest.approx(small.score_stream([sentence]).nats, rel=1e-5)


def test_what_else_is_scored_does_not_matter(critic, oracle_corpus, monkeypatch):
    sentences = oracle_corpus.splits["test"].sentences
    whole = critic.score(sentences).nats
    monkeypatch.setattr(neural, "TOKENS_AT_ONCE", 40)
    assert critic.score(sentences[::-1]).nats[::-1] == pytest.approx(whole, rel=1e-4)


def test_probabilities_of_the_next_class_sum_to_one(small):
    classes = small.trained.classes.size
    x = torch.tensor([[small.trained.classes.end, 1]] * classes)
    y = torch.stack([torch.zeros(classes, dtype=torch.long), torch.arange(classes)], 1)
    real = torch.tensor([[False, True]] * classes)
    assert small.trained.network.nats(x, y, real).neg().exp().sum().item() == pytest.approx(1.0, abs=1e-5)


def test_no_sentences_have_no_perplexity(small):
    for scores in (small.score([]), small.score_stream([])):
        with pytest.raises(CeaeError, match="no position"):
            scores.perplexity()


# how it is trained ------------------------------------------------------------------------------------------------

def test_the_rates_are_the_classic_ones():
    rates = [Settings().rate(epoch) for epoch in range(13)]
    assert rates == [1.0] * 4 + [0.5 ** n for n in range(1, 10)]


def test_weights_start_from_a_uniform_draw():
    network = LanguageModel(50, Settings(hidden=20))
    weights = torch.cat([weight.flatten() for weight in network.parameters()])
    assert weights.abs().max() <= 0.1 and weights.abs().max() > 0.099
    assert weights.std().item() == pytest.approx(0.1 / 3 ** 0.5, rel=0.03)
    assert [tuple(part.shape) for part in network.begin(5)] == [(2, 5, 20)] * 2
    assert not any(part.any() for part in network.begin(5))


def test_the_stream_is_cut_into_pieces(sentences, vocabulary):
    made, text = course(sentences, vocabulary), Classes(vocabulary, sentences).encode(sentences)
    length = len(text.ids) // 3
    assert made.targets.T.flatten().tolist() == text.ids[:3 * length].tolist()
    assert made.inputs.T.flatten().tolist() == [text.end, *text.ids[:3 * length - 1]]
    assert made.targets.shape == (length, 3) and made.steps_per_epoch == -(-length // 4)


def test_gradients_end_where_a_block_ends_and_states_do_not():
    torch.manual_seed(0)
    network = LanguageModel(5, SMALL)
    x, y = torch.randint(5, (2, 8, 3))
    zeros = network.begin(3)
    first, state = block_loss(network, x[:4], y[:4], zeros)
    whole, last = block_loss(network, x, y, zeros)
    second, end = block_loss(network, x[4:], y[4:], state)
    assert (first + second).item() == pytest.approx(whole.item(), rel=1e-5)
    assert all(torch.allclose(a, b, atol=1e-6) for a, b in zip(end, last, strict=True))
    assert not any(part.requires_grad for part in state)
    first.backward()
    grown = network.embedding.weight.grad.clone()
    second.backward()                                               # its graph does not reach into the first block
    alone, network.embedding.weight.grad = network.embedding.weight.grad - grown, None
    whole.backward()
    assert not torch.allclose(grown + alone, network.embedding.weight.grad, atol=1e-5)


def test_a_block_is_summed_over_time_and_averaged_over_the_batch():
    torch.manual_seed(0)
    network = LanguageModel(5, SMALL)
    x, y = torch.randint(5, (2, 4, 3))
    features, _ = network(x, network.begin(3))
    logp = network.output(features).log_softmax(-1)
    expected = -sum(logp[t, b, y[t, b]] for t in range(4) for b in range(3)) / 3
    assert block_loss(network, x, y, network.begin(3))[0].item() == pytest.approx(expected.item(), rel=1e-5)


def test_an_epoch_reads_each_piece_with_the_state_carried_on(sentences, vocabulary):
    made = course(sentences, vocabulary, replace(SMALL, lr=1e-12))
    steps = []
    row = made.epoch(0, lambda: steps.append(1))
    naive, nats = [Naive(made.network) for _ in range(3)], []
    for x, y in zip(made.inputs.tolist(), made.targets.tolist(), strict=True):
        nats += [-naive[b].read(x[b])[y[b]] for b in range(3)]
    assert row["train_perplexity"] == pytest.approx(np.exp(np.mean(nats)), rel=1e-4)
    assert len(steps) == made.steps_per_epoch and row["lr"] == 1e-12
    for kept, name in zip(made.last, "hc", strict=True):                # (L, B, H), where `finish` goes on
        assert kept.transpose(0, 1).numpy() == pytest.approx(np.array([getattr(one, name) for one in naive]), abs=1e-5)


@pytest.mark.parametrize("clip", [0.05, 1e9])
def test_a_step_is_the_clipped_gradient_times_the_rate(sentences, vocabulary, clip):
    short = replace(SMALL, steps=1000, clip=clip, epochs=1)
    longer = course(sentences, vocabulary, replace(SMALL, batch_size=1))
    longer.settings, longer.network = short, course(sentences, vocabulary, replace(short, steps=4)).network
    longer.inputs, longer.targets = longer.inputs.reshape(-1, 1)[:12], longer.targets.reshape(-1, 1)[:12]
    longer.settings = replace(short, batch_size=1)
    before = {name: weight.detach().clone() for name, weight in longer.network.named_parameters()}
    loss, _ = block_loss(longer.network, longer.inputs, longer.targets, longer.network.begin(1))
    gradient = dict(zip(before, torch.autograd.grad(loss, list(longer.network.parameters())), strict=True))
    norm = torch.cat([part.flatten() for part in gradient.values()]).norm()
    assert norm > 0.1
    longer.epoch(0, lambda: None)
    for name, weight in longer.network.named_parameters():
        expected = before[name] - 0.5 * gradient[name] * min(1.0, clip / norm.item())
        assert torch.allclose(weight, expected, atol=1e-5), name


def test_sentences_start_where_those_of_the_training_ended(sentences, vocabulary, monkeypatch):
    monkeypatch.setattr(lstm, "START_STEPS", 20)
    made = course(sentences, vocabulary)
    made.epoch(0, lambda: None)
    naive, ended = [], []
    for b in range(3):
        naive.append(Naive(made.network))
        naive[b].h, naive[b].c = ([layer[b].double().numpy() for layer in part] for part in made.last)
    for x, y in zip(made.inputs[:20].tolist(), made.targets[:20].tolist(), strict=True):
        for b in range(3):
            naive[b].read(x[b])
            if y[b] == made.end:
                ended.append([list(naive[b].h), list(naive[b].c)])
    made.finish()
    assert made.network.start.squeeze(2).numpy() == pytest.approx(np.mean(ended, 0), abs=1e-5)


def test_the_seed_decides_all(sentences, vocabulary, small, tmp_path):
    def weights(folder, seed):
        again = train(sentences, vocabulary, SMALL, seed, store=Store(tmp_path / folder), device="cpu")
        return again.trained.network.state_dict()
    same, other = weights("same", 1), weights("other", 2)
    kept = small.trained.network.state_dict()
    assert all(torch.equal(same[name], kept[name]) for name in kept)
    assert not torch.equal(other["output.weight"], kept["output.weight"])


# the store ------------------------------------------------------------------------------------------------------

def test_neither_training_nor_reading_moves_the_random_numbers_of_others(sentences, vocabulary, tmp_path):
    torch.manual_seed(5)
    expected = torch.rand(3)
    for _ in range(2):
        torch.manual_seed(5)
        train(sentences, vocabulary, SMALL, store=Store(tmp_path), device="cpu")
        assert torch.equal(torch.rand(3), expected)


def test_it_is_trained_once(sentences, vocabulary, small, tmp_path, monkeypatch):
    store = Store(tmp_path)
    first = train(sentences, vocabulary, SMALL, store=store, device="cpu")
    with monkeypatch.context() as patch:
        patch.setattr(Course, "epoch", None)
        again = train([list(s) for s in sentences], vocabulary, SMALL, store=store, device="cpu")
    assert again.score(TEXT).nats.tolist() == first.score(TEXT).nats.tolist() == small.score(TEXT).nats.tolist()
    assert again.history == first.history and [row["epoch"] for row in again.history] == [1, 2]
    changed = [dict(sentences=sentences[1:]), dict(vocabulary=build([WORDS, ("e",)], "bn")), dict(seed=2),
               dict(settings=replace(SMALL, lr=0.4)), dict(valid=TEXT)]
    for n, change in enumerate(changed, 2):
        train(**{"sentences": sentences, "vocabulary": vocabulary, "settings": SMALL, **change}, store=store,
              device="cpu")
        assert len(list((store.root / "critics").glob("lstm-*"))) == n


@pytest.mark.parametrize("dies", [0, 1, 2])
def test_a_killed_training_goes_on_to_the_same_weights(sentences, vocabulary, tmp_path, monkeypatch, dies):
    settings = replace(SMALL, epochs=3)
    whole = train(sentences, vocabulary, settings, store=Store(tmp_path / "whole"), device="cpu", valid=TEXT)
    original, done = Course.epoch, []

    def dying(self, number, tick):
        if number == dies and number not in done:
            done.append(number)
            raise KeyboardInterrupt
        done.append(number)
        return original(self, number, tick)
    monkeypatch.setattr(Course, "epoch", dying)
    monkeypatch.setattr(neural, "CHECKPOINT_SECONDS", -1.0)
    with pytest.raises(KeyboardInterrupt):
        train(sentences, vocabulary, settings, store=Store(tmp_path / "killed"), device="cpu", valid=TEXT)
    again = train(sentences, vocabulary, settings, store=Store(tmp_path / "killed"), device="cpu", valid=TEXT)
    assert sorted(done) == sorted([0, 1, 2, dies]) and again.history == whole.history
    ours, theirs = (critic.trained.network.state_dict() for critic in (again, whole))
    assert all(torch.equal(ours[name], theirs[name]) for name in theirs)


# what it has learned --------------------------------------------------------------------------------------------

def test_it_lies_between_the_truth_and_the_unigrams_of_the_oracle_corpus(critic, oracle_corpus):
    test = oracle_corpus.splits["test"].sentences
    count = Counter(word for s in oracle_corpus.splits["train"].sentences for word in (*s, "</s>"))
    total = sum(count.values())
    unigram = -sum(np.log((count[word] + 1) / (total + 700)) for s in test for word in (*s, "</s>"))
    scores = critic.score(test)
    truth = np.array([-oracle.default().log_prob(s) for s in test])
    gap = scores.nats - truth
    assert gap.mean() > 3 * gap.std() / len(gap) ** 0.5                 # a divergence is not negative
    assert scores.nats.sum() < 0.6 * unigram
    assert critic.history[-1]["valid_perplexity"] < 0.6 * critic.history[0]["valid_perplexity"]


def test_where_sentences_are_independent_a_stream_says_the_same(critic, oracle_corpus):
    test = oracle_corpus.splits["test"].sentences
    assert critic.score(test).perplexity() == pytest.approx(critic.score_stream(test).perplexity(), rel=0.02)


def test_its_settings_say_what_it_is(critic):
    assert critic.name == "lstm"
    expected = {"layers": 2, "hidden": 32, "epochs": 4, "seed": 1, "sentences": 1200,
                "end": "predicted and counted"}
    assert expected.items() <= critic.settings.items() and "<unk>" in critic.settings["unknown"]
    assert critic.settings["precision"] in ("fp32", "bf16") and critic.settings["id"].startswith("lstm-")


# errors ---------------------------------------------------------------------------------------------------------

def test_a_text_that_is_too_short_is_refused(vocabulary, tmp_path):
    def fit(sentences):
        return train(sentences, vocabulary, SMALL, store=Store(tmp_path), device="cpu")
    with pytest.raises(CeaeError, match="no sentence to train on"):
        fit([])
    with pytest.raises(CeaeError, match="11 positions of text are less than one block of 3 x 4"):
        fit([("a",) * 10])
    assert fit([("a",) * 11]).history[0]["epoch"] == 1                  # one block it is


@pytest.mark.parametrize("name", ["layers", "hidden", "init", "batch_size", "steps", "epochs", "lr", "clip", "threads"])
def test_settings_out_of_range_are_named(name):
    with pytest.raises(CeaeError, match=f"{name} must be positive, not 0"):
        Settings(**{name: 0})


def test_settings_that_do_not_exist_are_named():
    with pytest.raises(CeaeError, match="precision: unknown value 'fp8'"):
        Settings(precision="fp8")
    with pytest.raises(CeaeError, match="scale: unknown value 'tiny'"):
        settings_at("tiny")
    assert settings_at("paper") == settings_at("laptop") == Settings()


def test_a_training_that_leaves_the_numbers_is_an_error(sentences, vocabulary, tmp_path):
    with pytest.raises(CeaeError, match="not finite in epoch 1; lower lr"):
        train(sentences, vocabulary, replace(SMALL, lr=1e38, clip=1e30), store=Store(tmp_path), device="cpu")
