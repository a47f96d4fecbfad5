"""The oracle critic: what the grammar itself says of generated text, instead of a model of its text.

Forward it gives the true perplexity, reverse the share of the grammar's own text that samples cover.  Both are exact.
"""

from collections import Counter
from collections.abc import Sequence
from functools import cache, cached_property
from math import exp
from typing import NamedTuple

import numpy as np

from ceae_core.corpora import oracle
from ceae_core.corpora.oracle import Oracle
from ceae_core.critics.scores import Scores, Sentence
from ceae_core.errors import CeaeError

SLOT = "_"                          # stands in a template for any word of a list
Template = tuple[str, ...]


class Coverage(NamedTuple):
    """How much of the grammar's text samples cover; masses are probabilities under the grammar."""

    templates: int                  # different templates among the grammatical samples
    template_mass: float            # p(a true review has one of them)
    word_mass: float                # expected share of a true review's words that occur in the samples
    sentence_mass: float            # p(a true review is one of the samples)


class OracleCritic:
    """Scores by the graded log p (`Oracle.log_prob`), which is finite also for text that the grammar cannot produce."""

    name = "oracle"

    def __init__(self, grammar: Oracle | None = None, backoff: float = 0.01) -> None:
        self.grammar = grammar or oracle.default()
        self.settings = {"backoff": backoff, "unknown_words":
                         "a word that the grammar lacks has the uniform share of its bigram table"}
        self._known = frozenset(self.grammar.words)

    def score(self, sentences: Sequence[Sentence]) -> Scores:
        """The graded score, ends of sentences counted; about 1 ms for each different sentence."""
        backoff, texts = self.settings["backoff"], [tuple(sentence) for sentence in sentences]
        terms = {text: self.grammar.word_log_probs(text, backoff) for text in set(texts)}
        unknown = {text: [term for term, word in zip(terms[text], text, strict=False) if word not in self._known]
                   for text in terms}
        positions = np.array([len(text) + 1 for text in texts], np.int64)
        return Scores(np.array([-sum(terms[text]) for text in texts]), positions, positions,
                      np.array([len(unknown[text]) for text in texts], np.int64),
                      np.array([-sum(unknown[text]) for text in texts]))

    def exact(self, sentences: Sequence[Sentence]) -> np.ndarray:
        """(N,) exact log p in nats, -inf for what the grammar cannot produce; half a millisecond for each text."""
        texts = [tuple(sentence) for sentence in sentences]
        found = {text: self.grammar.log_prob(text) for text in set(texts)}
        return np.array([found[text] for text in texts])

    def truth(self, sentences: Sequence[Sentence]) -> dict[str, float | None]:
        """`grammatical`, the share that the grammar can produce, and the true perplexity of those sentences.

        Raises CeaeError when there is nothing to score.
        """
        if not sentences:
            raise CeaeError("oracle critic: no sentences to score; generate at least one")
        log_p = self.exact(sentences)
        good = np.isfinite(log_p)
        positions = sum(len(sentence) + 1 for sentence, is_good in zip(sentences, good, strict=True) if is_good)
        return {"grammatical": float(good.mean()),
                "ppl_grammatical": exp(-log_p[good].sum() / positions) if positions else None}

    def coverage(self, sentences: Sequence[Sentence]) -> Coverage:
        """What the grammatical ones among `sentences` cover of the grammar; repetitions add nothing."""
        different = list({tuple(sentence) for sentence in sentences})
        log_p = self.exact(different)
        good = [text for text, value in zip(different, log_p, strict=True) if np.isfinite(value)]
        seen, found = {word for text in good for word in text}, {self.template(text) for text in good}
        counts = dict(zip(self.grammar.words, self.grammar.word_counts(), strict=True))
        return Coverage(len(found), sum(self.templates[template] for template in found),
                        float(sum(counts[word] for word in seen) / sum(counts.values())), float(np.exp(log_p).sum()))

    def template(self, sentence: Sentence) -> Template:
        """The sentence with every word that comes from a list replaced by SLOT."""
        return tuple(word if word in self._fixed else SLOT for word in sentence)

    @cached_property
    def _fixed(self) -> frozenset[str]:
        """Words that the rules of phrases write out, or that features determine: "the", "but", "were"."""
        words, rules = self.grammar.words, self.grammar.rules[len(self.grammar.words):]
        phrases = [each for each in rules
                   if len(each) == 1 or any(symbol >= len(words) for _, body in each for symbol in body)]
        return frozenset(words[symbol] for each in phrases for _, body in each for symbol in body
                         if symbol < len(words))

    @cached_property
    def templates(self) -> Counter[Template]:
        """p of every template that the grammar can produce, by one bottom-up pass over its rules (about 2 s)."""
        def joined(p: float, values: list[Counter]) -> Counter:
            out = Counter({(): p})
            for value in values:
                longer: Counter[Template] = Counter()
                for (head, q), (tail, r) in ((a, b) for a in out.items() for b in value.items()):
                    longer[head + tail] += q * r
                out = longer
            return out

        words = self.grammar.words
        return self.grammar.fold(lambda i: Counter({self.template((words[i],)): 1.0}),
                                 lambda p, values: _Sum(joined(p, values)))[-1]


class _Sum(Counter):
    """A counter that `sum` can add to 0, and that keeps every entry."""

    def __radd__(self, other: int) -> "_Sum":
        return self

    def __add__(self, other: Counter) -> "_Sum":
        self.update(other)
        return self


@cache
def default() -> OracleCritic:
    """The critic of the oracle corpus; templates are worked out once per process."""
    return OracleCritic()
