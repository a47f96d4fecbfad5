"""What a word-level critic predicts: every word and the end symbol, nothing that no sentence holds."""

import numpy as np
import pytest

from ceae_core.corpora.vocabulary import build
from ceae_core.critics.text import Classes, sha256

TRAIN = [("a", "b"), ("c", "a", "a")]
UNKNOWN_IN_IT = [*TRAIN, ("<unk>", "b")]


@pytest.fixture(params=["bn", "ivae"])
def vocabulary(request):
    return build(TRAIN, request.param)


def test_words_and_ends_come_in_their_order_without_gaps_in_the_numbers(vocabulary):
    classes = Classes(vocabulary, TRAIN)
    text = classes.encode([("a", "b"), (), ("c",)])
    a, b, c, end = (classes.index["a"], classes.index["b"], classes.index["c"], classes.end)
    assert text.ids.tolist() == [a, b, end, end, c, end]
    assert text.context.tolist() == [end, a, b, end, end, c]
    assert text.lengths.tolist() == [3, 1, 2] and text.starts.tolist() == [0, 3, 4] and not text.oov.any()
    assert classes.size == len(vocabulary) - 2 and {a, b, c, end, classes.unk} == set(range(classes.size))


@pytest.mark.parametrize("word", ["new", "</s>", "<s>", "<pad>"])
def test_what_is_no_word_of_the_vocabulary_is_unknown(vocabulary, word):
    classes = Classes(vocabulary, UNKNOWN_IN_IT)
    text = classes.encode([("a", word)])
    assert text.ids[1] == classes.unk and text.oov.tolist() == [False, True, False]


@pytest.mark.parametrize("train, known", [(TRAIN, False), (UNKNOWN_IN_IT, True), ([*TRAIN, ("new",)], True)])
def test_a_written_unknown_is_known_to_who_has_been_trained_on_some(vocabulary, train, known):
    classes = Classes(vocabulary, train)
    text = classes.encode([("<unk>",)])
    assert text.ids[0] == classes.unk and text.oov[0] == (not known)


def test_scores_are_sums_per_sentence(vocabulary):
    text = Classes(vocabulary, TRAIN).encode([("a", "new"), (), ("c",)])
    scores = text.scores(np.array([1.0, 2.0, 4.0, 8.0, 16.0, 32.0]))
    assert scores.nats.tolist() == [7.0, 8.0, 48.0] and scores.oov_nats.tolist() == [2.0, 0.0, 0.0]
    assert scores.positions.tolist() == scores.words.tolist() == [3, 1, 2] and scores.oov.tolist() == [1, 0, 0]


def test_no_sentence_has_no_scores(vocabulary):
    text = Classes(vocabulary, TRAIN).encode([])
    assert len(text.scores(np.empty(0)).nats) == 0 and list(text.batches(10)) == [] and not len(text.context)


def test_batches_hold_every_position_once_by_rising_length(vocabulary):
    sentences = [("a",) * n for n in (3, 0, 7, 1, 3, 2, 9, 0)]
    text = Classes(vocabulary, TRAIN).encode(sentences)
    batches = list(text.batches(8))
    assert sorted(i for place, real in batches for i in place[real]) == list(range(len(text.ids)))
    lengths = [real.sum(1).tolist() for _, real in batches]
    assert sum(lengths, []) == sorted(text.lengths.tolist()) and len(batches) > 2
    for place, real in batches:
        assert (np.diff(place, axis=1)[real[:, 1:]] == 1).all()                 # a row is one sentence, from its start
        assert set(place[:, 0]) <= set(text.starts) and (place[~real] < len(text.ids)).all()


def test_the_hash_knows_words_sentences_and_their_order():
    texts = [TRAIN, TRAIN[::-1], [("a", "b", "c", "a", "a")], [("a", "b"), ("c", "a", "b")], TRAIN[:1]]
    assert len({sha256(text) for text in texts}) == len(texts)
    assert sha256([list(sentence) for sentence in TRAIN]) == sha256(TRAIN)
