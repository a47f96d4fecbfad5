"""How positive a review is, between 0 and 1: by a classifier of codes, by one of texts, and by the grammar itself."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING

import numpy as np

from ceae_core.corpora import oracle
from ceae_core.corpora.corpus import Split

if TYPE_CHECKING:
    from sklearn.pipeline import Pipeline

LABEL = "sentiment"
POSITIVE = "pos"                    # as the oracle corpus spells it; published corpora have 1
Sentences = Sequence[Sequence[str]]


def is_positive(split: Split) -> np.ndarray | None:
    """(n,) whether the label of each sentence is positive; None for a corpus without labels of sentiment."""
    labels = split.labels.get(LABEL)
    return None if labels is None else labels == (1 if labels.dtype.kind in "iu" else POSITIVE)


def word_model(sentences: Sentences, classes: np.ndarray) -> Pipeline:
    """Logistic regression on TF-IDF of words and pairs of words, fitted to sentences of known classes; it reads texts.
    """
    from sklearn.feature_extraction.text import TfidfVectorizer
    from sklearn.linear_model import LogisticRegression
    from sklearn.pipeline import make_pipeline
    words = TfidfVectorizer(tokenizer=str.split, token_pattern=None, lowercase=False, ngram_range=(1, 2), min_df=2,
                            sublinear_tf=True)
    return make_pipeline(words, LogisticRegression(C=10.0, max_iter=1000)).fit(map(" ".join, sentences), classes)


def of_texts(sentences: Sentences, positive: np.ndarray) -> Callable[[Sentences], np.ndarray]:
    """`word_model` fitted to labelled sentences: sentences -> (n,)."""
    model = word_model(sentences, positive)
    return lambda texts: model.predict_proba(list(map(" ".join, texts)))[:, 1]


def of_codes(codes: np.ndarray, positive: np.ndarray, seed: int) -> Callable[[np.ndarray], np.ndarray]:
    """A small MLP fitted to labelled codes (N, Z) (ceae, sec. 5, Table 3): codes (n, Z) -> (n,)."""
    # DEVIATION(ceae:5): "a small MLP" is all that is said; two hidden layers of the size of the code as in the code of
    # BN-VAE, without its dropout, fitted by Adam until a tenth of the labels, held out, gets no better.
    from sklearn.neural_network import MLPClassifier
    from sklearn.pipeline import make_pipeline
    from sklearn.preprocessing import StandardScaler
    size = codes.shape[1]
    network = MLPClassifier((size, size), early_stopping=True, random_state=seed, max_iter=1000)
    model = make_pipeline(StandardScaler(), network).fit(codes, positive)
    return lambda more: model.predict_proba(more)[:, 1]


def of_grammar(sentences: Sentences) -> np.ndarray:
    """(n,) p(positive | sentence) under the grammar of the oracle corpus; NaN for what it cannot produce."""
    grammar = oracle.default()
    positive = grammar.labels[LABEL] == POSITIVE
    joint = np.array([grammar.joint(sentence) for sentence in sentences])                   # (n, labels)
    total = joint.sum(1)
    return np.divide(joint[:, positive].sum(1), total, out=np.full(len(total), np.nan), where=total > 0)


def accuracy(scores: np.ndarray, positive: np.ndarray) -> float:
    """Share of scores on the right side of one half."""
    return float(((scores > 0.5) == positive).mean())
