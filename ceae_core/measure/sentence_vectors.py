"""One vector per sentence: of a pretrained encoder, read at a layer with a pooling, and of what needs no training."""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch

from ceae_core.corpora.vocabulary import UNK
from ceae_core.errors import CeaeError
from ceae_core.pretrained import Pretrained, load
from ceae_core.progress import bar

POOLINGS = ("mean", "cls", "pooler")
LAST = "last"
WHO = "agreement"               # how errors of a missing encoder begin
SENTENCES_AT_ONCE = 64
Sentence = Sequence[str]


@dataclass(frozen=True)
class Reading:
    """How an encoder's states become one vector: a layer (0: word embeddings, or LAST) and a pooling."""

    layer: int | str = LAST
    pooling: str = "mean"

    def __post_init__(self) -> None:
        if self.pooling not in POOLINGS:
            raise CeaeError(f"pooling: unknown value {self.pooling!r}; choose {', '.join(POOLINGS)}")
        if self.pooling == "pooler" and self.layer != LAST:
            raise CeaeError("pooling: the pooler stands on the last layer; leave --layer out or choose mean or cls")

    @classmethod
    def parse(cls, layer: int | str = LAST, pooling: str = "mean") -> "Reading":
        """From what a user typed.  Raises CeaeError for a layer that is neither a number nor `last`."""
        text = str(layer)
        if text != LAST and not text.isdecimal():
            raise CeaeError(f"layer: {text!r} is neither a layer number (0: word embeddings) nor {LAST}")
        return cls(LAST if text == LAST else int(text), pooling)

    def __str__(self) -> str:
        return f"{'last layer' if self.layer == LAST else f'layer {self.layer}'}, {self.pooling}"


class SentenceEncoder:
    """An encoder of `transformers` as a map from sentences to vectors."""

    def __init__(self, loaded: Pretrained) -> None:
        self.name, self.sha256, self.drawn = loaded.name, loaded.sha256, loaded.drawn
        self.model, self.tokenizer = loaded.model, loaded.tokenizer
        self._read: dict[tuple[str, ...], tuple[dict[str, np.ndarray], int]] = {}

    @classmethod
    def load(cls, source: str) -> "SentenceEncoder":
        """From a folder, by a name on the hub, or `minilm`; a pooler may be missing.  Raises as `pretrained.load`."""
        return cls(load(source, "encoder", WHO, may_lack="pooler"))

    @property
    def layers(self) -> int:
        return self.model.config.num_hidden_layers

    @cached_property
    def longest(self) -> int:
        """Most tokens of a sentence."""
        return min(self.model.config.max_position_embeddings, self.tokenizer.model_max_length)

    def vectors(self, sentences: Sequence[Sentence], how: Reading, unknown: Sequence[str] = ()) -> np.ndarray:
        """(N, W) a vector of each sentence.  Raises CeaeError for a layer or pooling that this encoder does not have.

        `unknown` are further spellings of the unknown word.
        """
        last = self.layers
        if how.layer != LAST and how.layer > last:
            raise CeaeError(f"layer: {self.name} has no layer {how.layer}; choose 0 (word embeddings) to {last}")
        states, _ = self._states(self.texts(sentences, unknown))
        if how.pooling not in states:
            raise CeaeError(f"pooling: {self.name} has no trained pooler; choose mean or cls")
        found = states[how.pooling]
        return found if how.pooling == "pooler" else found[last if how.layer == LAST else how.layer]

    def cut(self, sentences: Sequence[Sentence], unknown: Sequence[str] = ()) -> int:
        """How many sentences are longer than the encoder reads."""
        return self._states(self.texts(sentences, unknown))[1]

    def texts(self, sentences: Sequence[Sentence], unknown: Sequence[str] = ()) -> tuple[str, ...]:
        """Words joined by spaces, the corpus's unknown word replaced by the encoder's, if it has one."""
        own, spelled = self.tokenizer.unk_token, {UNK, *unknown}
        return tuple(" ".join(own if own and word in spelled else word for word in sentence) for sentence in sentences)

    def _states(self, texts: tuple[str, ...]) -> tuple[dict[str, np.ndarray], int]:
        """Pooling -> (layers + 1, N, W), of the pooler (N, W); and how many texts were cut.  Kept for the next call."""
        if texts not in self._read:
            self._read = {texts: self._run(texts)}
        return self._read[texts]

    @torch.no_grad()
    def _run(self, texts: tuple[str, ...]) -> tuple[dict[str, np.ndarray], int]:
        if self.tokenizer.pad_token is None:
            raise CeaeError(f"agreement: the tokenizer of {self.name} has no padding symbol; take a BERT-type one")
        lengths = [len(ids) for ids in self.tokenizer(list(texts), truncation=False, padding=False)["input_ids"]]
        found: dict[str, np.ndarray] = {}
        with bar(len(texts), f"encode with {self.name}") as shown:
            for rows in np.array_split(np.argsort(lengths, kind="stable"), -(-len(texts) // SENTENCES_AT_ONCE)):
                batch = self.tokenizer([texts[i] for i in rows], padding=True, truncation=True,
                                       max_length=self.longest, return_tensors="pt")
                for pooling, values in self._pooled(batch).items():
                    if pooling not in found:
                        found[pooling] = np.zeros((*values.shape[:-2], len(texts), values.shape[-1]), np.float32)
                    found[pooling][..., rows, :] = values
                shown.update(len(rows))
        return found, sum(length > self.longest for length in lengths)

    def _pooled(self, batch: Any) -> dict[str, np.ndarray]:
        """Pooling -> (layers + 1, B, W); of the pooler (B, W)."""
        out = self.model(**batch, output_hidden_states=True)
        states = torch.stack(out.hidden_states)                                         # (layers + 1, B, T, W)
        mask = batch["attention_mask"][:, :, None].to(states.dtype)                     # (B, T, 1)
        pooled = {"mean": (states * mask).sum(2) / mask.sum(1), "cls": states[:, :, 0]}
        if getattr(out, "pooler_output", None) is not None and not self.drawn:
            pooled["pooler"] = out.pooler_output
        return {name: values.numpy() for name, values in pooled.items()}


# similarities that need no training -----------------------------------------------------------------------------------

def shared_words(sentences: Sequence[Sentence], weighed: bool = False) -> np.ndarray:
    """(N, N) inner products of word counts; with `weighed` those of TF-IDF vectors of length one (salton1988term)."""
    from sklearn.feature_extraction.text import CountVectorizer, TfidfVectorizer
    kind = TfidfVectorizer if weighed else CountVectorizer
    found = kind(tokenizer=str.split, token_pattern=None, lowercase=False).fit_transform(map(" ".join, sentences))
    return (found @ found.T).toarray().astype(float)


def alike_in_length(sentences: Sequence[Sentence]) -> np.ndarray:
    """(N, N) minus the difference in words: a similarity that knows nothing but lengths."""
    lengths = np.array([len(sentence) for sentence in sentences], float)
    return -np.abs(lengths[:, None] - lengths)


def shared_labels(labels: Sequence[Sequence[Any]]) -> np.ndarray:
    """(N, N) how many labels two sentences share; `labels` has one sequence (N,) per feature."""
    return sum((np.asarray(values)[:, None] == np.asarray(values)).astype(float) for values in labels)
