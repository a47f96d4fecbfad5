"""Who says how positive a review is: classifiers of texts and of codes, and the grammar."""

import numpy as np
import pytest

from ceae_core.corpora import oracle
from ceae_core.corpora.corpus import Split
from ceae_core.measure import sentiment


@pytest.mark.parametrize("labels, expected", [
    (["neg", "pos", "pos"], [False, True, True]), ([0, 1, 1], [False, True, True])])
def test_labels_of_either_spelling(labels, expected) -> None:
    split = Split([("a",)] * 3, {"sentiment": np.array(labels)})
    assert sentiment.is_positive(split).tolist() == expected


def test_no_labels_of_sentiment() -> None:
    assert sentiment.is_positive(Split([("a",)], {"rating": np.array([5])})) is None


def test_texts_are_told_apart_also_by_pairs_of_words() -> None:
    """`not good` and `not bad` differ from `good` and `bad` by their neighbour alone; case is not lost."""
    good, bad = [("it", "is", "good"), ("it", "is", "not", "bad")], [("it", "is", "bad"), ("it", "is", "not", "good")]
    scores = sentiment.of_texts([*good, *bad] * 5, np.array([True, True, False, False] * 5))([*good, *bad])
    assert (scores[:2] > 0.5).all() and (scores[2:] < 0.5).all() and ((scores > 0) & (scores < 1)).all()
    cased = sentiment.of_texts([("A",), ("a",)] * 5, np.array([True, False] * 5))([("A",), ("a",)])
    assert cased[0] > 0.5 > cased[1]


def test_codes_are_told_apart_also_where_no_plane_does() -> None:
    """The MLP learns an exclusive or, and the same seed gives the same scores."""
    codes = np.random.default_rng(0).normal(size=(2000, 6)) * 5 + 3
    positive = (codes[:, 0] > 3) ^ (codes[:, 1] > 3)
    scores = sentiment.of_codes(codes[:1500], positive[:1500], seed=1)(codes[1500:])
    assert sentiment.accuracy(scores, positive[1500:]) > 0.85
    np.testing.assert_array_equal(scores, sentiment.of_codes(codes[:1500], positive[:1500], seed=1)(codes[1500:]))


def test_the_truth_is_bayes_rule_on_the_grammar() -> None:
    grammar = oracle.default()
    drawn = grammar.sample(300, seed=3)
    truth = sentiment.of_grammar(drawn.sentences)
    positive = drawn.labels["sentiment"] == "pos"
    for i in range(20):
        joint = grammar.joint(drawn.sentences[i])
        assert truth[i] == pytest.approx(joint[grammar.labels["sentiment"] == "pos"].sum() / joint.sum())
    assert sentiment.accuracy(truth, positive) > 0.98
    assert np.isnan(sentiment.of_grammar([("the", "the")])).all()


def test_accuracy() -> None:
    assert sentiment.accuracy(np.array([0.9, 0.4, 0.6, 0.1]), np.array([True, True, False, False])) == 0.5
