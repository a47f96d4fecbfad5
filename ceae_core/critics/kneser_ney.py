"""Interpolated modified Kneser-Ney n-gram models [chen1998empirical, section 3.2], estimated in numpy.

The conventions are those of KenLM's `lmplz` [heafield2013scalable]: one `<s>` before every sentence, raw counts for
n-grams that begin with it, counts of different left neighbours for all others below the highest order, unigrams
interpolated with a uniform distribution over the words, `</s>` and `<unk>`.  The ARPA file can be read by KenLM.
"""

from collections.abc import Iterable, Sequence
from dataclasses import dataclass, replace
from itertools import repeat
from pathlib import Path
from typing import NamedTuple

import numpy as np

from ceae_core.errors import CeaeError
from ceae_core.files import write_atomic

UNK, BOS, EOS = 0, 1, 2
RESERVED = ("<unk>", "<s>", "</s>")
_RESERVED = frozenset(RESERVED)
FALLBACK = (0.5, 1.0, 1.5)                  # discounts of lmplz --discount_fallback


@dataclass(frozen=True)
class Order:
    """The n-grams of one order, sorted by `keys`; every array has one entry (N,) per n-gram.

    context  : number of its first n-1 words among the n-grams of the order below; 0 for unigrams
    word     : number of its last word
    suffix   : number of its last n-1 words in the order below
    keys     : context x vocabulary + word
    p        : interpolated probability of the last word after the others
    backoff  : weight of the shorter context where this n-gram is a context; 1 where nothing was seen to follow it
    """

    context: np.ndarray
    word: np.ndarray
    suffix: np.ndarray
    keys: np.ndarray
    p: np.ndarray
    backoff: np.ndarray
    discounts: tuple[float, float, float]   # taken from counts of 1, 2 and 3 or more
    is_fallback: bool                       # the counts allow no closed form; the discounts are FALLBACK


class Counts(NamedTuple):
    """Raw counts of the n-grams of one order; fields as in `Order`."""

    context: np.ndarray
    word: np.ndarray
    suffix: np.ndarray
    keys: np.ndarray
    count: np.ndarray
    begins: np.ndarray                      # whether its first word is <s>


class Positions(NamedTuple):
    """-log p of every predicted position, (P,) each."""

    nats: np.ndarray
    sentence: np.ndarray                    # number of its sentence
    is_end: np.ndarray                      # it holds </s>
    is_oov: np.ndarray                      # it holds a word that the model has not seen


@dataclass(frozen=True)
class KneserNey:
    """An estimated model: the words by number, and the n-grams of order 1, 2, ..."""

    index: dict[str, int]
    orders: list[Order]

    @classmethod
    def fit(cls, sentences: Iterable[Sequence[str]], order: int = 5, types: int = 0) -> "KneserNey":
        """Estimate from `sentences`.

        types : how many words the language has, if more than the text; the uniform distribution is over so many, so
                that each unseen word has the probability of `<unk>` (lmplz: --vocab_pad types + 2).

        Raises CeaeError for an order below 1, a text without sentences, or a word in RESERVED.
        """
        if order < 1:
            raise CeaeError(f"order: an n-gram model needs at least order 1, not {order}")
        index, tokens = _numbered(sentences)
        raw = _count(tokens, len(index), order)
        uniform = 1 / max(len(index) - 1, types + 2)
        orders: list[Order] = []
        for n, counts in enumerate(raw):
            adjusted = counts.count
            if n + 1 < len(raw):
                different = np.bincount(raw[n + 1].suffix, minlength=len(adjusted))
                adjusted = np.where(counts.begins, adjusted, different)
            if n == 0:
                adjusted[[UNK, BOS]] = 0                            # both are never counted as what comes next
            p, weight, known, is_fallback = _interpolate(counts, adjusted, orders[-1].p if n else np.array([uniform]))
            if n:
                orders[-1] = replace(orders[-1], backoff=weight)
            orders.append(Order(counts.context, counts.word, counts.suffix, counts.keys, p, np.ones(len(p)), known,
                                is_fallback))
        orders[0].p[BOS] = 1.0                                          # never predicted; log10 0 in the ARPA file
        return cls(index, orders)

    def positions(self, sentences: Iterable[Sequence[str]]) -> Positions:
        """Score sentences: the probability of the longest n-gram that was seen, times the weights backed off over."""
        tokens, sentence = self._flat(sentences)
        inside = np.diff(sentence, prepend=-1) == 0                     # has a predecessor in its sentence
        gram = tokens                                                   # n-gram that ends here, -1 if it was not seen
        nats = -np.log(self.orders[0].p[tokens])
        for shorter, order in zip(self.orders, self.orders[1:], strict=False):
            context = np.where(inside, np.roll(gram, 1), -1)
            key = np.where(context >= 0, context * len(self.index) + tokens, -1)
            at = np.minimum(np.searchsorted(order.keys, key), len(order.keys) - 1)
            gram = np.where(order.keys[at] == key, at, -1)
            backed_off = nats - np.log(np.where(context >= 0, shorter.backoff[context], 1.0))
            nats = np.where(gram >= 0, -np.log(order.p[gram]), backed_off)
        kept = tokens != BOS
        return Positions(nats[kept], sentence[kept], tokens[kept] == EOS, tokens[kept] == UNK)

    def _flat(self, sentences: Iterable[Sequence[str]]) -> tuple[np.ndarray, np.ndarray]:
        """Numbers of all words with <s> and </s>, and the number of the sentence that each is in."""
        get = self.index.get
        rows = [[BOS, *(get(word, UNK) for word in sentence), EOS] for sentence in sentences]
        tokens = np.fromiter((token for row in rows for token in row), np.int64)
        return tokens, np.repeat(np.arange(len(rows)), np.array([len(row) for row in rows], np.int64))

    def write_arpa(self, path: Path) -> None:
        """Write the model as an ARPA file: log10 p, the n-gram, log10 of its back-off weight."""
        words, below = list(self.index), repeat("")
        parts = ["\\data\\\n", *(f"ngram {n}={len(o.p)}\n" for n, o in enumerate(self.orders, 1))]
        for n, order in enumerate(self.orders, 1):
            last = [words[i] for i in order.word.tolist()]
            grams = last if n == 1 else [f"{below[c]} {w}" for c, w in zip(order.context.tolist(), last, strict=True)]
            log_p = np.log10(order.p).tolist()
            parts.append(f"\n\\{n}-grams:\n")
            if n == len(self.orders):
                parts += [f"{p:.7g}\t{gram}\n" for p, gram in zip(log_p, grams, strict=True)]
            else:
                log_backoff = np.log10(order.backoff).tolist()
                parts += [f"{p:.7g}\t{gram}\t{b:.7g}\n" for p, gram, b in zip(log_p, grams, log_backoff, strict=True)]
            below = grams
        write_atomic(path, "".join([*parts, "\n\\end\\\n"]))


