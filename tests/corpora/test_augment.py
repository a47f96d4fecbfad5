"""Swapped neighbours against a word-by-word reference on the same coins."""

from collections import Counter

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from ceae_core.corpora.augment import swap_neighbours

PAD, BOS, EOS = 0, 1, 2
sentences = st.lists(st.lists(st.integers(4, 30), max_size=8), min_size=1, max_size=6)


def padded(words: list[list[int]]) -> torch.Tensor:
    rows = [[BOS, *row, EOS] for row in words]
    width = max(map(len, rows))
    return torch.tensor([row + [PAD] * (width - len(row)) for row in rows])


def naive(x: list[int], coins: list[bool]) -> list[int]:
    """One sentence: a coin for each word but the last decides whether it changes places with the next."""
    x, end = list(x), x.index(EOS)
    for i in range(1, end - 1):
        if coins[i]:
            x[i], x[i + 1] = x[i + 1], x[i]
    return x


@given(sentences, st.sampled_from([0.0, 0.1, 0.5, 0.9, 1.0]), st.integers(0, 10_000))
@settings(max_examples=200, deadline=None)
def test_a_batch_is_its_sentences_walked_through_one_by_one(words: list[list[int]], probability: float, seed: int):
    x = padded(words)
    before = x.clone()
    torch.manual_seed(seed)
    swapped = swap_neighbours(x, probability)
    torch.manual_seed(seed)
    coins = (torch.rand(x.shape) < probability).tolist()
    assert swapped.tolist() == [naive(row, tossed) for row, tossed in zip(x.tolist(), coins, strict=True)]
    assert torch.equal(x, before)                                                       # the batch itself is left alone
    for row, other in zip(x.tolist(), swapped.tolist(), strict=True):
        assert Counter(row) == Counter(other) and row[0] == other[0] == BOS
        assert [i for i, word in enumerate(row) if word in (EOS, PAD)] == [
            i for i, word in enumerate(other) if word in (EOS, PAD)]


def test_with_certainty_the_first_word_walks_to_the_end():
    assert swap_neighbours(padded([[4, 5, 6, 7], [8, 9]]), 1.0).tolist() == [[BOS, 5, 6, 7, 4, EOS],
                                                                             [BOS, 9, 8, EOS, PAD, PAD]]


@pytest.mark.parametrize("words", [[[]], [[4]], [[], [5]]])
def test_sentences_without_neighbours_stay(words: list[list[int]]):
    assert torch.equal(swap_neighbours(padded(words), 1.0), padded(words))


def test_the_share_of_swaps_is_the_probability():
    """Two words change places or not: 20,000 coins, 5 standard errors."""
    x = padded([[4, 5]] * 20_000)
    torch.manual_seed(0)
    share = float((swap_neighbours(x, 0.1)[:, 1] == 5).double().mean())
    assert abs(share - 0.1) < 5 * (0.1 * 0.9 / 20_000) ** 0.5
