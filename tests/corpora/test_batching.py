"""Plans of epochs: complete, reproducible, and as homogeneous in length as their mode promises."""
import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ceae_core import corpora
from ceae_core.corpora.batching import MODES, Encoded, plan
from ceae_core.corpora.vocabulary import build
from ceae_core.errors import CeaeError

LENGTHS = np.random.default_rng(0).integers(2, 40, 1_000)
SENTENCES = [("a", "b", "c"), ("d",), ("a", "a", "b", "e", "d")]


def as_lists(batches: list[np.ndarray]) -> list[list[int]]:
    return [batch.tolist() for batch in batches]


@settings(max_examples=60, deadline=None)
@given(st.lists(st.integers(2, 9), max_size=120), st.integers(1, 9), st.sampled_from(MODES), st.integers(0, 5),
       st.integers(0, 5))
def test_every_index_exactly_once(lengths, batch_size, mode, seed, epoch):
    batches = plan(np.array(lengths, int), batch_size, mode, seed, epoch)
    assert sorted(np.concatenate([[], *batches]).astype(int)) == list(range(len(lengths)))
    assert all(1 <= len(batch) <= batch_size for batch in batches)
    if mode == "same_length":
        assert all(len({lengths[i] for i in batch}) == 1 for batch in batches)
    else:
        assert len(batches) == -(-len(lengths) // batch_size)


@pytest.mark.parametrize("mode", MODES)
def test_a_plan_depends_on_seed_and_epoch_alone(mode):
    first = as_lists(plan(LENGTHS, 32, mode, seed=1, epoch=3))
    np.random.seed(7)
    assert as_lists(plan(LENGTHS, 32, mode, seed=1, epoch=3)) == first
    assert as_lists(plan(LENGTHS, 32, mode, seed=1, epoch=4)) != first
    assert as_lists(plan(LENGTHS, 32, mode, seed=2, epoch=3)) != first


def test_same_length_keeps_its_batches_and_permutes_their_order():
    epochs = [as_lists(plan(LENGTHS, 32, "same_length", seed=1, epoch=e)) for e in range(3)]
    assert epochs[0] != epochs[1] != epochs[2]
    assert sorted(epochs[0]) == sorted(epochs[1]) == sorted(epochs[2])
    assert sorted(epochs[0]) != sorted(as_lists(plan(LENGTHS, 32, "same_length", seed=2, epoch=0)))
    assert len(epochs[0]) == sum(-(-n // 32) for n in np.bincount(LENGTHS))


@pytest.mark.parametrize("mode", ["bucketed", "random"])
def test_other_modes_draw_new_batches_each_epoch(mode):
    first, second = (as_lists(plan(LENGTHS, 32, mode, seed=1, epoch=e)) for e in range(2))
    assert sorted(map(sorted, first)) != sorted(map(sorted, second))


def test_bucketed_pads_little_and_random_pads_much():
    def padding(mode):
        batches = plan(LENGTHS, 32, mode, seed=1, epoch=0)
        return sum((LENGTHS[b].max() - LENGTHS[b]).sum() for b in batches) / LENGTHS.sum()
    assert padding("same_length") == 0
    assert padding("bucketed") < .05 < .3 < padding("random")


def test_bucketed_does_not_run_from_short_to_long():
    means = [LENGTHS[b].mean() for b in plan(LENGTHS, 32, "bucketed", seed=1, epoch=0)]
    assert abs(np.corrcoef(means, range(len(means)))[0, 1]) < .6


def test_wrong_arguments():
    with pytest.raises(CeaeError, match="same_length, bucketed, random"):
        plan(LENGTHS, 32, "sorted", 1, 0)
    with pytest.raises(CeaeError, match="at least 1"):
        plan(LENGTHS, 0, "random", 1, 0)


def test_encoded_batch():
    vocabulary = build(SENTENCES, "bn")
    encoded = Encoded(SENTENCES, vocabulary)
    assert len(encoded) == 3
    assert encoded.lengths.tolist() == [5, 3, 7]
    assert encoded.tokens.dtype == np.int32 and len(encoded.tokens) == 15
    x = encoded.batch(np.array([1, 2]))
    assert x.dtype == torch.int64 and x.shape == (2, 7)
    assert x[0].tolist() == [*vocabulary.encode(("d",)), 0, 0, 0, 0]
    assert x[1].tolist() == vocabulary.encode(SENTENCES[2])
    assert encoded.batch([0]).tolist() == [vocabulary.encode(SENTENCES[0])]


@given(st.lists(st.lists(st.sampled_from("abcde"), max_size=6).map(tuple), min_size=1), st.randoms())
def test_encoded_batches_are_the_encoded_sentences(sentences, random):
    vocabulary = build([tuple("abc")], "ivae")
    encoded = Encoded(sentences, vocabulary)
    indices = [random.randrange(len(sentences)) for _ in range(4)]
    x = encoded.batch(np.array(indices))
    assert x.shape[1] == max(encoded.lengths[indices])
    for row, i in zip(x.tolist(), indices, strict=True):
        expected = vocabulary.encode(sentences[i])
        assert row[:len(expected)] == expected and set(row[len(expected):]) <= {vocabulary.pad}


def test_penn_treebank_has_1_359_batches_of_which_8_hold_one_sentence(data):
    corpus = corpora.load("ptb", data)
    lengths = Encoded(corpus.splits["train"].sentences, corpus.vocabulary("bn")).lengths
    assert lengths.sum() == 887_521 + 2 * 42_068 and lengths.max() == 82 + 2
    batches = plan(lengths, 32, "same_length", seed=1, epoch=0)
    assert len(batches) == 1_359 and sum(len(b) == 1 for b in batches) == 8
    assert len(plan(lengths, 32, "bucketed", seed=1, epoch=0)) == 1_315
