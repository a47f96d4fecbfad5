"""Sentences as one flat array of ids, and the plan of an epoch: which sentences share a batch, and in which order.

A plan is a function of (seed, epoch) alone, so an interrupted epoch goes on with `plan(...)[position:]`.
"""
from collections.abc import Sequence

import numpy as np
import torch

from ceae_core.corpora.vocabulary import Vocabulary
from ceae_core.errors import CeaeError
from ceae_core.seeding import derive

MODES = ("same_length", "bucketed", "random")
POOL = 50                                                   # batches that "bucketed" sorts by length at a time


class Encoded:
    """Encoded sentences, 4 bytes a token: `tokens` (N,) int32 end to end, sentence i at offsets[i]:offsets[i + 1]."""

    def __init__(self, sentences: Sequence[tuple[str, ...]], vocabulary: Vocabulary) -> None:
        rows = [vocabulary.encode(sentence) for sentence in sentences]
        self.pad = vocabulary.pad
        self.lengths = np.fromiter(map(len, rows), np.int64, len(rows))                 # (n,) with <s> and </s>
        self.offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(self.lengths)])   # (n + 1,)
        self.tokens = np.fromiter((i for row in rows for i in row), np.int32, int(self.offsets[-1]))

    def __len__(self) -> int:
        return len(self.lengths)

    def batch(self, indices: np.ndarray) -> torch.Tensor:
        """Ids (B, T) int64 of the sentences `indices`, in that order, padded to the longest of them."""
        lengths = self.lengths[indices][:, None]                                        # (B, 1)
        column = np.arange(lengths.max(initial=0))                                      # (T,)
        place = self.offsets[indices][:, None] + np.minimum(column, lengths - 1)        # (B, T)
        return torch.from_numpy(np.where(column < lengths, self.tokens[place], self.pad).astype(np.int64))

    def take(self, indices: np.ndarray) -> "Encoded":
        """The sentences `indices`, in that order, as a data set of their own."""
        part = object.__new__(Encoded)
        part.pad, part.lengths = self.pad, self.lengths[indices]
        part.offsets = np.concatenate([np.zeros(1, np.int64), np.cumsum(part.lengths)])
        part.tokens = np.concatenate([self.tokens[self.offsets[i]:self.offsets[i + 1]] for i in indices])
        return part


def plan(lengths: np.ndarray, batch_size: int, mode: str, seed: int, epoch: int) -> list[np.ndarray]:
    """Batches of one epoch, each an array of at most `batch_size` sentence indices; every index occurs exactly once.

    same_length : one shuffle by seed, a stable sort by length, cuts inside one length, so that nothing is padded; the
                  batches stay the same for the whole training, their order is drawn anew each epoch (BN-VAE, iVAE).
    bucketed    : a shuffle each epoch, pools of 50 batches sorted by length, cut, the order of the batches shuffled.
    random      : a shuffle each epoch, cut: lengths mix, which batch statistics need to be like those of the corpus.

    CeaeError for an unknown mode or a batch size below 1.
    """
    if mode not in MODES:
        raise CeaeError(f"batching: unknown mode {mode!r}; choose from {', '.join(MODES)}")
    if batch_size < 1:
        raise CeaeError(f"batching: batch size {batch_size} must be at least 1")
    lengths = np.asarray(lengths)
    shuffle = np.random.default_rng(derive(seed, "batches", mode, epoch))
    if mode == "same_length":
        order = np.random.default_rng(derive(seed, "batches", mode)).permutation(len(lengths))
        order = order[np.argsort(lengths[order], kind="stable")]
        runs = np.split(order, np.flatnonzero(np.diff(lengths[order])) + 1)
    else:
        order = shuffle.permutation(len(lengths))
        runs = [order]
        if mode == "bucketed":
            pools = _cut(order, POOL * batch_size)
            runs = [pool[np.argsort(lengths[pool], kind="stable")] for pool in pools]
    batches = [batch for run in runs for batch in _cut(run, batch_size)]
    if mode == "random":
        return batches
    return [batches[i] for i in shuffle.permutation(len(batches))]


def _cut(indices: np.ndarray, size: int) -> list[np.ndarray]:
    return [indices[i:i + size] for i in range(0, len(indices), size)]
