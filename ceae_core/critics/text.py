"""Sentences as one stream of what a word-level critic predicts, and from a value per position to one per sentence."""

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass

import numpy as np

from ceae_core.corpora import Vocabulary
from ceae_core.critics.scores import Scores, Sentence

UNKNOWN = ("a word without a row in the vocabulary is scored as <unk> and counted in oov, and so is a written <unk> "
           "where the training text has none")


@dataclass(frozen=True, eq=False)
class Text:
    """N sentences end to end, each with its end symbol: M positions, all of which a critic predicts."""

    ids: np.ndarray             # (M,) int64
    lengths: np.ndarray         # (N,) positions of each sentence
    oov: np.ndarray             # (M,) whether the word is unknown
    end: int                    # the end symbol

    @property
    def starts(self) -> np.ndarray:
        """(N,) where each sentence begins."""
        return np.cumsum(self.lengths) - self.lengths

    @property
    def context(self) -> np.ndarray:
        """(M,) the id before each position; that before a sentence is an end symbol, before the first one, too."""
        return np.concatenate([np.full(1, self.end), self.ids[:-1]])[:len(self.ids)]

    def places(self, rows: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
        """Of the sentences `rows` (B,): where each position is (B, T), and which are real; others repeat the first."""
        column = np.arange(self.lengths[rows].max())                                    # (T,)
        real = column < self.lengths[rows][:, None]                                     # (B, T)
        return self.starts[rows][:, None] + np.where(real, column, 0), real

    def batches(self, at_once: int) -> Iterator[tuple[np.ndarray, np.ndarray]]:
        """`places` of all sentences by rising length, about `at_once` positions together."""
        order = np.argsort(self.lengths, kind="stable")
        number = (np.cumsum(self.lengths[order]) - 1) // at_once
        for rows in np.split(order, np.flatnonzero(np.diff(number)) + 1) if len(order) else ():
            yield self.places(rows)

    def scores(self, nats: np.ndarray) -> Scores:
        """Sums per sentence of `nats` (M,)."""
        def summed(column: np.ndarray) -> np.ndarray:
            return np.add.reduceat(column, self.starts) if len(self.lengths) else column[:0]
        return Scores(nats=summed(nats), positions=self.lengths, words=self.lengths, oov=summed(self.oov.astype(int)),
                      oov_nats=summed(np.where(self.oov, nats, 0.0)))


class Classes:
    """What a critic tells apart: the words of a vocabulary and its end symbol, numbered without padding and `<s>`.

    A critic of these classes gives no probability to symbols that no sentence holds.  `trained_on` is its training
    text: a critic has learned of `unk` what that text shows of it.
    """

    def __init__(self, vocabulary: Vocabulary, trained_on: Sequence[Sentence]) -> None:
        kept = [i for i in range(len(vocabulary)) if i not in (vocabulary.pad, vocabulary.bos)]
        self.size = len(kept)
        self.end, self.unk = kept.index(vocabulary.eos), kept.index(vocabulary.unk)
        self.index = {vocabulary.words[i]: place for place, i in enumerate(kept) if i != vocabulary.eos}
        if not any(self.index.get(word, self.unk) == self.unk for sentence in trained_on for word in sentence):
            del self.index[vocabulary.words[vocabulary.unk]]

    def encode(self, sentences: Sequence[Sentence]) -> Text:
        """Ids of the sentences; a word that is none of the classes, or looks like the end symbol, becomes `unk`."""
        words = [place for sentence in sentences for place in (*map(self.index.get, sentence), self.end)]
        oov = np.array([place is None for place in words], bool)
        ids = np.array([self.unk if place is None else place for place in words], np.int64)
        return Text(ids, np.array([len(sentence) + 1 for sentence in sentences], np.int64), oov, self.end)


def sha256(sentences: Sequence[Sentence]) -> str:
    """Hash of a text: every word of every sentence, in their order."""
    digest = hashlib.sha256()
    for sentence in sentences:
        digest.update((" ".join(sentence) + "\n").encode())
    return digest.hexdigest()
