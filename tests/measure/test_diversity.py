"""Diversity of samples against plain recomputations."""

import math
from collections import Counter

import numpy as np
import pytest

from ceae_core.corpora import oracle
from ceae_core.errors import CeaeError
from ceae_core.measure.diversity import diversity, self_bleu


def naive_bleu(text, others):
    """BLEU-4 with clipped counts, the closest reference length, effective order, sacrebleu's exponential smoothing."""
    def grams(words, n):
        return Counter(tuple(words[i:i + n]) for i in range(len(words) - n + 1))
    logs, smooth = [], 1
    for n in range(1, 5):
        own = grams(text, n)
        if not own:
            break
        most = Counter()
        for other in others:
            most |= grams(other, n)
        right, total = sum((own & most).values()), sum(own.values())
        if not right:
            if n == 1:
                return 0.0
            smooth *= 2
            right = 1 / smooth
        logs.append(math.log(right / total))
    closest = min((abs(len(other) - len(text)), len(other)) for other in others)[1]
    brevity = min(0.0, 1 - closest / len(text))
    return 100 * math.exp(brevity + sum(logs) / len(logs))


def test_self_bleu_is_the_mean_bleu_against_all_others():
    texts = oracle.default().sample(25, 3).sentences + [("great", "."), ("the", "tacos")]
    expected = np.mean([naive_bleu(text, texts[:i] + texts[i + 1:]) for i, text in enumerate(texts)])
    assert self_bleu(texts) == {"self_bleu": pytest.approx(expected, rel=1e-9), "self_bleu_sentences": 27}


def test_self_bleu_of_copies_is_100_and_of_strangers_0():
    assert self_bleu([("the", "tacos", "were", "great")] * 5)["self_bleu"] == pytest.approx(100)
    assert self_bleu([("a", "b"), ("c", "d"), ("e",)])["self_bleu"] == pytest.approx(0, abs=1e-9)
    assert self_bleu([("a",), ()]) == {"self_bleu": None, "self_bleu_sentences": 1}


def test_a_seeded_part_is_taken_of_many():
    texts = oracle.default().sample(60, 3).sentences
    one, same, other = (self_bleu(texts, seed=seed, at_most=20) for seed in (1, 1, 2))
    assert one == same != other and one["self_bleu_sentences"] == 20
    assert one["self_bleu"] < self_bleu(texts)["self_bleu"]             # more sentences, more to resemble


def test_counts_and_lengths():
    found = diversity([("a", "b"), ("a", "b"), (), ("c", "a", "b")])
    assert found | {"self_bleu": None} == {
        "sentences": 4, "distinct_sentences": 3, "distinct_words": 3, "words": 7, "self_bleu": None,
        "self_bleu_sentences": 3, "length_mean": 1.75, "length_sd": pytest.approx(np.std([2, 2, 0, 3])),
        "lengths": [1, 0, 2, 1]}
    with pytest.raises(CeaeError, match="no sentence"):
        diversity([])
