"""What every critic says about sentences: nats, and how many positions they were counted over."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Protocol

import numpy as np

from ceae_core.errors import CeaeError

Sentence = Sequence[str]


@dataclass(frozen=True)
class Scores:
    """-log p of N sentences under a critic, each column (N,).

    `positions` are what the critic predicts (words and the end symbol, or subwords); `words` are the words and the end
    symbols of the text, so that critics with different units can be compared per word.  `oov` of the positions hold a
    word that the critic does not know; `oov_nats` of the nats are theirs.
    """

    nats: np.ndarray
    positions: np.ndarray
    words: np.ndarray
    oov: np.ndarray
    oov_nats: np.ndarray

    def __post_init__(self) -> None:
        if len({len(column) for column in (self.nats, self.positions, self.words, self.oov, self.oov_nats)}) != 1:
            raise CeaeError("scores: every column must have one value for each sentence")

    def perplexity(self) -> float:
        """exp(nats per position) over all sentences together.  Raises CeaeError when there is no position."""
        return _exp_ratio(self.nats, self.positions)

    def perplexity_per_word(self) -> float:
        """exp(nats per word, the end symbol being one)."""
        return _exp_ratio(self.nats, self.words)

    def perplexity_excluding_oov(self) -> float:
        """`perplexity` over the positions whose word the critic knows."""
        return _exp_ratio(self.nats - self.oov_nats, self.positions - self.oov)


def _exp_ratio(nats: np.ndarray, count: np.ndarray) -> float:
    total = int(np.sum(count))
    if not total:
        raise CeaeError("perplexity: there is no position to score; give at least one sentence")
    return float(np.exp(np.sum(nats) / total))


class Critic(Protocol):
    """A model of text."""

    name: str                               # of the kind, as the command line and tables write it
    settings: dict[str, Any]                # plain values that define it: order, sizes, vocabulary, unknown-word policy

    def score(self, sentences: Sequence[Sentence]) -> Scores:
        """Each sentence on its own, its end predicted and counted unless the critic's settings say otherwise."""
        ...