def _numbered(sentences: Iterable[Sequence[str]]) -> tuple[dict[str, int], np.ndarray]:
    """Words by number, and the whole text in numbers, `<s>` and `</s>` around each sentence."""
    index = {word: number for number, word in enumerate(RESERVED)}
    tokens: list[int] = []
    for sentence in sentences:
        if not _RESERVED.isdisjoint(sentence):
            word = next(word for word in sentence if word in RESERVED)
            raise CeaeError(f"n-gram model: the text has the word {word}, which is reserved; rename it first")
        tokens += [BOS, *(index.setdefault(word, len(index)) for word in sentence), EOS]
    if not tokens:
        raise CeaeError("n-gram model: there is no sentence to estimate it from")
    return index, np.array(tokens)


def _count(tokens: np.ndarray, vocabulary: int, order: int) -> list[Counts]:
    """The n-grams of `tokens` (T,) within sentences, of every order up to `order` that has any."""
    position, words = np.arange(len(tokens)), np.arange(vocabulary)
    ends = np.flatnonzero(tokens == EOS)
    room = ends[np.searchsorted(ends, position)] - position + 1         # words from here to the end of the sentence
    nothing = np.zeros(vocabulary, np.int64)
    found = [Counts(nothing, words, nothing, words, np.bincount(tokens, minlength=vocabulary), words == BOS)]
    gram = tokens                                                       # (T,) number of the n-gram that begins here
    for n in range(2, order + 1):
        start = position[room >= n]
        if not len(start):
            break
        key = gram[start] * vocabulary + tokens[start + n - 1]
        keys, first, number, count = np.unique(key, return_index=True, return_inverse=True, return_counts=True)
        found.append(Counts(keys // vocabulary, keys % vocabulary, gram[start[first] + 1], keys, count,
                            tokens[start[first]] == BOS))
        gram = np.full(len(tokens), -1)
        gram[start] = number
    return found


def _interpolate(counts: Counts, adjusted: np.ndarray, lower: np.ndarray) -> tuple[np.ndarray, np.ndarray, tuple, bool]:
    """p = (c - D(c)) / sum of c + weight x p of the shorter n-gram; the weight is the share that the discounts freed.

    `lower` holds p of the shorter n-grams.  Returns p, the weight by context, the discounts, whether they fell back.
    """
    chosen = discounts(np.bincount(np.minimum(adjusted, 5), minlength=6)[1:5])
    taken = np.array([0.0, *(chosen or FALLBACK)])[np.minimum(adjusted, 3)]
    total = np.bincount(counts.context, weights=adjusted, minlength=len(lower))
    freed = np.bincount(counts.context, weights=taken, minlength=len(lower))
    weight = np.divide(freed, total, out=np.ones(len(lower)), where=total > 0)
    p = (adjusted - taken) / total[counts.context] + weight[counts.context] * lower[counts.suffix]
    return p, weight, chosen or FALLBACK, chosen is None


def discounts(counts_of_counts: Sequence[int]) -> tuple[float, float, float] | None:
    """D1, D2 and D3+ of [chen1998empirical, eq. 26] from the numbers of n-grams seen once, twice, three and four times.

    D_k = k - (k + 1) Y t_{k+1} / t_k with Y = t_1 / (t_1 + 2 t_2).  None where the text is too small or too repetitive
    for it: a count that it divides by is 0, or a discount is negative or takes more than there is.
    """
    t = [float(count) for count in counts_of_counts]
    if not all(t[:3]):
        return None
    y = t[0] / (t[0] + 2 * t[1])
    found = tuple(k - (k + 1) * y * t[k] / t[k - 1] for k in (1, 2, 3))
    return found if all(0 < found[k - 1] <= k for k in (1, 2, 3)) else None
