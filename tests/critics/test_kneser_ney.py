"""Modified Kneser-Ney against a plain recomputation, against lmplz, and against what any language model must obey."""

import math
import shutil
from collections import Counter, defaultdict
from importlib.util import find_spec
from itertools import product

import numpy as np
import pytest

from ceae_core.corpora import load, oracle
from ceae_core.critics.kneser_ney import FALLBACK, KneserNey, discounts
from ceae_core.critics.ngram import NgramCritic
from ceae_core.errors import CeaeError

BOS, EOS = "<s>", "</s>"
TEXT = ["the tacos were great .", "the tacos were cold .", "the salsa was great and the tacos were cold .", "great .",
        "i liked the tacos and i liked the salsa .", "the salsa was great .", "we liked the tacos .", ""]
TEXT = [tuple(line.split()) for line in TEXT]
# Perplexity of oracle.sample(200, 9) under lmplz -o ORDER --discount_fallback [--vocab_pad TYPES + 2] of KenLM 0.3.0,
# trained on oracle.sample(SENTENCES, 7) and scored by the kenlm module: (sentences, order, types) -> with OOV, without.
LMPLZ = {(5, 3, 0): (33.388386, 11.921942), (50, 5, 0): (35.308296, 17.333966), (50, 5, 706): (50.030012, 19.583250),
         (500, 2, 0): (19.987931, 17.355872), (500, 5, 706): (19.241381, 16.513672)}


class Naive:
    """The same estimator with dictionaries and recursion, word by word; `given` are the discounts of each order."""

    def __init__(self, sentences, order, given, types=0):
        self.order, self.given = order, given
        rows = [(BOS, *sentence, EOS) for sentence in sentences]
        self.raw = [Counter(row[i:i + n] for row in rows for i in range(len(row) - n + 1)) for n in range(1, order + 1)]
        self.words = {word for row in rows for word in row} - {BOS}
        self.uniform = 1 / (max(len(self.words) - 1, types) + 2)                    # words, </s> and <unk>
        lefts = defaultdict(set)
        for grams in self.raw:
            for gram in grams:
                lefts[gram[1:]].add(gram[0])
        self.count = {gram: count if len(gram) == order or gram[0] == BOS else len(lefts[gram])
                      for grams in self.raw for gram, count in grams.items()}
        del self.count[BOS,]
        self.after = defaultdict(list)
        for gram in self.count:
            self.after[gram[:-1]].append(gram)

    def counts_of_counts(self, n):
        return [sum(count == k for gram, count in self.count.items() if len(gram) == n) for k in (1, 2, 3, 4)]

    def p(self, word, context):
        lower = self.p(word, context[1:]) if context else self.uniform
        if context not in self.after:
            return lower
        taken = {gram: self.given[len(context)][min(self.count[gram], 3) - 1] for gram in self.after[context]}
        total = sum(self.count[gram] for gram in self.after[context])
        gram = (*context, word)
        own = self.count[gram] - taken[gram] if gram in taken else 0.0
        return (own + sum(taken.values()) * lower) / total


def naive_nats(model, sentence):
    row = (BOS, *sentence, EOS)
    return [-math.log(model.p(row[i], row[max(0, i - model.order + 1):i])) for i in range(1, len(row))]


@pytest.mark.parametrize(("order", "types"), [(1, 0), (2, 0), (3, 0), (5, 0), (5, 40), (9, 0)])
def test_it_is_the_estimator_that_dictionaries_give(order, types):
    model = KneserNey.fit(TEXT, order, types)
    naive = Naive(TEXT, order, [found.discounts for found in model.orders], types)
    for n, found in enumerate(model.orders, 1):
        assert found.discounts == pytest.approx(discounts(naive.counts_of_counts(n)) or FALLBACK)
    tests = [*TEXT, ("the", "salsa", "liked", "unseen", "."), ("unseen",), ("were", "the", "tacos", "tacos")]
    found = model.positions(tests)
    assert found.nats == pytest.approx([nats for sentence in tests for nats in naive_nats(naive, sentence)], rel=1e-10)
    assert found.sentence.tolist() == [i for i, sentence in enumerate(tests) for _ in range(len(sentence) + 1)]
    assert found.is_oov.sum() == 2 and found.is_end.sum() == len(tests)


def test_probabilities_sum_to_one_after_every_context():
    model = KneserNey.fit(TEXT, 3)
    words = [word for word in model.index if word not in ("<unk>", BOS, EOS)]
    contexts = [(), *((word,) for word in words), *product(words[:6], repeat=2), ("unseen",), ("the", "unseen")]
    for context in contexts:
        nats = model.positions([(*context, word) for word in (*words, "unseen")]).nats
        rows = np.split(nats, len(words) + 1)                                   # each: context, word, end
        after = sum(math.exp(-row[len(context)]) for row in rows)
        end = math.exp(-model.positions([context]).nats[-1])
        assert after + end == pytest.approx(1.0, abs=1e-12)


