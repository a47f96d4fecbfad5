"""How much samples repeat themselves: what must stand beside every perplexity of generated text."""

from collections.abc import Sequence
from typing import Any

import numpy as np

from ceae_core.errors import CeaeError

Sentence = Sequence[str]
SELF_BLEU_SENTENCES = 200           # each against all others: 1 to 2 s; the cost grows with the square


def diversity(sentences: Sequence[Sentence], *, seed: int = 0, self_bleu_sentences: int = SELF_BLEU_SENTENCES,
              ) -> dict[str, Any]:
    """Numbers of different sentences and words, self-BLEU of a random part, and lengths in words, ends not counted.

    Raises CeaeError when there is no sentence.
    """
    if not sentences:
        raise CeaeError("diversity: there is no sentence; generate at least one")
    texts = [tuple(sentence) for sentence in sentences]
    lengths = np.array([len(text) for text in texts])
    return {"sentences": len(texts), "distinct_sentences": len(set(texts)),
            "distinct_words": len({word for text in texts for word in text}), "words": int(lengths.sum()),
            **self_bleu(texts, seed=seed, at_most=self_bleu_sentences),
            "length_mean": float(lengths.mean()), "length_sd": float(lengths.std()),
            "lengths": np.bincount(lengths).tolist()}


def self_bleu(sentences: Sequence[Sentence], *, seed: int = 0, at_most: int = SELF_BLEU_SENTENCES) -> dict[str, Any]:
    """Self-BLEU [zhu2018texygen]: the mean BLEU-4 (0 to 100) of a sentence against all others; 100: all the same.

    By sacrebleu on the words as they are, with effective order and its exponential smoothing for short sentences.
    It rises with the number of sentences, so `at_most` of them are drawn with `seed`; fewer than two have none.
    Empty sentences are left out.
    """
    from sacrebleu.metrics import BLEU
    texts = [" ".join(sentence) for sentence in sentences if sentence]
    if len(texts) > at_most:
        chosen = np.random.default_rng(seed).choice(len(texts), at_most, replace=False)
        texts = [texts[i] for i in np.sort(chosen)]
    if len(texts) < 2:
        return {"self_bleu": None, "self_bleu_sentences": len(texts)}
    bleu = BLEU(tokenize="none", effective_order=True)
    scores = [bleu.sentence_score(text, texts[:i] + texts[i + 1:]).score for i, text in enumerate(texts)]
    return {"self_bleu": float(np.mean(scores)), "self_bleu_sentences": len(texts)}
