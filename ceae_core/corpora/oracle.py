"""The oracle corpus: restaurant reviews drawn from a grammar whose probabilities are known exactly.

So are the entropy, the next-word distribution and the best classifier, which no real corpus offers: a model can be
compared with the truth, not only with another model.  Unit: nats per sentence, its end included.

    grammar = default()
    grammar.sample(3, seed=0).sentences
    grammar.log_prob("the tacos were great .".split())

Algorithms.  log p(sentence) is a left-to-right dynamic programme over stacks of open symbols, each of which remembers
its label; it sums over derivations and labels, so ambiguity is harmless, and gives the probability of a prefix
(`mass`), hence the next word, and the best classifier (`joint`).  The grammar has no recursion and no empty body, so
its language is finite and every expectation is one bottom-up pass over the rules (`fold`).
"""
from collections import defaultdict
from collections.abc import Callable, Iterator, Sequence
from functools import cache, cached_property
from itertools import pairwise
from math import inf, log
from typing import Any, NamedTuple

import numpy as np

from ceae_core.corpora.grammar import FEATURES, GRAMMAR, LATENTS, read_grammar
from ceae_core.errors import CeaeError

END = ""                                  # the "word" that stands for the end of a sentence
ENTROPY = (19.270, 0.003)                 # nats per sentence, standard error: mean of entropy(40_000, seed), seeds 0-3
REMEMBERED_PREFIXES = 10_000              # about 200 MB when full; one sentence then takes about 1 ms

Stack = tuple[int, ...]                   # open symbols, the next one to expand first


class Sample(NamedTuple):
    """Reviews drawn from the grammar."""

    sentences: list[tuple[str, ...]]
    labels: dict[str, np.ndarray]         # latent feature -> (n,) its values, as strings
    log_joint: np.ndarray                 # (n,) log p(sentence, derivation), nats


class Prefix:
    """What the grammar still has open after some words; a node of the tree of prefixes met so far."""

    __slots__ = ("open", "mass", "next")

    def __init__(self, open_: dict[int, dict[Stack, float]]) -> None:
        self.open = open_                 # top symbol -> symbols below it -> p(the prefix, and these are open)
        self.mass = sum(p for belows in open_.values() for p in belows.values())      # p(a review begins with it)
        self.next: dict[str, Prefix] = {}


