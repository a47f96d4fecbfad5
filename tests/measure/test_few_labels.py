"""Which labelled sentences are taken, and what a probe is compared with."""

import numpy as np
import pytest

from ceae_core.corpora import oracle
from ceae_core.corpora.corpus import Split
from ceae_core.errors import CeaeError
from ceae_core.measure import few_labels, sentiment


def test_choices_are_nested_and_differ_by_seed() -> None:
    classes = np.zeros(500, int)
    small, large = (few_labels.choose(classes, count, seed=3) for count in (40, 200))
    assert np.array_equal(large[:40], small) and len(set(large.tolist())) == 200 and large.max() < 500
    assert not np.array_equal(small, few_labels.choose(classes, 40, seed=4))
    np.testing.assert_array_equal(small, few_labels.choose(classes, 40, seed=3))


def test_every_sentence_is_as_likely() -> None:
    """1,000 choices of 5 of 20: each is taken 250 times, within 4.5 standard errors."""
    taken = np.bincount(np.concatenate([few_labels.choose(np.zeros(20, int), 5, seed) for seed in range(1000)]))
    assert np.abs(taken - 250).max() < 4.5 * (1000 * 0.25 * 0.75) ** 0.5


def test_the_first_sentences() -> None:
    assert few_labels.choose(np.arange(9), 4, seed=7, how="first").tolist() == [0, 1, 2, 3]


@pytest.mark.parametrize("how", few_labels.DRAWS)
@pytest.mark.parametrize("count", [10, 11, 40])
def test_balance(how, count) -> None:
    classes = np.array([0] * 160 + [1] * 40)
    found = few_labels.choose(classes, count, 1, how, balanced=True)
    sizes = np.bincount(classes[found])
    assert sizes.sum() == count and np.ptp(sizes) <= 1
    assert np.array_equal(few_labels.choose(classes, 8, 1, how, balanced=True), found[:8])
    share = np.bincount(classes[few_labels.choose(classes, 100, 1)])[1]
    assert share < 35                                                           # without balance it is about 20


@pytest.mark.parametrize("count, more, said", [
    (201, {}, "201 labelled sentences are asked for, there are 200"), (0, {}, "at least 1"),
    (81, {"balanced": True}, "rarest of 2 classes has 40"), (5, {"how": "sorted"}, "random or first")])
def test_what_cannot_be_chosen(count, more, said) -> None:
    with pytest.raises(CeaeError, match=said):
        few_labels.choose(np.array([0] * 160 + [1] * 40), count, 1, **more)


def splits(**labels) -> dict[str, Split]:
    return {name: Split([("a",)] * 4, {key: np.array(values) for key, values in labels.items()})
            for name in ("train", "valid", "test")}


def test_classes_by_number() -> None:
    found = few_labels.classes_of(splits(rating=[5, 1, 5, 3], sentiment=["pos", "neg", "pos", "neg"]), None, "x")
    assert (found.name, found.values) == ("sentiment", ["neg", "pos"])
    assert found.numbers["test"].tolist() == [1, 0, 1, 0]
    found = few_labels.classes_of(splits(rating=[5, 1, 5, 3]), None, "x")
    assert (found.name, found.values, found.numbers["valid"].tolist()) == ("rating", ["1", "3", "5"], [2, 0, 2, 1])
    both = splits(rating=[5, 1, 5, 3], style=["a", "b", "a", "a"])
    assert few_labels.classes_of(both, "style", "x").name == "style"


@pytest.mark.parametrize("labels, label, said", [
    ({}, None, "corpus x has no labels"), ({"a": [1, 2, 1, 2], "b": [1, 2, 1, 2]}, None, "choose --label from a, b"),
    ({"a": [1, 2, 1, 2]}, "b", "no 'b'; choose from a"), ({"a": [1, 1, 1, 1]}, None, "the same a, 1")])
def test_labels_that_cannot_be_learnt(labels, label, said) -> None:
    with pytest.raises(CeaeError, match=said):
        few_labels.classes_of(splits(**labels), label, "x")


def test_the_most_frequent_class_is_that_of_training() -> None:
    assert few_labels.majority(np.array([0, 1, 1]), np.array([0, 0, 0, 1])) == 0.25


def test_words_tell_classes_apart_as_far_as_they_can() -> None:
    good, bad = ("it", "is", "good"), ("it", "is", "bad")
    classes = np.array([1, 0] * 5)
    assert few_labels.by_words([good, bad] * 5, classes, [good, bad, good], np.array([1, 0, 0])) == pytest.approx(2 / 3)
    assert few_labels.by_words([good], np.array([1]), [good, bad], np.array([1, 0])) == 0.5      # one class is known
    alone = few_labels.by_words([("a",), ("b",)], np.array([1, 0]), [("a",)] * 4, np.array([0, 0, 0, 1]))
    assert alone == 0.75                                                        # no word occurs twice: the first class


def test_the_best_classifier_is_bayes_rule_on_the_grammar() -> None:
    drawn = oracle.default().sample(400, seed=3)
    positive = drawn.labels["sentiment"] == "pos"
    share = sentiment.of_grammar(drawn.sentences)
    found = few_labels.by_grammar(drawn.sentences, "sentiment", ["neg", "pos"], positive.astype(int))
    assert found == pytest.approx((((share > 0.5) == positive).mean(), np.maximum(share, 1 - share).mean()))
    style = drawn.labels["style"]
    values, numbers = np.unique(style, return_inverse=True)
    accuracy, expected = few_labels.by_grammar(drawn.sentences, "style", list(values), numbers)
    error = 4 * (expected * (1 - expected) / 400) ** 0.5
    assert max(np.bincount(numbers)) / 400 < accuracy <= 1 and abs(accuracy - expected) <= error
