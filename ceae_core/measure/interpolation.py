"""Sentences between two sentences: greedy decoding along the straight line between their codes.

Both papers weigh the first sentence: z = λ z₁ + (1 − λ) z₂, so λ = 1 is the first sentence and λ = 0 the second
(clvm, sec. 4.5; the weights of ceae, sec. 6 and Table 6).
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
import torch

from ceae_core import generate
from ceae_core.corpora import Vocabulary
from ceae_core.corpora.batching import Encoded
from ceae_core.errors import CeaeError
from ceae_core.models.autoencoder import TextAutoencoder
from ceae_core.models.implicit import Implicit
from ceae_core.seeding import seeded

Sentence = tuple[str, ...]
Pair = tuple[Sentence, Sentence]

# DEVIATION(clvm:4.5): how many samples of q(z|x) are averaged is not said; 24, as the code of iVAE does. Where the mean
# has a closed form it is taken.
DRAWS = 24
STEPS = 11                  # λ = 0, 0.1, …, 1 (clvm, Table 6)
WEIGHTS = (0.8, 0.2)        # of the first sentence (ceae, Table 6)
# DEVIATION(ceae:6): how the mixed codes are decoded is not said; greedily, as by the second paper.
MAX_LENGTH = 100            # words, as in the code of iVAE


@dataclass(frozen=True)
class Line:
    """What is decoded between two sentences; row k has the weight weights[k] on the first."""

    pair: Pair
    weights: np.ndarray             # (L,)
    z: torch.Tensor                 # (L, Z) on the CPU
    sentences: list[Sentence]       # (L,)

    @property
    def norms(self) -> np.ndarray:
        """(L,) Euclidean length of each mixed code."""
        return self.z.norm(dim=-1).numpy()


def grid(steps: int = STEPS) -> np.ndarray:
    """(steps,) equally spaced weights from 0 to 1.  Raises CeaeError for fewer than 2."""
    if steps < 2:
        raise CeaeError(f"steps: {steps} points make no line; ask for at least 2")
    return np.linspace(0.0, 1.0, steps)


@torch.no_grad()
def codes(model: TextAutoencoder, sentences: Sequence[Sentence], vocabulary: Vocabulary, seed: int = 0) -> torch.Tensor:
    """(N, Z) one code of each sentence: the mean of q(z|x), for implicit posteriors that of DRAWS samples.

    Raises CeaeError for a language model, which has no code, and for an empty sentence.
    """
    if model.posterior is None:
        raise CeaeError("interpolate: a language model has no codes to mix; choose a run of an autoencoder")
    if not all(map(len, sentences)):
        raise CeaeError("interpolate: a sentence is empty; give at least one word")
    model.eval()
    device, data, found = next(model.parameters()).device, Encoded(sentences, vocabulary), []
    with seeded(seed, "interpolation"):
        for rows in torch.arange(len(data)).split(generate.CODES_AT_ONCE):
            latent = model.encode(data.batch(rows.numpy()).to(device))
            drawn = isinstance(model.posterior, Implicit)
            found.append(torch.stack([model.posterior.draw(latent.h) for _ in range(DRAWS)]).mean(0) if drawn
                         else latent.mu)
    return torch.cat(found)


def mix(first: torch.Tensor, second: torch.Tensor, weights: Sequence[float]) -> torch.Tensor:
    """λ z₁ + (1 − λ) z₂ of codes (N, Z), (N, Z) for each weight λ: (N, L, Z) (clvm, sec. 4.5)."""
    weight = torch.as_tensor(np.asarray(weights), dtype=first.dtype, device=first.device)[:, None]      # (L, 1)
    return weight * first[:, None] + (1.0 - weight) * second[:, None]


def interpolate(model: TextAutoencoder, vocabulary: Vocabulary, pairs: Sequence[Pair], weights: Sequence[float], *,
                max_length: int = MAX_LENGTH, seed: int = 0) -> list[Line]:
    """The decoded line of each pair.  Raises CeaeError as `codes` does."""
    ends = codes(model, [sentence for pair in pairs for sentence in pair], vocabulary, seed)      # (2N, Z)
    z = mix(ends[0::2], ends[1::2], weights)                                                      # (N, L, Z)
    made = generate.decode(model, z.flatten(0, 1), vocabulary, max_length=max_length)
    size = len(weights)
    return [Line(pair, np.asarray(weights), z[i].cpu(), made[i * size:(i + 1) * size]) for i, pair in enumerate(pairs)]


def read(text: str, vocabulary: Vocabulary) -> tuple[Sentence, list[str]]:
    """Words of a typed sentence, split at spaces, and those among them that the model reads as the unknown word.

    Raises CeaeError for an empty sentence and for the symbols of start, end and padding, which are no words.
    """
    words = tuple(text.split())
    if not words:
        raise CeaeError(f"sentence {text!r}: it is empty; give at least one word")
    reserved = [vocabulary.words[i] for i in (vocabulary.pad, vocabulary.bos, vocabulary.eos)]
    if taken := [word for word in words if word in reserved]:
        raise CeaeError(f"sentence {text!r}: {taken[0]} is a symbol of the model and no word; leave it out")
    return words, list(dict.fromkeys(word for word in words if word not in vocabulary.index))


def between(model: TextAutoencoder, vocabulary: Vocabulary, first: str, second: str, weights: Sequence[float], *,
            max_length: int = MAX_LENGTH, seed: int = 0) -> tuple[Line, list[str]]:
    """The line between two typed sentences, and their words that the model reads as the unknown word.

    Raises CeaeError as `read` and `codes` do.
    """
    (one, strange), (other, stranger) = (read(text, vocabulary) for text in (first, second))
    line, = interpolate(model, vocabulary, [(one, other)], weights, max_length=max_length, seed=seed)
    return line, list(dict.fromkeys([*strange, *stranger]))