def test_discounts_by_hand():
    # y = 8 / (8 + 2*4) = 1/2;  D1 = 1 - 2/2*4/8, D2 = 2 - 3/2*2/4, D3 = 3 - 4/2*1/2
    assert discounts([8, 4, 2, 1]) == (0.5, 1.25, 2.0)
    assert discounts([8, 4, 2, 0]) == (0.5, 1.25, 3.0)
    assert discounts([8, 4, 0, 1]) is None and discounts([0, 4, 2, 1]) is None and discounts([8, 0, 2, 1]) is None
    assert discounts([8, 1, 9, 1]) is None                                      # D2 < 0
    assert FALLBACK == (0.5, 1.0, 1.5)


def test_an_order_falls_back_on_its_own():
    model = KneserNey.fit(oracle.default().sample(30, 4).sentences, 5)
    fallen = [found.is_fallback for found in model.orders]
    assert any(fallen) and not all(fallen)
    for found in model.orders:
        assert (found.discounts == FALLBACK) == found.is_fallback


def test_types_share_the_uniform_distribution():
    """Each word that the text lacks gets the same; with more types there is less for each."""
    few, many = (KneserNey.fit(TEXT, 1, types) for types in (0, 1000))
    unseen = [math.exp(-model.positions([("unseen",)]).nats[0]) for model in (few, many)]
    words = len(few.index) - 3
    assert unseen[0] / unseen[1] == pytest.approx(1002 / (words + 2))


@pytest.mark.parametrize("key", LMPLZ)
def test_it_agrees_with_lmplz(key):
    sentences, order, types = key
    grammar = oracle.default()
    text, test = grammar.sample(sentences, 7).sentences, grammar.sample(200, 9).sentences
    has_lmplz = shutil.which("lmplz") and find_spec("kenlm")
    for tools in [("numpy", "numpy"), *([("lmplz", "kenlm")] if has_lmplz else [])]:
        found = NgramCritic.fit(text, order=order, types=types, estimator=tools[0], scorer=tools[1]).score(test)
        assert (found.perplexity(), found.perplexity_excluding_oov()) == pytest.approx(LMPLZ[key], rel=2e-6)


@pytest.mark.parametrize("order", [2, 3, 5])
def test_kenlm_reads_the_file_and_says_the_same(order, tmp_path):
    kenlm = pytest.importorskip("kenlm")
    grammar = oracle.default()
    model = KneserNey.fit(grammar.sample(300, 7).sentences, order)
    model.write_arpa(tmp_path / "model.arpa")
    reader = kenlm.Model(str(tmp_path / "model.arpa"))
    tests = [*grammar.sample(50, 9).sentences, ("unseen", "word", "the"), ()]
    found = model.positions(tests)
    theirs = [row for sentence in tests for row in reader.full_scores(" ".join(sentence))]
    assert found.nats == pytest.approx([-log10 * math.log(10) for log10, _, _ in theirs], abs=2e-5)
    assert found.is_oov.tolist() == [is_oov for _, _, is_oov in theirs]


def test_a_text_that_is_too_short_for_the_order_gives_a_shorter_model():
    model = KneserNey.fit([("a",), ("b",), ("a",)], 5)
    assert len(model.orders) == 3
    assert model.positions([("a",)]).nats.sum() < model.positions([("b",)]).nats.sum()


@pytest.mark.parametrize(("text", "order", "said"), [
    ([], 3, "no sentence"), ([("a",)], 0, "order 1"), ([("a", "<unk>")], 2, "<unk>"), ([("<s>",)], 2, "<s>")])
def test_bad_input_is_named(text, order, said):
    with pytest.raises(CeaeError, match=said):
        KneserNey.fit(text, order)


def test_penn_treebank_is_the_number_that_lmplz_gives():
    """141.1862 by lmplz -o 5 with <unk> renamed; 265.49 and 161.26 with --skip_symbols."""
    try:
        splits = load("ptb").splits
    except CeaeError as error:
        pytest.skip(str(error))
    train, test = (splits[name].sentences for name in ("train", "test"))
    for scorer in ("numpy", *(["kenlm"] if find_spec("kenlm") else [])):
        found = NgramCritic.fit(train, estimator="numpy", scorer=scorer).score(test)
        assert found.perplexity() == pytest.approx(141.1862, abs=0.001)
        assert (found.positions.sum(), found.oov.sum()) == (82_430, 0)
    skipped = NgramCritic.fit(train, unknown="skip", scorer="numpy").score(test)
    assert (skipped.perplexity(), skipped.perplexity_excluding_oov()) == pytest.approx((265.49, 161.26), rel=2e-4)
    assert skipped.oov.sum() == 4_794
