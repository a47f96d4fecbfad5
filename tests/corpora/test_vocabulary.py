"""The two vocabulary rules, on text made up here and on the Penn Treebank."""
import json

import numpy as np
import pytest
from hypothesis import given
from hypothesis import strategies as st

from ceae_core import corpora
from ceae_core.corpora.vocabulary import Vocabulary, build
from ceae_core.errors import CeaeError

TEXT = [("b", "a", "a", "<unk>"), ("c", "_UNK", "a", "c")]
SENTENCES = st.lists(st.lists(st.text("abcdefgh", min_size=1, max_size=2), min_size=1).map(tuple), min_size=1)


def test_rule_bn_is_the_order_of_first_occurrence():
    vocabulary = build(TEXT, "bn")
    assert vocabulary.words == ("<pad>", "<s>", "</s>", "<unk>", "b", "a", "c", "_UNK")
    assert (vocabulary.pad, vocabulary.bos, vocabulary.eos, vocabulary.unk) == (0, 1, 2, 3)
    assert len(vocabulary) == 8


def test_rule_ivae_is_the_order_of_frequency():
    vocabulary = build(TEXT, "ivae")
    assert vocabulary.words == ("<pad>", "<unk>", "<s>", "</s>", "a", "c", "b", "_UNK")
    assert (vocabulary.pad, vocabulary.bos, vocabulary.eos, vocabulary.unk) == (0, 2, 3, 1)


def test_at_most_keeps_the_most_frequent_in_the_order_of_the_rule():
    assert build([("x", "y", "z", "z", "y"), ("w",)], "bn", at_most=3).words[4:] == ("x", "y", "z")
    assert build([("x", "y", "z", "z", "y"), ("w",)], "ivae", at_most=3).words[4:] == ("y", "z", "x")


def test_rule_ivae_stops_at_70_000_words():
    sentences = [tuple(f"w{i}" for i in range(70_010)), ("w70009",)]
    vocabulary = build(sentences, "ivae")
    assert len(vocabulary) == 70_004 and vocabulary.words[4] == "w70009"
    assert len(build(sentences, "bn")) == 70_014


def test_encode_and_decode():
    vocabulary = build(TEXT, "bn")
    assert vocabulary.encode(("a", "never-seen", "b")) == [1, 5, 3, 4, 2]
    assert vocabulary.encode(()) == [1, 2]
    assert vocabulary.decode([1, 5, 3, 4, 2, 5, 5]) == ("a", "<unk>", "b")
    assert vocabulary.decode(np.array([0, 1, 5, 0])) == ("a",)


@given(SENTENCES, st.sampled_from(["bn", "ivae"]))
def test_known_words_come_back(sentences, rule):
    vocabulary = build(sentences, rule)
    for sentence in sentences:
        ids = vocabulary.encode(sentence)
        assert len(ids) == len(sentence) + 2 and vocabulary.unk not in ids
        assert vocabulary.decode(ids) == sentence


@given(SENTENCES)
def test_json_round_trip(sentences):
    vocabulary = build(sentences, "ivae")
    assert Vocabulary.from_json(vocabulary.to_json()) == vocabulary


@pytest.mark.parametrize("text", ["not json", "[]", "{}", '{"words": 3, "pad": 0, "bos": 1, "eos": 2, "unk": 3}',
                                  json.dumps({"words": ["a", "b", "c", "c"], "pad": 0, "bos": 1, "eos": 2, "unk": 3}),
                                  json.dumps({"words": list("abcd"), "pad": 0, "bos": 1, "eos": 2, "unk": 9}),
                                  json.dumps({"words": list("abcd"), "pad": 0, "bos": 0, "eos": 2, "unk": 3})])
def test_broken_json_is_an_error(text):
    with pytest.raises(CeaeError, match="vocabulary"):
        Vocabulary.from_json(text)


def test_unknown_rule():
    with pytest.raises(CeaeError, match="bn, ivae"):
        build(TEXT, "bpe")


def test_penn_treebank_has_10_002_rows(data):
    corpus = corpora.load("ptb", data)
    first_line = ("aer", "banknote", "berlitz", "calloway")
    for rule in ("bn", "ivae"):
        vocabulary = corpus.vocabulary(rule)
        assert len(vocabulary) == 10_002
        unseen = [w for split in ("valid", "test") for s in corpus.splits[split].sentences for w in s
                  if w not in vocabulary.index]
        assert unseen == []
    assert corpus.vocabulary("bn").words[4:8] == first_line
    assert corpus.vocabulary("ivae").words[4:7] == ("the", "N", "of")