class Oracle:
    """The compiled grammar.  Symbols are integers: words first, each other after those of its bodies, ROOT last."""

    def __init__(self, text: str = GRAMMAR) -> None:
        grammar = read_grammar(text)
        bodies = [body for rules in grammar.values() for _, body in rules]
        self.words: list[str] = sorted({symbol for body in bodies for symbol in body if symbol not in grammar})
        number = {symbol: i for i, symbol in enumerate([*self.words, *grammar])}
        self.rules: list[list[tuple[float, Stack]]] = [                                 # symbol -> [(p, body)]
            [(p, tuple(number[s] for s in body)) for p, body in grammar.get(symbol, [(1., (symbol,))])]
            for symbol in number]                                                       # a word derives itself
        drawn = [body[0].split(".")[1:] for _, body in grammar["ROOT"]]                 # features, by rule of ROOT
        values = {name: [f for features in drawn for f in features if f in FEATURES[v]] for v, name in LATENTS.items()}
        self.labels = {name: np.array(v) for name, v in values.items() if v}            # latent feature -> (n_labels,)
        self._forget()

    # ---- drawing -----------------------------------------------------------------------------------------------

    @cached_property
    def _expansions(self) -> tuple[np.ndarray, ...]:
        """All rules side by side: owner, cumulative edge, log p, body size (each (R,)), and the bodies end to end."""
        prob, body = zip(*(rule for rules in self.rules for rule in rules), strict=True)
        owner = np.repeat(np.arange(len(self.rules)), [len(rules) for rules in self.rules])
        edge = owner + np.concatenate([np.cumsum([p for p, _ in rules]) for rules in self.rules])
        return owner, edge, np.log(prob), np.array([len(b) for b in body]), np.concatenate(body)

    def sample(self, n: int, seed: int) -> Sample:
        """`n` independent reviews.  All open symbols of the whole corpus are expanded at once, until words remain."""
        if n < 1:
            raise CeaeError(f"oracle corpus: cannot draw {n} sentences; ask for at least 1")
        owner, edge, log_p, size, bodies = self._expansions
        start = np.cumsum(size) - size
        rng = np.random.default_rng(seed)
        row, symbol, log_joint, label = np.arange(n), np.full(n, len(self.rules) - 1), np.zeros(n), None
        while symbol.max() >= len(self.words):
            rule = np.searchsorted(edge, symbol + rng.random(len(symbol)) * (1 - 1e-9), side="right")
            label = rule - np.searchsorted(owner, symbol) if label is None else label   # drawn by ROOT's rule
            log_joint += np.bincount(row, log_p[rule], n)
            end = np.cumsum(size[rule])
            symbol = bodies[np.arange(end[-1]) + np.repeat(start[rule] - end + size[rule], size[rule])]
            row = np.repeat(row, size[rule])
        words = np.split(np.array(self.words, object)[symbol], np.searchsorted(row, np.arange(1, n)))
        labels = {name: values[label] for name, values in self.labels.items()}
        return Sample([tuple(w) for w in words], labels, log_joint)

    # ---- probabilities of sentences and prefixes ---------------------------------------------------------------

    @cached_property
    def _begins(self) -> list[dict[str, list[tuple[float, Stack]]]]:
        """By symbol, ROOT excepted: first word -> [(probability, symbols then open)], over all derivations."""
        begins = [{word: [(1., ())]} for word in self.words]
        for rules in self.rules[len(begins):-1]:
            here = defaultdict(list)
            for p, (head, *tail) in rules:
                for word, ways in begins[head].items():
                    here[word] += [(p * q, opened + tuple(tail)) for q, opened in ways]
            begins.append(dict(here))
        return begins

    def _forget(self) -> None:
        """Start the tree of prefixes anew.  A label lies at the bottom of each stack as -1 - label, and emits END."""
        self._start = Prefix({symbol: {(-1 - label,): p} for label, (p, (symbol,)) in enumerate(self.rules[-1])})
        self._remembered = 0

    def _after(self, prefix: Prefix, word: str) -> Prefix:
        out = defaultdict(lambda: defaultdict(float))
        for top, belows in prefix.open.items():
            ways = self._begins[top].get(word, ()) if top >= 0 else [(1., ())] * (word == END)
            for q, opened in ways:
                for below, p in belows.items():
                    first, *rest = opened + below or (top,)
                    out[first][tuple(rest)] += p * q
        return Prefix(out)

    def _walk(self, text: Sequence[str]) -> Iterator[Prefix]:
        """The prefixes of `text`, from the empty one to the whole; outside the grammar the same empty one again."""
        if self._remembered > REMEMBERED_PREFIXES:
            self._forget()
        here = self._start
        yield here
        for word in text:
            if here.open and word not in here.next:
                here.next[word] = self._after(here, word)
                self._remembered += 1
            here = here.next.get(word, here)
            yield here

    def mass(self, prefix: Sequence[str]) -> float:
        """p(a review begins with `prefix`); a last word END stands for the end.  A ratio of two is p(next word)."""
        *_, last = self._walk(prefix)
        return last.mass

    def joint(self, sentence: Sequence[str]) -> np.ndarray:
        """(n_labels,) p(sentence, label), summed over derivations, ordered like `labels`; zero outside the grammar."""
        *_, last = self._walk((*sentence, END))
        out = np.zeros(len(self.rules[-1]))
        for top, belows in last.open.items():
            out[-1 - top] = belows[()]
        return out

    def log_prob(self, sentence: Sequence[str], backoff: float = 0.) -> float:
        """log p(sentence) in nats, -inf outside the grammar.

        With backoff e > 0, the graded score: a word has probability (1-e) p(word | prefix) + e bigram(word | previous),
        the bigram's alone once the prefix has left the grammar.  It is finite for every sentence and sums to one over
        sentences of grammar words.  A word that the grammar does not have (`<unk>`, say) has the bigram probability
        0.01 / (V + 1), the uniform share of one word, which was not taken from the others: with such words the
        score adds up to at most 1 + 0.01 / (V + 1) = 1.00001 per position.
        """
        if backoff:
            return sum(self.word_log_probs(sentence, backoff))
        mass = self.mass((*sentence, END))
        return log(mass) if mass else -inf

    def word_log_probs(self, sentence: Sequence[str], backoff: float) -> list[float]:
        """The terms of the graded score (see `log_prob`): one for each word and one for the end."""
        text = (*sentence, END)
        masses = [prefix.mass for prefix in self._walk(text)]
        ids = [self._bigram_id.get(word, len(self.words) + 1) for word in (END, *text)]
        found = []
        for (before, after), (previous, word) in zip(pairwise(masses), pairwise(ids), strict=True):
            local = self.bigram[previous, word]
            found.append(log((1 - backoff) * after / before + backoff * local if before else local))
        return found

    @cached_property
    def _bigram_id(self) -> dict[str, int]:
        return {word: i for i, word in enumerate([*self.words, END])}

    @cached_property
    def bigram(self) -> np.ndarray:
        """(V+2, V+2) p(word | previous word): 0.9 exact bigram + 0.09 exact unigram + 0.01 uniform.

        Row and column V are the sentence boundary, V+1 a word that the grammar does not have: its row is 0.99 unigram
        + 0.01 uniform, its column the uniform share alone.  Each row sums to one over the first V+1 columns.
        """
        one_hot, n_symbols, n_words = np.eye(len(self.words)), len(self.rules), len(self.words)
        first = np.array(self.fold(lambda i: one_hot[i], lambda p, v: p * v[0]))        # (symbols, V) p(first word)
        final = np.array(self.fold(lambda i: one_hot[i], lambda p, v: p * v[-1]))       # (symbols, V) p(last word)
        uses, beside = np.eye(n_symbols)[-1], np.zeros((n_symbols, n_symbols))          # expected uses; neighbours
        for symbol in reversed(range(n_words, n_symbols)):
            for p, body in self.rules[symbol]:
                np.add.at(uses, [*body], p * uses[symbol])
                np.add.at(beside, ([*body[:-1]], [*body[1:]]), p * uses[symbol])
        count = np.block([[final.T @ beside @ first, final[-1][:, None]], [first[-1], np.zeros(1)]])    # (V+1, V+1)
        unigram, uniform = count.sum(0) / count.sum(), .01 / len(count)
        table = np.full((n_words + 2, n_words + 2), uniform)
        table[:-1, :-1] += .9 * count / count.sum(1, keepdims=True) + .09 * unigram
        table[-1, :-1] += .99 * unigram
        return table

    # ---- exact facts ---------------------------------------------------------------------------------------------

    def fold(self, word: Callable[[int], Any], rule: Callable[[float, list], Any]) -> list:
        """Bottom-up: word(i) for a word, for another symbol the sum over its rules of rule(p, values of the body)."""
        values = [word(i) for i in range(len(self.words))]
        for rules in self.rules[len(values):]:
            values.append(sum(rule(p, [values[s] for s in body]) for p, body in rules))
        return values

    def entropy(self, n: int = 20_000, seed: int = 0) -> tuple[float, float]:
        """H(sentence) in nats and its standard error: the exact H(derivation) minus a sampled H(derivation | sentence).

        The sampled part has a quarter of the error of -mean log p.  About 0.7 ms a sample; `ENTROPY` holds the result.
        """
        exact = self.fold(lambda _: 0., lambda p, values: p * (sum(values) - log(p)))[-1]
        sample = self.sample(n, seed)
        gap = sample.log_joint - [self.log_prob(s) for s in sample.sentences]
        return float(exact + gap.mean()), float(gap.std() / n ** .5)

    def word_counts(self) -> np.ndarray:
        """(V,) expected number of occurrences of each word in a review."""
        one_hot = np.eye(len(self.words))
        return self.fold(lambda i: one_hot[i], lambda p, values: p * sum(values))[-1]

    def length_distribution(self) -> np.ndarray:
        """(longest + 1,) p(a review has t words), t = 0, 1, ..."""
        def convolved(p: float, values: list[np.ndarray]) -> np.polynomial.Polynomial:
            product = np.polynomial.Polynomial([p])
            for value in values:
                product = product * value
            return product
        return self.fold(lambda _: np.polynomial.Polynomial([0, 1]), convolved)[-1].coef

    def distinct(self) -> int:
        """The number of different sentences: paths through the sets of stacks that a prefix can leave open."""
        @cache
        def completions(stacks: frozenset[Stack]) -> int:
            following = defaultdict(set)
            for top, *below in filter(None, stacks):
                for word, ways in self._begins[top].items():
                    following[word].update(opened + tuple(below) for _, opened in ways)
            return (() in stacks) + sum(completions(frozenset(s)) for s in following.values())

        return completions(frozenset(body for _, body in self.rules[-1]))


@cache
def default() -> Oracle:
    """The grammar of the corpus, compiled once per process (about 0.4 s)."""
    return Oracle()


class Score(NamedTuple):
    """Generated text against the truth, never one column alone: a low perplexity is also what repetition earns."""

    grammatical: float          # share of the sentences that the grammar can produce
    ppl_word: float             # true forward perplexity: exp(-sum graded log p / tokens), ends of sentences included
    distinct_sentences: int
    distinct_words: int
    sentences: int              # how many were scored: the distinct counts grow with it


def score(sentences: Sequence[Sequence[str]], backoff: float = .01) -> Score:
    """Score generated sentences under the true grammar, about 1 ms each; `backoff` is that of `Oracle.log_prob`.

    The first 1,000 test sentences: 1.00, 5.60, 1,000, 630.  A lower perplexity means dropped modes, higher ones errors.
    A word that the grammar does not have makes its sentence ungrammatical and costs what `Oracle.log_prob` says.
    CeaeError when there is nothing to score.
    """
    if not sentences:
        raise CeaeError("oracle score: no sentences to score; generate at least one")
    oracle, texts = default(), [tuple(sentence) for sentence in sentences]
    graded = sum(oracle.log_prob(text, backoff) for text in texts)
    return Score(grammatical=sum(oracle.mass((*text, END)) > 0 for text in texts) / len(texts),
                 ppl_word=float(np.exp(-graded / sum(len(text) + 1 for text in texts))),
                 distinct_sentences=len(set(texts)),
                 distinct_words=len({word for text in texts for word in text}),
                 sentences=len(texts))
